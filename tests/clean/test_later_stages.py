"""Transform and sampling in `opencoder clean`: the rows of the wrappers for any cut into units, and what is told."""

import json
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from cleaning import (
    any_inputs,
    assert_same_rows,
    by_wrappers,
    cleaned,
    command,
    module,
    part_of,
    reasons,
    rows_of,
    table,
    tree,
)
from cleaning import whole_frame as whole

from opencoder_lib import GB, MB
from opencoder_lib.corpora.generated import python_module
from opencoder_lib.durable import file_sha256
from opencoder_lib.files import remaining
from opencoder_lib.paper import fact
from opencoder_lib.refine.sampling import places
from opencoder_lib.seeds import rng

ALL = "preprocess,exact,fuzzy,transform,filter,sample"
NOTICE = "# Copyright 2020 Ann Example. All rights reserved.\n\n"
BUDGETS = {"python": 40_000, "markdown": 3_000}


def small(monkeypatch: pytest.MonkeyPatch, unit: int = 2_500, group: int = 800) -> None:
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: unit)
    monkeypatch.setattr("opencoder_lib.clean.steps.GROUP_BYTES", group)


def noticed(folder: Path) -> Path:
    """Sixty Python files that the filter keeps, every third with a notice, every fourth with an address."""
    rows = []
    for at in range(60):
        text = python_module(rng(at, "noticed"), 2)
        text = NOTICE + text if at % 3 == 0 else text
        text += f"contact = 'ann.example{at}@corp-mail.net'\n" if at % 4 == 0 else ""
        rows.append({"path": f"{at}.py", "repo": f"r{at % 5}", "text": text})
    return table(folder / "noticed.parquet", rows, row_group_size=7)


def numbers(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


@pytest.mark.parametrize(("unit", "group"), [(1, 1), (2_500, 800), (16_000_000, 8_000_000)])
def test_rows_are_those_of_the_wrappers_for_any_size_of_unit(tmp_path, monkeypatch, unit, group):
    small(monkeypatch, unit, group)
    inputs = [*any_inputs(tmp_path / "in"), noticed(tmp_path)]
    cleaned(tmp_path / "out", *inputs, stages="preprocess,exact,fuzzy,transform,sample", budgets=BUDGETS)
    expected = by_wrappers(whole(*inputs), "preprocess,exact,fuzzy,transform,sample", budgets=BUDGETS)
    assert expected.filter(pl.col("text").str.contains("<email>")).height > 5
    assert "sample.over_budget" in set(expected["removed_by"].drop_nulls())
    assert_same_rows(rows_of(tmp_path / "out"), expected)


def test_all_six_stages_in_two_processes(tmp_path):
    source = noticed(tmp_path)
    command("clean", source, "--out", tmp_path / "out", "--budget", "python=40kB", "--jobs", 2)
    expected = by_wrappers(whole(source), ALL, minhash=None, budgets={"python": 40_000})
    assert_same_rows(rows_of(tmp_path / "out"), expected)


def test_what_fits_a_budget_is_the_beginning_of_the_order_of_hashes_in_bytes_as_they_are_now(tmp_path, monkeypatch):
    small(monkeypatch)
    cleaned(tmp_path / "out", noticed(tmp_path), stages="transform,sample", budgets={"python": 20_000})
    files = rows_of(tmp_path / "out")
    files = files.with_columns(places(files["doc_id"]), now=pl.col("text").str.len_bytes()).sort("place")
    fits = files["now"].cum_sum() <= 20_000
    assert 0 < fits.sum() < files.height
    assert files["removed_by"].is_null().to_list() == fits.to_list()
    assert files.filter(~fits)["measured"].to_list() == files.filter(~fits)["place"].to_list()


def test_the_report_counts_bytes_as_they_are_after_the_transform(tmp_path, monkeypatch):
    small(monkeypatch)
    report = cleaned(tmp_path / "out", noticed(tmp_path), stages=ALL, budgets={"python": 40_000})
    kept, removed = part_of(tmp_path / "out", "kept"), part_of(tmp_path / "out", "removed")
    funnel = {row["stage"]: row for row in report["funnel"]}
    assert list(funnel) == ALL.split(",")
    assert funnel["preprocess"]["bytes_before"] == kept["n_bytes"].sum() + removed["n_bytes"].sum()
    assert funnel["sample"]["bytes_after"] == kept["text"].str.len_bytes().sum()
    assert funnel["sample"]["files_after"] == kept.height
    edits = pl.read_parquet(tmp_path / "out" / "transforms.parquet")
    assert funnel["transform"]["bytes_removed"] == edits["bytes_cut"].sum()
    assert funnel["transform"]["files_removed"] == 0
    assert all(after["bytes_before"] == before["bytes_after"] for before, after in pairwise(report["funnel"]))
    assert sum(row["files_kept"] for row in report["languages"]) == kept.height
    assert sum(row["bytes_kept"] for row in report["languages"]) == kept["text"].str.len_bytes().sum()
    assert (
        report["removed_by"]["sample.over_budget"]["files"]
        == removed.filter(pl.col("removed_by") == "sample.over_budget").height
    )
    (python,) = report["sampling"]
    assert (python["budget"], python["files_after"], python["bytes_after"]) == (
        40_000,
        kept.height,
        kept["text"].str.len_bytes().sum(),
    )


def test_what_was_changed_lies_beside_the_files(tmp_path):
    report = cleaned(tmp_path / "out", noticed(tmp_path), stages="transform")
    edits = pl.read_parquet(tmp_path / "out" / "transforms.parquet")
    files = rows_of(tmp_path / "out").select("doc_id", "path", "text")
    beside = edits.join(files, on="doc_id").with_columns(at=pl.col("path").str.extract(r"(\d+)").cast(pl.Int64))
    assert sorted(beside.filter(pl.col("kind") == "notice")["at"]) == list(range(0, 60, 3))
    assert sorted(beside.filter(pl.col("kind") == "email")["at"]) == list(range(0, 60, 4))
    counted = {row["kind"]: row["files"] for row in report["transforms"]}
    assert counted == {"notice": 20, "email": 15}
    told = command("why", tmp_path / "out", "0.py")
    assert "1 x notice (copyright)" in told
    assert "1 x email (personal_data)" in told


def test_the_report_names_every_file_of_the_output_with_its_hash(tmp_path, monkeypatch):
    small(monkeypatch)
    report = cleaned(tmp_path / "out", noticed(tmp_path), stages=ALL, budgets={"python": 40_000})
    there = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").glob("*/*.parquet")}
    assert {entry["path"] for entry in report["files"]} == set(there)
    for entry in report["files"]:
        path = there[entry["path"]]
        about = (pl.read_parquet(path).height, path.stat().st_size, file_sha256(path))
        assert about == (entry["rows"], entry["bytes"], entry["sha256"])


def test_a_shard_without_a_file_of_a_language_that_is_cut_stays_whole(tmp_path):
    code = table(tmp_path / "a.parquet", [{"path": f"{at}.py", "text": module(f"word{at}")} for at in range(2)])
    text = table(tmp_path / "b.parquet", [{"path": "a.md", "text": "# One heading\n"}])
    cleaned(tmp_path / "out", code, text, stages="sample", budgets={"python": len(module("word0")) + 10})
    kept = part_of(tmp_path / "out", "kept")
    assert sorted(kept["language"]) == ["markdown", "python"]


def test_a_copy_of_what_an_earlier_run_kept_and_changed_goes(tmp_path):
    text = NOTICE + module("same")
    first = table(tmp_path / "first.parquet", [{"path": "a.py", "text": text}, {"path": "b.py", "text": module("b")}])
    cleaned(tmp_path / "first", first, stages="exact,transform")
    again = table(tmp_path / "again.parquet", [{"path": "c.py", "text": text}, {"path": "d.py", "text": module("d")}])
    # The text as the earlier run left it is known, too.
    also = table(tmp_path / "also.parquet", [{"path": "e.py", "text": module("same")}])
    cleaned(tmp_path / "out", again, also, stages="exact,transform", against=(tmp_path / "first",))
    assert reasons(tmp_path / "out") == {"c.py": "exact.duplicate", "d.py": None, "e.py": "exact.duplicate"}


def test_a_budget_that_nothing_exceeds_cuts_nothing_and_is_told(tmp_path):
    source = noticed(tmp_path)
    report = cleaned(tmp_path / "out", source, stages="transform,sample", budgets={"python": 10**9, "java": 10})
    assert part_of(tmp_path / "out", "removed").is_empty()
    told = {row["language"]: (row["files_before"], row["files_after"]) for row in report["sampling"]}
    assert told == {"python": (60, 60), "java": (0, 0)}
    plain = cleaned(tmp_path / "plain", source, stages="transform", budgets={})
    assert_same_rows(rows_of(tmp_path / "out"), rows_of(tmp_path / "plain"))
    assert plain["sampling"] == []


def test_without_options_the_settings_are_the_papers(tmp_path):
    """What the design calls the full profile."""
    command("clean", noticed(tmp_path), "--out", tmp_path / "out", "--jobs", 1)
    settings = numbers(tmp_path / "out")["about"]["settings"]
    paper = {name: fact(f"fuzzy.{name}").value for name in ("ngram", "num_hashes", "bands", "rows")}
    assert {name: settings["minhash"][name] for name in paper} == paper
    assert settings["max_bytes"] == fact("collect.max_megabytes").value * MB
    java, html = fact("overview.java_sampled"), fact("overview.html_sampled")
    assert (java.unit, html.unit) == ("GB", "GB")
    assert settings["budgets"] == {"java": java.value * GB, "html": html.value * GB}
    assert settings["stages"] == ALL.split(",")
    assert settings["rulebook"] == "released"


def test_the_result_of_an_earlier_run_takes_no_part_in_sampling(tmp_path):
    source = noticed(tmp_path)
    cleaned(tmp_path / "first", source, stages="preprocess,exact", budgets={})
    more = tree(tmp_path / "more", {f"r/{at}.py": module(f"new{at}") for at in range(5)})
    cleaned(tmp_path / "second", more, stages="exact,sample", budgets={"python": 10**6}, against=(tmp_path / "first",))
    assert part_of(tmp_path / "second", "kept").height == 5


def test_a_misspelt_budget_is_one_line(tmp_path):
    source = noticed(tmp_path)
    said = command("clean", source, "--out", tmp_path / "out", "--budget", "pyton=3MB", status=2)
    assert "Did you mean python" in said
    said = command("clean", source, "--out", tmp_path / "out", "--budget", "python=lots", status=2)
    assert "'lots' is not a size" in said


def test_files_removed_before_the_transform_keep_their_texts(tmp_path):
    text = NOTICE + module("same")
    source = table(tmp_path / "in.parquet", [{"path": f"{name}.py", "repo": name, "text": text} for name in "ab"])
    cleaned(tmp_path / "out", source, stages="exact,transform")
    assert part_of(tmp_path / "out", "removed")["text"].to_list() == [text]
    assert part_of(tmp_path / "out", "kept")["text"].to_list() == [module("same")]
    assert remaining(part_of(tmp_path / "out", "kept")).height == 1
