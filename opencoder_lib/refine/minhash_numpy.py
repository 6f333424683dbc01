"""MinHash without compiled code: the same bits from numpy, a block of shingles at a time.

For machines without numba, and a second implementation to hold the compiled one against: slower by an order of
magnitude, and short enough to check by reading.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from opencoder_lib.shingles import tokens

MASK = 2**64 - 1
TOKEN_START, TOKEN_FACTOR = 0xCBF29CE484222325, 0x00000100000001B3
SHINGLE_FACTOR, SALT = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
MIX_1, MIX_2 = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53
# 128 shingles x 2,048 hashes x 4 bytes are 1 MB: the matrix stays in the processor's cache.
SHINGLES_AT_ONCE = 128


@lru_cache(maxsize=2**18)
def _token_hash(token: bytes) -> int:
    value = TOKEN_START
    for byte in token:
        value = (value ^ byte) * TOKEN_FACTOR & MASK
    return value ^ value >> 32


def shingle_hash(words: Sequence[bytes]) -> int:
    """The lower 32 bits of our hash of a shingle, given as its tokens: a `hashfunc` for datasketch's MinHash."""
    return int(_shingle_hashes(list(words), max(1, len(words)))[0]) & 0xFFFFFFFF


def mix64(value: np.ndarray) -> np.ndarray:
    """MurmurHash3's finaliser of 64 bits, element by element."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(MIX_1)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(MIX_2)
    return value ^ (value >> np.uint64(33))


def _mix32(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return value ^ (value >> np.uint32(16))


def _shingle_hashes(words: list[bytes], ngram: int) -> np.ndarray:
    """64 bits of each run of `ngram` tokens, repeated ones too; of fewer tokens one run."""
    if not words:
        return np.empty(0, np.uint64)
    hashes = np.array([_token_hash(word) for word in words], np.uint64)
    length = min(ngram, len(words))
    value = np.zeros(len(words) - length + 1, np.uint64)
    for step in range(length):
        value = value * np.uint64(SHINGLE_FACTOR) + hashes[step : step + len(value)]
    return mix64(value)


def shingle_values(text: str, minhash) -> tuple[np.ndarray, list[bytes]]:
    """(64 bits of each distinct shingle in the order they first occur, the shingles' bytes) of a text."""
    words = [word.encode() for word in tokens(text, minhash.unit, minhash.fold_case)]
    every = _shingle_hashes(words, minhash.ngram)
    first = np.sort(np.unique(every, return_index=True)[1])
    return every[first], [b" ".join(words[at : at + minhash.ngram]) for at in first.tolist()]


def set_hash(values: np.ndarray) -> np.ndarray:
    """(2,) 64-bit numbers that depend on the set of the shingles alone."""
    # Arrays of one element: numpy warns when a single number wraps around, which here is meant.
    one = values.sum(dtype=np.uint64, keepdims=True)
    other = mix64(values ^ np.uint64(SALT)).sum(dtype=np.uint64, keepdims=True)
    return np.concatenate([one, mix64(other + np.uint64(len(values)))])


def fold_bands(signatures: np.ndarray, bands: int) -> np.ndarray:
    """(N, B) 64-bit keys of the bands of signatures (N, K)."""
    parts = signatures.reshape(len(signatures), bands, signatures.shape[1] // bands).astype(np.uint64)
    value = np.arange(1, bands + 1, dtype=np.uint64)[None, :] * np.uint64(SALT)
    for row in range(parts.shape[2]):
        value = (value ^ parts[:, :, row]) * np.uint64(SHINGLE_FACTOR)
        value ^= value >> np.uint64(29)
    return mix64(value)


def signature(values: np.ndarray, pieces: list[bytes], minhash, multiply: np.ndarray, add: np.ndarray) -> np.ndarray:
    """(K,) signature from what `shingle_values` gave."""
    low = np.full(len(multiply), 0xFFFFFFFF, np.uint32)
    if minhash.shingle_hash == "sha1":
        values = np.array([int.from_bytes(hashlib.sha1(piece).digest()[:4], "little") for piece in pieces], np.uint32)
    mixed = _mix32(values.astype(np.uint32))
    for start in range(0, len(mixed), SHINGLES_AT_ONCE):
        block = mixed[start : start + SHINGLES_AT_ONCE, None] * multiply
        block += add
        np.minimum(low, block.min(axis=0), out=low)
    return low


def sketch_texts(texts: Sequence[str], minhash, multiply, add, counts, sets, keys, signatures) -> None:
    """Fill what `minhash_kernels.sketch_texts` fills, with the same bits."""
    for row, text in enumerate(texts):
        values, pieces = shingle_values(text, minhash)
        counts[row], sets[row] = len(values), set_hash(values)
        own = signature(values, pieces, minhash, multiply, add)
        keys[row] = fold_bands(own[None], minhash.bands)[0]
        if len(signatures):
            signatures[row] = own
