"""Windows of tokens, and which of them a step reads.

The batch of a step is a pure function of (source, seed, step, rank): nothing is kept between steps, so a run can stop,
branch or resume anywhere, on another number of machines too, and still see the same data. Axes: B sequences, T
positions.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Protocol

import numpy as np
import torch

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.order import window_at


class Source(Protocol):
    """Anything that windows of tokens can be read from: an array, a token file, a mixture of sources."""

    @property
    def num_tokens(self) -> int:
        """Tokens it holds; reading more than that reads some again."""

    @property
    def fingerprint(self) -> str:
        """A hash that changes when anything it would return changes."""

    def windows(self, places: np.ndarray, seed: int, length: int) -> np.ndarray:
        """The windows at these places of a run: (B, length + 1) int64, inputs and the token after each.

        places: (B,) numbers of windows counted from the start of the run. A pure function of its arguments.
        """


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Tokens in memory, or any array that numpy can slice."""

    tokens: np.ndarray

    @property
    def num_tokens(self) -> int:
        """Tokens it holds."""
        return len(self.tokens)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokens as they are stored."""
        return sha256(np.ascontiguousarray(self.tokens).data).hexdigest()

    def windows(self, places: np.ndarray, seed: int, length: int) -> np.ndarray:
        """The windows at these places of a run: (B, length + 1) int64."""
        return cut_windows(self.tokens, places, seed, length)


def as_source(tokens: "np.ndarray | Source") -> Source:
    """A source: an array of tokens becomes one, a source stays what it is."""
    if hasattr(tokens, "windows"):
        return tokens
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ConfigError(
            f"Tokens must be one row of integers; these are {tokens.dtype} of shape {tokens.shape}. "
            "Make them with pack() or write_tokens()."
        )
    return ArraySource(tokens)


def num_windows(source: "np.ndarray | Source", length: int) -> int:
    """Windows of `length` inputs, each with the token that follows. Raises ConfigError when there is none."""
    if length < 1:
        raise ConfigError(f"length={length} tokens is no window; it must be at least 1.")
    num_tokens = as_source(source).num_tokens
    found = (num_tokens - 1) // length
    if found < 1:
        raise ConfigError(
            f"{num_tokens:,} tokens do not fill one window of {length} + 1. Train on more files or shorten the window."
        )
    return found


def cut_windows(tokens: np.ndarray, places: np.ndarray, seed: int, length: int) -> np.ndarray:
    """Windows of an array in the order that `seed` gives: (B, length + 1) int64.

    Window i starts at token i * length, so neighbours share one token: the last target of one is the first input of
    the next, and every token but the first is predicted once a pass. What does not fill a window is left out.
    """
    rows = window_at(places, num_windows(tokens, length), seed)
    cut = np.empty((len(rows), length + 1), np.int64)
    for place, row in enumerate(rows.tolist()):
        cut[place] = tokens[row * length : (row + 1) * length + 1]
    return cut


def batch(
    source: "np.ndarray | Source",
    seed: int,
    step: int,
    batch_size: int,
    length: int,
    rank: int = 0,
    world_size: int = 1,
) -> np.ndarray:
    """What one process reads in one step: (B / world_size, T + 1) int64, T inputs and the token after each.

    batch_size: sequences a step over all processes. Process `rank` takes the contiguous part number `rank`, so the
    processes together read what a single one would. Raises ConfigError when the parts would be unequal.
    """
    if batch_size < 1 or batch_size % world_size:
        raise ConfigError(
            f"batch_size={batch_size} does not divide into {world_size} equal parts. "
            f"Use a multiple of the number of processes, e.g. {-(-max(batch_size, 1) // world_size) * world_size}."
        )
    if not 0 <= rank < world_size:
        raise ConfigError(f"rank={rank} is not in 0 to {world_size - 1}, the processes of world_size={world_size}.")
    if step < 0:
        raise ConfigError(f"step={step} is before the first step, 0.")
    share = batch_size // world_size
    first = step * batch_size + rank * share
    return as_source(source).windows(np.arange(first, first + share), seed, length)


def document_positions(ids_BT: torch.Tensor, end: int) -> torch.Tensor:
    """Positions that start again at 0 after each end token: (B, T) int64.

    The end token still belongs to the document it ends. Two tokens of a window are of one document exactly when their
    index minus this position is equal.
    """
    index_T = torch.arange(ids_BT.shape[1], device=ids_BT.device)
    starts_BT = torch.zeros_like(ids_BT, dtype=torch.int64)
    starts_BT[:, 1:] = torch.where(ids_BT[:, :-1] == end, index_T[1:], 0)
    return index_T - starts_BT.cummax(1).values
