"""Documents to one long row of tokens, and batches cut from it.

The batch of a step is a pure function of (tokens, seed, step): nothing is kept between steps, so a run can stop,
branch or resume anywhere and still see the same data. Axes: B sequences, T positions.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from opencoder_lib import seeds
from opencoder_lib.errors import ConfigError
from opencoder_lib.train.tokenizer import END, encode

TEXTS_AT_ONCE = 512


def pack(texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """All documents in order, each followed by the end token: (num_tokens,) uint16, or uint32 for a large vocabulary.

    Documents are not masked from each other, which matches the paper's full attention over chunks as far as it says.
    """
    end = tokenizer.token_to_id(END)
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    pieces = [np.empty(0, dtype)]
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = encode(list(texts[start : start + TEXTS_AT_ONCE]), tokenizer)
        ids = chain.from_iterable((*document, end) for document in some)
        pieces.append(np.fromiter(ids, dtype))
    return np.concatenate(pieces)


def unpack(tokens: np.ndarray, tokenizer: Tokenizer) -> list[str]:
    """The documents again: the inverse of `pack`."""
    ends = np.flatnonzero(tokens == tokenizer.token_to_id(END))
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else []
    return tokenizer.decode_batch([tokens[a:b].tolist() for a, b in zip(starts, ends, strict=True)])


def num_windows(tokens: np.ndarray, length: int) -> int:
    """Windows of `length` inputs, each with the token that follows. Raises ConfigError when there is none."""
    found = (len(tokens) - 1) // length
    if found < 1:
        raise ConfigError(
            f"{len(tokens):,} tokens do not fill one window of {length} + 1. Train on more files or shorten the window."
        )
    return found


def windows_of_step(windows: int, seed: int, step: int, batch_size: int) -> list[int]:
    """The numbers of the `batch_size` windows that `step` reads.

    Every window is read once before any is read again; each pass has its own order, drawn from (seed, pass).
    """
    places = range(step * batch_size, (step + 1) * batch_size)
    return [int(_order(windows, seed, place // windows)[place % windows]) for place in places]


@lru_cache(maxsize=2)
def _order(windows: int, seed: int, epoch: int) -> np.ndarray:
    # Kept only to save drawing it again every step; what it returns depends on its arguments alone.
    return seeds.rng(seed, "order of windows", epoch).permutation(windows)


def batch(tokens: np.ndarray, seed: int, step: int, batch_size: int, length: int) -> np.ndarray:
    """The batch of one step: (B, T + 1) int64, T inputs and the token after each."""
    rows = windows_of_step(num_windows(tokens, length), seed, step, batch_size)
    return np.stack([tokens[row * length : (row + 1) * length + 1] for row in rows]).astype(np.int64)
