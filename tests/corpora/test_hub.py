"""Hub data sets on small local files of their schema, and the real huggingface_hub client against a hub of our own."""

import errno
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import ipc

from opencoder_lib.corpora import hub_fetch
from opencoder_lib.corpora.hub import (
    as_files,
    find_dataset,
    known_datasets,
    metadata_composition,
    open_local,
    scan_metadata,
)
from opencoder_lib.corpora.hub_contents import with_contents, write_with_contents
from opencoder_lib.corpora.hub_fetch import download, hub_tables, list_files
from opencoder_lib.corpora.tables import ParquetTable, Problems
from opencoder_lib.errors import InputError

OLD, NEW = "a" * 40, "b" * 40
STACK = "hub:bigcode/the-stack-v2"
META = "hub:OpenCoder-LLM/RefineCode-code-corpus-meta"
PAGES = "hub:OpenCoder-LLM/opc-fineweb-code-corpus"
ANNEALING = "hub:OpenCoder-LLM/opc-annealing-corpus"


def stack_row(data=b"", **changes):
    return {
        "blob_id": hashlib.sha1(data).hexdigest(),
        "path": "/src/a.py",
        "repo_name": "one/two",
        "language": "Python",
        "length_bytes": len(data),
        "src_encoding": "UTF-8",
        "detected_licenses": ["MIT"],
        "star_events_count": 7,
        "committer_date": datetime(2023, 3, 17, 20, 32, 25),
    } | changes


def meta_row(language, doc_type, n_bytes, path="src/a"):
    return {
        "repo_name": "one/two",
        "sub_path": path,
        "program_lang": language,
        "doc_type": doc_type,
        "file_size_in_byte": n_bytes,
    }


def write(path, *rows, **schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(list(rows), schema_overrides=schema).write_parquet(path)
    return path


def stack_files(*rows):
    return as_files(pl.DataFrame(list(rows)), find_dataset(STACK))


# Names


def test_a_name_gives_the_id_the_config_and_the_revision():
    found = find_dataset("hub:OpenCoder-LLM/opc-annealing-corpus/synthetic_qa@refs/pr/3")
    assert (found.id, found.config, found.revision) == (
        "OpenCoder-LLM/opc-annealing-corpus",
        "synthetic_qa",
        "refs/pr/3",
    )
    assert found.pattern == "synthetic_qa/*.arrow"
    assert found.name == "hub:OpenCoder-LLM/opc-annealing-corpus/synthetic_qa@refs/pr/3"


def test_without_config_the_files_of_all_are_meant_and_without_revision_none_is_named():
    found = find_dataset("bigcode/the-stack-v2")
    assert (found.config, found.revision, found.pattern) == (None, None, "data/*/train-*.parquet")


def test_a_former_id_and_another_case_find_the_present_one():
    assert find_dataset("hub:OpenCoder-LLM/RefineCode-raw-code-meta").id == find_dataset(META).id
    assert find_dataset("hub:BigCode/The-Stack-v2").id == "bigcode/the-stack-v2"


def test_the_deduplicated_stack_has_the_columns_of_the_stack():
    whole, deduplicated = (known_datasets()[name] for name in ("bigcode/the-stack-v2", "bigcode/the-stack-v2-dedup"))
    assert deduplicated.required == whole.required
    assert deduplicated.map == whole.map


def test_an_unknown_data_set_is_a_plain_table():
    found = find_dataset("hub:some/thing@v1")
    assert (found.kind, found.required, found.revision) == ("table", {}, "v1")


@pytest.mark.parametrize(
    "name", ["hub:one", "hub:a/b/c/d", "hub:a/b@", "hub:../b", "hub:a/../b", "hub:a//b", "hub:a/b c"]
)
def test_what_names_no_data_set_is_refused(name):
    with pytest.raises(InputError, match="names no data set of the hub"):
        find_dataset(name)


def test_a_config_that_does_not_exist_is_refused_with_near_names():
    with pytest.raises(InputError, match=r"no config 'synthetic_qas'. Did you mean synthetic_qa"):
        find_dataset(f"{ANNEALING}/synthetic_qas")


# Columns


def test_rows_of_the_stack_become_ours(tmp_path):
    rows = [stack_row(b"x" * 5, language="C++", detected_licenses=["MIT", "Zlib"]), stack_row(detected_licenses=[])]
    scan = scan_metadata([write(tmp_path / "a.parquet", *rows)], find_dataset(STACK)).collect()
    assert scan.rows() == [
        ("src/a.py", "one/two", "cpp", "code", 5, "MIT, Zlib", 7, datetime(2023, 3, 17, 20, 32, 25)),
        ("src/a.py", "one/two", "python", "code", 0, None, 7, datetime(2023, 3, 17, 20, 32, 25)),
    ]


def test_a_time_with_a_zone_becomes_utc(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame([stack_row(committer_date=datetime(2023, 1, 1, 12))])
    frame.with_columns(
        pl.col("committer_date").dt.replace_time_zone("Asia/Tokyo").dt.cast_time_unit("ns")
    ).write_parquet(path)
    assert scan_metadata([path], find_dataset(STACK)).collect()["committed_at"].item() == datetime(2023, 1, 1, 3)


def test_composition_counts_files_and_bytes_over_all_files(tmp_path):
    first = write(tmp_path / "a.parquet", meta_row("html", "code", 10), meta_row("markdown", "text", 3))
    second = write(tmp_path / "b.parquet", meta_row("html", "code", 5), meta_row(None, None, 4))
    found = metadata_composition(scan_metadata([first, second], find_dataset(META)))
    assert found.rows() == [("html", "code", 2, 15), ("unknown", "unknown", 1, 4), ("markdown", "text", 1, 3)]


def test_the_category_is_the_data_sets_own_where_it_has_one(tmp_path):
    path = write(tmp_path / "a.parquet", meta_row("html", "data", 1), meta_row("html", None, 1))
    assert scan_metadata([path], find_dataset(META)).collect()["category"].to_list() == ["data", "code"]


def test_a_missing_and_a_mistyped_column_are_named_with_the_file(tmp_path):
    row = stack_row(length_bytes="5")
    row["blobid"] = row.pop("blob_id")
    path = write(tmp_path / "train-0.parquet", row)
    with pytest.raises(InputError) as raised:
        open_local(find_dataset(STACK), [path])
    message = str(raised.value)
    assert str(path) in message
    assert "no column 'blob_id' (string). Did you mean blobid?" in message
    assert "the column 'length_bytes' as String, not as integer" in message


def test_a_known_column_of_the_wrong_type_is_refused_and_an_unverified_one_is_not(tmp_path):
    dataset = find_dataset(STACK)
    open_local(dataset, [write(tmp_path / "a.parquet", stack_row(filename=3, something="else"))])
    with pytest.raises(InputError, match="'is_vendor' as String, not as boolean"):
        open_local(dataset, [write(tmp_path / "b.parquet", stack_row(is_vendor="no"))])


def test_a_file_that_is_no_table_is_refused(tmp_path):
    for name in ("a.parquet", "a.arrow"):
        (tmp_path / name).write_bytes(b"<html>Too many requests</html>")
        with pytest.raises(InputError, match=f"{name}' cannot be read as Parquet or Arrow"):
            open_local(find_dataset(PAGES), [tmp_path / name])


@pytest.mark.parametrize("container", [ipc.new_stream, ipc.new_file])
def test_arrow_streams_and_files_open_alike(tmp_path, container):
    table = pa.table({"text": ["a", "b"], "lang": ["python", "C++"]})
    with container(tmp_path / "data-0.arrow", table.schema) as writer:
        writer.write_table(table)
    dataset = find_dataset(ANNEALING)
    frame = open_local(dataset, [tmp_path / "data-0.arrow"])[0].collect()
    assert as_files(frame, dataset).select("text", "language", "category").rows() == [
        ("a", "python", "code"),
        ("b", "cpp", "code"),
    ]


def test_a_page_is_text_whatever_its_address_ends_in():
    frame = pl.DataFrame([{"text": "About a.py", "url": "https://x.org/a.py", "dump": "CC-MAIN-2021-04"}])
    files = as_files(frame, find_dataset(PAGES))
    wanted = ("https://x.org/a.py", "About a.py", "text", "text", "hub", None, "CC-MAIN-2021-04")
    assert files.select("path", "text", "language", "category", "origin", "removed_by", "dump").row(0) == wanted


def test_rows_of_metadata_have_no_text_and_are_out():
    files = as_files(pl.DataFrame([meta_row("html", "code", 10, "a.html")]), find_dataset(META))
    wanted = ("a.html", None, 10, "preprocess.unreadable")
    assert files.select("path", "text", "n_bytes", "removed_by").row(0) == wanted


# Contents


def put(folder, data, ending="", pack=False):
    (folder / (hashlib.sha1(data).hexdigest() + ending)).write_bytes(gzip.compress(data) if pack else data)
    return data


@pytest.mark.parametrize(("ending", "pack"), [("", False), ("", True), (".gz", True)])
def test_a_blob_is_found_as_it_is_and_packed_with_and_without_the_ending(tmp_path, ending, pack):
    data = put(tmp_path, b"x = 1\n", ending, pack)
    files, failures = with_contents(stack_files(stack_row(data)), tmp_path)
    assert files.select("text", "n_bytes", "removed_by").row(0) == ("x = 1\n", 6, None)
    assert failures.is_empty()


def test_text_is_decoded_by_its_own_encoding_and_keeps_its_stored_size(tmp_path):
    latin, wide = put(tmp_path, "é".encode("latin-1")), put(tmp_path, "é".encode("utf-16"))
    rows = [stack_row(latin, src_encoding="ISO-8859-1"), stack_row(wide, src_encoding="UTF-16", path="/b")]
    files, _ = with_contents(stack_files(*rows), tmp_path)
    assert files.select("text", "n_bytes").rows() == [("é", 1), ("é", 4)]


@pytest.mark.parametrize("encoding", ["UTF-8", "no-such-charset", "unicode_escape", "hex", "utf-8\0", "utf_7"])
def test_bytes_that_are_no_text_in_their_encoding_are_undecodable(tmp_path, encoding):
    # A half of a surrogate pair in UTF-7, a broken escape, broken UTF-8.
    data = put(tmp_path, b"+2AA-" if encoding == "utf_7" else b"\\x4\xff")
    files, failures = with_contents(stack_files(stack_row(data, src_encoding=encoding)), tmp_path)
    assert files["removed_by"].item() == "preprocess.undecodable"
    assert failures.rows() == [("no text (undecodable)", 1, "src/a.py")]


def test_each_failure_has_its_reason_and_is_counted(tmp_path):
    missing, other, large, binary = b"missing", b"other", b"l" * 99, put(tmp_path, b"a\0b")
    put(tmp_path, large, pack=True)
    (tmp_path / hashlib.sha1(other).hexdigest()).write_bytes(b"changed")
    torn = hashlib.sha1(b"torn").hexdigest()
    (tmp_path / torn).write_bytes(gzip.compress(b"torn")[:-9])
    rows = [stack_row(missing, path="/1"), stack_row(other, path="/2"), stack_row(large, path="/3")]
    rows += [stack_row(binary, path="/4"), stack_row(blob_id=torn, path="/5"), stack_row(b"also missing", path="/6")]
    files, failures = with_contents(stack_files(*rows), tmp_path, max_bytes=50)
    reasons = [reason.removeprefix("preprocess.") for reason in files["removed_by"]]
    assert reasons == ["unreadable", "unreadable", "too_large", "binary", "unreadable", "unreadable"]
    assert files["measured"].to_list() == [None, None, 99.0, None, None, None]
    assert files["text"].null_count() == 6
    assert failures.rows() == [
        ("larger than the limit", 1, "3"),
        ("no blob of this id", 2, "1"),
        ("no text (binary)", 1, "4"),
        ("the blob cannot be read", 1, "5"),
        ("the blob's bytes are not those of its id", 1, "2"),
    ]


@pytest.mark.parametrize("blob_id", ["../secret", "/etc/hostname", "A" * 40, "a" * 40 + "\n", "a" * 39, None])
def test_a_blob_id_that_is_none_never_opens_a_file(tmp_path, monkeypatch, blob_id):
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "blobs").mkdir()
    files = stack_files(stack_row(b"s", blob_id=blob_id), stack_row(b"s"))
    monkeypatch.setattr(
        os, "lstat", lambda path: pytest.fail(f"looked at {path}") if "secret" in str(path) else os.stat(path)
    )
    found, failures = with_contents(files, tmp_path / "blobs")
    assert found["text"].to_list() == [None, None]
    assert ("its blob id is not 40 hexadecimal digits", 1, "src/a.py") in failures.rows()


def test_a_link_among_the_blobs_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"s")
    (tmp_path / hashlib.sha1(b"s").hexdigest()).symlink_to(tmp_path / "elsewhere")
    files, failures = with_contents(stack_files(stack_row(b"s")), tmp_path)
    assert files["text"].item() is None
    assert failures["what"].item() == "the blob is no regular file"


def test_rows_that_were_judged_already_stay_as_they_are(tmp_path):
    data = put(tmp_path, b"x")
    files = stack_files(stack_row(data, path="/1"), stack_row(data, path="/2"))
    files = files.with_columns(removed_by=pl.Series(["preprocess.excluded_type", "preprocess.unreadable"]))
    found, _ = with_contents(files, tmp_path)
    assert found["text"].to_list() == [None, "x"]
    assert found["removed_by"].to_list() == ["preprocess.excluded_type", None]


def test_tables_with_contents_are_what_clean_reads(tmp_path):
    data = put(tmp_path, b"x = 1\n")
    rows = [stack_row(data), stack_row(b"missing", path="/b.py")]
    source = write(tmp_path / "Python" / "train-0.parquet", *rows)
    (path,), failures = write_with_contents([source], find_dataset(STACK), tmp_path, tmp_path / "out")
    table = ParquetTable(path, hub_fetch.Columns())
    ((found, _),) = table.slices(1 << 20, Problems())
    assert found.select("text", "path", "repo", "license", "stars", "origin", "removed_by").rows() == [
        ("x = 1\n", "src/a.py", "one/two", "MIT", 7, "hub", None),
        (None, "b.py", "one/two", "MIT", 7, "hub", "preprocess.unreadable"),
    ]
    assert failures.rows() == [("no blob of this id", 1, "b.py")]
    with pytest.raises(InputError, match=r"exists. Give an empty folder"):
        write_with_contents([source], find_dataset(STACK), tmp_path, tmp_path / "out")


# A hub of our own


class FakeHub(ThreadingHTTPServer):
    """The three things of the hub that are used: a revision's commit, a commit's files, a file.

    repositories: id -> commit -> path -> bytes. `main` is the last commit, `v1` the first. gated: ids whose files are
    refused. asked: how often each (method, path) was. broken: bytes after which the connection breaks, once. ranges:
    the first byte that was asked for, of each file.
    """

    daemon_threads = True

    def __init__(self, repositories):
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories, self.gated, self.asked, self.broken = repositories, set(), Counter(), None
        self.ranges = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.asked[self.command, path] += 1
        kind, _, rest = path.removeprefix("api/").partition("/")
        name = "/".join(rest.split("/")[:2])
        repository = self.server.repositories.get(name)
        if kind != "datasets" or repository is None:
            return self.send(401, error="RepoNotFound")
        what, _, tail = rest.removeprefix(name).strip("/").partition("/")
        commits = {
            "main": list(repository)[-1],
            "v1": next(iter(repository)),
            **{commit: commit for commit in repository},
        }
        revision = next(
            (known for known in commits if tail == known or tail.startswith(known + "/")), "" if tail else "main"
        )
        if revision not in commits:
            return self.send(404, error="RevisionNotFound")
        commit = commits[revision]
        files = repository[commit]
        if what in ("", "revision"):
            return self.send(200, json.dumps({"id": name, "sha": commit}).encode())
        if what == "tree":
            tree = [{"type": "file", "path": path, "size": len(data), "oid": "0" * 40} for path, data in files.items()]
            return self.send(200, json.dumps([{"type": "directory", "path": "data", "oid": "0" * 40}, *tree]).encode())
        if name in self.server.gated:
            return self.send(403, error="GatedRepo")
        data = files[tail.removeprefix(revision + "/")]
        about = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if self.command == "GET":
            self.server.ranges.append(start)
        if start:
            about["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self.send(206 if start else 200, data[start:], **about)

    def send(self, status, body=b"", error=None, **headers):
        self.send_response(status)
        for name, value in {**headers, **({"X-Error-Code": error} if error else {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            broken = None
            if "ETag" in headers:
                broken, self.server.broken = self.server.broken, None
            self.wfile.write(body[:broken])
            self.close_connection = True


@pytest.fixture
def page_rows(tmp_path):
    rows = [{"text": f"Page {n}", "url": f"https://x.org/{n}"} for n in range(3)]
    return [write(tmp_path / f"rows-{n}.parquet", row).read_bytes() for n, row in enumerate(rows)]


@pytest.fixture
def hub(monkeypatch, tmp_path, page_rows):
    new = {f"data/train-0000{n}-of-00003.parquet": data for n, data in enumerate(page_rows)}
    new |= {"README.md": b"---\n---\n", "data/test-00000-of-00001.parquet": b"not this"}
    pages = {OLD: {"data/train-00000-of-00001.parquet": page_rows[0]}, NEW: new}
    row = write(tmp_path / "stack.parquet", stack_row()).read_bytes()
    stack = {NEW: {"data/Python/train-0.parquet": row, "data/Rust/train-0.parquet": row}}
    server = FakeHub(
        {
            find_dataset(PAGES).id: pages,
            find_dataset(STACK).id: stack,
            "some/thing": {NEW: {"x/y.parquet": page_rows[0]}},
        }
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    # Where tests run, nothing may be asked of the real hub; this one is here.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield server
    server.shutdown()
    server.server_close()


def fetched(hub):
    return sorted(
        path.rsplit("/", 1)[-1] for method, path in hub.asked.elements() if method == "GET" and "/resolve/" in path
    )


def test_a_branch_and_a_tag_are_resolved_to_their_commits(hub):
    assert list_files(find_dataset(PAGES)).commit == NEW
    assert list_files(find_dataset(f"{PAGES}@v1")).commit == OLD
    assert list_files(find_dataset(PAGES), OLD).commit == OLD


def test_only_the_files_of_the_data_set_are_fetched_in_order_and_once(hub, tmp_path, page_rows):
    paths = download(find_dataset(PAGES), cache=tmp_path / "here")
    assert [path.read_bytes() for path in paths] == page_rows
    assert all(NEW in path.parts for path in paths)
    assert download(find_dataset(PAGES), cache=tmp_path / "here") == paths
    assert fetched(hub) == [path.name for path in paths]


def test_max_files_takes_the_first(hub, tmp_path):
    assert [path.name for path in download(find_dataset(PAGES), max_files=2)] == [
        "train-00000-of-00003.parquet",
        "train-00001-of-00003.parquet",
    ]
    with pytest.raises(InputError, match="max_files must be at least 1, not 0"):
        download(find_dataset(PAGES), max_files=0)


def test_a_config_is_one_folder_and_an_unknown_one_is_refused_with_near_names(hub):
    assert list(list_files(find_dataset(f"{STACK}/Rust")).files) == ["data/Rust/train-0.parquet"]
    with pytest.raises(InputError, match=f"at {NEW} has no file 'data/Pyhton/.*Did you mean Python"):
        list_files(find_dataset(f"{STACK}/Pyhton"))


def test_an_unknown_data_set_is_read_with_the_columns_that_are_named(hub):
    tables = hub_tables("hub:some/thing", hub_fetch.Columns(path="url"))
    ((found, _),) = ParquetTable(tables.paths[0], tables.columns).slices(1 << 20, Problems())
    assert found.select("path", "text").rows() == [("https://x.org/0", "Page 0")]


def test_what_broke_off_goes_on_where_it_stopped(hub, page_rows, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50)
    hub.broken = 100
    (path,) = download(find_dataset(f"{PAGES}@v1"))
    assert path.read_bytes() == page_rows[0]
    assert hub.ranges == [0, 100]


def test_refusals_of_the_hub_say_what_to_do(hub):
    hub.gated.add("bigcode/the-stack-v2")
    with pytest.raises(InputError, match=r"accepted its terms.*datasets/bigcode/the-stack-v2 .*HF_TOKEN"):
        download(find_dataset(STACK))
    with pytest.raises(InputError, match="opc-fineweb-code-corpus has no revision 'v2'"):
        download(find_dataset(PAGES), "v2")
    with pytest.raises(
        InputError, match=r"knows no data set 'bigcode/the-stack-v3'. Did you mean bigcode/the-stack-v2"
    ):
        download(find_dataset("hub:bigcode/the-stack-v3"))


def test_a_revision_without_such_files_says_what_there_is(hub):
    hub.repositories[find_dataset(PAGES).id]["c" * 40] = {"README.md": b""}
    with pytest.raises(InputError, match=r"has no file 'data/train-\*.parquet'. It has, for example: README.md"):
        download(find_dataset(PAGES))


def test_a_disk_without_room_is_found_before_the_first_byte(hub, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(InputError, match=r"has room for 0 MB. Ask for fewer files"):
        download(find_dataset(PAGES))
    assert fetched(hub) == []


def test_a_disk_that_fills_up_says_so(hub, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.HfApi.hf_hub_download", full)
    with pytest.raises(InputError, match="The disk is full"):
        download(find_dataset(PAGES))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'opencoder-lib\[hub\]'"):
        download(find_dataset(PAGES))


def run_download(**environment):
    code = (
        "from opencoder_lib.corpora.hub_fetch import download, find_dataset\n"
        "from opencoder_lib.errors import InputError\n"
        f"try: print(*download(find_dataset({PAGES!r}), max_files=1))\n"
        "except InputError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return run.stdout


def test_the_variables_of_huggingface_hub_count(hub, tmp_path):
    found = run_download(HF_ENDPOINT=hub.address, HF_HOME=str(tmp_path / "home"))
    assert found.strip().startswith(str(tmp_path / "home" / "hub"))
    assert "HF_HUB_OFFLINE is set" in run_download(HF_HUB_OFFLINE="1")


def test_a_hub_that_does_not_answer_says_look_to_the_network():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert f"no answer from {address}" in run_download(HF_ENDPOINT=address)


# Tables for clean


def test_a_data_set_of_pages_gives_its_files_as_they_are(hub):
    tables = hub_tables(f"{PAGES}@v1")
    assert (tables.name, tables.columns.path, len(tables.paths)) == (f"{PAGES}@{OLD}", "url", 1)
    assert tables.constants == {"origin": "hub", "language": "text"}


def test_a_data_set_of_metadata_cannot_be_cleaned_and_nothing_is_fetched(hub):
    with pytest.raises(InputError, match=r"holds no text.*under blob_id.*write_with_contents"):
        hub_tables(STACK)
    assert not hub.asked


def test_arrow_files_become_tables_with_a_path_for_each_row(hub, tmp_path):
    table = pa.table({"text": ["a", "b"], "program_lang": ["Python", None], "type": ["qa", "qa"]})
    with ipc.new_stream(tmp_path / "one.arrow", table.schema) as writer:
        writer.write_table(table)
    name = "synthetic_qa/data-00000-of-00001.arrow"
    hub.repositories[find_dataset(ANNEALING).id] = {NEW: {name: (tmp_path / "one.arrow").read_bytes()}}
    tables = hub_tables(ANNEALING)
    found = pl.read_parquet(tables.paths)
    assert found.select("text", "path", "language", "type").rows() == [
        ("a", "synthetic_qa/data-00000-of-00001/000000000", "python", "qa"),
        ("b", "synthetic_qa/data-00000-of-00001/000000001", None, "qa"),
    ]
    before = tables.paths[0].stat().st_mtime_ns
    assert hub_tables(ANNEALING).paths[0].stat().st_mtime_ns == before


def test_an_arrow_file_that_breaks_off_is_refused_and_leaves_no_table(tmp_path):
    table = pa.table({"text": ["x" * 9000, "b"], "lang": ["python", "python"]})
    with ipc.new_stream(tmp_path / "one.arrow", table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "one.arrow").write_bytes((tmp_path / "one.arrow").read_bytes()[:3000])
    files = {"algorithmic_corpus/one.arrow": tmp_path / "one.arrow"}
    with pytest.raises(InputError, match="cannot be made"):
        hub_fetch.local_tables(find_dataset(ANNEALING), NEW, files, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
