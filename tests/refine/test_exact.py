"""Exact deduplication: equal bytes only, the right survivor, the stage contract, and the same result in shards."""

import random
import time
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.corpora import plant_defects
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import content_hash, funnel, new_files, score
from opencoder_lib.refine.exact import REASON, drop_exact_duplicates, keys, mark, reduce, shared_contents

OLD, NEW = datetime(2015, 1, 1), datetime(2023, 11, 1)


def files_of(*rows, **common):
    return new_files([{"path": f"{at}.py", "origin": "folder"} | common | row for at, row in enumerate(rows)])


def test_survivor_has_most_stars_then_newest_commit():
    files = files_of(
        {"doc_id": "fewer", "text": "a = 1", "stars": 10, "committed_at": NEW},
        {"doc_id": "older", "text": "a = 1", "stars": 50, "committed_at": OLD},
        {"doc_id": "kept", "text": "a = 1", "stars": 50, "committed_at": NEW},
        {"doc_id": "alone", "text": "a = 2", "stars": 0, "committed_at": OLD},
    )
    after = drop_exact_duplicates(files)
    assert after.select("doc_id", "removed_by", "survivor").rows() == [
        ("fewer", REASON, "kept"),
        ("older", REASON, "kept"),
        ("kept", None, None),
        ("alone", None, None),
    ]


def test_one_byte_of_difference_is_a_different_file():
    texts = ["a\n", "a", "a ", "a\r\n", "a\r", "A", "\ufeffa", "a\u0301", "á", ""]
    after = drop_exact_duplicates(files_of(*({"text": text} for text in texts)))
    assert after["removed_by"].null_count() == len(texts)


def test_empty_texts_are_equal_to_each_other():
    after = drop_exact_duplicates(files_of({"text": "", "doc_id": "b"}, {"text": "", "doc_id": "a"}))
    assert after["survivor"].to_list() == ["a", None]


def test_a_long_line_and_text_outside_ascii_are_hashed_whole():
    long = "x" * 1_000_000
    texts = [long + "1", long + "2", long + "1", "中文 \U0001f40d", "中文 \U0001f40d"]
    after = drop_exact_duplicates(files_of(*({"text": text, "doc_id": str(at)} for at, text in enumerate(texts))))
    assert after["survivor"].to_list() == [None, None, "0", None, "3"]


def test_a_removed_copy_neither_survives_nor_removes_others():
    files = files_of(
        {"doc_id": "gone", "text": "a", "stars": 99, "removed_by": "preprocess.too_large", "measured": 9.0},
        {"doc_id": "in", "text": "a", "stars": 1},
        {"doc_id": "null", "text": None, "removed_by": "preprocess.undecodable"},
    )
    assert drop_exact_duplicates(files).equals(files)


def test_an_empty_frame_stays_empty():
    nothing = files_of({"text": "a"}).clear()
    assert drop_exact_duplicates(nothing).equals(nothing)


def test_a_misspelt_keep_names_the_near_column():
    with pytest.raises(ConfigError, match="Did you mean committed_at"):
        drop_exact_duplicates(files_of({"text": "a"}), keep=("stars", "commited_at"))


row = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["", "a", "a\n", "b", "ß"]),
        "stars": st.one_of(st.none(), st.integers(0, 2)),
        "committed_at": st.sampled_from([None, OLD, NEW]),
        "removed_by": st.sampled_from([None, None, None, "preprocess.binary"]),
        "extra": st.integers(0, 3),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=14),
    num_shards=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_stage_contract_holds_for_any_order_and_any_sharding(rows, num_shards, order):
    before = files_of(*rows)
    after = assert_stage_contract(drop_exact_duplicates, before)
    was_gone = before["removed_by"].is_not_null()
    left = after.filter(pl.col("removed_by").is_null())
    assert left["text"].n_unique() == left.height
    assert set(left["text"]) == set(before.filter(~was_gone)["text"])
    survivors = after.filter(pl.col("survivor").is_not_null()).join(left, left_on="survivor", right_on="doc_id")
    assert (survivors["text"] == survivors["text_right"]).all()

    shuffled = before[order.sample(range(before.height), before.height)]
    assert content_hash(in_shards(shuffled, num_shards)) == content_hash(after)


@settings(deadline=None)
@given(file_frames())
def test_exact_deduplication_keeps_the_stage_contract(files):
    assert_stage_contract(drop_exact_duplicates, files)


def test_planted_copies_name_the_survivor_that_the_rule_asks_for():
    planted = plant_defects().filter(pl.col("repo") == "planted/exact.duplicate")
    after = drop_exact_duplicates(planted)
    gone = after.filter(pl.col("removed_by") == REASON)
    assert gone["survivor"].to_list() == gone["planted_source"].to_list()
    assert score(after, "exact") == {"planted": 38, "removed": 38, "hits": 38, "precision": 1.0, "recall": 1.0}


def in_shards(files, num_shards):
    """The same functions as a cluster runs them: keys on shards, a shuffle by digest, reduce on buckets, mark."""
    shards = [files[at::num_shards] for at in range(num_shards)]
    rows = pl.concat([keys(shard) for shard in shards])
    bucket_of = rows["group"].map_elements(lambda digest: digest[0] % 3, return_dtype=pl.Int64)
    decisions = pl.concat([reduce(rows.filter(bucket_of == bucket)) for bucket in range(3)])
    return pl.concat([mark(shard, decisions) for shard in shards])


def test_shards_agree_with_the_whole_on_a_thousand_files():
    draws = random.Random(1)
    rows = [{"text": str(draws.randrange(300)), "stars": draws.randrange(5)} for _ in range(1000)]
    files = files_of(*rows)
    assert content_hash(in_shards(files, 7)) == content_hash(drop_exact_duplicates(files))


def test_a_hundred_thousand_copies_of_one_text_leave_one_and_are_a_row_each_everywhere():
    started, number = time.monotonic(), 100_000
    about = {"doc_id": pl.format("id{}", pl.col("at") + 10**6), "path": pl.lit("a"), "origin": pl.lit("folder")}
    stars = pl.when(pl.col("at") == 54_321).then(9).otherwise(pl.col("at") % 9)
    table = pl.select(at=pl.int_range(number)).with_columns(text=pl.lit("# boilerplate\n" * 20), stars=stars, **about)
    files = new_files(table.drop("at"))
    rows = keys(files)
    decisions = reduce(rows)
    assert (rows.height, decisions.height) == (number, number - 1)
    assert decisions["survivor"].unique().to_list() == ["id1054321"]
    after = drop_exact_duplicates(files)
    assert after["removed_by"].value_counts(sort=True).rows() == [(REASON, number - 1), (None, 1)]
    assert time.monotonic() - started < 60


def test_funnel_and_score_come_free():
    rows = [
        {"text": "abc", "doc_id": "1", "stars": 5},
        {"text": "abc", "doc_id": "2"},
        {"text": "planted", "doc_id": "3", "stars": 5, "origin": "planted", "truth": "clean"},
        {"text": "planted", "doc_id": "4", "origin": "planted", "truth": "exact.duplicate"},
        {"text": "planted!", "doc_id": "5", "origin": "planted", "truth": "clean"},
    ]
    after = drop_exact_duplicates(files_of(*rows))
    assert funnel(after, ["exact"]).row(0)[:4] == ("exact", 2, 1, 1)
    assert score(after, "exact") == {"planted": 1, "removed": 1, "hits": 1, "precision": 1.0, "recall": 1.0}


def test_shared_contents_say_who_took_from_whom():
    rows = [
        {"path": "rich/box.py", "repo": "rich", "text": "box"},
        {"path": "pip/_vendor/rich/box.py", "repo": "pip", "text": "box"},
        {"path": "rich/rule.py", "repo": "rich", "text": "ruler"},
        {"path": "pip/_vendor/rich/rule.py", "repo": "pip", "text": "ruler"},
        {"path": "pip/other.py", "repo": "pip", "text": "ruler"},
        {"path": "a/array.py", "repo": "one", "text": "array"},
        {"path": "b/array.py", "repo": "two", "text": "array"},
        {"path": "one/__init__.py", "repo": "one", "text": ""},
        {"path": "two/__init__.py", "repo": "two", "text": ""},
    ]
    pairs = shared_contents(drop_exact_duplicates(files_of(*rows)))
    assert pairs.rows() == [("pip", "rich", 2, 8, 2), ("one", "two", 1, 5, 0), ("pip", "pip", 1, 5, 0)]
    assert shared_contents(drop_exact_duplicates(files_of(*rows)), min_bytes=6).height == 0
