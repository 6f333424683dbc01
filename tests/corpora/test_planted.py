import ast
import re
from itertools import combinations

import polars as pl
import pytest

from opencoder_lib.corpora.planted import FAR, NEAR, TARGETS, plant_defects
from opencoder_lib.files import content_hash
from opencoder_lib.shingles import jaccard, shingles


@pytest.fixture(scope="module")
def planted() -> pl.DataFrame:
    return plant_defects(0)


def test_the_same_seed_plants_the_same_files_and_another_seed_others(planted):
    assert content_hash(planted) == content_hash(plant_defects(0))
    assert set(planted["text"].drop_nulls()).isdisjoint(plant_defects(1)["text"].drop_nulls())


def test_each_copy_has_the_jaccard_it_says_and_lies_near_its_target(planted):
    texts = dict(planted.select("doc_id", "text").iter_rows())
    copies = planted.filter(pl.col("planted_jaccard").is_not_null())
    assert copies.height == sum(TARGETS.values())
    for row in copies.iter_rows(named=True):
        target = float(re.match(r"copy-([\d.]+)/", row["path"])[1])
        assert row["planted_jaccard"] == jaccard(shingles(texts[row["planted_source"]]), shingles(row["text"]))
        assert row["planted_jaccard"] == pytest.approx(target, abs=0.01)
        assert row["text"] != texts[row["planted_source"]]


def test_copies_are_defects_above_one_limit_clean_below_the_other_and_untold_between(planted):
    for row in planted.filter(pl.col("planted_jaccard").is_not_null()).iter_rows(named=True):
        expected = "fuzzy.near_duplicate" if row["planted_jaccard"] > NEAR else None
        assert row["truth"] == ("clean" if row["planted_jaccard"] <= FAR else expected)


def test_the_original_of_an_edited_copy_has_more_stars(planted):
    stars = dict(planted.select("doc_id", "stars").iter_rows())
    copies = planted.filter(pl.col("planted_jaccard").is_not_null())
    assert all(stars[row["planted_source"]] > row["stars"] for row in copies.iter_rows(named=True))


def test_each_group_of_equal_files_has_one_survivor_by_stars_then_date_then_id(planted):
    exact = planted.filter(pl.col("repo") == "planted/exact.duplicate")
    for _, group in exact.group_by("text"):
        order = group.sort(
            ["stars", "committed_at", "doc_id"], descending=[True, True, False], nulls_last=[True, True, True]
        )
        assert order["truth"].to_list() == ["clean"] + ["exact.duplicate"] * (group.height - 1)
        assert order["planted_source"].to_list() == [None] + [order["doc_id"][0]] * (group.height - 1)


def test_no_other_two_texts_are_equal_or_nearly_so(planted):
    made_once = planted.filter(pl.col("text").is_not_null() & pl.col("planted_source").is_null())
    sets = [shingles(text) for text in made_once["text"]]
    assert max(len(a & b) / len(a | b) for a, b in combinations(sets, 2)) < 0.2


def test_planted_python_parses_unless_its_defect_says_otherwise(planted):
    python = planted.filter(pl.col("text").is_not_null() & pl.col("path").str.ends_with(".py"))
    for row in python.iter_rows(named=True):
        if row["truth"] == "filter.syntax_error":
            with pytest.raises(SyntaxError):
                ast.parse(row["text"])
        else:
            ast.parse(row["text"])


def test_each_filter_defect_comes_with_near_misses(planted):
    filtered = planted.filter(pl.col("repo").str.starts_with("planted/filter."))
    counts = filtered.group_by("repo").agg(
        bad=(pl.col("truth") != "clean").sum(), near=(pl.col("truth") == "clean").sum()
    )
    assert counts.height == 18
    assert counts["bad"].unique().to_list() == [5]
    assert counts["near"].unique().to_list() == [3]


def test_planted_text_is_ours_and_says_so(planted):
    assert planted["license"].unique().to_list() == ["Apache-2.0"]
    assert planted["origin"].unique().to_list() == ["planted"]
    assert 400 < planted.height < 600
