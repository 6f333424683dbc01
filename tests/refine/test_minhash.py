"""MinHash: what can be set, signatures equal to datasketch's bit for bit, compiled or not, and the keys of bands."""

import itertools

import datasketch
import numpy as np
import polars as pl
import pytest
from compared_texts import HOSTILE, by_datasketch, words
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.errors import ConfigError
from opencoder_lib.refine import minhash as minhash_module
from opencoder_lib.refine import minhash_numpy
from opencoder_lib.refine.minhash import MinHash, band_keys_of, sketch
from opencoder_lib.seeds import rng
from opencoder_lib.shingles import UNITS, shingles, tokens

PAPER = MinHash()
SMALL = MinHash(num_hashes=128, bands=16, rows=8)
BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
HASHES = pytest.mark.parametrize("shingle_hash", ["fast", "sha1"])


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
        ({"min_shingles": 0}, "min_shingles must be an integer of at least 1, it is 0."),
        ({"unit": "words"}, "unit='words' is not a unit of shingles. Did you mean word?"),
        ({"shingle_hash": "md5"}, "shingle_hash='md5' is none of fast, sha1."),
        ({"verify": 0}, "verify=0 is a Jaccard similarity: above 0, at most 1, or null for no check."),
        ({"verify": 80}, "verify=80 is a Jaccard similarity: above 0, at most 1"),
        ({"verify": float("nan")}, "verify=nan is a Jaccard similarity"),
        ({"verify": "0.8"}, "verify='0.8' is a Jaccard similarity"),
        ({"verify": True}, "verify=True is a Jaccard similarity"),
        ({"seed": 2**32}, "seed must be below 2^32, as datasketch's must; it is 4294967296."),
    ],
)
def test_a_setting_that_cannot_work_says_why_and_what_to_try(wrong, said):
    with pytest.raises(ConfigError) as raised:
        MinHash(**wrong)
    assert said in str(raised.value)


# Bit for bit what datasketch gives


@BOTH
@HASHES
@pytest.mark.parametrize(("unit", "seed"), [("word", 1), ("any_script", 7), ("space", 42)])
def test_signatures_of_hostile_texts_equal_datasketch(compiled, shingle_hash, unit, seed):
    minhash = MinHash(num_hashes=256, bands=16, rows=16, seed=seed, unit=unit, shingle_hash=shingle_hash)
    made = sketch(list(HOSTILE.values()), minhash, with_signatures=True, compiled=compiled)
    assert made.signatures.dtype == np.uint32
    for name, text, count, signature in zip(HOSTILE, HOSTILE.values(), made.num_shingles, made.signatures, strict=True):
        assert (signature == by_datasketch(text, minhash).hashvalues).all(), name
        assert count == len(shingles(text, unit=unit)), name


@BOTH
@HASHES
def test_signatures_of_hostile_characters_equal_datasketch(compiled, shingle_hash):
    minhash = MinHash(unit="character", num_hashes=128, bands=16, rows=8, shingle_hash=shingle_hash)
    texts = [text[:2000] for text in HOSTILE.values()]
    made = sketch(texts, minhash, with_signatures=True, compiled=compiled)
    for text, count, signature in zip(texts, made.num_shingles, made.signatures, strict=True):
        assert (signature == by_datasketch(text, minhash).hashvalues).all()
        assert count == len(shingles(text, unit="character"))


@BOTH
def test_a_megabyte_of_one_character_or_one_word_is_one_shingle(compiled):
    letters = MinHash(unit="character", num_hashes=128, bands=16, rows=8)
    for minhash, text, short in ((letters, "x" * 10**6, "xxxxx"), (SMALL, "ab " * 350_000, "ab ab ab ab ab")):
        made = sketch([text, short], minhash, with_signatures=True, compiled=compiled)
        assert made.num_shingles.tolist() == [1, 1]
        assert (made.signatures == by_datasketch(short, minhash).hashvalues).all()


@BOTH
def test_the_papers_signature_equals_datasketch(compiled):
    text = " ".join(words(4, 300))
    for minhash in (PAPER, MinHash(shingle_hash="sha1"), MinHash(shingle_hash="sha1", seed=2**32 - 1)):
        made = sketch([text], minhash, with_signatures=True, compiled=compiled)
        assert made.num_shingles.tolist() == [296]
        assert (made.signatures[0] == by_datasketch(text, minhash).hashvalues).all()


@BOTH
def test_sha1_is_right_for_shingles_of_every_length_to_200_bytes(compiled):
    # The padding takes a block of its own from 56 to 63 bytes, from 120 to 127, from 184 to 191.
    minhash = MinHash(ngram=1, num_hashes=16, bands=2, rows=8, shingle_hash="sha1")
    texts = ["x" * length for length in range(1, 201)]
    made = sketch(texts, minhash, with_signatures=True, compiled=compiled)
    assert (made.signatures == [by_datasketch(text, minhash).hashvalues for text in texts]).all()


@BOTH
def test_sha1_is_right_when_shingles_of_one_and_of_many_blocks_are_hashed_together(compiled):
    # 2,048 minima of 40 values: each shingle is the smallest of some, so a wrong one shows.
    minhash = MinHash(ngram=1, shingle_hash="sha1")
    lengths = [*range(50, 70), *range(112, 128), 1, 183, 184, 1000]
    mixed = rng(1, "lengths").permutation(lengths)
    text = " ".join("x" * length for length in mixed.tolist())
    made = sketch([text], minhash, with_signatures=True, compiled=compiled)
    assert made.num_shingles.tolist() == [40]
    assert (made.signatures[0] == by_datasketch(text, minhash).hashvalues).all()


@BOTH
@HASHES
def test_a_megabyte_of_different_words_equals_datasketch(compiled, shingle_hash):
    text = " ".join(words(3, 60_000))
    assert len(text) > 900_000
    minhash = MinHash(num_hashes=16, bands=2, rows=8, shingle_hash=shingle_hash)
    made = sketch([text], minhash, with_signatures=True, compiled=compiled)
    assert made.num_shingles.tolist() == [59_996]
    if shingle_hash == "sha1":
        signed = datasketch.MinHash(num_perm=16, seed=1)
        signed.update_batch([shingle.encode() for shingle in shingles(text)])
    else:
        signed = datasketch.MinHash(num_perm=16, seed=1, hashfunc=int)
        signed.update_batch(by_formula(tokens(text), 5))
    assert (made.signatures[0] == signed.hashvalues).all()


def by_formula(found, ngram):
    """The lower 32 bits of the hash `fast` of each window of tokens, in plain integers of 64 bits."""
    mask, hashes = 2**64 - 1, []
    for token in found:
        value = 0xCBF29CE484222325  # FNV-1a
        for byte in token.encode():
            value = (value ^ byte) * 0x100000001B3 & mask
        hashes.append(value ^ value >> 32)
    for at in range(len(hashes) - ngram + 1):
        value = 0
        for one in hashes[at : at + ngram]:
            value = value * 0x9E3779B97F4A7C15 + one & mask
        value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & mask  # MurmurHash3's last step
        value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & mask
        yield (value ^ value >> 33) & 0xFFFFFFFF


def test_the_fast_hash_of_a_shingle_is_what_its_formula_says():
    found = ["def", "größe", "a", "", "b" * 70]
    assert minhash_numpy.shingle_hash(tuple(word.encode() for word in found)) == next(by_formula(found, 5))
    assert minhash_numpy.shingle_hash([b"a", b"b"]) != minhash_numpy.shingle_hash([b"b", b"a"])
    assert minhash_numpy.shingle_hash([b"ab"]) != minhash_numpy.shingle_hash([b"a", b"b"])


random_texts = st.lists(st.text(alphabet="abAB_9 \n\r\t\0.\x1c\xa0é中\U0001f40dİ", max_size=60), max_size=4)
random_settings = st.builds(
    MinHash,
    ngram=st.integers(1, 6),
    num_hashes=st.just(32),
    bands=st.just(4),
    rows=st.just(8),
    seed=st.sampled_from([1, 7, 123]),
    unit=st.sampled_from(UNITS),
    fold_case=st.booleans(),
    shingle_hash=st.sampled_from(["fast", "sha1"]),
)


@settings(max_examples=150, deadline=None)
@given(texts=random_texts, minhash=random_settings)
def test_random_texts_equal_datasketch_compiled_or_not(texts, minhash):
    made = sketch(texts, minhash, with_signatures=True, compiled=True)
    assert made.signatures.shape == (len(texts), 32)
    again = sketch(texts, minhash, with_signatures=True, compiled=False)
    assert [array.tobytes() for array in vars(made).values()] == [array.tobytes() for array in vars(again).values()]
    for text, count, signature in zip(texts, made.num_shingles, made.signatures, strict=True):
        assert (signature == by_datasketch(text, minhash).hashvalues).all()
        assert count == len(shingles(text, minhash.ngram, minhash.unit, minhash.fold_case))


# The set of shingles and the keys of bands


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.text(alphabet="abA \n.", max_size=9), min_size=2, max_size=6), minhash=random_settings)
def test_sets_are_equal_exactly_when_the_shingles_are(texts, minhash):
    sets = sketch(texts, minhash).sets
    own = [shingles(text, minhash.ngram, minhash.unit, minhash.fold_case) for text in texts]
    for one, other in itertools.combinations(range(len(texts)), 2):
        assert (sets[one] == sets[other]).all() == (own[one] == own[other])


@BOTH
def test_the_set_depends_on_no_order_no_layout_and_no_repetition(compiled):
    minhash = MinHash(ngram=1, num_hashes=16, bands=2, rows=8)
    same = ["a b c", "c;b\r\na", "a a b c c"]
    made = sketch([*same, "a b", "", "()"], minhash, with_signatures=True, compiled=compiled)
    assert len({tuple(pair) for pair in made.sets[:3].tolist()}) == 1
    assert len({tuple(pair) for pair in made.sets[2:5].tolist()}) == 3
    assert (made.sets[4] == made.sets[5]).all()
    assert (made.band_keys[:3] == made.band_keys[0]).all()
    assert (made.signatures[4:] == 2**32 - 1).all()


@BOTH
@HASHES
def test_keys_of_signatures_equal_keys_of_texts_for_every_split(compiled, shingle_hash):
    texts = ["", "a b", *(" ".join(words(seed, 30)) for seed in range(4))]
    for bands in (2, 3, 6, 9, 14, 63, 126):
        minhash = MinHash(num_hashes=126, bands=bands, rows=126 // bands, shingle_hash=shingle_hash)
        made = sketch(texts, minhash, with_signatures=True, compiled=compiled)
        assert made.band_keys.shape == (6, bands)
        assert (made.band_keys == sketch(texts, minhash, compiled=not compiled).band_keys).all()
        assert (made.band_keys == band_keys_of(made.signatures, minhash)).all()
        assert (made.band_keys == minhash_numpy.fold_bands(made.signatures, bands)).all()


def test_keys_of_signatures_do_not_need_the_compiler(monkeypatch):
    signed = sketch(["a b c d e f", "g"], SMALL, with_signatures=True).signatures
    compiled = band_keys_of(signed, SMALL)
    monkeypatch.setattr(minhash_module, "has_compiled_loops", lambda: False)
    assert (band_keys_of(signed, SMALL) == compiled).all()
    assert band_keys_of(signed[:0], SMALL).shape == (0, 16)


def test_equal_values_in_different_bands_and_in_another_order_give_different_keys():
    rising = np.arange(8, dtype=np.uint32)
    matrix = np.stack([np.tile(rising, 16), np.tile(rising[::-1], 16), np.zeros(128, np.uint32)])
    keys = band_keys_of(matrix, SMALL)
    assert len(np.unique(keys)) == 3 * 16
    assert (keys == minhash_numpy.fold_bands(matrix, 16)).all()


def test_one_changed_value_changes_the_key_of_its_band_only():
    matrix = np.stack([rng(1, "signature").integers(2**32, size=128, dtype=np.uint32)] * 129)
    matrix[np.arange(128), np.arange(128)] ^= 1  # Row i differs from the last in value i.
    changed = band_keys_of(matrix, SMALL)[:128] != band_keys_of(matrix, SMALL)[128]
    assert (changed == (np.arange(128)[:, None] // 8 == np.arange(16))).all()
