from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.errors import SchemaError
from opencoder_lib.files import (
    SCHEMA,
    check,
    content_hash,
    doc_id,
    funnel,
    mark_removed,
    new_files,
    reached,
    real,
    remaining,
    score,
    show_removed,
)


def frame(*rows: dict) -> pl.DataFrame:
    return new_files([{"path": f"{at}.py", "origin": "folder", "text": "x"} | row for at, row in enumerate(rows)])


def test_new_files_fills_the_schema_and_keeps_columns_of_the_user():
    files = new_files([{"path": "a.py", "origin": "folder", "text": "é\n", "mine": 7}])
    assert files.columns == [*SCHEMA, "mine"]
    assert files.row(0, named=True)["n_bytes"] == 3
    assert files["stars"][0] is None


def test_a_given_size_is_kept_because_text_may_be_absent():
    files = frame({"text": None, "n_bytes": 9_000_000, "removed_by": "preprocess.too_large"})
    assert files["n_bytes"].to_list() == [9_000_000]


def test_ids_depend_on_the_place_and_never_on_the_text():
    before = new_files([{"path": "a.py", "repo": "r", "origin": "folder", "text": "old"}])
    after = new_files([{"path": "a.py", "repo": "r", "origin": "folder", "text": "new"}])
    assert before["doc_id"].to_list() == after["doc_id"].to_list() == [doc_id("folder", "r", "a.py")]
    assert doc_id("folder", "r", "a.py") != doc_id("folder", None, "a.py") != doc_id("git", None, "a.py")


def test_the_same_place_twice_gets_two_ids_by_occurrence():
    files = new_files([{"path": "a.py", "origin": "folder", "text": "x"}] * 2)
    assert files["doc_id"].to_list() == [doc_id("folder", None, "a.py", 0), doc_id("folder", None, "a.py", 1)]


def test_path_and_repo_cannot_be_confused_in_an_id():
    assert doc_id("folder", "a", "b/c") != doc_id("folder", "a/b", "c")


def test_a_repeated_given_id_is_an_error_that_names_it():
    with pytest.raises(SchemaError, match="'same' occurs more than once"):
        frame({"doc_id": "same"}, {"doc_id": "same"})


def test_a_column_of_the_wrong_type_is_an_error_that_names_it():
    with pytest.raises(SchemaError, match="stars"):
        frame({"stars": "many"})


def test_a_missing_required_column_is_an_error():
    with pytest.raises(SchemaError, match="'origin'"):
        new_files([{"path": "a.py"}])


def test_check_refuses_a_remaining_file_without_text():
    files = frame({"text": None, "removed_by": "preprocess.binary"})
    assert check(files).height == 1
    with pytest.raises(SchemaError, match=r"have no text \(first: '0.py'\)"):
        check(files.with_columns(removed_by=pl.lit(None, dtype=pl.String)))


def test_check_names_a_missing_column():
    with pytest.raises(SchemaError, match="'license' is missing"):
        check(frame({}).drop("license"))


def test_mark_removed_keeps_order_and_the_reason_of_an_earlier_stage():
    files = frame({"doc_id": "c"}, {"doc_id": "a", "removed_by": "exact.duplicate"}, {"doc_id": "b"})
    hits = pl.DataFrame({"doc_id": ["a", "b"], "removed_by": ["fuzzy.near_duplicate"] * 2, "measured": [0.9, 0.8]})
    result = mark_removed(files, hits)
    assert result["doc_id"].to_list() == ["c", "a", "b"]
    assert result["removed_by"].to_list() == [None, "exact.duplicate", "fuzzy.near_duplicate"]
    assert result["measured"].to_list() == [None, None, 0.8]


@pytest.mark.parametrize(
    ("ids", "message"), [(["b", "b"], "same doc_id twice"), (["stranger"], "'stranger', which is not in the frame")]
)
def test_mark_removed_refuses_repeated_and_unknown_ids(ids, message):
    with pytest.raises(SchemaError, match=message):
        mark_removed(
            frame({"doc_id": "b"}), pl.DataFrame({"doc_id": ids, "removed_by": ["exact.duplicate"] * len(ids)})
        )


def test_funnel_counts_real_files_and_hands_the_rest_from_stage_to_stage():
    files = frame(
        {"n_bytes": 100, "removed_by": "exact.duplicate"},
        {"n_bytes": 300, "removed_by": "filter.short"},
        {"n_bytes": 600},
        {"n_bytes": 50, "origin": "planted", "removed_by": "exact.duplicate"},
    )
    exact, fuzzy, filtered = funnel(files, ["exact", "fuzzy", "filter"]).to_dicts()
    assert (exact["files_before"], exact["files_removed"], exact["bytes_after"]) == (3, 1, 900)
    assert (fuzzy["files_removed"], fuzzy["frac_bytes_removed"]) == (0, 0)
    assert filtered["bytes_before"] == 900
    assert filtered["frac_bytes_removed"] == pytest.approx(300 / 900)


def test_funnel_counts_what_a_transform_cut_and_from_there_on_the_bytes_that_are_left():
    files = new_files(
        [
            {"doc_id": "early", "path": "a", "origin": "folder", "n_bytes": 100, "removed_by": "exact.duplicate"},
            {"doc_id": "late", "path": "b", "origin": "folder", "n_bytes": 200, "removed_by": "filter.code.short"},
            {"doc_id": "kept", "path": "c", "origin": "folder", "n_bytes": 300, "text": "x"},
            {"doc_id": "planted", "path": "d", "origin": "planted", "n_bytes": 900, "text": "x"},
        ]
    )
    edits = pl.DataFrame({"doc_id": ["late", "kept", "kept", "planted"], "bytes_cut": [20, 30, -5, 700]})
    found = funnel(files, ["exact", "transform", "filter"], edits)
    # 600 found, 100 are copies; 20 + 30 - 5 are cut; of the filtered file 180 were left.
    assert found.select("stage", "files_removed", "bytes_removed", "bytes_after").rows() == [
        ("exact", 1, 100, 500),
        ("transform", 0, 45, 455),
        ("filter", 1, 180, 275),
    ]


def test_funnel_refuses_to_hide_a_stage():
    with pytest.raises(SchemaError, match="Did you mean exact"):
        funnel(frame({"removed_by": "exat.duplicate"}), ["exact"])


def test_show_removed_takes_a_stage_or_one_reason_and_always_the_same_files():
    files = frame(
        {"doc_id": "b", "removed_by": "filter.long"},
        {"doc_id": "a", "removed_by": "filter.short"},
        {"doc_id": "c", "removed_by": "filters.other"},
    )
    assert show_removed(files, "filter", n=5)["doc_id"].to_list() == ["a", "b"]
    assert show_removed(files, "filter.long")["doc_id"].to_list() == ["b"]
    with pytest.raises(SchemaError, match="Did you mean filter"):
        show_removed(files, "filtr")


def test_score_counts_planted_files_that_reached_the_stage():
    files = frame(
        {"truth": "fuzzy.near_duplicate", "removed_by": "fuzzy.near_duplicate"},
        {"truth": "fuzzy.near_duplicate"},
        {"truth": "clean", "removed_by": "fuzzy.near_duplicate"},
        {"truth": "clean"},
        {"truth": "exact.duplicate", "removed_by": "exact.duplicate"},
        {"truth": "fuzzy.near_duplicate", "removed_by": "exact.duplicate"},
        {"removed_by": "fuzzy.near_duplicate"},
    )
    assert score(files, "fuzzy") == {"planted": 2, "removed": 2, "hits": 1, "precision": 0.5, "recall": 0.5}


def test_score_of_nothing_planted_is_null_not_zero():
    assert score(frame({}), "fuzzy")["recall"] is None


def test_real_and_remaining_leave_out_planted_and_removed_files():
    files = frame({"origin": "planted"}, {"removed_by": "exact.duplicate"}, {"doc_id": "stays"})
    assert real(remaining(files))["doc_id"].to_list() == ["stays"]


@given(file_frames())
def test_content_hash_ignores_the_order_of_rows_and_columns(files):
    assert content_hash(files) == content_hash(files.reverse().select(reversed(files.columns)))


def test_content_hash_sees_every_value():
    dates = [frame({"doc_id": "a", "committed_at": datetime(2020, 1, day)}) for day in (1, 2)]
    assert content_hash(dates[0]) != content_hash(dates[1])


@given(file_frames())
def test_marking_by_a_fixed_rule_keeps_the_stage_contract(files):
    def drop_json(frame: pl.DataFrame) -> pl.DataFrame:
        hits = frame.filter(pl.col("path").str.ends_with(".json")).select("doc_id", removed_by=pl.lit("filter.json"))
        return mark_removed(frame, hits)

    assert_stage_contract(drop_json, files)


@pytest.mark.parametrize(
    "broken",
    [
        lambda files: files.reverse(),
        lambda files: files.head(1),
        lambda files: files.with_columns(text=pl.lit("changed")),
        lambda files: files.with_columns(removed_by=pl.lit(None, dtype=pl.String)),
        lambda files: files.with_row_index().with_columns(
            removed_by=pl.when(pl.col("index") == 0).then(pl.lit("exact.first")).otherwise("removed_by")
        ),
    ],
    ids=["reorders", "drops rows", "changes text", "brings back", "depends on the order"],
)
def test_the_contract_helper_catches_a_stage_that_breaks_it(broken):
    files = frame({"doc_id": "a"}, {"doc_id": "b", "removed_by": "exact.duplicate"}, {"doc_id": "c"})
    with pytest.raises(AssertionError):
        assert_stage_contract(broken, files)


def test_a_stage_reached_what_it_removed_and_what_is_left():
    texts = {"early.py": "exact.duplicate", "here.py": "fuzzy.near_duplicate", "left.py": None}
    files = new_files([{"path": name, "text": "x", "origin": "git", "removed_by": why} for name, why in texts.items()])
    assert reached(files, "fuzzy")["path"].to_list() == ["here.py", "left.py"]
