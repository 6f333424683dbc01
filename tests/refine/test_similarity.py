"""Exact Jaccard of chosen pairs: what Python's sets say, compiled or not, in any order and from any shards."""

import numpy as np
import polars as pl
import pytest
from compared_texts import named, words
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.refine import similarity
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.refine.similarity import jaccard_of_pairs, shingle_sets
from opencoder_lib.shingles import UNITS, jaccard, shingles

BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
WORDS = MinHash(ngram=1)


def test_jaccard_counted_by_hand():
    sets = shingle_sets(named(a="x y z", b="y z", c="y z u v", d="p", none=""), WORDS)
    pairs = [("a", "b", 2 / 3), ("a", "c", 2 / 5), ("b", "c", 2 / 4), ("a", "d", 0), ("a", "none", 0), ("c", "c", 1)]
    found = jaccard_of_pairs(sets, [one for one, _, _ in pairs], [other for _, other, _ in pairs])
    assert found.dtype == np.float64
    assert found.tolist() == [expected for _, _, expected in pairs]


def test_two_empty_sets_are_not_alike():
    sets = shingle_sets(named(a="", b="()", c="x"), WORDS)
    assert jaccard_of_pairs(sets, ["a", "a", "b"], ["b", "a", "c"]).tolist() == [0, 0, 0]


@BOTH
def test_no_texts_and_no_pairs_give_no_rows(monkeypatch, compiled):
    monkeypatch.setattr(similarity, "has_compiled_loops", lambda: compiled)
    sets = shingle_sets(named(a="x", b="").clear(), WORDS)
    assert sets.schema == {"doc_id": pl.String, "shingles": pl.List(pl.UInt64)}
    assert sets.height == 0
    assert jaccard_of_pairs(sets, [], []).shape == (0,)
    assert jaccard_of_pairs(shingle_sets(named(a="", b=""), WORDS), [], []).shape == (0,)
    assert shingle_sets(named(a="", b=""), WORDS)["shingles"].to_list() == [[], []]


@BOTH
def test_a_set_is_ascending_and_as_large_as_the_set_of_shingles(monkeypatch, compiled):
    monkeypatch.setattr(similarity, "has_compiled_loops", lambda: compiled)
    # More shingles than there is room for at first, after and before texts without any; then repeated ones.
    texts = {"a": "", "b": " ".join(words(1, 3000)), "c": "a a a a a a", "d": " ".join(words(2, 9000)), "e": ""}
    sets = shingle_sets(named(**texts), MinHash())
    assert sets["doc_id"].to_list() == list(texts)
    assert sets["shingles"].list.len().to_list() == [0, 2996, 1, 8996, 0]
    for found in sets["shingles"]:
        assert (np.diff(found.to_numpy().astype(object)) > 0).all()


@BOTH
@settings(max_examples=120, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="abAB \n.\0é中", max_size=30), min_size=1, max_size=5),
    ngram=st.integers(1, 6),
    unit=st.sampled_from(UNITS),
    fold_case=st.booleans(),
)
def test_every_pair_of_random_texts_has_the_jaccard_of_their_sets(compiled, texts, ngram, unit, fold_case):
    minhash = MinHash(ngram=ngram, unit=unit, fold_case=fold_case)
    names = [str(at) for at in range(len(texts))]
    one, other = [name for name in names for _ in names], names * len(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "has_compiled_loops", lambda: compiled)
        found = jaccard_of_pairs(shingle_sets(named(**dict(zip(names, texts, strict=True))), minhash), one, other)
    own = [shingles(text, ngram, unit, fold_case) for text in texts]
    assert found.tolist() == [jaccard(own[int(left)], own[int(right)]) for left, right in zip(one, other, strict=True)]


HOSTILE = {
    "crlf": "one = 1\r\ntwo = 2\r\nthree = 3\r\n",
    "cr": "one = 1\rtwo = 2\rthree = 3\r",
    "nul": "a\x00b\x1bc d e f g",
    "scripts": "größe = naïve(x, y, z, w) # 注释 中文 \U0001f40d",
    "token": "x" * 1_000_000,
    "line": "ab " * 350_000,
    "megabyte": " ".join(words(3, 60_000)),
    "most": " ".join([*words(3, 59_000), *words(4, 1000)]),
}


@BOTH
@pytest.mark.parametrize("unit", ["word", "any_script", "space"])
def test_hostile_texts_have_the_jaccard_of_their_sets(monkeypatch, compiled, unit):
    monkeypatch.setattr(similarity, "has_compiled_loops", lambda: compiled)
    pairs = [("crlf", "cr"), ("nul", "scripts"), ("token", "line"), ("megabyte", "most"), ("line", "line")]
    sets = shingle_sets(named(**HOSTILE), MinHash(unit=unit))
    found = jaccard_of_pairs(sets, *zip(*pairs, strict=True))
    expected = [jaccard(*(shingles(HOSTILE[name], unit=unit) for name in pair)) for pair in pairs]
    assert found.tolist() == expected
    assert expected[3] == 58_996 / (2 * 59_996 - 58_996)


@BOTH
def test_slices_chunks_and_shards_in_any_order_give_the_same(monkeypatch, compiled):
    monkeypatch.setattr(similarity, "has_compiled_loops", lambda: compiled)
    files = named(**{f"{at:02d}": " ".join(words(at // 2, 20 + at)) for at in range(12)}, empty="")
    one, other = ["00", "02", "05", "empty", "11"], ["01", "03", "04", "00", "10"]
    whole = jaccard_of_pairs(shingle_sets(files, MinHash()), one, other)
    # Of two files that begin alike the first has 16 + at shingles, all of them in the other, which has one more.
    assert whole.tolist() == [16 / 17, 18 / 19, 20 / 21, 0, 26 / 27]
    shards = [files[7:], files[3:7], files[:3]]
    parts = pl.concat([shingle_sets(shard, MinHash()) for shard in shards])
    assert jaccard_of_pairs(parts, one, other).tolist() == whole.tolist()
    chunked = pl.concat(shards, rechunk=False)
    assert jaccard_of_pairs(shingle_sets(chunked, MinHash()), one, other).tolist() == whole.tolist()
    assert shingle_sets(files[5:9], MinHash()).equals(shingle_sets(files, MinHash())[5:9])


def test_pairs_may_be_frame_columns_repeated_or_turned_round():
    sets = shingle_sets(named(a="x y z", b="y z"), WORDS)
    pairs = pl.DataFrame({"one": ["a", "b", "a"], "other": ["b", "a", "b"]})
    assert jaccard_of_pairs(sets, pairs["one"], pairs["other"]).tolist() == [2 / 3] * 3


def test_the_hash_of_a_shingle_in_signatures_changes_nothing():
    files = named(a="x y z", b="y z")
    assert shingle_sets(files, WORDS).equals(shingle_sets(files, MinHash(ngram=1, shingle_hash="sha1", seed=9)))
