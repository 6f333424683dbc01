"""Fuzzy deduplication: shingles by hand, signatures equal to datasketch's, the same groups in any order and shards."""

import re
import tracemalloc
from datetime import datetime

import datasketch
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.corpora import plant_defects
from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import content_hash, new_files, score
from opencoder_lib.refine import exact
from opencoder_lib.refine.detection import planted_pairs
from opencoder_lib.refine.minhash import (
    REASON,
    MinHash,
    as_sketches,
    decide,
    drop_near_duplicates,
    estimate_jaccard,
    keys,
    links,
    mark,
    signature_matrix,
)
from opencoder_lib.seeds import rng
from opencoder_lib.shingles import jaccard, shingles

PAPER = MinHash()
SMALL = MinHash(num_hashes=128, bands=16, rows=8)
OLD, NEW = datetime(2015, 1, 1), datetime(2023, 11, 1)

HOSTILE = {
    "empty": "",
    "one token": "word",
    "four tokens": "a b c d",
    "five tokens": "a b c d e",
    "no token": "+-*/ () \n\t",
    "other scripts only": "中文 текст ελληνικά \U0001f40d",
    "mixed scripts": "größe = naïve(x, y, z, w) # 注释",
    "one line of 1 MB": "ab " * 350_000,
    "one token of 1 MB": "x" * 1_000_000,
    "CR only": "one = 1\rtwo = 2\rthree = 3\r",
    "NUL and control characters": "a\x00b\x1bc d e f g",
    "digits above ASCII": "x ١٢٣ y ² z ｗ v u t",
}


def words(seed, count):
    return [f"w{value:x}" for value in rng(seed, "test words").integers(2**62, size=count)]


def files_of(*rows):
    return new_files([{"path": f"{at}.py", "origin": "folder"} | row for at, row in enumerate(rows)])


# Shingles and similarity, by hand


def test_shingles_are_five_tokens_joined_by_one_space():
    assert shingles("def f(a, b):\n    return a") == {"def f a b return", "f a b return a"}


def test_layout_and_punctuation_do_not_count_but_case_and_underscores_do():
    assert shingles("a, b;c\n\td  e") == shingles("a b c d e")
    assert shingles("A b c d e") != shingles("a b c d e")
    assert shingles("a_b c d e f") == {"a_b c d e f"}


def test_a_short_file_is_one_shingle_and_a_file_without_tokens_has_none():
    assert shingles("only three tokens") == {"only three tokens"}
    assert shingles("") == shingles("…") == shingles("中文") == set()


def test_a_repeated_shingle_counts_once():
    assert shingles("a a a a a a a a") == {"a a a a a"}


def test_length_of_a_shingle_is_a_setting():
    assert shingles("a b c", ngram=2) == {"a b", "b c"}


def test_jaccard_of_one_changed_word_counted_by_hand():
    left = shingles("a b c d e f g h i j")  # 6 shingles
    right = shingles("a b c d e f g h i Z")  # the last one differs: 5 in common, 7 in all
    assert jaccard(left, right) == 5 / 7
    assert jaccard(left, left) == 1
    assert jaccard(set(), left) == jaccard(set(), set()) == 0


# The setting


def test_threshold_and_chances_of_the_papers_setting():
    assert PAPER.threshold == pytest.approx(0.97857, abs=1e-5)
    # Derived by hand from 1 - (1 - J^128)^16.
    assert PAPER.probability(0.95) == pytest.approx(0.0223, abs=1e-4)
    assert PAPER.probability(0.99) == pytest.approx(0.9943, abs=1e-4)
    assert PAPER.probability(1.0) == 1
    assert PAPER.probability(0.0) == 0
    assert PAPER.jaccard_at(0.5) == pytest.approx(0.9756, abs=1e-4)


@given(chance=st.floats(0.001, 0.999), split=st.sampled_from([(16, 128), (128, 16), (64, 32)]))
def test_jaccard_at_inverts_probability(chance, split):
    setting = MinHash(bands=split[0], rows=split[1])
    assert setting.probability(setting.jaccard_at(chance)) == pytest.approx(chance, rel=1e-6)


def test_probability_takes_arrays_and_expressions():
    grid = np.array([0.9, 0.98])
    frame = pl.DataFrame({"j": grid}).select(j=PAPER.probability(pl.col("j")))
    assert frame["j"].to_list() == pytest.approx(PAPER.probability(grid).tolist())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rows": 100}, "bands * rows must equal num_hashes: 16 * 100 = 1,600, not 2,048. Try rows=128."),
        ({"bands": 15}, "bands * rows must equal num_hashes: 15 * 128 = 1,920, not 2,048. Try bands=16."),
        ({"bands": 3, "rows": 5}, "3 * 5 = 15, not 2,048. Try num_hashes=15."),
        ({"ngram": 0}, "ngram must be an integer of at least 1, it is 0."),
        ({"seed": -1}, "seed must be an integer of at least 0, it is -1."),
        ({"rows": 128.0}, "rows must be an integer of at least 1, it is 128.0."),
        ({"bands": True}, "bands must be an integer of at least 2, it is True."),
        ({"num_hashes": "2048"}, "num_hashes must be an integer of at least 2, it is '2048'."),
        ({"bands": 1, "rows": 2048}, "bands must be an integer of at least 2, it is 1."),
    ],
)
def test_a_setting_that_cannot_work_says_why_and_what_to_try(wrong, said):
    with pytest.raises(ConfigError) as raised:
        MinHash(**wrong)
    assert said in str(raised.value)


# Signatures


def reference(text, minhash):
    """datasketch as its documentation shows it, one value at a time."""
    sketch = datasketch.MinHash(num_perm=minhash.num_hashes, seed=minhash.seed)
    tokens = re.findall("[A-Za-z0-9_]+", text)
    last = max(1, len(tokens) - minhash.ngram + 1) if tokens else 0
    for start in range(last):
        sketch.update(" ".join(tokens[start : start + minhash.ngram]).encode())
    return sketch.hashvalues


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "one line of 1 MB"])
def test_signature_of_hostile_text_equals_datasketch(name):
    matrix, _ = signature_matrix([HOSTILE[name]], PAPER)
    assert (matrix[0] == reference(HOSTILE[name], PAPER)).all()


def test_one_line_of_a_megabyte_has_two_shingles():
    matrix, counts = signature_matrix([HOSTILE["one line of 1 MB"], "ab ab ab ab ab"], PAPER)
    assert counts.tolist() == [1, 1]
    assert (matrix[0] == matrix[1]).all()


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(alphabet="ab_9 \n\r.é中", max_size=60), max_size=4), ngram=st.integers(1, 6))
def test_signatures_of_random_texts_equal_datasketch(texts, ngram):
    minhash = MinHash(ngram=ngram, num_hashes=64, bands=8, rows=8, seed=7)
    matrix, counts = signature_matrix(texts, minhash)
    assert matrix.shape == (len(texts), 64)
    for text, signature, count in zip(texts, matrix, counts, strict=True):
        assert (signature == reference(text, minhash)).all()
        assert count == len(shingles(text, ngram))


def test_estimate_equals_datasketch_and_is_near_the_true_similarity():
    start, tail, other = words(1, 900), words(2, 50), words(3, 50)
    left, right = " ".join(start + tail), " ".join(start + other)
    signed = keys(files_of({"text": left, "doc_id": "a"}, {"text": right, "doc_id": "b"}), PAPER)
    estimate = estimate_jaccard(signed, ["a"], ["b"])[0]
    sketches = [sketch for _, sketch in as_sketches(signed, PAPER)]
    assert estimate == sketches[0].jaccard(sketches[1])
    true = jaccard(shingles(left), shingles(right))
    assert true == 896 / 996
    # Four standard errors of a share of 2,048.
    assert abs(estimate - true) < 4 * (true * (1 - true) / 2048) ** 0.5


def test_a_large_file_needs_no_large_matrix():
    text = " ".join(words(4, 40_000))  # 40,000 shingles x 2,048 hashes would be 330 MB at once
    tracemalloc.start()
    signature_matrix([text], PAPER)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


# The stage


def test_survivor_has_most_stars_then_newest_commit_and_measured_is_the_estimate():
    start = words(5, 2000)
    copies = [" ".join([*start, f"tail{at}"]) for at in range(3)]  # J = 1996 / 1998 between any two
    files = files_of(
        {"doc_id": "fewer", "text": copies[0], "stars": 1, "committed_at": NEW},
        {"doc_id": "older", "text": copies[1], "stars": 8, "committed_at": OLD},
        {"doc_id": "kept", "text": copies[2], "stars": 8, "committed_at": NEW},
        {"doc_id": "other", "text": " ".join(words(6, 2000)), "stars": 0},
    )
    after = drop_near_duplicates(files)
    assert after.select("removed_by", "survivor").rows() == [
        (REASON, "kept"),
        (REASON, "kept"),
        (None, None),
        (None, None),
    ]
    signed = keys(files, PAPER)
    assert after["measured"].to_list()[:2] == estimate_jaccard(signed, ["fewer", "older"], ["kept", "kept"]).tolist()
    assert after["measured"][0] > 0.99


def test_files_that_differ_in_layout_only_are_near_duplicates_with_similarity_one():
    after = drop_near_duplicates(files_of({"text": "def f(a):\n  return a + 1"}, {"text": "def f( a ):\r  return a+1"}))
    assert after["measured"].drop_nulls().to_list() == [1.0]


def test_files_without_tokens_are_never_near_duplicates():
    after = drop_near_duplicates(files_of(*({"text": text} for text in ("", "()", "中文", "текст", "\n"))))
    assert after["removed_by"].null_count() == 5


def test_one_changed_word_in_a_short_file_escapes_and_in_a_long_file_does_not():
    short, long = words(7, 60), words(8, 6000)
    pairs = [" ".join([*text[:at], f"new{at}", *text[at + 1 :]]) for text in (short, long) for at in (30, 31)]
    after = drop_near_duplicates(files_of(*({"text": text} for text in pairs)))
    assert after["removed_by"].is_not_null().sum() == 1
    assert after["removed_by"].to_list()[:2] == [None, None]


def near_corpus(seed=0, groups=14):
    """Groups of one to four versions of a text, from all but equal to half different, with stars and dates."""
    draws, rows = rng(seed, "near corpus"), []
    for group in range(groups):
        text = words(100 + group, int(draws.integers(1, 200)))
        for _ in range(int(draws.integers(1, 5))):
            version = list(text)
            for at in draws.integers(len(text), size=int(draws.integers(0, 1 + len(text) // 25))):
                version[at] += "x"
            stars = None if draws.random() < 0.3 else int(draws.integers(3))
            rows.append(
                {"text": " ".join(version), "stars": stars, "committed_at": [None, OLD, NEW][draws.integers(3)]}
            )
    return files_of(*rows)


def partition_by_datasketch(files, minhash):
    """Groups found by datasketch used directly: insert everything, ask for each file, follow the answers."""
    index = datasketch.MinHashLSH(num_perm=minhash.num_hashes, params=(minhash.bands, minhash.rows))
    sketches = {}
    for doc_id, text in files.select("doc_id", "text").iter_rows():
        sketch = datasketch.MinHash(num_perm=minhash.num_hashes, seed=minhash.seed)
        sketch.update_batch([shingle.encode() for shingle in shingles(text, minhash.ngram)])
        sketches[doc_id] = sketch
        index.insert(doc_id, sketch)
    groups, seen = [], set()
    for start in sketches:
        if start not in seen:
            group, todo = {start}, [start]
            while todo:
                todo.extend(new := set(index.query(sketches[todo.pop()])) - group)
                group |= new
            seen |= group
            groups.append(sorted(group))
    return sorted(groups)


@pytest.mark.parametrize("minhash", [SMALL, MinHash(num_hashes=128, bands=64, rows=2)], ids=["16x8", "64x2"])
def test_partition_equals_datasketch_used_directly(minhash):
    files = exact.drop_exact_duplicates(near_corpus()).filter(pl.col("removed_by").is_null())
    after = drop_near_duplicates(files, minhash)
    ours = after.with_columns(group=pl.coalesce("survivor", "doc_id")).group_by("group").agg("doc_id")["doc_id"]
    groups = sorted(sorted(group) for group in ours)
    assert groups == partition_by_datasketch(files, minhash)
    assert 1 < len(groups) < files.height


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 999), num_shards=st.integers(1, 4), order=st.randoms(use_true_random=False))
def test_stage_contract_holds_for_any_order_and_any_sharding(seed, num_shards, order):
    before = exact.drop_exact_duplicates(near_corpus(seed, groups=5))
    after = assert_stage_contract(lambda files: drop_near_duplicates(files, SMALL), before)
    gone = after.filter(pl.col("removed_by") == REASON)
    left = after.filter(pl.col("removed_by").is_null())
    assert set(gone["survivor"]) <= set(left["doc_id"])
    assert gone["measured"].is_between(0, 1).all()

    shuffled = before[order.sample(range(before.height), before.height)]
    shards = [shuffled[at::num_shards] for at in range(num_shards)]
    signatures = pl.concat([keys(shard, SMALL) for shard in shards])
    who = pl.concat([shard.select("doc_id", "stars", "committed_at") for shard in shards])
    decisions = decide(who, signatures, links(signatures, SMALL))
    assert content_hash(pl.concat([mark(shard, decisions) for shard in shards])) == content_hash(after)


@settings(max_examples=40, deadline=None)
@given(file_frames())
def test_fuzzy_deduplication_keeps_the_stage_contract(files):
    assert_stage_contract(lambda frame: drop_near_duplicates(frame, SMALL), files)


def test_planted_near_duplicates_are_caught_as_often_as_the_formula_says():
    planted = plant_defects().filter(pl.col("repo") == "planted/fuzzy.near_duplicate")
    after = drop_near_duplicates(planted)
    pairs = planted_pairs(after, PAPER)
    spread = (pairs["expected"] * (1 - pairs["expected"])).sum() ** 0.5
    assert abs(pairs["caught"].sum() - pairs["expected"].sum()) < 3 * spread
    gone = after.filter(pl.col("removed_by") == REASON)
    assert gone["survivor"].to_list() == gone["planted_source"].to_list()
    assert (gone["measured"] - gone["planted_jaccard"]).abs().max() < 0.02
    assert score(after, "fuzzy")["precision"] == 1.0


def test_links_of_parts_join_into_the_components_of_the_whole():
    files = near_corpus(3)
    signatures = keys(files, SMALL)
    # Any two parts that together show every pair of files once: a cluster's buckets are such parts.
    thirds = [signatures[at::3] for at in range(3)]
    parts = [links(pl.concat([thirds[one], thirds[two]]), SMALL) for one, two in ((0, 1), (1, 2), (0, 2))]
    whole = decide(files, signatures, links(signatures, SMALL))
    assert decide(files, signatures, pl.concat(parts)).equals(whole)


def test_identical_token_sets_give_links_that_grow_with_the_files_not_with_their_pairs():
    files = files_of(*({"text": "a b c d e f" + "\n" * at, "doc_id": f"{at:04d}"} for at in range(1500)))
    signatures = keys(files, SMALL)
    found = links(signatures, SMALL)
    assert found.height == 1499
    assert found["group"].unique().to_list() == ["0000"]


def test_a_chain_joins_files_whose_measured_similarity_is_low():
    text = words(9, 400)
    steps = [text]
    for at in range(1, 12):
        steps.append([*steps[-1][:-1][1:], f"step{at}", f"more{at}"])
    after = drop_near_duplicates(
        files_of(*({"text": " ".join(step), "doc_id": f"{at:02d}"} for at, step in enumerate(steps))),
        MinHash(num_hashes=2048, bands=256, rows=8),
    )
    gone = after.filter(pl.col("removed_by") == REASON)
    assert gone["survivor"].unique().to_list() == ["00"]
    assert gone["measured"].is_sorted(descending=True)
    assert gone["measured"][-1] < 0.96 < gone["measured"][0]


# Signatures made before


def test_the_same_signatures_serve_another_split():
    files = near_corpus(4)
    signatures = keys(files, SMALL)
    other = MinHash(num_hashes=128, bands=64, rows=2)
    assert drop_near_duplicates(files, other, signatures).equals(drop_near_duplicates(files, other))


def test_signatures_of_another_length_or_of_other_files_are_refused():
    files = near_corpus(5, groups=2)
    with pytest.raises(SchemaError, match="have 128 values, the setting says num_hashes=2,048"):
        drop_near_duplicates(files, PAPER, keys(files, SMALL))
    with pytest.raises(SchemaError, match=r"lack 1 of \d+ files, the first is '0.py'"):
        drop_near_duplicates(files, SMALL, keys(files[1:], SMALL))


def test_signatures_of_files_that_are_gone_meanwhile_change_nothing():
    rows = [{"text": "a b c d e f", "stars": 9}, {"text": "a b c d e\nf"}]
    files = files_of(rows[0] | {"removed_by": "exact.duplicate"}, rows[1])
    assert drop_near_duplicates(files, SMALL, keys(files_of(*rows), SMALL)).equals(files)


def test_an_empty_frame_stays_empty():
    nothing = files_of({"text": "a"}).clear()
    assert drop_near_duplicates(nothing).equals(nothing)
