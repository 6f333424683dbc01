"""`--against DIR`: new files equal or similar to what an earlier run kept go, and the earlier run never changes."""

from pathlib import Path

import polars as pl
import pytest
from cleaning import (
    LOOSE,
    NO_FILTER,
    assert_same_rows,
    cleaned,
    edited,
    laid_out,
    module,
    part_of,
    reasons,
    rows_of,
    table,
)

from opencoder_lib.clean.why import explain, why
from opencoder_lib.errors import CookbookError, InputError

WORD, ELSE, NEW = module("word"), module("else"), module("new")


def survivors(out: Path) -> dict[str, tuple[str | None, str | None]]:
    """(survivor, survivor_in) by path."""
    return {
        path: (one, other) for path, one, other in rows_of(out).select("path", "survivor", "survivor_in").iter_rows()
    }


def contents(folder: Path) -> dict[str, bytes]:
    """What each file of a folder holds."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def earlier(tmp_path):
    """The output of a run that kept two files."""
    rows = [{"doc_id": "w", "path": "w.py", "text": WORD}, {"doc_id": "e", "path": "e.py", "text": ELSE}]
    cleaned(tmp_path / "earlier", table(tmp_path / "earlier.parquet", rows))
    return tmp_path / "earlier"


def test_files_equal_or_similar_to_earlier_ones_go_and_name_them(tmp_path, earlier):
    # Many stars do not help against what was kept before.
    rows = [
        {"doc_id": "a", "path": "equal.py", "text": WORD, "stars": 900},
        {"doc_id": "b", "path": "similar.py", "text": edited(WORD), "stars": 900},
        {"doc_id": "c", "path": "layout.py", "text": laid_out(ELSE), "stars": 900},
        {"doc_id": "d", "path": "new.py", "text": NEW, "stars": None},
        {"doc_id": "f", "path": "again.py", "text": NEW, "stars": 1},
    ]
    before, out = contents(earlier), tmp_path / "out"
    report = cleaned(out, table(tmp_path / "new.parquet", rows), against=(earlier,))
    assert reasons(out) == {
        "equal.py": "exact.duplicate",
        "similar.py": "fuzzy.near_duplicate",
        "layout.py": "fuzzy.same_shingles",
        "new.py": "exact.duplicate",
        "again.py": None,
    }
    here = str(earlier)
    assert survivors(out) == {
        "equal.py": ("w", here),
        "similar.py": ("w", here),
        "layout.py": ("e", here),
        "new.py": ("f", None),
        "again.py": (None, None),
    }
    assert report["rows"] == 5
    assert report["about"]["settings"]["against"] == [here]
    assert contents(earlier) == before


def test_an_output_without_against_has_no_column_for_it(earlier):
    assert "survivor_in" not in rows_of(earlier).columns


def test_the_same_id_in_both_runs_stands_for_two_files(tmp_path, earlier):
    rows = [{"doc_id": "w", "path": "mine.py", "text": NEW}, {"doc_id": "e", "path": "copy.py", "text": WORD}]
    cleaned(tmp_path / "out", table(tmp_path / "new.parquet", rows), against=(earlier,))
    assert reasons(tmp_path / "out") == {"mine.py": None, "copy.py": "exact.duplicate"}
    assert survivors(tmp_path / "out")["copy.py"] == ("w", str(earlier))
    same = table(tmp_path / "same.parquet", [{"doc_id": "w", "path": "w.py", "text": WORD}])
    cleaned(tmp_path / "itself", same, against=(earlier,))
    assert reasons(tmp_path / "itself") == {"w.py": "exact.duplicate"}
    assert survivors(tmp_path / "itself") == {"w.py": ("w", str(earlier))}


def test_an_id_that_looks_like_one_of_an_earlier_run_is_an_id_like_any_other(tmp_path, earlier):
    rows = [
        {"doc_id": "earlier:0:w", "path": "a.py", "text": NEW},
        {"doc_id": "earlier:0:e", "path": "b.py", "text": NEW},
        {"doc_id": "z", "path": "c.py", "text": ELSE},
    ]
    cleaned(tmp_path / "out", table(tmp_path / "new.parquet", rows), against=(earlier,))
    assert reasons(tmp_path / "out") == {"a.py": "exact.duplicate", "b.py": None, "c.py": "exact.duplicate"}
    assert survivors(tmp_path / "out")["a.py"] == ("earlier:0:e", None)
    assert survivors(tmp_path / "out")["c.py"] == ("e", str(earlier))


def test_against_two_folders(tmp_path, earlier):
    rows = [{"doc_id": "w", "path": "x.py", "text": NEW}, {"doc_id": "x", "path": "y.py", "text": WORD}]
    cleaned(tmp_path / "second", table(tmp_path / "second.parquet", rows))
    new = table(
        tmp_path / "new.parquet", [{"path": f"{at}.py", "text": text} for at, text in enumerate((NEW, WORD, ELSE))]
    )
    cleaned(tmp_path / "out", new, against=(earlier, tmp_path / "second"))
    found = survivors(tmp_path / "out")
    assert found["0.py"] == ("w", str(tmp_path / "second"))
    # Both hold it; of two the smallest id stands for it, with the number of its run before.
    assert found["1.py"] == ("w", str(earlier))
    assert found["2.py"] == ("e", str(earlier))
    assert part_of(tmp_path / "out", "kept").is_empty()


def test_earlier_files_that_resemble_each_other_through_a_new_one_stay(tmp_path):
    # 1 and 3 are unlike, 2 is like both: one component.
    words = [line for at in range(3) for line in [module(f"word{at}", 10)]]
    one, two, three = words[0] + words[1], "".join(words), words[1] + words[2]
    cleaned(
        tmp_path / "earlier",
        table(tmp_path / "e.parquet", [{"path": f"{n}", "text": t} for n, t in enumerate((one, three))]),
        stages="exact",
    )
    cleaned(
        tmp_path / "out",
        table(tmp_path / "n.parquet", [{"path": "2.py", "text": two}]),
        against=(tmp_path / "earlier",),
    )
    assert reasons(tmp_path / "out") == {"2.py": "fuzzy.near_duplicate"}
    assert part_of(tmp_path / "earlier", "kept").height == 2


def test_a_second_step_removes_what_one_run_over_all_removes(tmp_path):
    """Cleaning twice, the second time against the first, keeps one file of each kind, as cleaning all at once does."""
    texts = [module(f"word{at % 7}") for at in range(20)]
    rows = [{"path": f"{at}.py", "text": text} for at, text in enumerate(texts)]
    first, second = (table(tmp_path / f"{at}.parquet", rows[10 * at : 10 * at + 10]) for at in range(2))
    cleaned(tmp_path / "one", first)
    cleaned(tmp_path / "two", second, against=(tmp_path / "one",))
    cleaned(tmp_path / "all", first, second)
    at_once = part_of(tmp_path / "all", "kept")["text"].sort().to_list()
    kept = [part_of(tmp_path / name, "kept")["text"] for name in ("one", "two")]
    assert sorted([*kept[0], *kept[1]]) == at_once


def test_rows_do_not_depend_on_the_shards_of_either_run(tmp_path, monkeypatch):
    kinds = [str, laid_out, edited]
    rows = [{"path": f"{at}.py", "text": kinds[at % 3](module(f"word{at % 11}"))} for at in range(40)]
    old, new = table(tmp_path / "old.parquet", rows[:20]), table(tmp_path / "new.parquet", rows[20:], row_group_size=2)
    cleaned(tmp_path / "earlier", old)
    cleaned(tmp_path / "large", new, against=(tmp_path / "earlier",))
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: 2_500)
    monkeypatch.setattr("opencoder_lib.clean.steps.GROUP_BYTES", 800)
    cleaned(tmp_path / "small", new, against=(tmp_path / "earlier",))
    assert_same_rows(rows_of(tmp_path / "small"), rows_of(tmp_path / "large"))
    assert rows_of(tmp_path / "small")["survivor_in"].drop_nulls().len() > 5


def test_an_output_made_against_another_can_itself_be_input_and_be_compared_against(tmp_path, earlier):
    rows = [{"doc_id": "n", "path": "n.py", "text": NEW}, {"doc_id": "w", "path": "w.py", "text": WORD}]
    cleaned(tmp_path / "second", table(tmp_path / "new.parquet", rows), against=(earlier,))
    cleaned(tmp_path / "third", tmp_path / "second" / "kept" / "*.parquet", against=(tmp_path / "second",))
    assert survivors(tmp_path / "third") == {"n.py": ("n", str(tmp_path / "second"))}


def test_clusters_name_files_as_their_own_run_does(tmp_path, earlier):
    rows = [{"doc_id": "a", "path": "a.py", "text": WORD}, {"doc_id": "b", "path": "b.py", "text": edited(ELSE)}]
    cleaned(tmp_path / "out", table(tmp_path / "new.parquet", rows), against=(earlier,))
    clusters = pl.read_parquet(tmp_path / "out" / "clusters.parquet").sort("doc_id")
    found = list(clusters.select("stage", "doc_id", "survivor", "survivor_in").iter_rows())
    assert found == [("exact", "a", "w", str(earlier)), ("fuzzy", "b", "e", str(earlier))]
    assert not clusters["cluster"].str.contains("earlier:").any()


def test_why_follows_into_the_earlier_folder(tmp_path, earlier, capsys):
    cleaned(
        tmp_path / "out",
        table(tmp_path / "n.parquet", [{"doc_id": "a", "path": "a.py", "text": WORD}]),
        against=(earlier,),
    )
    found = explain(tmp_path / "out", "a")
    assert [(file["doc_id"], file["within"]) for file in found] == [("a", str(tmp_path / "out")), ("w", str(earlier))]
    why(tmp_path / "out", "a")
    printed = capsys.readouterr().out
    assert f"was kept, in {earlier}." in printed
    assert "w stands for 1 file that went at the stage exact." in printed


def test_only_stages_that_compare_look_at_the_earlier_folder(tmp_path, earlier):
    cleaned(
        tmp_path / "out",
        table(tmp_path / "n.parquet", [{"path": "a.py", "text": WORD}]),
        against=(earlier,),
        stages="preprocess",
    )
    assert reasons(tmp_path / "out") == {"a.py": None}


def test_an_earlier_run_that_kept_nothing_is_no_hindrance(tmp_path):
    cleaned(tmp_path / "none", table(tmp_path / "e.parquet", [{"path": "a.zzz", "text": WORD}]))
    cleaned(
        tmp_path / "out", table(tmp_path / "n.parquet", [{"path": "a.py", "text": WORD}]), against=(tmp_path / "none",)
    )
    assert reasons(tmp_path / "out") == {"a.py": None}


def test_another_earlier_output_under_the_same_name_is_another_order(tmp_path, earlier):
    new, out = table(tmp_path / "new.parquet", [{"path": "a.py", "text": WORD}]), tmp_path / "out"
    cleaned(out, new, against=(earlier,))
    (earlier / "report.json").write_text((earlier / "report.json").read_text() + "\n")
    with pytest.raises(Exception, match="differs in against_sha256"):
        cleaned(out, new, against=(earlier,))


@pytest.mark.parametrize("kind", ["missing", "folder", "unfinished"])
def test_against_what_is_no_output_is_an_error(tmp_path, kind):
    folder = tmp_path / "other"
    if kind != "missing":
        (folder / "kept").mkdir(parents=True)
    if kind == "unfinished":
        (folder / ".work").mkdir()
    with pytest.raises(InputError, match=r"--against .*other' is not the output of a complete run"):
        cleaned(tmp_path / "out", table(tmp_path / "n.parquet", [{"path": "a.py", "text": WORD}]), against=(folder,))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["cut", "overwritten", "lost", "report"])
def test_against_an_output_that_was_damaged_is_an_error(tmp_path, earlier, damage):
    (part,) = (earlier / "kept").glob("*.parquet")
    data = part.read_bytes()
    if damage == "report":
        (earlier / "report.json").write_text("{")
    elif damage == "lost":
        part.unlink()
    else:
        part.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:100] + b"\xff" * 300 + data[400:])
    new = table(tmp_path / "n.parquet", [{"path": "a.py", "text": WORD}])
    with pytest.raises(CookbookError, match=str(earlier)) as caught:
        cleaned(tmp_path / "out", new, against=(earlier,))
    assert caught.value.exit_code == 2
    # Mended, the same command goes on.
    if damage != "report":
        part.write_bytes(data)
        cleaned(tmp_path / "out", new, against=(earlier,))
        assert reasons(tmp_path / "out") == {"a.py": "exact.duplicate"}


def test_all_stages_against_an_earlier_run(tmp_path, earlier):
    assert LOOSE.bands == 16
    rows = [{"path": "a.py", "text": WORD}, {"path": "b.py", "text": NEW}, {"path": "c.py", "text": "x = 1\n"}]
    cleaned(tmp_path / "out", table(tmp_path / "n.parquet", rows), against=(earlier,), stages=f"{NO_FILTER},filter")
    assert reasons(tmp_path / "out")["a.py"] == "exact.duplicate"
    assert reasons(tmp_path / "out")["c.py"].startswith("filter.")
