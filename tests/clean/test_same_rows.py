"""The rows of `opencoder clean` are those of the notebook's wrappers, for any number of units, row groups and jobs."""

import polars as pl
import pytest
from cleaning import (
    LOOSE,
    NO_FILTER,
    any_inputs,
    any_rows,
    assert_same_rows,
    by_wrappers,
    cleaned,
    command,
    edited,
    laid_out,
    module,
    reasons,
    rows_of,
    table,
    tree,
    whole_frame,
)

from opencoder_lib.corpora.tables import Columns
from opencoder_lib.data_verbs import write_decisions
from opencoder_lib.refine.minhash import MinHash

UNITS = [(1, 1), (2_500, 800), (16_000_000, 8_000_000)]


def small(monkeypatch: pytest.MonkeyPatch, unit: int, group: int) -> None:
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: unit)
    monkeypatch.setattr("opencoder_lib.clean.steps.GROUP_BYTES", group)


@pytest.mark.parametrize(("unit", "group"), UNITS)
def test_rows_are_those_of_the_wrappers_for_any_size_of_unit(tmp_path, monkeypatch, unit, group):
    small(monkeypatch, unit, group)
    inputs = any_inputs(tmp_path / "in")
    report = cleaned(tmp_path / "out", *inputs)
    expected = by_wrappers(whole_frame(*inputs))
    # Otherwise nothing would be shown.
    assert {"exact.duplicate", "fuzzy.near_duplicate", "fuzzy.same_shingles", "preprocess.unknown_type"} <= set(
        expected["removed_by"].drop_nulls()
    )
    assert_same_rows(rows_of(tmp_path / "out"), expected)
    assert report["rows"] == expected.height == 97


@pytest.mark.parametrize(
    "stages", ["preprocess", "exact", "fuzzy", "fuzzy,exact", "preprocess,exact", "preprocess,fuzzy"]
)
def test_stages_that_are_not_asked_for_do_nothing(tmp_path, monkeypatch, stages):
    small(monkeypatch, 2_500, 800)
    inputs = any_inputs(tmp_path / "in")
    cleaned(tmp_path / "out", *inputs, stages=stages)
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(*inputs), stages))


def test_the_filter_judges_what_is_left(tmp_path, monkeypatch):
    small(monkeypatch, 30_000, 3_000)
    inputs = any_inputs(tmp_path / "in")[:3]
    cleaned(tmp_path / "out", *inputs, stages=None)
    expected = by_wrappers(whole_frame(*inputs), f"{NO_FILTER},filter")
    assert expected["removed_by"].drop_nulls().str.starts_with("filter.").any()
    assert_same_rows(rows_of(tmp_path / "out"), expected)


def test_the_filter_alone(tmp_path):
    inputs = any_inputs(tmp_path / "in")[:2]
    cleaned(tmp_path / "out", *inputs, stages="filter")
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(*inputs), "filter"))


@pytest.mark.parametrize("seed", range(6))
def test_random_corpora_checked_and_unchecked(tmp_path, monkeypatch, seed):
    small(monkeypatch, 1_000 * (seed + 1), 500)
    minhash = [LOOSE, MinHash(num_hashes=64, bands=16, rows=4, verify=0.8)][seed % 2]
    inputs = [table(tmp_path / f"{name}.parquet", any_rows(f"{seed} {name}", 40), row_group_size=7) for name in "ab"]
    cleaned(tmp_path / "out", *inputs, minhash=minhash)
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(*inputs), minhash=minhash))


def test_one_task_at_a_time_gives_the_same_rows(tmp_path):
    inputs = any_inputs(tmp_path / "in")
    sizes = "from opencoder_lib.clean import command, steps\ncommand.unit_bytes = lambda total: 9_000\n"
    text = command("clean", *inputs, "--out", tmp_path / "out", "--jobs", 1, "--bands", 16, "--rows", 4, before=sizes)
    expected = by_wrappers(whole_frame(*inputs), f"{NO_FILTER},filter", MinHash(num_hashes=64, bands=16, rows=4))
    assert_same_rows(rows_of(tmp_path / "out"), expected)
    assert "97 rows" in text


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_ids_are_those_that_filter_writes_for_the_same_inputs_in_the_same_order(tmp_path, monkeypatch, names):
    small(monkeypatch, 700, 500)
    inputs = [table(tmp_path / f"{name}.parquet", any_rows(name, 60), row_group_size=7) for name in names]
    inputs.insert(1, tree(tmp_path / "one", {"p/a1.py": "x = 1\n", "z.py": "x = 2\n"}))
    cleaned(tmp_path / "out", *inputs, stages="preprocess")
    write_decisions(list(map(str, inputs)), tmp_path / "filter.parquet", Columns(), jobs=1)
    found, expected = rows_of(tmp_path / "out"), whole_frame(*inputs)
    assert set(found["doc_id"]) == set(pl.read_parquet(tmp_path / "filter.parquet")["doc_id"])
    # Places repeat, so ids depend on the order: each one still stands for the same file.
    wanted = ["doc_id", "repo", "path", "stars", "committed_at"]
    assert found.sort("doc_id").select(wanted).equals(expected.sort("doc_id").select(wanted))
    assert expected.select("repo", "path").is_duplicated().any()


def test_batches_of_clusters_are_all_decided(tmp_path, monkeypatch):
    monkeypatch.setattr("opencoder_lib.clean.run.BATCH_SHINGLES", 10)
    # The last clusters have no band in common, only their set of shingles.
    changes = [edited, edited, edited, laid_out, laid_out, laid_out]
    rows = []
    for at, change in enumerate(changes):
        for name, text in (("one", module(f"word{at}")), ("two", change(module(f"word{at}")))):
            rows.append({"doc_id": f"{at} {name}", "path": f"{at}_{name}.py", "text": text})
    source = table(tmp_path / "in.parquet", rows)
    cleaned(tmp_path / "out", source)
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(source)))
    assert reasons(tmp_path / "out", "doc_id") == {
        f"{at} {name}": None if name == "one" else "fuzzy.near_duplicate" if at < 3 else "fuzzy.same_shingles"
        for at in range(6)
        for name in ("one", "two")
    }


def test_ranges_of_digests_are_all_decided(tmp_path, monkeypatch):
    monkeypatch.setattr("opencoder_lib.clean.run.ROWS_AT_ONCE", 2)
    folder = tree(tmp_path / "in", {f"r/{at}.py": f"x = {at % 40}\n" for at in range(80)})
    cleaned(tmp_path / "out", folder, stages="exact")
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(folder), "exact"))


def test_only_layout_copies(tmp_path):
    folder = tree(
        tmp_path / "in", {"r/a.py": module("word"), "r/b.py": laid_out(module("word")), "r/c.py": module("else")}
    )
    cleaned(tmp_path / "out", folder)
    assert sorted(map(str, reasons(tmp_path / "out").values())) == ["None", "None", "fuzzy.same_shingles"]


def test_nothing_alike_and_nothing_to_compare(tmp_path):
    folder = tree(tmp_path / "in", {"r/a.py": module("word"), "r/b.py": module("else"), "r/c.py": "x", "r/d.py": b"\0"})
    cleaned(tmp_path / "out", folder)
    assert reasons(tmp_path / "out") == {
        "r/a.py": None,
        "r/b.py": None,
        "r/c.py": None,
        "r/d.py": "preprocess.binary",
    }
    cleaned(tmp_path / "none", tree(tmp_path / "nothing", {"r/d.py": b"\0"}))
    assert reasons(tmp_path / "none") == {"r/d.py": "preprocess.binary"}


def test_most_stars_then_the_newest_then_the_smallest_id_stays(tmp_path):
    rows = [
        {"doc_id": "1", "stars": 3, "committed_at": "2024-01-01"},
        {"doc_id": "2", "stars": 9, "committed_at": "2020-01-01"},
        {"doc_id": "4", "stars": 9, "committed_at": "2022-01-01"},
        {"doc_id": "3", "stars": 9, "committed_at": "2022-01-01"},
        {"doc_id": "0", "stars": None, "committed_at": "2025-01-01"},
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col("committed_at").str.to_date(), text=pl.lit("x = 1"))
    frame.with_columns(path=pl.col("doc_id") + ".py").write_parquet(tmp_path / "in.parquet")
    cleaned(tmp_path / "out", tmp_path / "in.parquet", stages="exact")
    stayed = rows_of(tmp_path / "out").filter(pl.col("removed_by").is_null())
    assert stayed["doc_id"].to_list() == ["3"]
    assert rows_of(tmp_path / "out")["survivor"].drop_nulls().to_list() == ["3"] * 4
