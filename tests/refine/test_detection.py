"""Known pairs, measured detection, the S-curve, and what a split finds of a corpus' own pairs."""

from dataclasses import replace
from itertools import combinations

import datasketch
import numpy as np
import polars as pl
import pytest
from compared_texts import files_of, named, near_corpus, words
from hypothesis import given
from hypothesis import strategies as st

from opencoder_lib.errors import ConfigError
from opencoder_lib.refine.detection import (
    describe_splits,
    detection_curve,
    finds,
    half_detection,
    judge_split,
    measure_detection,
    outcome,
    pairs_by_similarity,
    pairs_in_bands,
    pairs_of_known_jaccard,
    planted_pairs,
    sensitivity,
    sign_pairs,
    similar_pairs,
)
from opencoder_lib.refine.fuzzy import NEAR, SAME
from opencoder_lib.refine.minhash import MinHash, as_sketches, signatures
from opencoder_lib.refine.similarity import shingle_sets
from opencoder_lib.shingles import jaccard, shingles

PAPER, OTHER = MinHash(), MinHash(bands=128, rows=16)
NEAR_PAPER = [PAPER.jaccard_at(chance) for chance in (0.05, 0.5, 0.95)]
NEAR_OTHER = [OTHER.jaccard_at(chance) for chance in (0.05, 0.5, 0.95)]


@pytest.fixture(scope="module")
def signed():
    return sign_pairs(pairs_of_known_jaccard(3, [*NEAR_PAPER, *NEAR_OTHER], n=40, num_shingles=500), PAPER)


def word_5_grams(text):
    words = text.split(" ")
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def test_similarity_of_the_pairs_is_exact():
    pairs = pairs_of_known_jaccard(0, [0.9, 0.5, 1.0], n=3, num_shingles=200)
    assert pairs["jaccard"].to_list() == [0.9] * 3 + [0.5] * 3 + [1.0] * 3
    for value, left, right in pairs.iter_rows():
        one, other = word_5_grams(left), word_5_grams(right)
        assert len(one & other) == round(200 * value)
        assert len(one | other) == 200


def test_pairs_are_the_same_for_the_same_seed_and_do_not_depend_on_what_else_is_asked():
    alone = pairs_of_known_jaccard(1, [0.9], n=2, num_shingles=50)
    among = pairs_of_known_jaccard(1, [0.5, 0.9], n=2, num_shingles=50)
    assert among[2:].equals(alone)
    assert not pairs_of_known_jaccard(2, [0.9], n=2, num_shingles=50).equals(alone)


@pytest.mark.parametrize("impossible", [0, -0.1, 1.01, 0.001])
def test_a_similarity_that_cannot_be_built_is_refused(impossible):
    with pytest.raises(ConfigError, match=r"cannot be built from 100 shingles: it must lie between 0\.01 and 1"):
        pairs_of_known_jaccard(0, [impossible], n=1, num_shingles=100)


@pytest.mark.parametrize("minhash", [PAPER, OTHER], ids=["16x128", "128x16"])
def test_detection_lies_within_the_binomial_range_of_the_s_curve(signed, minhash):
    for row in measure_detection(signed, minhash).iter_rows(named=True):
        expected = 1 - (1 - row["jaccard"] ** minhash.rows) ** minhash.bands
        assert row["expected"] == pytest.approx(expected)
        # Four standard deviations of a binomial, and one pair more for chances near 0 and 1.
        spread = 4 * (row["pairs"] * expected * (1 - expected)) ** 0.5 + 1
        assert abs(row["hits"] - row["pairs"] * expected) <= spread


@pytest.mark.parametrize("minhash", [PAPER, OTHER], ids=["16x128", "128x16"])
def test_hits_are_those_of_datasketchs_index(signed, minhash):
    sides = [
        [sketch for _, sketch in as_sketches(signed.select(doc_id="left", signature=f"{side}_signature"), minhash)]
        for side in ("left", "right")
    ]
    index = datasketch.MinHashLSH(num_perm=minhash.num_hashes, params=(minhash.bands, minhash.rows))
    for at, sketch in enumerate(sides[0]):
        index.insert(at, sketch)
    found = sum(at in index.query(sketch) for at, sketch in enumerate(sides[1]))
    assert measure_detection(signed, minhash)["hits"].sum() == found > 0


def test_estimates_are_as_close_as_the_number_of_hashes_allows(signed):
    measured = measure_detection(signed, PAPER)
    ideal = (measured["jaccard"] * (1 - measured["jaccard"]) / 2048).sqrt()
    assert (measured["rmse"] < 1.5 * ideal).all()


def test_unsigned_pairs_are_signed_and_wrong_signatures_refused(signed):
    few = MinHash(num_hashes=32, bands=4, rows=8)
    pairs = pairs_of_known_jaccard(0, [1.0], n=2, num_shingles=20)
    assert measure_detection(pairs, few)["hits"].to_list() == [2]
    with pytest.raises(ConfigError, match=r"signed with 2,048 hashes, not 32"):
        measure_detection(signed, few)


def test_half_detection_is_read_off_between_two_points():
    points = pl.DataFrame({"jaccard": [0.98, 0.96, 0.97], "frac_detected": [0.8, 0.0, 0.4]})
    assert half_detection(points) == pytest.approx(0.9725)
    with pytest.raises(ConfigError, match="never cross a detection of one half"):
        half_detection(points.filter(pl.col("frac_detected") < 0.5))


def test_curve_is_the_formula_and_names_its_setting():
    curve = detection_curve(PAPER, 0.9, 1, 11)
    assert curve["jaccard"].to_list() == pytest.approx([0.9 + 0.01 * at for at in range(11)])
    assert curve["probability"].to_list() == pytest.approx([PAPER.probability(0.9 + 0.01 * at) for at in range(11)])
    assert curve.select("bands", "rows").unique().row(0) == (16, 128)
    assert describe_splits([PAPER, OTHER])["threshold"].to_list() == pytest.approx([0.97857, 0.73837], abs=1e-4)


def judged():
    rows = [
        {"doc_id": "1", "text": "aaaa", "removed_by": NEAR, "survivor": "2", "measured": 0.98},
        {"doc_id": "2", "text": "aaaa"},
        {"doc_id": "3", "text": "bb", "removed_by": "exact.duplicate", "survivor": "2"},
        {"doc_id": "4", "text": "cc", "origin": "planted", "truth": NEAR, "removed_by": NEAR, "survivor": "5"},
        {"doc_id": "5", "text": "c", "origin": "planted", "truth": "clean"},
        {"doc_id": "6", "text": "d", "origin": "planted", "truth": NEAR},
        {"doc_id": "7", "text": "aa aa", "removed_by": SAME, "survivor": "2", "measured": 1.0},
        {"doc_id": "8", "text": "bbbbb"},
    ]
    planted = pl.Series("planted_jaccard", [None, None, None, 0.99, None, 0.5, None, None])
    return files_of(*rows).with_columns(planted)


def test_planted_pairs_say_what_was_caught_beside_the_chance():
    assert planted_pairs(judged(), PAPER).rows() == [
        ("4", 0.99, True, PAPER.probability(0.99)),
        ("6", 0.5, False, PAPER.probability(0.5)),
    ]


def test_outcome_counts_real_files_that_reached_the_stage():
    assert outcome(judged(), PAPER) == {
        "split": "16 x 128",
        "files_removed": 2,
        "frac_files": 2 / 4,
        "frac_bytes": 9 / 18,
        "lowest_measured": 0.98,
        "precision": 1.0,
        "recall": 0.5,
    }


# One assumption changed at a time


def test_sensitivity_runs_the_stage_under_each_change():
    start = words(1, 90)
    files = named(
        capitals="alpha Beta gamma delta epsilon zeta",  # 2 shingles, both with the capital
        small="alpha beta gamma delta epsilon zeta",
        once=" ".join(start),  # 86 shingles
        layout="\n".join(start),
        changed=" ".join([*start[:-9], *words(2, 9)]),  # 77 of 95 in common with the two before
    )
    loose, strict = MinHash(num_hashes=128, bands=64, rows=2), MinHash(num_hashes=128, bands=2, rows=64)
    changes = {
        "as it is": {},
        "no short files": {"min_shingles": 3},
        "checked": {"verify": 0.99},
        "small letters": {"fold_case": True},
        "as it is again": {},
    }
    found = sensitivity(files, [loose, strict], changes)
    assert found.select("change", "split", "files_removed").rows()[::2] == [
        ("as it is", "64 x 2", 2),  # layout and changed
        ("no short files", "64 x 2", 2),
        ("checked", "64 x 2", 1),  # changed is too unlike
        ("small letters", "64 x 2", 3),
        ("as it is again", "64 x 2", 2),
    ]
    # At 0.81 two bands of 64 find one pair in 345,000; the equal sets they find as everyone.
    assert found.filter(pl.col("split") == "2 x 64")["files_removed"].to_list() == [1, 1, 1, 2, 1]
    assert found["frac_files"].to_list() == [count / 5 for count in found["files_removed"]]


def test_short_files_are_removed_unless_a_least_length_is_asked():
    files = named(one="a b c d e", two="a, b, c, d, e", long=" ".join(words(1, 30)))
    found = sensitivity(files, [MinHash()], {"all": {}, "longer": {"min_shingles": 2}})
    assert found["files_removed"].to_list() == [1, 0]


# A corpus' own pairs


def test_pairs_of_a_band_by_hand():
    ids = pl.Series(["b", "a", "c", "d"])
    keys = np.array([[1, 10], [1, 11], [2, 10], [3, 12]], np.uint64)  # b-a share the first band, b-c the second
    pairs, num_cut = pairs_in_bands(ids, keys)
    assert pairs.rows() == [("a", "b"), ("b", "c")]
    assert num_cut == 0


def test_a_full_band_gives_each_file_its_next_neighbours_only_and_says_so():
    ids, keys = pl.Series(list("abcde")), np.ones((5, 1), np.uint64)
    pairs, num_cut = pairs_in_bands(ids, keys, most=2)
    assert ["".join(pair) for pair in pairs.rows()] == ["ab", "ac", "bc", "bd", "cd", "ce", "de"]
    assert num_cut == 1
    pairs, num_cut = pairs_in_bands(ids, keys, most=4)
    assert (pairs.height, num_cut) == (10, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(4, 6)), max_size=9))
def test_pairs_of_bands_are_those_of_comparing_all(bands):
    ids = pl.Series([f"id{at}" for at in range(len(bands))], dtype=pl.String)
    keys = np.array(bands, np.uint64).reshape(-1, 2)
    expected = [
        (f"id{one}", f"id{other}")
        for one, other in combinations(range(len(bands)), 2)
        if (keys[one] == keys[other]).any()
    ]
    assert sorted(pairs_in_bands(ids, keys)[0].rows()) == expected


def test_similar_pairs_have_their_exact_similarity():
    files = named(
        base="a b c d e f g h i j",  # 6 shingles
        layout="a b c d e\nf g h i j",
        last="a b c d e f g h i Z",  # 5 in common, 7 in all
        far=" ".join(words(1, 50)),
        empty="",
        symbols="+",
    )
    pairs, num_cut = similar_pairs(files, shingle_sets(files, PAPER), PAPER)
    assert pairs.rows() == [("base", "last", 5 / 7), ("base", "layout", 1.0), ("last", "layout", 5 / 7)]
    assert num_cut == 0
    short = replace(PAPER, min_shingles=7)
    assert similar_pairs(files, shingle_sets(files, short), short)[0].is_empty()


def test_similar_pairs_are_compared_by_the_shingles_of_the_setting():
    files = named(one="Alpha beta gamma delta epsilon", two="alpha beta gamma delta epsilon")
    folded = replace(PAPER, fold_case=True)
    assert similar_pairs(files, shingle_sets(files, folded), folded)[0]["jaccard"].to_list() == [1.0]
    assert similar_pairs(files, shingle_sets(files, PAPER), PAPER)[0].is_empty()


@pytest.fixture(scope="module")
def corpus():
    """Files with copies of many similarities: (files, sets, true pairs, signatures, Jaccard of all pairs)."""
    files = near_corpus(seed=2, groups=40)
    setting = MinHash(num_hashes=64, bands=8, rows=8)
    sets = shingle_sets(files, setting)
    texts = dict(files.select("doc_id", "text").iter_rows())
    known = {pair: jaccard(*(shingles(texts[name]) for name in pair)) for pair in combinations(sorted(texts), 2)}
    return files, sets, similar_pairs(files, sets, setting)[0], signatures(files, setting), known


def test_the_sensitive_index_brings_every_pair_above_seven_tenths(corpus):
    _, _, truth, _, known = corpus
    found = {(one, other): value for one, other, value in truth.iter_rows()}
    wanted = {pair: value for pair, value in known.items() if value >= 0.7}
    assert len(wanted) > 20
    assert {pair: found[pair] for pair in wanted} == wanted
    assert all(known[pair] == value for pair, value in found.items())


@pytest.mark.parametrize("split", [(8, 8), (32, 2), (4, 16)])
def test_precision_and_recall_of_a_split_are_those_of_comparing_all(corpus, split):
    _, sets, truth, signed, known = corpus
    split = MinHash(num_hashes=64, bands=split[0], rows=split[1])
    values = dict(
        zip(signed["doc_id"], signed["signature"].to_numpy().reshape(-1, split.bands, split.rows), strict=True)
    )
    empty = set(signed.filter(pl.col("num_shingles") == 0)["doc_id"])
    hit = {pair for pair in known if (values[pair[0]] == values[pair[1]]).all(axis=1).any() and not empty & set(pair)}
    near = {pair for pair, value in known.items() if value >= split.threshold}
    judged = judge_split(truth, sets, signed, split)
    assert judged["split"] == f"{split.bands} x {split.rows}"
    assert judged["pairs_found"] == len(hit) > 5
    assert judged["precision"] == pytest.approx(len(hit & near) / len(hit))
    assert judged["precision_at_0.05_less"] == pytest.approx(
        sum(known[pair] >= split.threshold - 0.05 for pair in hit) / len(hit)
    )
    assert (judged["true_pairs"], judged["true_pairs_found"]) == (len(near), len(hit & near))
    assert judged["recall"] == pytest.approx(len(hit & near) / len(near))
    expected = [1 - (1 - known[pair] ** split.rows) ** split.bands for pair in near]
    assert judged["expected_recall"] == pytest.approx(sum(expected) / len(near))


def test_shares_of_no_pair_are_unknown_and_not_zero():
    files = named(one=" ".join(words(1, 50)), two=" ".join(words(2, 50)))
    sets, signed = shingle_sets(files, PAPER), signatures(files, PAPER)
    judged = judge_split(similar_pairs(files, sets, PAPER)[0], sets, signed, PAPER)
    assert [judged[name] for name in ("pairs_found", "true_pairs", "true_pairs_found")] == [0, 0, 0]
    assert [judged[name] for name in ("precision", "precision_at_0.05_less", "recall", "expected_recall")] == [None] * 4


def test_pairs_by_similarity_count_each_step_from_its_lower_edge():
    truth = pl.DataFrame(
        [("a", "b", 1.0), ("a", "c", 0.9), ("b", "c", 0.9), ("c", "d", 0.5), ("b", "d", 0.49)],
        schema=["one", "other", "jaccard"],
        orient="row",
    )
    split = MinHash(num_hashes=4, bands=2, rows=2)
    rows = {"a": [1, 2, 3, 4], "b": [1, 2, 3, 4], "c": [9, 2, 3, 4], "d": [9, 9, 9, 9]}
    signed = pl.DataFrame(
        {"doc_id": list(rows), "signature": pl.Series(list(rows.values()), dtype=pl.Array(pl.UInt32, 4))}
    )
    assert finds(truth, signed, split).to_list() == [True, True, True, False, False]
    steps = pairs_by_similarity(truth, signed, [split], edges=(0.5, 0.9, 1.0))
    assert steps.rows() == [("0.5 to 0.9", 1, 0), ("0.9 to 1", 2, 2), ("1", 1, 1)]
