"""Several token files read as one row of tokens."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from opencoder_lib.train.order import window_at
from opencoder_lib.train.packing import TokenFile
from opencoder_lib.train.windows import num_windows


@dataclass(frozen=True, eq=False)
class Joined:
    """Several token files read as one row of tokens, one after the other; a source of windows."""

    files: tuple[TokenFile, ...]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([file.num_tokens for file in self.files])])

    @property
    def num_tokens(self) -> int:
        """Tokens of all files."""
        return int(self._starts[-1])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the files' tokens in their order."""
        return sha256("\x1e".join(file.fingerprint for file in self.files).encode()).hexdigest()

    def windows(self, places: np.ndarray, seed: int, length: int) -> np.ndarray:
        """The windows at these places of a run: (B, length + 1) int64."""
        rows = window_at(places, num_windows(self, length), seed)
        return np.stack([self._cut(int(row) * length, int(row) * length + length + 1) for row in rows])

    def _cut(self, start: int, stop: int) -> np.ndarray:
        first = int(np.searchsorted(self._starts, start, "right")) - 1
        pieces, place = [], start
        while place < stop:
            begins, ends = int(self._starts[first]), int(self._starts[first + 1])
            pieces.append(self.files[first].tokens[place - begins : stop - begins])
            place, first = ends, first + 1
        return np.concatenate(pieces).astype(np.int64)
