"""Exact Jaccard similarity of chosen pairs of texts, from the sets of their shingles as sorted 64-bit numbers."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import polars as pl

from opencoder_lib.refine import minhash_numpy
from opencoder_lib.refine.minhash import MinHash, byte_tables, has_compiled_loops, text_bytes

SETS = {"doc_id": pl.String, "shingles": pl.List(pl.UInt64)}


def shingle_sets(files: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """`doc_id` and `shingles`, the 64 bits of each distinct shingle in ascending order, of the rows given.

    Two different shingles have the same 64 bits once in 10^19 pairs, so what is computed from these is exact.
    """
    texts = files["text"]
    if has_compiled_loops():
        from opencoder_lib.refine.minhash_kernels import shingle_sets_of

        values, bounds = shingle_sets_of(*text_bytes(texts), *byte_tables(minhash), minhash.ngram)
        sets = np.split(values, bounds[1:-1]) if len(texts) else []
    else:
        sets = [np.sort(minhash_numpy.shingle_values(text, minhash)[0]) for text in texts]
    return pl.DataFrame({"doc_id": files["doc_id"], "shingles": pl.Series(sets, dtype=SETS["shingles"])}, schema=SETS)


def jaccard_of_pairs(sets: pl.DataFrame, one: Iterable[str], other: Iterable[str]) -> np.ndarray:
    """(P,) Jaccard similarity of each pair of ids; 0 when both sets are empty.

    sets: of `shingle_sets`, every id of the pairs once.
    """
    row_of = {doc_id: row for row, doc_id in enumerate(sets["doc_id"])}
    left = np.array([row_of[doc_id] for doc_id in one], np.int64)
    right = np.array([row_of[doc_id] for doc_id in other], np.int64)
    sizes = sets["shingles"].list.len().cast(pl.Int64).to_numpy()
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    values = sets["shingles"].explode(empty_as_null=False).to_numpy()
    shared = _shared(values, bounds, left, right)
    union = sizes[left] + sizes[right] - shared
    return np.divide(shared, union, out=np.zeros(len(left)), where=union > 0)


def _shared(values: np.ndarray, bounds: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(P,) members in common of each pair of sets; set i is values[bounds[i] : bounds[i + 1]], ascending."""
    if has_compiled_loops():
        from opencoder_lib.refine.minhash_kernels import count_shared

        return count_shared(values, bounds, left, right)
    cut = [values[begin:end] for begin, end in pairwise(bounds)]
    pairs = zip(left, right, strict=True)
    return np.array([np.intersect1d(cut[i], cut[j], assume_unique=True).size for i, j in pairs], np.int64)
