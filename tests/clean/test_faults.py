"""Whatever is wrong with the input, the folder or the disk: a clear error, or a correct result that says what lacks."""

import errno
import json
import os
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from cleaning import cleaned, command, edited, lines, module, part_of, reasons, rows_of, table, tree, whole_frame
from typer.testing import CliRunner

from opencoder_lib.clean import steps
from opencoder_lib.clean.command import OutputFolderError
from opencoder_lib.clean.parts import PartWriter
from opencoder_lib.cli import app
from opencoder_lib.corpora.tables import Columns
from opencoder_lib.errors import ConfigError, CookbookError, InputError, SchemaError
from opencoder_lib.files import doc_id
from opencoder_lib.shards import DiskFull

ROWS = [{"path": f"{at}.py", "text": module(f"word{at}")} for at in range(60)]


def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: 2_500)
    monkeypatch.setattr("opencoder_lib.clean.steps.GROUP_BYTES", 800)


def broken(path: Path, row_groups: list[int]) -> Path:
    """The rows in a Parquet file whose groups of ten rows have overwritten texts where asked for."""
    pl.DataFrame(ROWS).write_parquet(path, row_group_size=10, compression="uncompressed", use_pyarrow=True)
    about, data = pq.read_metadata(path), bytearray(path.read_bytes())
    for group in row_groups:
        column = about.row_group(group).column(1)
        start = column.dictionary_page_offset or column.data_page_offset
        data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    return path


# Tables


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_parquet_file_is_an_error_before_anything_is_read(tmp_path, share):
    whole, cut = table(tmp_path / "whole.parquet", ROWS), tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    with pytest.raises(InputError, match=r"cut\.parquet cannot be read as Parquet \(.*\)\. Write it again"):
        cleaned(tmp_path / "out", whole, cut)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("unit", [2_500, 16_000_000])
def test_groups_of_rows_that_cannot_be_read_are_left_out_and_counted(tmp_path, monkeypatch, unit):
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: unit)
    source = broken(tmp_path / "in.parquet", [1, 4])
    report = cleaned(tmp_path / "out", source)
    missing = {*range(10, 20), *range(40, 50)}
    assert set(reasons(tmp_path / "out")) == {f"{at}.py" for at in range(60) if at not in missing}
    (entry,) = report["unreadable_lines"].values()
    assert entry["n"] == 20
    assert any(example.startswith("rows 11 to ") for example in entry["examples"])
    assert report["rows"] == 40


def test_lines_that_cannot_be_read_are_counted_and_the_others_are_there(tmp_path):
    bad = ["{", "[1]", '{"path": "x.py"', '{"text": "no path"}', '{"path": 3, "text": "x"}', ""]
    good = [{"path": f"{at}.py", "text": module(f"word{at}")} for at in range(3)]
    source = lines(tmp_path / "in.jsonl.gz", [good[0], *bad[:3], good[1], *bad[3:], good[2]])
    printed = command("clean", source, "--out", tmp_path / "out", "--stages", "exact")
    assert f"Could not be read in {source}: 5, such as line 2: not JSON" in printed
    assert sorted(reasons(tmp_path / "out")) == ["0.py", "1.py", "2.py"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["unreadable_lines"][str(source)]["n"] == 5


def test_a_packed_file_that_was_cut_gives_what_can_be_unpacked(tmp_path):
    source = lines(tmp_path / "in.jsonl.gz", [{"path": f"{at}.py", "text": os.urandom(50).hex()} for at in range(200)])
    source.write_bytes(source.read_bytes()[:-2_000])
    report = cleaned(tmp_path / "out", source)
    (entry,) = report["unreadable_lines"].values()
    assert "the rest cannot be read" in entry["examples"][-1]
    assert 0 < report["rows"] == rows_of(tmp_path / "out").height < 200


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_missing_column_is_an_error_that_names_the_option(tmp_path, suffix):
    rows = [{"path": "a.py", "content": "x = 1"}]
    source = (table if suffix == "parquet" else lines)(tmp_path / f"in.{suffix}", rows)
    with pytest.raises(
        InputError, match=r"has no column 'text' for the text. It has: path, content. .*-column content\?"
    ):
        cleaned(tmp_path / "out", source)
    cleaned(tmp_path / "out", source, columns=Columns(text="content"))
    assert reasons(tmp_path / "out") == {"a.py": None}


@pytest.mark.parametrize(("name", "value"), [("text", 3.5), ("path", [1]), ("doc_id", {"a": 1}), ("n_bytes", "many")])
def test_a_column_of_a_wrong_type_is_an_error_before_anything_is_read(tmp_path, name, value):
    source = table(tmp_path / "in.parquet", [{"path": "a.py", "text": "x"} | {name: value}])
    with pytest.raises(InputError, match=f"the column for '{name}' must be .* Name or write another one"):
        cleaned(tmp_path / "out", source)
    assert not (tmp_path / "out").exists()


FIRST = doc_id("folder", None, "a.py")
SECOND = doc_id("folder", None, "a.py", 1)


@pytest.mark.parametrize("unit", [1, 16_000_000])
@pytest.mark.parametrize(
    ("one", "other", "repeated"),
    [
        (["x", "x"], ["y", "z"], "x"),
        (["x", "y"], ["z", "y"], "y"),
        ([None, "y"], ["z", FIRST], FIRST),
        (["x", FIRST], [None, "y"], FIRST),
        ([None, None], ["z", SECOND], SECOND),
        ([SECOND, "x"], [None, None], SECOND),
        ([SECOND, None], ["y", "z"], SECOND),
    ],
)
def test_an_id_that_occurs_twice_is_an_error(tmp_path, monkeypatch, unit, one, other, repeated):
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: unit)
    inputs = []
    for name, ids in (("one", one), ("other", other)):
        # Rows without an id are all found at one place.
        rows = [
            {"doc_id": given, "path": f"{given}.py" if given else "a.py", "text": f"{name} {at}"}
            for at, given in enumerate(ids)
        ]
        rows[0]["path"] = rows[0]["path"] if ids[0] != SECOND else "a.py"
        frame = pl.DataFrame(rows, schema={"doc_id": pl.String, "path": pl.String, "text": pl.String})
        frame.write_parquet(tmp_path / f"{name}.parquet")
        inputs.append(tmp_path / f"{name}.parquet")
    with pytest.raises(SchemaError, match=rf"doc_id '{repeated}' occurs more than once .* --id-column") as caught:
        cleaned(tmp_path / "out", *inputs, stages="exact")
    assert caught.value.exit_code == 1
    # What `filter` says of the same inputs.
    with pytest.raises(SchemaError, match=f"'{repeated}' occurs more than once"):
        whole_frame(*inputs)


@pytest.mark.parametrize("stages", [None, "preprocess,exact,fuzzy", "exact", "fuzzy"])
@pytest.mark.parametrize("kind", ["no rows", "no text", "no lines"])
def test_tables_without_anything_to_compare_give_an_output_all_the_same(tmp_path, kind, stages):
    if kind == "no lines":
        source = lines(tmp_path / "in.jsonl", [])
    else:
        rows = [] if kind == "no rows" else [("a.py", None)] * 3
        source = tmp_path / "in.parquet"
        pl.DataFrame(rows, schema={"path": pl.String, "text": pl.String}, orient="row").write_parquet(source)
    report = cleaned(tmp_path / "out", source, stages=stages)
    found = rows_of(tmp_path / "out")
    assert found.height == report["rows"] == (3 if kind == "no text" else 0)
    assert set(found["removed_by"]) <= {"preprocess.unreadable"}
    assert found["doc_id"].n_unique() == found.height


# Files


def test_a_file_that_vanishes_after_it_was_listed_has_a_row_with_the_reason(tmp_path, monkeypatch):
    folder, read = (
        tree(tmp_path / "in", {"r/a.py": module("word"), "r/b.py": module("else"), "r/c.py": "x"}),
        steps.read_unit,
    )

    def vanish(*given):
        (folder / "r" / "a.py").unlink(missing_ok=True)
        (folder / "r" / "b.py").unlink(missing_ok=True)
        (folder / "r" / "b.py").symlink_to(folder / "r" / "c.py")
        return read(*given)

    monkeypatch.setattr(steps, "read_unit", vanish)
    cleaned(tmp_path / "out", folder)
    gone = "preprocess.unreadable"
    assert reasons(tmp_path / "out") == {"r/a.py": gone, "r/b.py": gone, "r/c.py": None}


def test_a_table_that_vanishes_is_an_error(tmp_path, monkeypatch):
    source, read = table(tmp_path / "in.parquet", ROWS), steps.read_unit

    def vanish(*given):
        source.unlink(missing_ok=True)
        return read(*given)

    monkeypatch.setattr(steps, "read_unit", vanish)
    with pytest.raises(CookbookError, match=r"in\.parquet cannot be read as Parquet") as caught:
        cleaned(tmp_path / "out", source)
    assert caught.value.exit_code == 2


def test_links_and_pipes_are_counted_and_never_opened(tmp_path):
    folder = tree(tmp_path / "in", {"r/a.py": "x = 1\n", "r/.git/config": "secret"})
    (folder / "r" / "link.py").symlink_to("a.py")
    os.mkfifo(folder / "r" / "pipe.py")
    report = cleaned(tmp_path / "out", folder)
    assert reasons(tmp_path / "out") == {"r/a.py": None}
    assert report["skipped"] == {"named pipe": 1, "symbolic link": 1, "version control": 1}


def test_unusual_names_of_files_and_folders_work(tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"-\xff [x]{y}*\n")
    os.mkdir(odd)
    for name, text in ((b"\xfe '.py", module("word")), (b"[1].py", module("word")), (b"b.py", edited(module("word")))):
        with open(os.path.join(odd, name), "wb") as stream:
            stream.write(text.encode())
    out = tmp_path / "ö [1] {a,b} * ? \\ % #"
    # A sibling that the name, taken for a pattern, would match.
    tree(tmp_path / "ö 1 a x y \\ % #", {"kept/000000-000.parquet": b"no table"})
    command("clean", os.fsdecode(odd), "--out", out, "--stages", "preprocess,exact,fuzzy", "--bands", 16, "--rows", 4)
    found = rows_of(out)
    assert found["doc_id"].sort().to_list() == whole_frame(os.fsdecode(odd))["doc_id"].sort().to_list()
    assert sorted(found["removed_by"].drop_nulls()) == ["exact.duplicate", "fuzzy.near_duplicate"]
    again = table(tmp_path / "again.parquet", [{"path": "x.py", "text": module("word")}])
    cleaned(tmp_path / "other", again, against=(out,))
    assert part_of(tmp_path / "other", "kept").is_empty()


# What is asked for


def test_an_empty_folder_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match=r"There are no files in .*in.*: found nothing. Give a folder with files"):
        cleaned(tmp_path / "out", tmp_path / "in")


def test_the_same_input_twice_is_an_error(tmp_path):
    folder = tree(tmp_path / "in", {"r/a.py": "x = 1\n"})
    with pytest.raises(InputError, match="is given twice"):
        cleaned(tmp_path / "out", folder, tmp_path / "in" / "..") if False else cleaned(
            tmp_path / "out", folder, folder
        )


def test_an_output_inside_the_input_is_never_read(tmp_path, capsys):
    folder = tree(tmp_path / "in", {"r/a.py": module("word"), "r/b.py": module("else")})
    for _ in range(2):
        assert cleaned(folder / "r" / "out", folder)["rows"] == 2
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("pattern", ["*", "**/*.parquet"])
def test_an_output_where_a_pattern_looks_is_never_read(tmp_path, capsys, pattern):
    table(tmp_path / "in.parquet", ROWS[:3])
    for _ in range(2):
        assert cleaned(tmp_path / "out", tmp_path / pattern)["rows"] == 3
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(InputError, match="is both an input and the output"):
        cleaned(tmp_path / "out", tmp_path / "out" / "kept")


@pytest.mark.parametrize("foreign", ["note.txt", "kept/a.parquet", ".work/mine/a.txt"])
def test_a_folder_that_holds_other_files_is_refused(tmp_path, foreign):
    out, source = tree(tmp_path / "out", {foreign: "mine"}), table(tmp_path / "in.parquet", ROWS[:2])
    with pytest.raises(OutputFolderError, match=r"holds other files. Name an empty folder, or a new one"):
        cleaned(out, source)
    assert (out / foreign).read_text() == "mine"
    assert [path.name for path in out.iterdir()] == [foreign.split("/")[0]]


@pytest.mark.parametrize("report", ['{"mine": 1}', "[]", "{", '{"about": 3}'])
def test_a_report_of_another_tool_is_refused(tmp_path, report):
    out, source = tree(tmp_path / "out", {"report.json": report}), table(tmp_path / "in.parquet", ROWS[:2])
    with pytest.raises(OutputFolderError, match="holds"):
        cleaned(out, source)


def test_a_file_in_the_way_of_the_output_is_an_error(tmp_path):
    tree(tmp_path, {"file": "mine"})
    source = table(tmp_path / "in.parquet", ROWS[:2])
    with pytest.raises(OutputFolderError, match=r"'.*file' is a file. Name a folder"):
        cleaned(tmp_path / "file", source)
    with pytest.raises(OutputFolderError, match=r"cannot be written .* Name another folder"):
        cleaned(tmp_path / "file" / "out", source)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stages", "exakt"), "There is no stage 'exakt'. Did you mean exact?"),
        (("--stages", ""), "There is no stage ''"),
        (("--rulebook", "relased"), "no rulebook 'relased'"),
        (("--engine", "spark"), "There is no engine 'spark'. Use native or ray."),
        (("--against", "nowhere"), "--against 'nowhere' is not the output of a complete run"),
        (("--opt-out", "nowhere"), "The opt-out list 'nowhere' cannot be read"),
        (("--jobs", "0"), "--jobs"),
        (("--bands", "0"), "bands"),
        (("--verify", "1.5"), "verify"),
        (("--out", "s3://bucket/out"), "is an address. Name a folder"),
    ],
)
def test_wrong_use_is_one_clear_line_and_status_2(tmp_path, monkeypatch, words, message):
    table(tmp_path / "in.parquet", ROWS[:2])
    monkeypatch.chdir(tmp_path)
    # Else later tests of this process would be kept at one thread.
    monkeypatch.setattr("opencoder_lib.cli.limit_threads", lambda: None)
    call = ["clean", "in.parquet", *(() if "--out" in words else ("--out", "out")), *words]
    done = CliRunner().invoke(app, call)
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
    assert message in " ".join(f"{done.output} {done.exception}".split())
    assert not (tmp_path / "out" / "report.json").exists()


def test_an_unknown_engine_is_a_mistake_in_the_order(tmp_path):
    with pytest.raises(ConfigError, match="There is no engine"):
        cleaned(tmp_path / "out", table(tmp_path / "in.parquet", ROWS[:2]), engine="dask")


# The disk


def test_notes_of_a_cut_run_that_cannot_be_read_are_those_of_another_run(tmp_path):
    source = table(tmp_path / "in.parquet", ROWS[:2])
    cleaned(tree(tmp_path / "out", {".work/run.json": ""}), source)
    assert rows_of(tmp_path / "out").height == 2


@pytest.mark.parametrize("parts_before", [0, 3, 40, 100])
def test_a_full_disk_is_a_clear_error_and_nothing_is_lost(tmp_path, monkeypatch, parts_before):
    small_units(monkeypatch)
    source, left, add = table(tmp_path / "in.parquet", ROWS), [parts_before], PartWriter.add

    def full(writer, frame):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(writer, frame)

    with monkeypatch.context() as patch:
        patch.setattr(PartWriter, "add", full)
        with pytest.raises(CookbookError, match=r"The disk that holds .* is full. What is done is kept: make room"):
            cleaned(tmp_path / "out", source)
    # No half of a part is left behind.
    assert [path for path in (tmp_path / "out").rglob("*.tmp") if "parquet" in path.name and not left[0]] == []
    cleaned(tmp_path / "out", source)
    assert rows_of(tmp_path / "out").height == 60


@pytest.mark.parametrize("name", ["report.json", "clusters.parquet", "members.parquet"])
def test_a_disk_that_fills_up_at_a_step_of_the_driver(tmp_path, monkeypatch, name):
    source, replace = table(tmp_path / "in.parquet", ROWS[:9]), os.replace

    def full(given, target):
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(given, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(DiskFull, match=r"is full. What is done is kept: make room, then give the same command"):
            cleaned(tmp_path / "out", source)
    cleaned(tmp_path / "out", source)
    assert rows_of(tmp_path / "out").height == 9
