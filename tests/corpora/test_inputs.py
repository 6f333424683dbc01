import gzip
import json
import os
import pickle
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from opencoder_lib.corpora import collect_folder
from opencoder_lib.corpora.inputs import Inputs, open_inputs
from opencoder_lib.corpora.jsonlines import zstd
from opencoder_lib.corpora.tables import Columns, Problems
from opencoder_lib.errors import InputError, SchemaError
from opencoder_lib.files import doc_id, new_files


def tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def table(place: Path, **columns) -> Path:
    pl.DataFrame(columns).write_parquet(place)
    return place


def lines(path: Path, rows: list[dict | str | bytes]) -> Path:
    data = [
        row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode() for row in rows
    ]
    path.write_bytes(b"\n".join(data) + b"\n")
    return path


def read(inputs: Inputs, **options) -> pl.DataFrame:
    parts = [pickle.loads(pickle.dumps(shard)).read() for shard in inputs.shards(**options)]
    return pl.concat(parts) if parts else new_files([{"path": "", "origin": "folder"}]).clear()


def files_of(*paths: Path, columns: Columns | None = None, **options) -> pl.DataFrame:
    return read(open_inputs([str(path) for path in paths], columns), **options)


def test_a_folder_gives_the_files_of_collect_folder(tmp_path):
    root = tree(tmp_path, {"one/a.py": "x = 1\n", "one/b.bin": b"\0", "two/c.md": b"\xff", "d.js": "", "z/e.py": "é"})
    assert files_of(root).equals(collect_folder(root).files)


def test_ids_order_and_text_do_not_depend_on_the_size_of_shards(tmp_path):
    folder = tree(tmp_path / "work", {f"r{at % 3}/{at}.py": "x" * at for at in range(40)})
    rows = [{"path": f"{at % 7}.py", "text": "y" * at, "repo": "r"} for at in range(60)]
    parquet = table(tmp_path / "t.parquet", **{name: [row[name] for row in rows] for name in rows[0]})
    several = [folder, parquet, lines(tmp_path / "t.jsonl", rows)]
    small, large = (files_of(*several, max_bytes=size) for size in (50, 10**6))
    assert small.equals(large)
    assert small.height == 160
    assert small["doc_id"].n_unique() == 160


def test_shards_hold_at_most_the_bytes_asked_for_or_one_file(tmp_path):
    sizes = [10, 40, 200, 5, 5, 90, 100, 1]
    folder = tree(tmp_path / "f", {f"{at}.py": "x" * size for at, size in enumerate(sizes)})
    rows = {"path": [f"{at}.py" for at in range(len(sizes))], "text": ["x" * size for size in sizes]}
    for path in (folder, table(tmp_path / "t.parquet", **rows)):
        inputs = open_inputs([str(path)])
        held = [shard.read()["text"].str.len_bytes().to_list() for shard in inputs.shards(100)]
        assert held == [[10, 40], [200], [5, 5, 90], [100], [1]]


def test_ids_of_a_table_are_derived_as_new_files_derives_them(tmp_path):
    rows = {"path": ["a.py", "a.py", "b.py", "a.py"], "repo": ["r", "r", "r", None], "text": ["1", "2", "3", "4"]}
    found = files_of(table(tmp_path / "t.parquet", **rows), max_bytes=1)
    expected = new_files(pl.DataFrame(rows).with_columns(origin=pl.lit("folder")))
    assert found["doc_id"].to_list() == expected["doc_id"].to_list()
    assert found["doc_id"][1] == doc_id("folder", "r", "a.py", 1)


def test_the_same_place_in_two_inputs_is_another_occurrence(tmp_path):
    for name in ("one", "two"):
        tree(tmp_path / name / "work", {"r/a.py": name})
    found = files_of(tmp_path / "one" / "work", tmp_path / "two" / "work")
    assert found["doc_id"].to_list() == [doc_id("folder", "r", "r/a.py", n) for n in (0, 1)]
    assert found["text"].to_list() == ["one", "two"]


def test_given_ids_are_kept_and_missing_ones_derived(tmp_path):
    path = lines(tmp_path / "t.jsonl", [{"doc_id": 7, "path": "a.py", "text": ""}, {"path": "a.py", "text": ""}])
    assert files_of(path)["doc_id"].to_list() == ["7", doc_id("folder", None, "a.py", 1)]


@pytest.mark.parametrize("max_bytes", [1, 10**6])
def test_a_repeated_given_id_is_an_error_wherever_it_stands(tmp_path, max_bytes):
    first = table(tmp_path / "1.parquet", doc_id=["x", "y"], path=["a", "b"], text=["1", "2"])
    second = table(tmp_path / "2.parquet", doc_id=["z", "x"], path=["c", "d"], text=["3", "4"])
    with pytest.raises(SchemaError, match=r"'x' occurs more than once, the second time in row 2 of .*2\.parquet"):
        files_of(first, second, max_bytes=max_bytes)


def test_a_given_id_may_not_be_one_that_was_derived(tmp_path):
    folder = tree(tmp_path / "work", {"r/a.py": "x"})
    given = table(tmp_path / "t.parquet", doc_id=[doc_id("folder", "r", "r/a.py")], path=["b"], text=["1"])
    with pytest.raises(SchemaError, match="more than once"):
        files_of(folder, given)


def test_known_columns_are_used_and_foreign_ones_left_alone(tmp_path):
    path = table(
        tmp_path / "t.parquet",
        content=["x = 1"],
        name=["a.py"],
        sha=["id1"],
        repo_name=["r"],
        license=[["MIT", "BSD-3-Clause"]],
        natural_language=["zh"],
        stars=[5.0],
        committed_at=[date(2024, 2, 1)],
        language=["Python"],
        origin=["github"],
        n_bytes=[99],
    )
    (row,) = files_of(path, columns=Columns("content", "name", "sha", "repo_name")).to_dicts()
    assert {name: value for name, value in row.items() if value is not None} == {
        "doc_id": "id1",
        "text": "x = 1",
        "path": "a.py",
        "repo": "r",
        "license": "MIT, BSD-3-Clause",
        "natural_language": "zh",
        "n_bytes": 99,
        "stars": 5,
        "committed_at": datetime(2024, 2, 1),
        "origin": "folder",
    }


def test_json_lines_have_the_same_columns(tmp_path):
    row = {"path": "a.py", "text": "é", "stars": 5, "committed_at": "2024-02-01T01:00:00+01:00", "origin": "hub"}
    (found,) = files_of(lines(tmp_path / "t.jsonl", [row | {"license": ["MIT"]}])).to_dicts()
    assert (found["stars"], found["origin"], found["license"]) == (5, "hub", "MIT")
    assert found["committed_at"] == datetime(2024, 2, 1)
    assert found["doc_id"] == doc_id("hub", None, "a.py")


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_packed_lines_read_like_plain_ones(tmp_path, packed):
    rows = [{"path": f"{at}.py", "text": "x" * at} for at in range(200)]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    half = len(data) // 2
    # Two frames in one file, as tools that append write them.
    pack = {"": lambda part: part, ".gz": gzip.compress, ".zst": zstd.compress}[packed]
    path = tmp_path / f"t.jsonl{packed}"
    path.write_bytes(pack(data[:half]) + pack(data[half:]))
    assert files_of(path, max_bytes=500)["text"].to_list() == ["x" * at for at in range(200)]


def test_endings_in_capitals_and_packed_json_are_tables_too(tmp_path):
    data = b'{"path": "a.py", "text": "x"}\n'
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(data))
    (tmp_path / "t.JSONL").write_bytes(data)
    table(tmp_path / "t.Parquet", path=["a.py"], text=["x"])
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    assert read(open_inputs(paths))["path"].to_list() == ["a.py"] * 3
    frames = [rows for unit in open_inputs(paths).units(10**6) for rows in unit.frames(10**6, Problems())]
    assert pl.concat(frames)["path"].to_list() == ["a.py"] * 3
    # Within a folder it is a source file like any other.
    tree(tmp_path / "src", {"t.json.gz": gzip.compress(data), "a.py": "x"})
    assert files_of(tmp_path / "src")["removed_by"].to_list() == [None, "preprocess.binary"]


def test_a_column_of_a_foreign_kind_is_noted_and_dates_may_be_written_out(tmp_path):
    place = table(
        tmp_path / "t.parquet",
        path=["a", "b", "c"],
        text=["1", "2", "3"],
        stars=["many"] * 3,
        license=[5] * 3,
        committed_at=["2024-02-01T01:00:00+01:00", "2024-02-01", "yesterday"],
    )
    inputs = open_inputs([str(place)])
    assert inputs.noted.frame().rows() == [
        ("table whose column 'license' is Int64, not String: not read", 1, str(place)),
        ("table whose column 'stars' is String, not Int32: not read", 1, str(place)),
    ]
    found = read(inputs)
    assert found["committed_at"].to_list() == [datetime(2024, 2, 1), datetime(2024, 2, 1), None]
    assert found["stars"].null_count() == found["license"].null_count() == 3


def test_lines_that_cannot_be_read_are_noted_with_their_number_and_the_rest_goes_on(tmp_path):
    path = lines(
        tmp_path / "t.jsonl",
        [
            b'\xef\xbb\xbf{"path": "a.py", "text": "1"}\r',
            '{"path": "b.py", "text": "cut',
            "",
            "[1, 2]",
            "[" * 100_000,
            {"path": "c.py", "text": 5},
            {"text": "no path"},
            {"path": "d.py", "text": "2"},
        ],
    )
    inputs = open_inputs([str(path)])
    assert read(inputs)["path"].to_list() == ["a.py", "d.py"]
    entry = inputs.problems.found[str(path)]
    assert entry["n"] == inputs.problems.total == 5
    places = [example.partition(": ") for example in entry["examples"]]
    assert [place for place, _, _ in places] == ["line 2", "line 4", "line 5", "line 6", "line 7"]
    assert [what.split(" (")[0] for _, _, what in places] == [
        "not JSON",
        "not a JSON object",
        "nested too deeply",
        "'text' is not a string",
        "'path' is missing",
    ]


def test_a_text_that_utf8_cannot_hold_is_a_row_with_a_reason(tmp_path):
    path = lines(
        tmp_path / "t.jsonl",
        [
            b'{"path": "half.py", "text": "\\ud800x"}',
            b'{"path": "bytes.py", "text": "\xffx"}',
            {"path": "no.py", "text": None},
        ],
    )
    assert files_of(path).select("path", "text", "removed_by").rows() == [
        ("half.py", None, "preprocess.undecodable"),
        ("bytes.py", None, "preprocess.undecodable"),
        ("no.py", None, "preprocess.unreadable"),
    ]


def test_bytes_nulls_and_huge_texts_of_a_table_are_rows_with_a_reason(tmp_path):
    path = table(tmp_path / "t.parquet", path=["a", "b", "c", None], text=[b"x", b"\xff", None, b"y\0"])
    big = table(tmp_path / "big.parquet", path=["d"], text=["x" * 8_000_001])
    assert files_of(path, big).select("path", "text", "n_bytes", "removed_by", "measured").rows() == [
        ("a", "x", 1, None, None),
        ("b", None, 1, "preprocess.undecodable", None),
        ("c", None, None, "preprocess.unreadable", None),
        ("", None, 2, "preprocess.binary", None),
        ("d", None, 8_000_001, "preprocess.too_large", 8_000_001.0),
    ]


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_a_packed_file_that_breaks_off_gives_the_lines_before(tmp_path, packed):
    rows = [json.dumps({"path": f"{at}.py", "text": os.urandom(50).hex()}) for at in range(5000)]
    data = "\n".join(rows).encode()
    path = tmp_path / f"t.jsonl{packed}"
    path.write_bytes((gzip.compress if packed == ".gz" else zstd.compress)(data)[:-100_000])
    inputs = open_inputs([str(path)])
    found = read(inputs)
    assert 0 < found.height < 5000
    (example,) = inputs.problems.found[str(path)]["examples"]
    assert example.startswith(f"after line {found.height}: the rest cannot be read")


def test_a_line_without_end_is_noted_and_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("opencoder_lib.corpora.jsonlines.MAX_LINE", 1000)
    rows = [{"path": "a", "text": "1"}, {"path": "b", "text": "x" * 5000}, {"path": "c", "text": "2"}]
    inputs = open_inputs([str(lines(tmp_path / "t.jsonl", rows))])
    assert read(inputs)["path"].to_list() == ["a", "c"]
    assert inputs.problems.total == 1


def test_a_pattern_finds_files_tables_and_folders(tmp_path):
    tree(tmp_path, {"src/a.py": "1", "src/sub/b.py": "2", "src/sub/c.md": "3", "x/1/d.py": "4", "x/2/e.py": "5"})
    table(tmp_path / "t1.parquet", path=["t"], text=["6"])
    table(tmp_path / "t2.parquet", path=["u"], text=["7"])

    def places(pattern: str) -> list[tuple[str, str]]:
        return files_of(tmp_path / pattern).select("repo", "path").rows()

    assert places("src/**/*.py") == [("src", "a.py"), ("sub", "sub/b.py")]
    assert places("x/*") == [("1", "d.py"), ("2", "e.py")]
    assert places("t?.parquet") == [(None, "t"), (None, "u")]
    # A folder takes all that is in it along, and nothing counts twice.
    assert places("src/**") == [("src", "a.py"), ("sub", "sub/b.py"), ("sub", "sub/c.md")]


def test_a_pattern_follows_no_link_and_opens_no_pipe(tmp_path):
    tree(tmp_path, {"src/a.py": "1"})
    os.symlink(tmp_path / "src", tmp_path / "src" / "loop")
    os.symlink("a.py", tmp_path / "src" / "b.py")
    os.mkfifo(tmp_path / "src" / "c.py")
    inputs = open_inputs([str(tmp_path / "src" / "**" / "*.py")])
    assert read(inputs)["path"].to_list() == ["a.py"]
    assert inputs.skipped["named pipe"] == 1
    assert inputs.skipped["symbolic link"] >= 2


def test_a_single_file_is_named_from_its_folder(tmp_path):
    tree(tmp_path, {"src/a.py": "1", "src/b.json": "{}"})
    found = files_of(tmp_path / "src/a.py", tmp_path / "src/b.json")
    assert found.select("repo", "path", "text").rows() == [("src", "a.py", "1"), ("src", "b.json", "{}")]


def test_a_name_with_signs_of_a_pattern_is_a_name_where_it_exists(tmp_path):
    tree(tmp_path, {"a[1]*/x.py": "1"})
    assert files_of(tmp_path / "a[1]*")["path"].to_list() == ["x.py"]
    strange = table(tmp_path / "t[1]*.parquet", path=["t"], text=["2"])
    assert files_of(strange)["path"].to_list() == ["t"]


def test_odd_names_are_read_and_ids_do_not_depend_on_the_place(tmp_path):
    names = [b"new\nline.py", b"quote'\".py", b"-rf.py", b"\xff\xfe.py", "ü.py".encode(), b"  .py"]
    folder = os.fsencode(tmp_path / "r")
    os.mkdir(folder)
    for name in names:
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(b"x")
    assert files_of(tmp_path).equals(collect_folder(tmp_path).files)
    odd = os.path.join(os.fsencode(tmp_path), b"\xff.jsonl")
    with open(odd, "wb") as stream:
        stream.write(b'{"path": "a", "text": "1"}\n')
    assert files_of(os.fsdecode(odd))["path"].to_list() == ["a"]


def test_entries_that_are_no_files_are_counted(tmp_path):
    root = tree(tmp_path / "r", {"a.py": "1", ".git/config": "x"})
    os.symlink("a.py", root / "link.py")
    os.mkfifo(root / "pipe")
    inputs = open_inputs([str(root)])
    assert read(inputs)["path"].to_list() == ["a.py"]
    assert dict(inputs.skipped) == {"version control": 1, "symbolic link": 1, "named pipe": 1}


def test_a_file_that_is_gone_or_a_link_by_the_time_it_is_read_is_unreadable(tmp_path):
    root = tree(tmp_path / "r", {"a.py": "1", "b.py": "2", "c.py": "3"})
    (shard,) = open_inputs([str(root)]).shards()
    (root / "a.py").unlink()
    (root / "b.py").unlink()
    os.symlink("c.py", root / "b.py")
    assert shard.read()["removed_by"].to_list() == ["preprocess.unreadable", "preprocess.unreadable", None]


def test_the_output_is_no_input_of_the_next_run(tmp_path):
    root = tree(tmp_path / "r", {"a.py": "1", "out.parquet": "x", "out.parquet.parts/1.parquet": "y", "out.txt": "z"})
    outputs = [root / "out.parquet", root / "out.parquet.parts"]
    inputs = open_inputs([str(root)], outputs=outputs)
    assert read(inputs)["path"].to_list() == ["a.py", "out.txt"]
    assert inputs.skipped["own output"] == 2
    table(tmp_path / "t.parquet", path=["t"], text=["6"])
    inputs = open_inputs([str(tmp_path / "*.parquet")], outputs=[tmp_path / "o.parquet"])
    assert read(inputs).height == 1


def test_a_key_changes_with_what_a_shard_holds_and_with_nothing_else(tmp_path):
    def keys(*paths: Path) -> list[str]:
        return [shard.key for shard in open_inputs([str(path) for path in paths]).shards(10)]

    folder = tree(tmp_path / "r", {"a.py": "x" * 8, "b.py": "y" * 8})
    parquet = table(tmp_path / "t.parquet", path=["a", "b"], text=["x" * 8, "y" * 8])
    before = keys(folder, parquet)
    assert len(set(before)) == 4
    assert keys(folder, parquet) == before
    (folder / "b.py").write_text("z" * 8)
    os.utime(folder / "b.py", ns=(0, 1))
    table(parquet, path=["a", "b"], text=["x" * 8, "z" * 8])
    assert [old == new for old, new in zip(before, keys(folder, parquet), strict=True)] == [True, False, True, False]


def test_all_bytes_of_the_inputs_are_accounted_for(tmp_path):
    folder = tree(tmp_path / "r", {f"{at}.py": "x" * 30 for at in range(9)})
    rows = [{"path": str(at), "text": "y" * 50} for at in range(300)]
    several = [folder, lines(tmp_path / "t.jsonl", rows), tmp_path / "t.jsonl.gz", tmp_path / "t.parquet"]
    several[2].write_bytes(gzip.compress(several[1].read_bytes()))
    pl.DataFrame(rows).write_parquet(several[3])
    inputs = open_inputs([str(path) for path in several])
    assert sum(shard.n_stored for shard in inputs.shards(1000)) == inputs.total_bytes
    assert inputs.total_bytes == 270 + sum(path.stat().st_size for path in several[1:])


def test_files_that_grow_along_a_table_do_not_fill_memory(tmp_path):
    sizes = [10] * 5000 + [100_000] * 300
    path = table(
        tmp_path / "t.parquet", path=[str(at) for at in range(len(sizes))], text=["x" * size for size in sizes]
    )
    inputs = open_inputs([str(path)])
    held = [shard.read()["text"].str.len_bytes().sum() for shard in inputs.shards(1_000_000)]
    assert max(held) <= 1_000_000
    assert sum(held) == sum(sizes)


def test_mistakes_name_the_thing_and_the_way_out(tmp_path):
    tree(tmp_path, {"empty/.git/config": "", "src/a.py": "", "bad.parquet": "x", "bad.jsonl.gz": "x"})
    ok = table(tmp_path / "ok.parquet", path=["a"], text=["b"])
    table(tmp_path / "stack.parquet", path=["a"], content=["b"])
    table(tmp_path / "near.parquet", pathh=["a"], text=["b"])
    table(tmp_path / "kind.parquet", path=["a"], text=[5])
    table(tmp_path / "ids.parquet", path=["a"], text=["b"], doc_id=[[1]])
    lines(tmp_path / "stack.jsonl", [{"path": "a", "content": "b"}])
    packed = {"plain.jsonl.gz": b'{"path"', "packed.jsonl": gzip.compress(b"x"), "other.jsonl.xz": b"x"}
    arrays = {"array.jsonl": '[\n{"path": "a"}]', "line.jsonl": '[{"path": "a"}]', "wide.jsonl": "{}".encode("utf-16")}
    tree(tmp_path, packed | arrays)
    tables = tree(tmp_path / "tables", {})
    tables.mkdir()
    table(tables / "1.parquet", path=["a"], text=["b"])
    for paths, message in (
        (["scr"], r"no file or folder '.*scr'\. Did you mean src\?"),
        (["nowhere/x"], r"no file or folder '.*nowhere/x'\. Check the path"),
        (["*.tsv"], r"Nothing matches the pattern '.*\*\.tsv'"),
        (["empty"], r"no files in .*found 1 x version control"),
        (["bad.parquet"], r"bad\.parquet cannot be read as Parquet \(.+\)\. Write it again"),
        (["bad.jsonl.gz"], r"bad\.jsonl\.gz cannot be read \(.+\)"),
        (["plain.jsonl.gz"], r"plain\.jsonl\.gz is not packed, as \.gz files are\. Rename it"),
        (["packed.jsonl"], r"packed\.jsonl is packed as \.gz files are\. Rename it"),
        (["other.jsonl.xz"], r"other\.jsonl\.xz' is a table of a kind that is not read\. Write Parquet, or JSON Lines"),
        (["array.jsonl"], r"array\.jsonl is one array, not JSON Lines\. Write one object a line"),
        (["line.jsonl"], r"line\.jsonl is one array"),
        (["wide.jsonl"], r"wide\.jsonl is UTF-16\. Write it as UTF-8"),
        (["stack.parquet"], r"no column 'text' for the text\. It has: path, content\. Is it --text-column content\?"),
        (["stack.jsonl"], r"The first line of .*stack\.jsonl has no column 'text'.*--text-column content"),
        (["near.parquet"], r"no column 'path'.*It has: pathh, text\. Did you mean pathh\?.*--path-column"),
        (["kind.parquet"], r"kind\.parquet: the column for 'text' must be String, it is Int64"),
        (["ids.parquet"], r"the column for 'doc_id' must be String, it is List"),
        (["ok.parquet", "ok.parquet"], r"ok\.parquet' is given twice"),
        (["src", "src/a.py"], r"one inside the other"),
        (["src/a.py", "src"], r"one inside the other"),
        (["tables"], r"holds only tables.*tables/\*\.parquet"),
    ):
        with pytest.raises(InputError, match=message):
            open_inputs([str(tmp_path / path) for path in paths])
    with pytest.raises(InputError, match="both an input and the output"):
        open_inputs([str(ok)], outputs=[ok])
