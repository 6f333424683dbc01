"""The words of a shard and what they repeat."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opencoder_lib.quality import kernels
from opencoder_lib.quality.codepoints import CodePoints, running_total
from opencoder_lib.quality.ngrams import members, word_statistics


@dataclass(frozen=True)
class Words:
    """The words of a shard's texts.

    starts, lengths: one a word, in characters of `chars`. hashes: 64 bits a word. offsets: the words of text i are
    offsets[i] : offsets[i + 1].
    """

    chars: CodePoints
    starts: np.ndarray
    lengths: np.ndarray
    hashes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, chars: CodePoints) -> "Words":
        """All matches of `\\w+|[^\\w\\s]+`, text by text: runs of letters, digits and underscores, and of other
        visible characters."""
        starts, lengths, offsets = kernels.word_borders(chars.codes, chars.offsets, chars.table)
        return cls(chars, starts, lengths, kernels.word_hashes(chars.codes, starts, lengths), offsets)

    @classmethod
    def given(cls, texts: Sequence[Sequence[str]]) -> "Words":
        """The words another tokenizer found in each text."""
        words = [word for text in texts for word in text]
        chars, lengths = CodePoints.of(words), np.fromiter(map(len, words), np.int32, len(words))
        starts = chars.offsets[:-1].astype(np.uint32)
        hashes = kernels.word_hashes(chars.codes, starts, lengths)
        offsets = running_total(np.fromiter(map(len, texts), np.int64, len(texts)))
        return cls(chars, starts, lengths, hashes, offsets)

    @property
    def count(self) -> np.ndarray:
        """Words of each text."""
        return np.diff(self.offsets)

    def total(self, where: np.ndarray) -> np.ndarray:
        """How many words of each text are true in `where` (one boolean a word)."""
        return np.diff(running_total(where)[self.offsets])

    def among(self, hashes: np.ndarray) -> np.ndarray:
        """Which words have one of these hashes (one boolean a word)."""
        return members(self.hashes, hashes)

    @cached_property
    def classes(self) -> np.ndarray:
        """The class bits of each word's characters, or-ed."""
        return kernels.word_classes(self.chars.codes, self.starts, self.lengths, self.chars.table)

    @cached_property
    def statistics(self) -> np.ndarray:
        """What repeats in each text; see `ngrams.word_statistics`."""
        return word_statistics(self.hashes, self.lengths, self.offsets)
