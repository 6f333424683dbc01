import os
import socket
import sys
from pathlib import Path

import pytest

from opencoder_lib.corpora import collect_folder, reading_report
from opencoder_lib.errors import InputError
from opencoder_lib.files import doc_id
from opencoder_lib.refine.preprocess import keep_source_files

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="names and pipes of POSIX")


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def reasons(root: Path, **options) -> dict[str, str | None]:
    return dict(collect_folder(root, **options).files.select("path", "removed_by").iter_rows())


def skipped(root: Path) -> dict[str, int]:
    return dict(collect_folder(root).skipped.select("what", "n").iter_rows())


def test_sub_folders_are_repositories_and_paths_are_relative(tmp_path):
    root = tree(tmp_path / "work", {"one/src/a.py": b"x\n", "two/b.c": b"y\r\n", "loose.md": b"z"})
    files = collect_folder(root).files
    assert files.select("repo", "path", "text").rows() == [
        ("work", "loose.md", "z"),
        ("one", "one/src/a.py", "x\n"),
        ("two", "two/b.c", "y\r\n"),
    ]
    assert files["origin"].unique().to_list() == ["folder"]


def test_a_folder_under_version_control_is_one_repository_and_its_history_is_not_entered(tmp_path):
    root = tree(tmp_path / "mine", {"src/a.py": b"x", ".git/config": b"[core]", "sub/.git": b"gitdir: elsewhere"})
    assert collect_folder(root).files.select("repo", "path").rows() == [("mine", "src/a.py")]
    assert skipped(root) == {"version control": 2}


def test_ids_do_not_depend_on_where_the_folder_lies(tmp_path):
    for place in ("here", "there"):
        tree(tmp_path / place / "work", {"one/a.py": b"x"})
    first, second = (collect_folder(tmp_path / place / "work").files["doc_id"].to_list() for place in ("here", "there"))
    assert first == second == [doc_id("folder", "one", "one/a.py")]


def test_bytes_that_are_no_text_are_rows_with_a_reason(tmp_path):
    root = tree(
        tmp_path,
        {
            "r/empty.py": b"",
            "r/binary.py": b"x = 1\x00",
            "r/late_nul.py": b"x" * 20_000 + b"\x00",
            "r/latin.py": "Größe".encode("latin-1"),
            "r/cut.py": "é".encode()[:1],
            "r/bom.py": b"\xef\xbb\xbfx",
            "r/utf16.py": "text".encode("utf-16"),
            "r/surrogate.py": b"\xed\xa0\x80",
        },
    )
    assert reasons(root) == {
        "r/binary.py": "preprocess.binary",
        "r/bom.py": None,
        "r/cut.py": "preprocess.undecodable",
        "r/empty.py": None,
        "r/late_nul.py": "preprocess.binary",
        "r/latin.py": "preprocess.undecodable",
        "r/surrogate.py": "preprocess.undecodable",
        "r/utf16.py": "preprocess.binary",
    }
    report = {row["outcome"]: row["n_files"] for row in reading_report(collect_folder(root).files).to_dicts()}
    assert report == {"binary": 3, "undecodable": 3, "empty": 1, "text": 1}


def test_a_file_over_the_limit_is_not_read(tmp_path):
    root = tree(tmp_path, {"r/fits.py": b"x" * 10, "r/over.py": b"x" * 11})
    with open(root / "r/sparse.py", "wb") as stream:
        stream.truncate(2**40)  # a terabyte that takes no room; reading it would take all memory
    files = collect_folder(root, max_bytes=10).files
    assert files.select("path", "removed_by", "n_bytes", "measured").rows() == [
        ("r/fits.py", None, 10, None),
        ("r/over.py", "preprocess.too_large", 11, 11.0),
        ("r/sparse.py", "preprocess.too_large", 2**40, float(2**40)),
    ]


@needs_posix
def test_odd_names_are_kept_as_they_are_and_bad_bytes_are_escaped(tmp_path):
    names = [
        b"new\nline.py",
        b"quote'\".py",
        b"..py",
        b"...",
        b"-rf.py",
        "ü.py".encode(),
        b"\xff\xfe.py",
        b"x" * 250 + b".py",
    ]
    folder = os.fsencode(tmp_path / "r")
    os.mkdir(folder)
    for name in names:
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(b"x")
    found = collect_folder(tmp_path).files
    expected = sorted(b"r/" + name for name in names)
    assert found["path"].to_list() == [path.decode("utf-8", "backslashreplace") for path in expected]
    assert found["removed_by"].null_count() == len(names)
    assert "r/\\xff\\xfe.py" in found["path"].to_list()


@needs_posix
def test_links_pipes_and_sockets_are_counted_and_never_opened(tmp_path):
    root = tree(tmp_path / "root", {"r/a.py": b"x"})
    os.symlink(root, root / "r/loop")
    os.symlink("a.py", root / "r/link.py")
    os.symlink("nowhere", root / "r/broken.py")
    os.mkfifo(root / "r/pipe.py")  # opening it would wait for a writer for ever
    here = os.getcwd()
    try:
        os.chdir(root / "r")  # the address of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.py")
            assert reasons(root) == {"r/a.py": None}
            assert skipped(root) == {"symbolic link": 3, "named pipe": 1, "socket": 1}
    finally:
        os.chdir(here)


@needs_posix
def test_what_may_not_be_read_is_counted_and_the_rest_goes_on(tmp_path, monkeypatch):
    root = tree(tmp_path, {"r/closed.py": b"x", "r/open.py": b"y", "shut/b.py": b"z"})
    real_open, real_scandir = open, os.scandir

    # Permissions do not stop the superuser, who runs tests in containers; the refusal is made here.
    def refusing_open(path, *rest, **more):
        if os.fsencode(path).endswith(b"closed.py"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *rest, **more)

    def refusing_scandir(path):
        if os.fsencode(path).endswith(b"shut"):
            raise PermissionError(13, "Permission denied")
        return real_scandir(path)

    monkeypatch.setattr("builtins.open", refusing_open)
    monkeypatch.setattr("os.scandir", refusing_scandir)
    assert reasons(root) == {"r/closed.py": "preprocess.unreadable", "r/open.py": None}
    assert skipped(root) == {"folder that cannot be listed": 1}


def test_a_very_deep_folder_does_not_end_the_run(tmp_path):
    deep = tmp_path / "r" / "/".join(["d"] * 400)
    deep.mkdir(parents=True)
    (deep / "a.py").write_bytes(b"x")
    assert collect_folder(tmp_path).files["text"].to_list() == ["x"]


def test_an_empty_folder_gives_an_empty_frame_that_stages_accept(tmp_path):
    files = keep_source_files(collect_folder(tmp_path).files)
    assert files.height == 0


@pytest.mark.parametrize("missing", ["absent", "file.txt"])
def test_a_missing_folder_or_a_file_in_its_place_is_a_clear_error(tmp_path, missing):
    (tmp_path / "file.txt").write_bytes(b"x")
    with pytest.raises(InputError, match=f"{missing}.*folder"):
        collect_folder(tmp_path / missing)
