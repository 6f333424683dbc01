"""`--opt-out FILE`: files whose owners do not want them in a corpus go first, and stand for no other file."""

from pathlib import Path

import polars as pl
import pytest
from cleaning import assert_same_rows, cleaned, command, edited, module, reasons, rows_of, table

from opencoder_lib.clean.optout import OptOut, drop_opted_out, read_opt_out
from opencoder_lib.errors import InputError
from opencoder_lib.files import new_files

REASON = "preprocess.opt_out"
PLACES = [
    ("Own/A", "src/x.py"),
    ("own/a", "lib/y.py"),
    ("own/b", "src/x.py"),
    ("other", "src/x.py"),
    ("other", "src/x.pyc"),
    ("other", "C#/z.py"),
    ("other", "deep/er/src/x.py"),
    ("we ird", "p (1).py"),
    (None, "src/x.py"),
]


def listed(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def taken(tmp_path: Path, text: str | bytes) -> set[tuple[str | None, str]]:
    """Which of PLACES a list takes out."""
    files = new_files([{"repo": repo, "path": path, "origin": "folder", "text": "x"} for repo, path in PLACES])
    marked, _ = drop_opted_out(files, read_opt_out(listed(tmp_path / "list", text)))
    return set(marked.filter(removed_by=REASON).select("repo", "path").iter_rows())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("own/a", [0, 1]),
        ("OWN/A\n", [0, 1]),
        ("own/a/\n", [0, 1]),
        ("own/a:src/x.py", [0]),
        ("own/a:src", [0]),
        ("own/a: src/", [0]),
        ("own/*", [0, 1, 2]),
        ("own/*:src/*", [0, 2]),
        ("*", [0, 1, 2, 3, 4, 5, 6, 7]),
        (":src/x.py", [0, 2, 3, 8]),
        (":*/x.py", [0, 2, 3, 6, 8]),
        (":*", range(9)),
        ("other:SRC/x.py", []),
        ("other:src/x.py", [3]),
        ("other:src/x.*", [3, 4]),
        ("other:C#/z.py", [5]),
        ("we ird:p (1).py", [7]),
        ("# own/a\n\n  \nother:deep  # the rest is kept\n", [6]),
        ("own/a\r\nown/b\r\n", [0, 1, 2]),
        ("\ufeffown/a\n", [0, 1]),
        ("own\n.*\nown/.\nother:src/x.p.\n", []),
        ("", []),
    ],
)
def test_what_an_entry_names(tmp_path, text, expected):
    assert taken(tmp_path, text) == {PLACES[at] for at in expected}


@pytest.mark.parametrize("line", ["own/a:", ":", ":/", " : ", "own/a: # all"])
def test_a_line_that_is_no_entry_is_an_error_with_its_number(tmp_path, line):
    with pytest.raises(InputError, match=r"Line 2 of .*list', .* names nothing. Write 'repository'"):
        read_opt_out(listed(tmp_path / "list", f"own/b\n{line}\n"))


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "No such file"), ("", "Is a directory"), ("latin", "not UTF-8")]
)
def test_a_list_that_cannot_be_read_is_an_error(tmp_path, name, message):
    listed(tmp_path / "latin", "Größe/a".encode("latin-1"))
    with pytest.raises(InputError, match=rf"The opt-out list .* cannot be read \(.*{message}"):
        read_opt_out(tmp_path / name)


def test_each_file_counts_for_the_first_entry_that_names_it():
    files = new_files([{"repo": repo, "path": path, "origin": "folder", "text": "x"} for repo, path in PLACES])
    entries = (("other", "src/x.py"), ("own/a", ""), ("", "src/x.py"), ("own/*", ""), ("nobody", ""))
    _, counts = drop_opted_out(files, OptOut(entries))
    assert counts == {0: 1, 1: 2, 2: 2}


def test_what_was_removed_before_keeps_its_reason():
    rows = [{"repo": "own", "path": "a.py", "origin": "folder", "text": None, "removed_by": "preprocess.binary"}]
    marked, counts = drop_opted_out(new_files(rows), OptOut((("own", ""),)))
    assert marked["removed_by"].to_list() == ["preprocess.binary"]
    assert counts == {}


ROWS = [
    {"repo": "Own/A", "path": "x.py", "text": module("word"), "stars": 900},
    {"repo": "other", "path": "x.py", "text": module("word"), "stars": 1},
    {"repo": "third", "path": "y.py", "text": edited(module("word")), "stars": 0},
    {"repo": "third", "path": "z.py", "text": module("else"), "stars": 0},
]


def test_a_file_that_was_opted_out_never_stands_for_another_one(tmp_path):
    source = table(tmp_path / "in.parquet", ROWS)
    report = cleaned(tmp_path / "out", source, opt_out=listed(tmp_path / "list", "own/a\n"))
    assert reasons(tmp_path / "out", "repo")["Own/A"] == REASON
    # The rest is as if it had never been there.
    cleaned(tmp_path / "without", table(tmp_path / "rest.parquet", ROWS[1:]))
    rest = rows_of(tmp_path / "out").filter(pl.col("repo") != "Own/A")
    assert_same_rows(rest, rows_of(tmp_path / "without"))
    assert rest["removed_by"].drop_nulls().to_list() == ["fuzzy.near_duplicate"]
    assert report["opt_out"] == {"entries": 1, "files": 1, "matched_nothing": []}
    assert report["removed_by"][REASON]["files"] == 1


def test_a_file_of_an_earlier_run_that_was_opted_out_since_stands_for_none(tmp_path):
    cleaned(tmp_path / "earlier", table(tmp_path / "old.parquet", ROWS[:1]))
    new, listing = table(tmp_path / "new.parquet", ROWS[1:3]), listed(tmp_path / "list", "own/a\n")
    cleaned(tmp_path / "out", new, against=(tmp_path / "earlier",), opt_out=listing)
    assert reasons(tmp_path / "out") == {"x.py": None, "y.py": "fuzzy.near_duplicate"}


@pytest.mark.parametrize("stages", ["exact", "preprocess", "fuzzy"])
def test_owners_are_heard_whatever_the_stages(tmp_path, stages):
    listing = listed(tmp_path / "list", "own/a\n")
    cleaned(tmp_path / "out", table(tmp_path / "in.parquet", ROWS), stages=stages, opt_out=listing)
    assert reasons(tmp_path / "out", "repo")["Own/A"] == REASON


def test_an_entry_that_names_nothing_is_reported(tmp_path):
    source, listing = table(tmp_path / "in.parquet", ROWS), listed(tmp_path / "list", "own/a\nnobody\nother:y.py\n")
    printed = command("clean", source, "--out", tmp_path / "out", "--stages", "exact", "--opt-out", listing)
    assert "Opt-out entries that named no file: 2, such as nobody, other:y.py." in printed
    assert printed.count("nobody") == 1


def test_another_list_is_another_order(tmp_path):
    source, listing = table(tmp_path / "in.parquet", ROWS), listed(tmp_path / "list", "own/a\n")
    cleaned(tmp_path / "out", source, opt_out=listing)
    listed(listing, "other\n")
    with pytest.raises(Exception, match="differs in opt_out_sha256"):
        cleaned(tmp_path / "out", source, opt_out=listing)
