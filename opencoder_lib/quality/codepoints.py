"""The characters of a whole shard as one array, and Python's character classes for them.

`\\w`, `\\s`, isalpha and so on are those of Python's `re` and `str`, because they are the definition; they are looked
up once per distinct character, then by array indexing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opencoder_lib.quality import kernels
from opencoder_lib.quality.kernels import ALPHA, CLASSIFIED, CODE_SPACE, DIGIT, LOWER, SPACE, UPPER, WORD

# Every character that str.isspace calls white space; `re` agrees. Polars would leave out U+001C to U+001F.
WHITE_SPACE = "".join(chr(i) for i in range(0x3001) if chr(i).isspace())
NUM_CODE_POINTS = 0x110000
_table = np.zeros(NUM_CODE_POINTS, np.uint8)


def class_table(codes: np.ndarray) -> np.ndarray:
    """The class bits of every code point, sure to hold those that occur in `codes` (1,114,112 bytes)."""
    for code in kernels.unknown_codes(codes, _table).tolist():
        _table[code] = _classify(chr(code))
    return _table


def _classify(char: str) -> int:
    upper = char.isupper()
    return (
        CLASSIFIED
        | (WORD if char.isalnum() or char == "_" else 0)
        | (SPACE if char.isspace() else 0)
        | (CODE_SPACE if char.isspace() and not "\x1c" <= char <= "\x1f" else 0)
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
        offsets = running_total(np.fromiter(map(len, texts), np.int64, len(texts)))
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        return cls(codes, offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Characters of each text."""
        return np.diff(self.offsets)

    @cached_property
    def table(self) -> np.ndarray:
        """The class bits of every code point that occurs."""
        return class_table(self.codes)

    def text(self, index: int) -> str:
        """Text number `index` as a string."""
        part = self.codes[self.offsets[index] : self.offsets[index + 1]]
        return part.tobytes().decode("utf-32-le", "surrogatepass")

    def count(self, char: str, other: str = "") -> np.ndarray:
        """How often `char`, or `other`, occurs in each text."""
        # Most characters that are asked for are rare: a comparison of whole arrays is faster than a count by text.
        if not other and not (self.codes == ord(char)).any():
            return np.zeros(len(self.offsets) - 1, np.int64)
        return kernels.count_either(self.codes, self.offsets, ord(char), ord(other or char))

    @cached_property
    def _histogram(self) -> np.ndarray:
        return kernels.class_histogram(self.codes, self.offsets, self.table)

    def count_class(self, bits: int) -> np.ndarray:
        """How many characters of each text have one of the class bits."""
        return self._histogram[:, (np.arange(256) & bits) != 0].sum(axis=1)

    @cached_property
    def lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Lines of each text, and characters of its longest line."""
        return kernels.line_lengths(self.codes, self.offsets)


def running_total(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, 2, … values: one longer than the input."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total


def ratio(part: np.ndarray, whole: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """part / whole, and `empty` where the whole is zero (NaN stands for null)."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(len(whole), empty), where=whole != 0)
