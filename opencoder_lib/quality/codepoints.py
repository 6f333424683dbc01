"""The characters of a whole shard as one array, and Python's character classes for them.

`\\w`, `\\s`, isalpha and so on are those of Python's `re` and `str`, because they are the definition; they are looked
up once per distinct character, then by array indexing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

WORD, SPACE, ALPHA, DIGIT, UPPER, LOWER = 1, 2, 4, 8, 16, 32
# Every character that str.isspace calls white space; `re` agrees. Polars would leave out U+001C to U+001F.
WHITE_SPACE = "".join(chr(i) for i in range(0x3001) if chr(i).isspace())
_KNOWN, _NUM_CODE_POINTS = 64, 0x110000
_table = np.zeros(_NUM_CODE_POINTS, np.uint8)


def classes(codes: np.ndarray) -> np.ndarray:
    """The class bits of each code point (uint8, same length)."""
    if len(codes):
        seen = np.zeros(int(codes.max()) + 1, bool)
        seen[codes] = True
        for code in np.flatnonzero(seen & (_table[: len(seen)] == 0)).tolist():
            _table[code] = _classify(chr(code))
    return _table[codes]


def _classify(char: str) -> int:
    upper = char.isupper()
    return (
        _KNOWN
        | (WORD if char.isalnum() or char == "_" else 0)
        | (SPACE if char.isspace() else 0)
        | (ALPHA if char.isalpha() else 0)
        | (DIGIT if char.isdigit() else 0)
        | (UPPER if upper else 0)
        # A title-case letter spoils str.isupper just as a lower-case one does.
        | (LOWER if char.islower() or (char.istitle() and not upper) else 0)
    )


@dataclass(frozen=True)
class CodePoints:
    """The texts of a shard one after another: text i is codes[offsets[i] : offsets[i + 1]] (uint32, int64)."""

    codes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> "CodePoints":
        """The code points of `texts`, lone surrogates included."""
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        return cls(codes, offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Characters of each text."""
        return np.diff(self.offsets)

    @cached_property
    def classes(self) -> np.ndarray:
        """Class bits of each character."""
        return classes(self.codes)

    def count(self, where: np.ndarray) -> np.ndarray:
        """How many characters of each text are true in `where` (one boolean a character)."""
        return np.diff(running_total(where)[self.offsets])

    def count_class(self, bits: int) -> np.ndarray:
        """How many characters of each text have one of the class bits."""
        return self.count((self.classes & bits) != 0)

    @cached_property
    def documents(self) -> np.ndarray:
        """The index of the text each character belongs to."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)


def running_total(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, 2, … values: one longer than the input."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total


def ratio(part: np.ndarray, whole: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """part / whole, and `empty` where the whole is zero (NaN stands for null)."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(len(whole), empty), where=whole != 0)
