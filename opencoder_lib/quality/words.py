"""The words of a shard and what they repeat."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opencoder_lib.quality import kernels
from opencoder_lib.quality.codepoints import SPACE, WORD, CodePoints, class_table, running_total
from opencoder_lib.quality.ngrams import word_statistics


@dataclass(frozen=True)
class Words:
    """The words of a shard's texts.

    starts, lengths: one a word, in characters of `chars`. offsets: the words of text i are offsets[i] : offsets[i + 1].
    """

    chars: CodePoints
    starts: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, chars: CodePoints) -> "Words":
        """All matches of `\\w+|[^\\w\\s]+`, text by text: runs of letters, digits and underscores, and of other
        visible characters."""
        table = class_table(chars.codes)
        return cls(chars, *kernels.word_borders(chars.codes, chars.offsets, table, WORD, SPACE))

    @classmethod
    def given(cls, texts: Sequence[Sequence[str]]) -> "Words":
        """The words another tokenizer found in each text."""
        words = [word for text in texts for word in text]
        chars = CodePoints.of(words)
        return cls(
            chars,
            chars.offsets[:-1],
            chars.lengths.astype(np.int32),
            running_total(np.fromiter(map(len, texts), np.int64, len(texts))),
        )

    @property
    def count(self) -> np.ndarray:
        """Words of each text."""
        return np.diff(self.offsets)

    def total(self, where: np.ndarray) -> np.ndarray:
        """How many words of each text are true in `where` (one boolean a word)."""
        return np.diff(running_total(where)[self.offsets])

    @cached_property
    def documents(self) -> np.ndarray:
        """The text each word belongs to."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.count)

    @cached_property
    def classes(self) -> np.ndarray:
        """The class bits of each word's characters, or-ed."""
        return kernels.word_classes(self.chars.codes, self.starts, self.lengths, class_table(self.chars.codes))

    @cached_property
    def hashes(self) -> np.ndarray:
        """64 bits of each word."""
        return kernels.word_hashes(self.chars.codes, self.starts, self.lengths)

    @cached_property
    def statistics(self) -> np.ndarray:
        """What repeats in each text; see `ngrams.word_statistics`."""
        return word_statistics(self.hashes, self.lengths, self.offsets)
