"""The order in which windows are read: a shuffle that is computed place by place and never stored.

N places in a run. A Feistel network is a bijection whatever its rounds compute, so it shuffles any number of windows
in constant memory, and the window at a place costs the same whether it is the first or the billionth.
"""

from math import isqrt

import numpy as np

from opencoder_lib import seeds

NUM_ROUNDS = 8
# The constants of SplitMix64 (Steele, Lea and Flood 2014): an odd number near 2^64 / golden ratio, and two multipliers.
STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def window_at(places_N: np.ndarray, num_windows: int, seed: int) -> np.ndarray:
    """The number of the window that is read at each place of a run: (N,) int64 in [0, num_windows).

    Every window is read once before any is read again; each pass has an order of its own, drawn from (seed, pass).
    """
    passes_N, within_N = np.divmod(np.asarray(places_N, np.int64), num_windows)
    found_N = np.empty_like(within_N)
    for number in np.unique(passes_N):
        here = passes_N == number
        key = seeds.stream_seed(seed, "order of windows", int(number))
        found_N[here] = permute(within_N[here], num_windows, key)
    return found_N


def permute(numbers_N: np.ndarray, size: int, key: int) -> np.ndarray:
    """Where the permutation of [0, size) that `key` names sends each number: (N,) int64."""
    left = isqrt(size - 1) + 1 if size > 1 else 1
    right = -(-size // left)
    with np.errstate(over="ignore"):
        keys = _splitmix(np.uint64(key), np.arange(1, NUM_ROUNDS + 1, dtype=np.uint64))
    found_N = _network(np.asarray(numbers_N).astype(np.uint64), left, right, keys)
    # The network permutes left * right numbers, a few more than asked for. Applying it again until the result is in
    # range ("cycle walking") is a permutation of the range.
    while (outside := found_N >= size).any():
        found_N[outside] = _network(found_N[outside], left, right, keys)
    return found_N.astype(np.int64)


def _network(numbers_N: np.ndarray, left: int, right: int, keys: np.ndarray) -> np.ndarray:
    """A Feistel network over pairs: each half in turn is shifted by a random function of the other."""
    a_N, b_N = np.divmod(numbers_N, np.uint64(right))
    for even, odd in keys.reshape(-1, 2):
        a_N = (a_N + _splitmix(even, b_N) % np.uint64(left)) % np.uint64(left)
        b_N = (b_N + _splitmix(odd, a_N) % np.uint64(right)) % np.uint64(right)
    return a_N * np.uint64(right) + b_N


def _splitmix(key: np.uint64, numbers_N: np.ndarray) -> np.ndarray:
    """Output number `numbers` of the SplitMix64 generator that starts from `key`: 64 well-mixed bits each."""
    bits_N = key + numbers_N * STEP
    bits_N = (bits_N ^ (bits_N >> np.uint64(30))) * FIRST
    bits_N = (bits_N ^ (bits_N >> np.uint64(27))) * SECOND
    return bits_N ^ (bits_N >> np.uint64(31))
