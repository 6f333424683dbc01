"""What lies in DIR: the user's columns, clusters, the report, what `why` says of it; and what --dry-run says before."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from cleaning import (
    LOOSE,
    any_inputs,
    by_wrappers,
    cleaned,
    command,
    edited,
    laid_out,
    lines,
    module,
    part_of,
    reasons,
    rows_of,
    table,
    tree,
    whole_frame,
)

from opencoder_lib.clean import command as verb
from opencoder_lib.clean import results
from opencoder_lib.clean.why import explain, why
from opencoder_lib.errors import InputError
from opencoder_lib.files import SCHEMA

WORD, ELSE = module("word"), module("other")


# Columns of the user's


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([7, None, 9], pl.UInt8),
        ([0.5, None, float("inf")], pl.Float32),
        (["x", None, "y"], pl.Categorical),
        ([["a"], [], None], pl.List(pl.String)),
        (
            [{"a": 1, "b": ["q"]}, {"a": None, "b": None}, {"a": 2, "b": []}],
            pl.Struct({"a": pl.Int64, "b": pl.List(pl.String)}),
        ),
        ([b"\xff", None, b""], pl.Binary),
        ([datetime(2024, 1, 1, tzinfo=UTC), None, None], pl.Datetime("us", "UTC")),
        ([timedelta(seconds=1), None, None], pl.Duration("us")),
        ([True, None, False], pl.Boolean),
        ([None, None, None], pl.Null),
    ],
    ids=str,
)
def test_columns_of_parquet_inputs_pass_through_with_their_type(tmp_path, values, dtype):
    rows = {"path": ["0.py", "1.py", "2.py"], "text": [WORD, WORD, ELSE]}
    frame = pl.DataFrame(rows).with_columns(mine=pl.Series(values, dtype=dtype))
    frame.write_parquet(tmp_path / "with.parquet")
    without = table(tmp_path / "without.parquet", [{"path": "3.py", "text": module("third")}])
    also = lines(tmp_path / "without.jsonl", [{"path": "4.py", "text": module("fourth"), "mine": "left alone"}])
    cleaned(tmp_path / "out", tmp_path / "with.parquet", without, also)
    found = rows_of(tmp_path / "out").sort("path")
    assert found.schema["mine"] == dtype
    assert found["mine"].to_list() == [*values, None, None]
    assert found.columns == [*SCHEMA, "mine"]


@pytest.mark.parametrize(
    ("dtype", "written"),
    [(pl.Enum(["x", "y"]), pl.String), (pl.Array(pl.String, 1), pl.List(pl.String))],
    ids=["enum", "array"],
)
def test_types_that_few_readers_know_become_plain_ones(tmp_path, dtype, written):
    values = ["x", None, "y"] if written == pl.String else [["x"], None, ["y"]]
    rows = {"path": ["0.py", "1.py", "2.py"], "text": [WORD, WORD, ELSE]}
    pl.DataFrame(rows).with_columns(mine=pl.Series(values, dtype=dtype)).write_parquet(tmp_path / "in.parquet")
    cleaned(tmp_path / "out", tmp_path / "in.parquet")
    found = rows_of(tmp_path / "out").sort("path")
    assert found.schema["mine"] == written
    assert found["mine"].to_list() == values


NAMES = [
    "earlier",
    "_id",
    "_row",
    "_digest",
    "group",
    "unit",
    "key",
    "batch",
    "range",
    "cluster",
    "num_words",
    "rule_set",
    "_new",
    "_text",
    "_license",
    "_new_removed_by",
    "_new_measured",
    "place",
    "cut",
]


def test_names_that_the_stages_use_themselves_are_free_to_be_the_users(tmp_path):
    rows = [
        {"path": f"{at}.py", "text": text} | {name: f"{name} {at}" for name in NAMES}
        for at, text in enumerate((WORD, WORD, ELSE))
    ]
    source = table(tmp_path / "in.parquet", rows)
    cleaned(tmp_path / "out", source, stages=None)
    found = rows_of(tmp_path / "out").sort("path")
    assert found.select(NAMES).rows() == [tuple(row[name] for name in NAMES) for row in rows]
    assert sorted(found["removed_by"].drop_nulls())[0] == "exact.duplicate"


def test_a_name_that_clean_keeps_for_itself_is_an_error(tmp_path):
    source = table(tmp_path / "in.parquet", [{"path": "a.py", "text": WORD, "opencoder:cut": 7}])
    with pytest.raises(InputError, match="'opencoder:cut' is one of our own"):
        cleaned(tmp_path / "out", source)


def test_a_reason_without_a_word_is_none(tmp_path):
    source = table(tmp_path / "in.parquet", [{"path": "a.py", "text": WORD, "removed_by": ""}])
    report = cleaned(tmp_path / "out", source)
    assert part_of(tmp_path / "out", "kept").height == report["funnel"][-1]["files_after"] == 1


def test_what_killed_tasks_left_half_written_is_not_published(tmp_path, monkeypatch):
    carry_out = verb.carry_out

    def leave_and_carry_out(run, units):
        found = carry_out(run, units)
        run.plan.place.path("done", "removed", ".000000-000.parquet.0123456789ab.tmp").write_bytes(b"half")
        return found

    monkeypatch.setattr(verb, "carry_out", leave_and_carry_out)
    cleaned(tmp_path / "out", table(tmp_path / "in.parquet", [{"path": "a.py", "text": WORD}]))
    assert list((tmp_path / "out").rglob("*.tmp")) == []


def test_columns_of_one_name_and_two_types_are_an_error(tmp_path):
    one = table(tmp_path / "one.parquet", [{"path": "a.py", "text": WORD, "mine": 1}])
    other = table(tmp_path / "other.parquet", [{"path": "b.py", "text": ELSE, "mine": "x"}])
    with pytest.raises(InputError, match=r"'mine' is Int64 in .*one\.parquet and String in .*other\.parquet"):
        cleaned(tmp_path / "out", one, other)
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_null_throughout_takes_the_type_of_its_namesake(tmp_path):
    one = table(tmp_path / "one.parquet", [{"path": "a.py", "text": WORD, "mine": None}])
    other = table(tmp_path / "other.parquet", [{"path": "b.py", "text": ELSE, "mine": 5}])
    for at, inputs in enumerate(((one, other), (other, one))):
        cleaned(tmp_path / f"out{at}", *inputs)
        assert rows_of(tmp_path / f"out{at}").sort("path")["mine"].to_list() == [None, 5]


def test_every_part_of_an_output_has_the_same_columns(tmp_path, monkeypatch):
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: 2_500)
    cleaned(tmp_path / "out", *any_inputs(tmp_path / "in"))
    found = [pl.read_parquet_schema(path) for path in (tmp_path / "out").glob("*/*.parquet")]
    assert len(found) > 8
    assert all(schema == found[0] for schema in found)


def test_an_output_without_a_kept_or_a_removed_file_has_both_folders(tmp_path):
    cleaned(tmp_path / "all", tree(tmp_path / "one", {"r/a.py": WORD}))
    cleaned(tmp_path / "none", tree(tmp_path / "two", {"r/a.zzz": WORD}))
    assert part_of(tmp_path / "all", "removed").is_empty()
    assert part_of(tmp_path / "none", "kept").is_empty()
    assert part_of(tmp_path / "all", "removed").schema == part_of(tmp_path / "all", "kept").schema


# Clusters and the report


def test_clusters_say_which_files_went_together(tmp_path):
    texts = {"a": WORD, "b": WORD, "c": edited(WORD), "d": laid_out(WORD), "e": ELSE, "f": ELSE}
    rows = [{"doc_id": name, "path": f"{name}.py", "text": text, "stars": ord(name)} for name, text in texts.items()]
    cleaned(tmp_path / "out", table(tmp_path / "in.parquet", rows))
    found = pl.read_parquet(tmp_path / "out" / "clusters.parquet")
    assert found.columns == ["stage", "cluster", "doc_id", "survivor", "removed_by", "measured"]
    # b has more stars than a, f than e; then d of b, c, d.
    assert found.select("stage", "cluster", "doc_id", "survivor", "removed_by").rows() == [
        ("exact", "b", "a", "b", "exact.duplicate"),
        ("exact", "f", "e", "f", "exact.duplicate"),
        ("fuzzy", "b", "b", "d", "fuzzy.same_shingles"),
        ("fuzzy", "b", "c", "d", "fuzzy.near_duplicate"),
    ]
    assert found["measured"].to_list()[:3] == [1.0, 1.0, 1.0]
    assert 0.5 < found["measured"][3] < 1


@pytest.mark.parametrize("stages", ["preprocess", "exact"])
def test_clusters_are_there_where_nothing_was_compared(tmp_path, stages):
    cleaned(tmp_path / "out", tree(tmp_path / "in", {"r/a.py": WORD, "r/b.py": ELSE}), stages=stages)
    assert pl.read_parquet(tmp_path / "out" / "clusters.parquet").is_empty()


def test_the_report_adds_up(tmp_path, monkeypatch):
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: 2_500)
    inputs = any_inputs(tmp_path / "in")
    report = cleaned(tmp_path / "out", *inputs)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    files = by_wrappers(whole_frame(*inputs))
    gone = files.drop_nulls("removed_by")
    assert [row["stage"] for row in report["funnel"]] == ["preprocess", "exact", "fuzzy"]
    sizes, kept = files["n_bytes"].sum(), files.filter(pl.col("removed_by").is_null())
    for row in report["funnel"]:
        here = gone.filter(pl.col("removed_by").str.starts_with(row["stage"]))
        assert (row["files_removed"], row["bytes_removed"]) == (here.height, here["n_bytes"].sum())
        assert row["files_before"] - row["files_removed"] == row["files_after"]
        assert row["bytes_before"] - row["bytes_removed"] == row["bytes_after"]
    first, last = report["funnel"][0], report["funnel"][-1]
    assert (first["files_before"], first["bytes_before"]) == (files.height, sizes) == (report["rows"], sizes)
    assert (last["files_after"], last["bytes_after"]) == (kept.height, kept["n_bytes"].sum())
    for reason, entry in report["removed_by"].items():
        here = gone.filter(removed_by=reason)
        assert entry == {"files": here.height, "bytes": here["n_bytes"].sum()}
    assert sum(entry["files"] for entry in report["removed_by"].values()) == gone.height
    for entry in report["languages"]:
        here, stayed = files.filter(language=entry["language"]), kept.filter(language=entry["language"])
        assert (entry["files_read"], entry["bytes_read"]) == (here.height, here["n_bytes"].sum())
        assert (entry["files_kept"], entry["bytes_kept"]) == (stayed.height, stayed["n_bytes"].sum())
    assert {entry["language"] for entry in report["languages"]} == set(files["language"])
    assert report["inputs"] == [str(path) for path in inputs]
    assert report["about"]["settings"]["minhash"]["bands"] == LOOSE.bands


def test_a_removal_by_another_hand_comes_first_in_the_funnel(tmp_path):
    rows = [
        {"path": "a.py", "text": WORD, "removed_by": "review.private"},
        {"path": "b.py", "text": WORD, "removed_by": None},
    ]
    report = cleaned(tmp_path / "out", table(tmp_path / "in.parquet", rows))
    assert reasons(tmp_path / "out") == {"a.py": "review.private", "b.py": None}
    assert [row["stage"] for row in report["funnel"]] == ["review", "preprocess", "exact", "fuzzy"]
    assert report["funnel"][0]["files_removed"] == 1


# Why


@pytest.fixture(scope="module")
def explained(tmp_path_factory) -> Path:
    """An output with one file of each fate."""
    root = tmp_path_factory.mktemp("why")
    rows = [
        ("k1", "one", "kept.py", ELSE, 9),
        ("f1", "one", "short.py", "x = 1\n", None),
        ("e1", "two", "copy.py", WORD, 1),
        ("e2", "one", "first.py", WORD, 5),
        ("n1", "one", "near.py", edited(WORD), 70),
        ("kk", "two", "kept.py", "y = 22222\n", None),
        ("kept.py", None, "id.py", module("path"), None),
        ("p1", "one", "data.bin", "", None),
    ]
    source = table(
        root / "in.parquet", [dict(zip(("doc_id", "repo", "path", "text", "stars"), row, strict=True)) for row in rows]
    )
    cleaned(root / "out", source, stages=None)
    return root / "out"


def test_why_of_a_kept_file(explained, capsys):
    why(explained, "k1")
    about = f"k1  one  kept.py  (python, {len(ELSE)} bytes, 9 stars)"
    assert capsys.readouterr().out == f"{about}\nwas kept, in {explained}.\n"


def test_why_of_a_file_that_the_filter_removed(explained, capsys):
    why(explained, "short.py")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "f1  one  short.py  (python, 6 bytes)"
    assert second.startswith("went by filter.code.")
    assert ", measured " in second
    assert second.endswith(".")


def test_why_follows_a_survivor_that_went_later(explained, capsys):
    chain = explain(explained, "e1")
    assert [file["doc_id"] for file in chain] == ["e1", "e2", "n1"]
    assert [file["removed_by"] for file in chain] == ["exact.duplicate", "fuzzy.near_duplicate", None]
    why(explained, "e1")
    told = capsys.readouterr().out.splitlines()
    assert told[1] == "went by exact.duplicate; kept instead:"
    assert told[2].startswith("  e2  one  first.py")
    assert told[3].startswith("  went by fuzzy.near_duplicate, measured 0.")
    assert told[5] == f"    was kept, in {explained}."
    assert told[6] == "n1 stands for 1 file that went at the stage fuzzy."


@pytest.mark.parametrize("name", ["e1", "copy.py"])
def test_why_takes_ids_and_paths(explained, name):
    assert explain(explained, name)[0]["doc_id"] == "e1"


def test_why_takes_the_beginning_of_an_id_if_only_one_begins_so(explained):
    assert explain(explained, "p")[0]["doc_id"] == "p1"
    with pytest.raises(InputError, match=r"No file in .* has the id or the path 'e'. Ids that begin so: e\d, e\d\."):
        explain(explained, "e")


def test_why_of_an_id_that_is_the_path_of_others(explained):
    assert explain(explained, "kept.py")[0]["path"] == "id.py"


def test_why_of_a_path_that_two_repositories_have(tmp_path):
    rows = [{"doc_id": at, "repo": at if at == "a" else None, "path": "x.py", "text": module(at)} for at in "ab"]
    cleaned(tmp_path / "out", table(tmp_path / "in.parquet", rows))
    with pytest.raises(
        InputError, match=r"2 files or more have the path 'x\.py'. Give an id: a in a; b in no repository"
    ):
        explain(tmp_path / "out", "x.py")


def test_why_on_the_command_line(explained, tmp_path):
    assert "kept instead:" in command("why", explained, "e1")
    assert "has the id or the path 'nobody'" in command("why", explained, "nobody", status=2)
    for folder, name, message in ((explained, "", "has the id or the path ''"), (tmp_path, "e1", "not the output of")):
        with pytest.raises(InputError, match=message):
            explain(folder, name)


@pytest.mark.parametrize("damage", ["cut", "overwritten", "lost"])
def test_why_of_an_output_that_was_damaged_is_an_error(tmp_path, damage):
    cleaned(tmp_path / "out", tree(tmp_path / "in", {"r/a.py": WORD}))
    (part,) = (tmp_path / "out" / "kept").glob("*.parquet")
    data = part.read_bytes()
    part.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:100] + b"\xff" * 300 + data[400:])
    if damage == "lost":
        part.unlink()
    with pytest.raises(InputError, match="out' "):
        explain(tmp_path / "out", "r/a.py")


# The plan, before anything is done


def test_dry_run_says_what_it_takes_and_writes_nothing(tmp_path):
    inputs, listing = any_inputs(tmp_path / "in"), tmp_path / "list"
    listing.write_text("own/a\nown/b\n")
    before = sorted(tmp_path.rglob("*"))
    printed = command("clean", *inputs, "--out", tmp_path / "out", "--opt-out", listing, "--dry-run", "--jobs", 3)
    assert sorted(tmp_path.rglob("*")) == before
    size = sum(
        path.stat().st_size
        for source in inputs
        for path in ([source] if source.is_file() else source.rglob("*"))
        if path.is_file()
    )
    assert f"Input    22 files and 5 tables, {size / 1_000_000:.1f} MB as stored" in printed
    assert f"Output   {tmp_path / 'out'}: kept/, removed/, report.html, report.json, README.md" in printed
    assert "notebooks as text, code and output, without what 2 opt-out entries name" in printed
    assert "2,048 hashes of 5-grams, 16 bands of 128, threshold 0.979" in printed
    assert "filter: rulebook released" in printed
    assert "sample: at most html 64,000 MB, java 200,000 MB" in printed
    assert "Engine   native, 3 tasks at once" in printed
    assert "Memory   about " in printed
    assert "Disk     " in printed


def test_dry_run_names_only_the_stages_asked_for(tmp_path):
    printed = command(
        "clean", tree(tmp_path / "in", {"r/a.py": WORD}), "--out", tmp_path / "out", "--stages", "exact", "--dry-run"
    )
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("Stage")] == ["exact:"]


# Many files that are all alike


def rows_of_parts(work: Path) -> int:
    """All rows of all Parquet files of what was done."""
    return sum(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in work.rglob("*.parquet"))


@pytest.mark.parametrize("num_files", [20_000, 5_000], ids=["equal", "layout"])
def test_files_that_are_all_alike_make_no_more_rows_than_others(tmp_path, monkeypatch, request, num_files):
    words, texts = module("word", 8), []
    for at in range(num_files):
        wide, high = (at % 100, at // 100) if "layout" in request.node.callspec.id else (0, 0)
        texts.append(words.replace("= ", "= " + " " * wide).replace("\n", "\n" * (1 + high)))
    frame = pl.DataFrame({"path": [f"{at}.py" for at in range(num_files)], "text": texts})
    frame.write_parquet(tmp_path / "in.parquet")
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: 500_000)
    counted = []
    write = results._write_clusters

    def count_and_write(plan):
        counted.append(rows_of_parts(plan.place.path()))
        return write(plan)

    monkeypatch.setattr(results, "_write_clusters", count_and_write)
    cleaned(tmp_path / "out", tmp_path / "in.parquet")
    assert part_of(tmp_path / "out", "kept").height == 1
    # A file is read, hashed, compared, decided about twice and written; of each shard one has bands, 16 of them.
    assert counted[0] < 8 * num_files + 16 * 64
