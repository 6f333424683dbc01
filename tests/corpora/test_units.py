"""Units of the inputs: any process can read one by itself, and together they are the inputs, in order."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from opencoder_lib.corpora import inputs as inputs_module
from opencoder_lib.corpora import units as units_module
from opencoder_lib.corpora.inputs import open_inputs
from opencoder_lib.corpora.tables import DTYPES, Columns, ParquetTable, Problems
from opencoder_lib.corpora.units import Unit, extra_columns
from opencoder_lib.errors import InputError

ROWS = [{"path": f"{at % 7}.py", "text": "x" * at, "repo": "r", "stars": at, "mine": at / 2} for at in range(60)]


def tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def table(path: Path, rows: list[dict], **how) -> Path:
    pl.DataFrame(rows).write_parquet(path, **how)
    return path


def lines(path: Path, rows: list[dict | str]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def all_kinds(root: Path) -> list[Path]:
    """A folder, a Parquet file in groups of rows, a folder again, JSON Lines."""
    return [
        tree(root / "one", {f"r{at % 3}/{at}.py": "y" * at for at in range(40)}),
        table(root / "t.parquet", ROWS, row_group_size=9),
        tree(root / "two", {"b.bin": b"\0", "l.md": b"\xff", "é.js": "é"}),
        lines(root / "t.jsonl", [{name: row[name] for name in ("path", "text", "repo")} for row in ROWS]),
    ]


def units_of(*paths: Path, max_bytes: int, columns: Columns | None = None) -> list[Unit]:
    """The units as another process has them."""
    found = open_inputs(list(map(str, paths)), columns).units(max_bytes)
    return [Unit.from_json(unit.to_json()) for unit in found]


def read(units: list[Unit], max_bytes: int = 1000) -> pl.DataFrame:
    frames = [rows for unit in units for rows in unit.frames(max_bytes, Problems())]
    return pl.concat(frames, how="diagonal")


@pytest.mark.parametrize("max_bytes", [1, 300, 10**6])
@pytest.mark.parametrize("frame_bytes", [1, 10**6])
def test_the_rows_are_those_of_shards_for_any_size_of_unit_and_frame(tmp_path, max_bytes, frame_bytes):
    inputs = all_kinds(tmp_path)
    found = read(units_of(*inputs, max_bytes=max_bytes), frame_bytes)
    expected = pl.concat([shard.read() for shard in open_inputs(list(map(str, inputs))).shards()])
    wanted = [name for name in DTYPES if name != "doc_id"]
    same = found.select(wanted).with_columns(pl.col("origin").fill_null("folder"))
    assert same.equals(expected.select(wanted).cast({"origin": pl.String}))
    # Ids are for those who see the whole corpus to give.
    assert found["doc_id"].null_count() == found.height == 163
    assert found["mine"].drop_nulls().to_list() == [row["mine"] for row in ROWS]


def test_units_are_numbered_in_order_and_stand_for_all_bytes(tmp_path):
    inputs = all_kinds(tmp_path)
    units = units_of(*inputs, max_bytes=300)
    assert [unit.number for unit in units] == list(range(len(units)))
    assert len(units) > 8
    opened = open_inputs(list(map(str, inputs)))
    # A Parquet file's bytes are shared out by rows, rounded down.
    assert 0 <= opened.total_bytes - sum(unit.n_stored for unit in units) < len(units)


def test_a_unit_holds_at_most_the_bytes_asked_for_or_one_file(tmp_path):
    sizes = [10, 40, 200, 5, 5, 90, 100, 1]
    folder = tree(tmp_path / "f", {f"{at}.py": "x" * size for at, size in enumerate(sizes)})
    units = units_of(folder, max_bytes=100)
    assert [[entry[3] for entry in unit.entries] for unit in units] == [[10, 40], [200], [5, 5, 90], [100], [1]]
    assert [unit.name for unit in units] == ["0.py", "2.py", "3.py", "6.py", "7.py"]


def test_a_unit_holds_no_more_files_than_a_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs_module, "SHARD_FILES", 3)
    folder = tree(tmp_path / "f", {f"{at}.py": "" for at in range(8)})
    assert [len(unit.entries) for unit in units_of(folder, max_bytes=100)] == [3, 3, 2]


def test_a_parquet_file_is_cut_by_rows_and_each_row_is_in_one_unit(tmp_path):
    units = units_of(table(tmp_path / "t.parquet", ROWS, row_group_size=7), max_bytes=400)
    assert len(units) > 3
    assert [unit.first_row for unit in units[1:]] == [unit.first_row + unit.num_rows for unit in units[:-1]]
    assert sum(unit.num_rows for unit in units) == 60
    assert read(units)["text"].to_list() == [row["text"] for row in ROWS]


def test_json_lines_are_one_unit(tmp_path):
    (unit,) = units_of(lines(tmp_path / "t.jsonl", ROWS), max_bytes=1)
    assert unit.n_stored == (tmp_path / "t.jsonl").stat().st_size
    assert read([unit]).height == 60


def test_frames_are_of_about_the_bytes_asked_for(tmp_path):
    texts = ["x" * 100] * 200
    path = table(tmp_path / "t.parquet", [{"path": f"{at}.py", "text": text} for at, text in enumerate(texts)])
    folder = tree(tmp_path / "f", {f"{at:03d}.py": text for at, text in enumerate(texts)})
    for source in (path, folder):
        (unit,) = units_of(source, max_bytes=10**6)
        sizes = [rows["text"].str.len_bytes().sum() for rows in unit.frames(2_000, Problems())]
        assert sum(sizes) == 20_000
        assert max(sizes) <= 2 * 2_000
        assert min(sizes[:-1]) >= 1_000


def test_frames_hold_a_bounded_number_of_rows_however_small(tmp_path, monkeypatch):
    monkeypatch.setattr(units_module, "MAX_ROWS", 50)
    (unit,) = units_of(
        lines(tmp_path / "t.jsonl", [{"path": f"{at}.py", "text": ""} for at in range(300)]), max_bytes=10**6
    )
    path = table(tmp_path / "t.parquet", [{"path": f"{at}.py", "text": ""} for at in range(300)])
    (other,) = units_of(path, max_bytes=10**6)
    assert sum(rows.height for rows in unit.frames(10**6, Problems())) == 300
    heights = [rows.height for rows in other.frames(10**6, Problems())]
    assert sum(heights) == 300
    assert len(heights) > 1


def test_a_unit_is_ascii_text_whatever_the_names(tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"\xff [x]")
    os.mkdir(odd)
    for name in (b"\xfe\n.py", "数.py".encode()):
        with open(os.path.join(odd, name), "wb") as stream:
            stream.write(b"x = 1\n")
    (unit,) = open_inputs([os.fsdecode(odd)]).units(100)
    assert unit.to_json().isascii()
    assert Unit.from_json(unit.to_json()) == unit
    assert read([Unit.from_json(unit.to_json())])["path"].to_list() == ["数.py", "\\xfe\n.py"]


def test_a_unit_reads_from_anywhere(tmp_path, monkeypatch):
    inputs = all_kinds(tmp_path)
    monkeypatch.chdir(tmp_path)
    units = units_of(*[path.relative_to(tmp_path) for path in inputs], max_bytes=300)
    monkeypatch.chdir("/")
    assert read(units).height == 163


def test_columns_go_with_the_unit(tmp_path):
    columns = Columns(text="content", path="name", doc_id="sha", repo="project")
    row = {"content": "x = 1", "name": "a.py", "sha": "id1", "project": "p", "text": "other", "more": 5}
    for path in (table(tmp_path / "t.parquet", [row]), lines(tmp_path / "t.jsonl", [row])):
        found = read(units_of(path, max_bytes=100, columns=columns))
        assert found.select("text", "path", "doc_id", "repo").rows() == [("x = 1", "a.py", "id1", "p")]


def test_a_file_that_has_gone_or_become_a_link_is_unreadable(tmp_path):
    folder = tree(tmp_path / "f", {"a.py": "x", "b.py": "y", "c.py": "z"})
    units = units_of(folder, max_bytes=100)
    (folder / "a.py").unlink()
    (folder / "b.py").unlink()
    (folder / "b.py").symlink_to(folder / "c.py")
    gone = "preprocess.unreadable"
    assert read(units).select("text", "removed_by").rows() == [(None, gone), (None, gone), ("z", None)]


def test_a_table_that_has_gone_is_an_error(tmp_path):
    source = table(tmp_path / "t.parquet", ROWS)
    units = units_of(source, max_bytes=10**6)
    source.unlink()
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read(units)


def test_lines_that_cannot_be_read_are_noted(tmp_path):
    (unit,) = units_of(lines(tmp_path / "t.jsonl", [ROWS[0], "{", ROWS[1]]), max_bytes=100)
    problems = Problems()
    assert sum(rows.height for rows in unit.frames(100, problems)) == 2
    assert problems.found[str(tmp_path / "t.jsonl")]["n"] == 1


def test_the_fingerprint_changes_with_what_is_read(tmp_path):
    inputs = all_kinds(tmp_path)

    def fingerprint() -> str:
        return open_inputs(list(map(str, inputs))).fingerprint()

    seen = [fingerprint()]
    assert fingerprint() == seen[0]
    (tmp_path / "one" / "r0" / "3.py").write_text("changed")
    seen.append(fingerprint())
    os.utime(tmp_path / "t.parquet", ns=(1, 1))
    seen.append(fingerprint())
    lines(tmp_path / "t.jsonl", ROWS[:-1])
    seen.append(fingerprint())
    (tmp_path / "two" / "new.py").write_text("")
    seen.append(fingerprint())
    inputs.reverse()
    seen.append(fingerprint())
    assert len(set(seen)) == 6


# Further columns


def tables(tmp_path: Path, *frames: pl.DataFrame) -> list[ParquetTable]:
    found = []
    for at, frame in enumerate(frames):
        frame.with_columns(path=pl.lit("a.py"), text=pl.lit("x")).write_parquet(tmp_path / f"{at}.parquet")
        found.append(ParquetTable(tmp_path / f"{at}.parquet", Columns()))
    return found


def test_further_columns_of_all_tables_with_their_types(tmp_path):
    one, other = pl.DataFrame({"b": [1], "a": [["x"]]}), pl.DataFrame({"c": [True], "b": [2], "stars": [3]})
    found = extra_columns(tables(tmp_path, one, other))
    assert list(found.items()) == [("a", pl.List(pl.String)), ("b", pl.Int64), ("c", pl.Boolean)]


@pytest.mark.parametrize("turned", [False, True])
def test_null_throughout_gives_way_to_any_type(tmp_path, turned):
    frames = [pl.DataFrame({"a": [None]}), pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [None]})]
    assert extra_columns(tables(tmp_path, *(frames[::-1] if turned else frames))) == {"a": pl.Int64}


def test_two_types_are_an_error_that_names_both_tables(tmp_path):
    with pytest.raises(InputError, match=r"'a' is Int64 in .*0\.parquet and String in .*1\.parquet. Bring both to one"):
        extra_columns(tables(tmp_path, pl.DataFrame({"a": [1]}), pl.DataFrame({"a": ["x"]})))
