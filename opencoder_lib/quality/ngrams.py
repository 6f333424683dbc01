"""Words of a shard as integers, and every n-gram statistic from them, exact and without a loop over words.

A word gets a 64-bit hash, then a dense integer id that is its own in each document. An n-gram's id comes from the pair
(id of its first n-1 words, id of its last word), so it needs no further hashing. Only an n-gram whose two (n-1)-grams
both occur twice can occur twice: each step sorts what the step before left over, which in most files is little.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opencoder_lib.quality.codepoints import SPACE, WORD, CodePoints, running_total

LONGEST = 10
# Class bits to 0 (white space), 1 (word character) or 2 (any other).
_KIND = np.array([1 if bits & WORD else 0 if bits & SPACE else 2 for bits in range(256)], np.uint8)


@dataclass(frozen=True)
class Words:
    """The words of a shard: the runs of letters, digits and underscores, and the runs of other visible characters.

    starts, lengths: in characters of the shard. documents: the text each word belongs to, ascending.
    """

    chars: CodePoints
    starts: np.ndarray
    lengths: np.ndarray
    documents: np.ndarray

    @classmethod
    def of(cls, chars: CodePoints) -> "Words":
        """All matches of `\\w+|[^\\w\\s]+`, text by text."""
        kind = _KIND[chars.classes]
        change = np.empty(len(kind), bool)
        if len(kind):
            change[0] = True
            np.not_equal(kind[1:], kind[:-1], out=change[1:])
            first = chars.offsets[:-1]
            change[first[first < len(kind)]] = True
        starts = np.flatnonzero(change)
        ends = np.append(starts[1:], len(kind))
        visible = kind[starts] != 0
        starts = starts[visible]
        documents = np.searchsorted(chars.offsets, starts, side="right") - 1
        return cls(chars, starts, ends[visible] - starts, documents)

    @property
    def num_documents(self) -> int:
        """Texts in the shard, those without words included."""
        return len(self.chars.offsets) - 1

    def per_document(self, values: np.ndarray | None = None) -> np.ndarray:
        """The sum of `values` (one a word) in each text; the number of words without it."""
        return np.bincount(self.documents, values, self.num_documents)

    def any_class(self, bits: int) -> np.ndarray:
        """Whether a word has a character with one of the class bits."""
        before = running_total((self.chars.classes & bits) != 0)
        return before[self.starts + self.lengths] > before[self.starts]

    @cached_property
    def hashes(self) -> np.ndarray:
        """64 bits of each word: a sum of its characters under pseudo-random weights, so order and length count."""
        if not len(self.starts):
            return np.zeros(0, np.uint64)
        weights = _scramble(np.arange(1, int(self.lengths.max()) + 1, dtype=np.uint64))
        index = np.arange(int(self.lengths.sum()))
        first = running_total(self.lengths)[:-1]
        inside = index - np.repeat(first, self.lengths)
        codes = self.chars.codes[inside + np.repeat(self.starts, self.lengths)]
        return np.add.reduceat(codes.astype(np.uint64) * weights[inside], first)

    @cached_property
    def ids(self) -> "Groups":
        """Equal integers for equal words of the same text."""
        return Groups.of(
            _scramble(self.hashes) ^ _scramble(self.documents.astype(np.uint64)), np.arange(len(self.starts))
        )

    @cached_property
    def ngrams(self) -> "NGrams":
        """The n-gram statistics, n = 2 to 10."""
        return NGrams.of(self)


def _scramble(values: np.ndarray) -> np.ndarray:
    """splitmix64: neighbouring integers become unrelated ones."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class Groups:
    """Positions grouped by equal keys. group: one index a position; count, first: one a group."""

    positions: np.ndarray
    group: np.ndarray
    count: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, positions: np.ndarray) -> "Groups":
        """Group `positions` by `keys` (same length)."""
        order = np.argsort(keys)
        ordered = keys[order]
        new = np.empty(len(keys), bool)
        new[:1] = True
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        group = np.empty(len(keys), np.int64)
        group[order] = np.cumsum(new) - 1
        start = np.flatnonzero(new)
        first = np.minimum.reduceat(positions[order], start) if len(start) else positions[:0]
        return cls(positions, group, np.diff(np.append(start, len(keys))), first)


@dataclass(frozen=True)
class NGrams:
    """For each n one number a text: `top`, characters of the most frequent n-gram times its count (the first wins a
    tie), and `dupe`, characters of the words that lie in some n-gram which occurs at least twice."""

    top: dict[int, np.ndarray]
    dupe: dict[int, np.ndarray]

    @classmethod
    def of(cls, words: Words) -> "NGrams":
        """Count the n-grams of all texts of the shard at once."""
        num_words, chars_before = len(words.starts), running_total(words.lengths)
        word_ids = words.ids.group
        ids, repeated = word_ids.copy(), words.ids.count[word_ids] > 1
        top, dupe = {}, {}
        for n in range(2, LONGEST + 1):
            # Both halves repeat, and the last word is still in the same text.
            may = np.flatnonzero(repeated[:-1] & repeated[1:]) if num_words else np.zeros(0, np.int64)
            may = may[may + n <= num_words]
            may = may[words.documents[may] == words.documents[may + n - 1]]
            grams = Groups.of(ids[may] * np.int64(num_words + 1) + word_ids[may + n - 1], may)
            ids[may] = grams.group
            repeated = np.zeros(num_words, bool)
            repeated[may] = grams.count[grams.group] > 1
            top[n] = _top(words, grams, n, chars_before)
            dupe[n] = _covered(words, np.flatnonzero(repeated), n)
        return cls(top, dupe)


def _top(words: Words, grams: Groups, n: int, chars_before: np.ndarray) -> np.ndarray:
    """Characters of the most frequent n-gram times its count; zero where nothing occurs twice."""
    twice = grams.count > 1
    count, first = grams.count[twice], grams.first[twice]
    documents = words.documents[first]
    order = np.lexsort((first, -count, documents))
    best = order[np.unique(documents[order], return_index=True)[1]]
    result = np.zeros(words.num_documents, np.int64)
    result[documents[best]] = count[best] * (chars_before[first[best] + n] - chars_before[first[best]])
    return result


def _covered(words: Words, starts: np.ndarray, n: int) -> np.ndarray:
    """Characters of the words that the n-grams at `starts` cover, each word once."""
    edges = np.zeros(len(words.starts) + 1, np.int64)
    edges[starts] += 1
    np.subtract.at(edges, starts + n, 1)
    return words.per_document(words.lengths * (np.cumsum(edges[:-1]) > 0))
