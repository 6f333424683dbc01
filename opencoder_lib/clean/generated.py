"""Generated files of known composition, as many as wanted: how many deduplication must remove is known before it runs.

A text is a row of names, each with what follows it, so it looks like code and one name more is one shingle more. Every
text is a hash of its number: no draw depends on another one, a copy can be written far from its original, and memory
does not grow with the number of files.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from opencoder_lib import seeds
from opencoder_lib.errors import ConfigError

VERBS = ("get", "set", "read", "write", "load", "save", "open", "close", "find", "make", "parse", "send", "test")
NOUNS = ("file", "line", "name", "node", "path", "page", "item", "user", "list", "date", "size", "rows", "text", "data")
TRAILERS = (" = ", "(", ", ", ")\n    ", " + ", ".", ":\n        ", "]\n\n")
# Files in memory at once.
CHUNK = 20_000
# A text that a near copy repeats: with 296 of 297 shingles in common the paper's 16 bands of 128 rows miss one pair in
# ten million. Other texts are long enough that no two are equal by chance.
LONG_WORDS, LEAST_WORDS = 300, 8
SPREAD = 0.6
ORIGINAL, LONG_ORIGINAL, EXACT, LAYOUT, NEAR = range(5)


@dataclass(frozen=True)
class Composition:
    """What a hundred generated files consist of; the rest are originals.

    exact: copies byte for byte; layout: copies with other punctuation, so the same shingles; near: copies with a word
    more, of as many long originals. median_words: of all other texts, whose lengths are log-normal; a word takes about
    eleven bytes. Raises ConfigError when too few originals are left.
    """

    exact: int = 75
    layout: int = 1
    near: int = 1
    median_words: int = 14

    def __post_init__(self):
        if min(self.exact, self.layout, self.near) < 0 or self.short < max(1, self.layout):
            raise ConfigError(f"{self} leaves {self.short} short originals in a hundred files: too few to be copied.")

    @property
    def short(self) -> int:
        """Originals in a hundred files that exact and layout copies repeat."""
        return 100 - self.exact - self.layout - 2 * self.near

    def kinds(self, seed: int) -> np.ndarray:
        """What each of a hundred consecutive files is."""
        counts = (self.short, self.near, self.exact, self.layout, self.near)
        return seeds.rng(seed, "generated", "kinds").permutation(np.repeat(np.arange(5), counts))


def generate_files(path: Path, num_files: int, seed: int = 0, made_of: Composition | None = None) -> dict[str, int]:
    """A Parquet file of generated files lies at `path`; columns text, path, repo, stars.

    Returns files, bytes, exact and fuzzy (how many must go, and for which stage) and repeated (files whose text occurs
    more than once: the exact copies and what they repeat). The same arguments give the same file. Raises ConfigError
    unless num_files is in whole hundreds, so that every size has the same shares.
    """
    made_of = made_of or Composition()
    if num_files < 100 or num_files % 100:
        raise ConfigError(f"num_files must be in whole hundreds, it is {num_files!r}.")
    kinds, hundreds, words = made_of.kinds(seed), num_files // 100, _words()
    copied, seen, num_bytes = np.zeros(hundreds * made_of.short, bool), np.zeros(5, np.int64), 0
    writer = None
    try:
        for start in range(0, num_files, CHUNK):
            rows = np.arange(start, min(start + CHUNK, num_files))
            kind = kinds[rows % 100]
            number, seen = _originals(kind, seen, hundreds, made_of, seed)
            copied[number[kind == EXACT]] = True
            text = _texts(kind, number, made_of.median_words, seed, words)
            num_bytes += pc.sum(pc.binary_length(text)).as_py()
            table = _table(text, rows)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
            writer.write_table(table)
    finally:
        if writer:
            writer.close()
    exact, fuzzy = hundreds * made_of.exact, hundreds * (made_of.layout + made_of.near)
    repeated = exact + int(copied.sum())
    return {"files": num_files, "bytes": num_bytes, "exact": exact, "fuzzy": fuzzy, "repeated": repeated}


def _words() -> pa.Array:
    """Every name with everything that may follow it. Neighbours with an even first number have the same name."""
    return pa.array([f"{verb}_{noun}{end}" for verb in VERBS for noun in NOUNS for end in TRAILERS])


def _originals(
    kind: np.ndarray, seen: np.ndarray, hundreds: int, made_of: Composition, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The number of the original whose text each row holds, and how many of each kind there were with these rows.

    seen: how many there were before. Short and long originals are counted apart.
    """
    number, counts = np.empty(len(kind), np.int64), np.bincount(kind, minlength=5)
    short, long = hundreds * made_of.short, hundreds * made_of.near
    for each, first in enumerate(seen):
        own = np.arange(first, first + counts[each])
        if each == EXACT:
            # As on GitHub a few texts have most copies: the square draws towards the first ones.
            own = (short * _share(_mixed(own, seed, "copies")) ** 2).astype(np.int64)
        elif each == LAYOUT:
            own = own * _step(short) % short
        elif each == NEAR and long:
            own = own * _step(long) % long
        number[kind == each] = own
    return number, seen + counts


def _step(size: int) -> int:
    """A number without a factor in common with `size`: in such steps one meets all of them before any comes again."""
    step = max(1, round(0.618 * size))
    while np.gcd(step, size) != 1:
        step += 1
    return step


def _texts(kind: np.ndarray, number: np.ndarray, median_words: int, seed: int, words: pa.Array) -> pa.Array:
    """The text of each row."""
    long = (kind == LONG_ORIGINAL) | (kind == NEAR)
    origin = _mixed(2 * number + long, seed, "texts")
    radius = np.sqrt(-2 * np.log1p(-_share(origin)))
    normal = radius * np.cos(2 * np.pi * _share(_mixed(origin, seed, "angles")))
    lengths = np.maximum(np.rint(median_words * np.exp(SPREAD * normal)), LEAST_WORDS).astype(np.int64)
    lengths = np.where(long, np.maximum(lengths, LONG_WORDS), lengths) + (kind == NEAR)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    place = (np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)).astype(np.uint64)
    drawn = _share(_mixed(np.repeat(origin, lengths) ^ _mixed(place, seed, "places"), seed, "words"))
    chosen = (drawn * len(words)).astype(np.int32)
    # Another end behind the same name.
    chosen ^= np.repeat(kind == LAYOUT, lengths).astype(np.int32)
    listed = pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), words.take(pa.array(chosen)))
    return pc.binary_join(listed, "")


def _table(text: pa.Array, rows: np.ndarray) -> pa.Table:
    number, owner = (pa.array(which).cast(pa.string()) for which in (rows, rows // 40))
    path = pc.binary_join_element_wise("src/module_", number, ".py", "")
    repo = pc.binary_join_element_wise("owner/repository_", owner, "")
    stars = pa.array((_share(_mixed(rows, 0, "stars")) * 1000).astype(np.int32))
    return pa.table({"text": text, "path": path, "repo": repo, "stars": stars})


def _mixed(numbers: np.ndarray, seed: int, stream: str) -> np.ndarray:
    """A 64-bit hash of each number (the last steps of splitmix64)."""
    mixed = numbers.astype(np.uint64) + np.uint64(seeds.stream_seed(seed, "generated", stream))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _share(mixed: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1)."""
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53
