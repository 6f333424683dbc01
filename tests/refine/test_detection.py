"""Known pairs, measured detection and the S-curve."""

import datasketch
import polars as pl
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files
from opencoder_lib.refine.detection import (
    describe_splits,
    detection_curve,
    half_detection,
    measure_detection,
    outcome,
    pairs_of_known_jaccard,
    planted_pairs,
    sign_pairs,
)
from opencoder_lib.refine.minhash import REASON, MinHash, as_sketches

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
        {"doc_id": "1", "text": "aaaa", "removed_by": REASON, "survivor": "2", "measured": 0.98},
        {"doc_id": "2", "text": "aaaa"},
        {"doc_id": "3", "text": "bb", "removed_by": "exact.duplicate", "survivor": "2"},
        {"doc_id": "4", "text": "cc", "origin": "planted", "truth": REASON, "removed_by": REASON, "survivor": "5"},
        {"doc_id": "5", "text": "c", "origin": "planted", "truth": "clean"},
        {"doc_id": "6", "text": "d", "origin": "planted", "truth": REASON},
    ]
    planted = pl.Series("planted_jaccard", [None, None, None, 0.99, None, 0.5])
    return new_files([{"path": f"{row['doc_id']}.py", "origin": "folder"} | row for row in rows]).with_columns(planted)


def test_planted_pairs_say_what_was_caught_beside_the_chance():
    assert planted_pairs(judged(), PAPER).rows() == [
        ("4", 0.99, True, PAPER.probability(0.99)),
        ("6", 0.5, False, PAPER.probability(0.5)),
    ]


def test_outcome_counts_real_files_that_reached_the_stage():
    assert outcome(judged(), PAPER) == {
        "split": "16 x 128",
        "files_removed": 1,
        "frac_of_files": 0.5,
        "frac_of_bytes": 0.5,
        "lowest_measured": 0.98,
        "precision": 1.0,
        "recall": 0.5,
    }
