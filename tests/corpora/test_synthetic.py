"""Synthetic text in the released schemas, and the shipped set, which is made again and run again."""

import ast
import builtins
import gzip
import json

import polars as pl
import pyarrow as pa
import pytest
from backports import zstd
from pyarrow import ipc

from opencoder_lib.corpora import synthetic
from opencoder_lib.corpora.synthetic import make_rows, make_shipped, read_annealing, read_educational, shipped
from opencoder_lib.errors import ConfigError, CookbookError, InputError
from opencoder_lib.exercises import draw, seen_families
from opencoder_lib.exercises.render import snippet
from opencoder_lib.sandbox import parse_asserts, parse_program, run

ROWS = [{"text": "def a(): pass", "lang": "Python", "score": 1}, {"text": "int a;", "lang": "C++", "score": 2}]
TASK = {
    "instruction": "Add two numbers.",
    "output": "def add(a, b): return a + b",
    "code": "def add(a, b):\n    return a + b\n",
    "entry_point": "add",
    "testcase": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    "seq_id": 7,
}


def write(path, rows):
    if path.suffix == ".arrow":
        table = pa.Table.from_pylist(rows)
        with ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    elif path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        pack = {".gz": gzip.compress, ".zst": zstd.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(data))
    return path


@pytest.mark.parametrize("name", ["a.arrow", "a.parquet", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_every_container_gives_the_same_file_frame(tmp_path, name):
    files = read_annealing(write(tmp_path / name, ROWS))
    assert files.select("text", "language", "category", "origin", "path", "lang", "score").rows() == [
        ("def a(): pass", "python", "code", "synthetic", f"{name}:1", "Python", 1),
        ("int a;", "cpp", "code", "synthetic", f"{name}:2", "C++", 2),
    ]
    assert read_educational(write(tmp_path / name, [TASK])).row(0, named=True) == TASK


def test_a_folder_is_read_in_the_order_of_its_names_and_other_files_are_left(tmp_path):
    (tmp_path / "synthetic_qa").mkdir()
    write(tmp_path / "synthetic_qa" / "b.arrow", [{"text": "b", "program_lang": "go"}])
    write(tmp_path / "a.parquet", [{"text": "a", "lang": "java"}])
    (tmp_path / "README.md").write_text("card")
    files = read_annealing(tmp_path)
    assert files.select("text", "language").rows() == [("a", "java"), ("b", "go")]
    assert files["doc_id"].n_unique() == 2


def test_a_row_without_text_is_out_with_the_reason_and_one_without_language_stays(tmp_path):
    files = read_annealing(write(tmp_path / "a.jsonl", [{"text": None, "lang": "c"}, {"text": "x", "lang": None}]))
    assert files.select("text", "removed_by").rows() == [(None, "preprocess.unreadable"), ("x", None)]


def test_a_missing_or_mistyped_column_is_named_with_the_file_and_with_what_there_is(tmp_path):
    path = write(tmp_path / "a.parquet", [{"content": "x", "lang": "c"}])
    with pytest.raises(InputError, match=r"a.parquet' has no column 'text' \(string\), which opc-annealing-corpus .*"):
        read_annealing(path)
    with pytest.raises(InputError, match=r"It has: content, lang\."):
        read_annealing(path)
    with pytest.raises(InputError, match="'text' is Int64, not string"):
        read_annealing(write(tmp_path / "b.jsonl", [{"text": 3}]))
    with pytest.raises(InputError, match="'testcase' is String, not strings"):
        read_educational(write(tmp_path / "c.parquet", [{**TASK, "testcase": "assert add(1, 2) == 3"}]))
    with pytest.raises(InputError, match="has no column 'entry_point'"):
        read_educational(write(tmp_path / "d.jsonl", [{"instruction": "a", "output": "b", "code": "c"}]))


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(InputError, match=r"none\.jsonl' does not exist"):
        read_annealing(tmp_path / "none.jsonl")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"has an ending that is not read\. Known: \.arrow, \.parquet"):
        read_annealing([tmp_path / "a.txt"])
    with pytest.raises(InputError, match="There is no file to read in"):
        read_annealing(tmp_path)
    for name, wanted in (("b.arrow", "Parquet or Arrow"), ("c.jsonl", "JSON Lines"), ("d.jsonl.gz", "JSON Lines")):
        (tmp_path / name).write_bytes(b"<html>Too many requests</html>")
        with pytest.raises(InputError, match=f"{name}' cannot be read as {wanted}"):
            read_annealing(tmp_path / name)


def test_the_released_test_cases_can_be_run():
    rows = pl.DataFrame([TASK])
    cases = [parse_asserts(row["testcase"], row["entry_point"]) for row in rows.iter_rows(named=True)]
    assert cases[0][0].args == (1, 2)


# The shipped set


def test_the_shipped_set_is_what_the_program_makes():
    for part in synthetic.PARTS:
        made = [row["text"] for row in make_rows(part, 120)]
        assert shipped(part)["text"].to_list()[:120] == made


def test_every_shipped_row_says_how_it_was_made_and_passes_its_own_cases():
    for part, num in (("snippets", 900), ("textbooks", 500)):
        files = shipped(part)
        assert files.height == files["text"].n_unique() == num
        assert files["made_by"].unique().to_list() == ["program: opencoder_lib.exercises, no language model"]
        assert set(files["family"]) == set(seen_families())
        assert files["language"].unique().to_list() == ["python"]
        programs = [parse_program(text) for text in files["text"]]
        assert [program.entry_point for program in programs] == files["entry_point"].to_list()
        assert set(run(programs)) == {"passed"}


def computation(source):
    """What a function returns, with its names numbered in the order of their occurrence."""
    tree = ast.parse(source).body[0].body[-1]
    numbers = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
            node.id = f"name{numbers.setdefault(node.id, len(numbers))}"
    return ast.dump(tree)


def test_no_shipped_row_computes_what_is_asked_later():
    asked = {computation(task.source) for task in draw(600, 0, "test")}
    shown = {computation(parse_program(text).source) for part in synthetic.PARTS for text in shipped(part)["text"]}
    assert len(asked) > 300
    assert asked & shown == set()


def test_writing_twice_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "PARTS", {"snippets": synthetic.Made(30, snippet, "lang")})
    first = [path.read_bytes() for path in make_shipped(tmp_path)]
    assert [path.read_bytes() for path in make_shipped(tmp_path)] == first
    assert len(first) == 1


def test_a_text_that_does_not_pass_is_not_shipped(monkeypatch):
    def broken(exercise):
        return snippet(exercise).replace("return ", "return not ")

    monkeypatch.setattr(synthetic, "PARTS", {"snippets": synthetic.Made(30, broken, "lang")})
    with pytest.raises(CookbookError, match="does not pass its own cases: wrong"):
        make_rows("snippets")


def test_an_unknown_part_is_named():
    with pytest.raises(ConfigError, match=r"no part 'snippet'.*Did you mean snippets"):
        shipped("snippet")
