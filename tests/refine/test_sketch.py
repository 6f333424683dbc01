"""Sketches: the same on any threads and in any blocks, at home in datasketch, true to the S-curve, small in memory."""

import subprocess
import sys
import tracemalloc

import datasketch
import numpy as np
import polars as pl
import pytest
import scipy.stats
from compared_texts import HOSTILE, by_datasketch, named, words
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.errors import SchemaError
from opencoder_lib.refine import minhash as minhash_module
from opencoder_lib.refine import minhash_numpy
from opencoder_lib.refine.minhash import (
    MinHash,
    as_sketches,
    estimate_jaccard,
    signature_matrix,
    signatures,
    sketch,
)
from opencoder_lib.shingles import jaccard, shingles

PAPER = MinHash()
SMALL = MinHash(num_hashes=128, bands=16, rows=8)
BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
HASHES = pytest.mark.parametrize("shingle_hash", ["fast", "sha1"])


def assert_equal(one, other):
    for name in ("num_shingles", "sets", "band_keys", "signatures"):
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype
        assert np.array_equal(left, right), name


# Threads, blocks and the forms in which texts come


TEXTS = [*HOSTILE.values(), *(" ".join(words(seed, 40)) for seed in range(30))]


@BOTH
@HASHES
def test_any_number_of_threads_and_any_block_size_give_the_same_bytes(monkeypatch, compiled, shingle_hash):
    texts = [text for text in TEXTS if len(text) < 10_000]
    minhash = MinHash(num_hashes=128, bands=16, rows=8, shingle_hash=shingle_hash)
    whole = sketch(texts, minhash, with_signatures=True, num_threads=1, compiled=compiled)
    for block_bytes in (1, 100, 5000):
        monkeypatch.setattr(minhash_module, "BLOCK_BYTES", block_bytes)
        for num_threads in (1, 2, 5, None):
            parts = sketch(texts, minhash, with_signatures=True, num_threads=num_threads, compiled=compiled)
            assert_equal(parts, whole)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), max_size=12), block_bytes=st.integers(1, 12))
def test_blocks_hold_every_text_once_and_no_more_bytes_than_asked_for_unless_one_text_does(sizes, block_bytes):
    series = pl.Series(["x" * size for size in sizes], dtype=pl.String)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash_module, "BLOCK_BYTES", block_bytes)
        blocks = list(minhash_module._blocks(series))
    assert [at for block in blocks for at in range(len(sizes))[block]] == list(range(len(sizes)))
    assert all(len(sizes[block]) == 1 or sum(sizes[block]) <= block_bytes for block in blocks)


def test_an_error_in_a_thread_is_raised(monkeypatch):
    def fail(*_):
        raise RuntimeError("a block failed")

    monkeypatch.setattr(minhash_module, "BLOCK_BYTES", 1)
    monkeypatch.setattr(minhash_numpy, "sketch_texts", fail)
    with pytest.raises(RuntimeError, match="a block failed"):
        sketch(["a", "b"], SMALL, num_threads=2, compiled=False)


@BOTH
def test_slices_chunks_and_iterables_give_what_a_list_gives(compiled):
    texts = ["alpha beta", "", "größe 中文 x", "a b c d e f", "x", "y z", "", "q r s t u v w", "end", "é"]
    series, parts = pl.Series(texts), [pl.Series(texts[:3]), pl.Series(texts[3:4]), pl.Series(texts[4:])]
    chunked = pl.concat(parts, rechunk=False)
    assert chunked.n_chunks() == 3

    def made(given):
        return sketch(given, SMALL, with_signatures=True, compiled=compiled)

    whole = made(texts)
    for same in (series, chunked, tuple(texts), iter(texts), (text for text in texts)):
        assert_equal(made(same), whole)
    for cut in (series[5:9], chunked[5:9], chunked.slice(2, 7)[3:], texts[5:9]):
        assert_equal(made(cut), made(texts[5:9]))
    assert (made(series[5:9]).signatures == whole.signatures[5:9]).all()
    assert_equal(made(series[2:9].filter(pl.Series([True, False] * 3 + [True]))), made(texts[2:9:2]))


@BOTH
@HASHES
def test_no_texts_give_no_rows(compiled, shingle_hash):
    minhash = MinHash(shingle_hash=shingle_hash)
    for nothing in ([], pl.Series([], dtype=pl.String), pl.Series(["a"])[:0], pl.Series(["a", "b"])[1:1]):
        made = sketch(nothing, minhash, with_signatures=True, compiled=compiled)
        assert [array.shape for array in vars(made).values()] == [(0,), (0, 2), (0, 16), (0, 2048)]


def test_signatures_are_kept_only_when_asked_for():
    with_them = sketch(TEXTS[:8], PAPER, with_signatures=True)
    without = sketch(TEXTS[:8], PAPER)
    assert without.signatures.shape == (0, 2048)
    assert (without.band_keys == with_them.band_keys).all()
    assert (without.sets == with_them.sets).all()


# Signatures as a frame, and in datasketch's own tools


def test_signatures_name_the_files_still_in_in_their_order():
    files = named(a="a b c d e f", gone="gone", none="", b="a; b c d e\rf")
    files = files.with_columns(removed_by=pl.Series([None, "exact.duplicate", None, None]))
    signed = signatures(files, SMALL)
    assert signed.schema == {
        "doc_id": pl.String,
        "num_shingles": pl.Int64,
        "shingle_set": pl.Binary,
        "signature": pl.Array(pl.UInt32, 128),
    }
    assert signed["doc_id"].to_list() == ["a", "none", "b"]
    assert signed["num_shingles"].to_list() == [2, 0, 2]
    assert signed["shingle_set"].bin.size().to_list() == [16, 16, 16]
    assert signed["shingle_set"][0] == signed["shingle_set"][2] != signed["shingle_set"][1]
    expected = sketch(["a b c d e f", "", "a b c d e f"], SMALL, with_signatures=True).signatures
    assert (signature_matrix(signed, SMALL) == expected).all()
    assert signatures(files.clear(), SMALL).schema == signed.schema


def test_signatures_of_another_length_are_refused():
    signed = signatures(named(a="a b c"), SMALL)
    for call in (signature_matrix, lambda *given: list(as_sketches(*given))):
        with pytest.raises(SchemaError, match="have 128 values, the setting says num_hashes=2,048"):
            call(signed, PAPER)


@HASHES
def test_estimate_equals_datasketchs_and_is_near_the_true_similarity(shingle_hash):
    start, tail, other = words(1, 900), words(2, 50), words(3, 50)
    left, right = " ".join(start + tail), " ".join(start + other)
    minhash = MinHash(shingle_hash=shingle_hash)
    signed = signatures(named(a=left, b=right), minhash)
    estimate = estimate_jaccard(signed, ["a", "b", "b"], ["b", "a", "b"], minhash)
    one, two = (signed_file for _, signed_file in as_sketches(signed, minhash))
    assert estimate.tolist() == [one.jaccard(two), two.jaccard(one), 1.0]
    true = jaccard(shingles(left), shingles(right))
    assert true == 896 / 996
    # Four standard errors of a share of 2,048.
    assert abs(estimate[0] - true) < 4 * (true * (1 - true) / 2048) ** 0.5
    assert estimate_jaccard(signed, [], [], minhash).shape == (0,)


@HASHES
def test_datasketchs_index_and_lean_form_take_our_signatures(shingle_hash):
    minhash = MinHash(num_hashes=128, bands=16, rows=8, seed=7, shingle_hash=shingle_hash)
    texts = [" ".join(words(5, 100)), " ".join([*words(5, 99), "other"]), " ".join(words(6, 100))]
    files = named(one=texts[0], near=texts[1], far=texts[2])
    signed = dict(as_sketches(signatures(files, minhash), minhash))
    assert list(signed) == ["one", "near", "far"]
    index = datasketch.MinHashLSH(num_perm=128, params=(16, 8))
    for doc_id, ours in signed.items():
        index.insert(doc_id, ours)
    assert sorted(index.query(signed["one"])) == ["near", "one"]
    assert index.query(signed["far"]) == ["far"]

    lean = datasketch.LeanMinHash(signed["one"])
    stored = bytearray(lean.bytesize())
    lean.serialize(stored)
    back = datasketch.LeanMinHash.deserialize(stored)
    assert (back.hashvalues == signed["one"].hashvalues).all()
    assert back.jaccard(signed["near"]) == signed["one"].jaccard(signed["near"]) > 0.9
    # Theirs, made of the same text from the start, counts as the same.
    assert signed["one"].jaccard(by_datasketch(texts[0], minhash)) == 1.0


def test_a_union_of_texts_is_signed_by_the_smaller_values():
    one, other = words(1, 30), words(2, 40)
    # Of one word each, so that no shingle spans the place where the two meet.
    minhash = MinHash(ngram=1, num_hashes=128, bands=16, rows=8)
    made = sketch([" ".join(one), " ".join(other), " ".join(one + other)], minhash, with_signatures=True)
    assert (np.minimum(made.signatures[0], made.signatures[1]) == made.signatures[2]).all()


# What the bands catch


def pairs_of(shared, own, n):
    """n pairs of texts with `shared` 5-grams in common and `own` on each side: J = shared / (shared + 2 own)."""
    drawn = [words(1000 * shared + at, shared + 4 + 2 * own) for at in range(n)]
    left = [" ".join(text[: shared + 4 + own]) for text in drawn]
    right = [" ".join(text[: shared + 4] + text[shared + 4 + own :]) for text in drawn]
    return left, right


@HASHES
@pytest.mark.parametrize(
    ("minhash", "shared", "own"),
    [
        (PAPER, 195, 5),
        (PAPER, 198, 3),
        (PAPER, 398, 3),
        (SMALL, 60, 20),
        (SMALL, 70, 15),
        (SMALL, 80, 10),
        (MinHash(bands=128, rows=16), 66, 17),
        (MinHash(bands=128, rows=16), 72, 14),
        (MinHash(bands=128, rows=16), 78, 11),
    ],
    ids=lambda value: f"{value.bands}x{value.rows}" if isinstance(value, MinHash) else str(value),
)
def test_pairs_become_candidates_as_often_as_the_s_curve_says(minhash, shared, own, shingle_hash):
    minhash = MinHash(num_hashes=minhash.num_hashes, bands=minhash.bands, rows=minhash.rows, shingle_hash=shingle_hash)
    left, right = pairs_of(shared, own, n=300)
    assert jaccard(shingles(left[0]), shingles(right[0])) == shared / (shared + 2 * own)
    hits = int((sketch(left, minhash).band_keys == sketch(right, minhash).band_keys).any(axis=1).sum())
    expected = minhash.probability(shared / (shared + 2 * own))
    low, high = scipy.stats.binom.interval(1 - 1e-6, 300, expected)
    assert low <= hits <= high


# What it costs


def in_a_process(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.stderr == ""
    return done.stdout.split()


PEAK = """
import resource, sys
from pathlib import Path
import polars as pl
from opencoder_lib.refine.minhash import MinHash, sketch
def peak():
    # On Linux a process inherits ru_maxrss from the one that started it, here the whole test run.
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
"""


def test_extra_memory_for_keys_does_not_grow_with_the_number_of_texts():
    # In a process of its own: tracemalloc does not see the arrays that compiled code makes, and a peak never sinks.
    code = """
base = " ".join(f"w{at:07x}" for at in range(1100))
numbers = [pl.int_range(at, at + 100) for at in range(0, 6000, 100)]
parts = [pl.select(text=pl.format("{} {}", number, pl.lit(base)))["text"] for number in numbers]
texts = pl.concat(parts, rechunk=False)
sketch(parts[0], MinHash(), num_threads=2)
before = peak()
made = sketch(texts, MinHash(), num_threads=2)
print(int(texts.str.len_bytes().sum()), len(set(map(bytes, made.sets))), peak() - before)
"""
    n_bytes, distinct, extra = map(int, in_a_process(PEAK + code))
    assert n_bytes > 59e6
    assert distinct == 6000
    assert extra < 40e6


def test_a_large_file_needs_no_large_matrix():
    # 40,000 shingles x 2,048 hashes x 4 bytes would be 330 MB at once.
    code = """
text = " ".join(f"w{at:07x}" for at in range(40_004))
sketch([text[:1000]], MinHash())
before = peak()
made = sketch([text], MinHash())
print(made.num_shingles[0], peak() - before)
"""
    num_shingles, extra = map(int, in_a_process(PEAK + code))
    assert num_shingles == 40_000
    assert extra < 40e6


def test_a_large_file_needs_no_large_matrix_without_the_compiler_either():
    text = " ".join(words(4, 40_004))
    tracemalloc.start()
    sketch([text], PAPER, compiled=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_importing_compiles_nothing_and_does_not_even_load_the_compiler():
    code = """
import sys
import opencoder_lib.refine.fuzzy, opencoder_lib.refine.detection
print("numba" in sys.modules)
import opencoder_lib.refine.minhash_kernels as kernels
from numba.extending import is_jitted
jitted = [value for value in vars(kernels).values() if is_jitted(value)]
print(kernels.sketch_texts in jitted, sum(len(kernel.signatures) for kernel in jitted))
"""
    assert in_a_process(code) == ["False", "True", "0"]
