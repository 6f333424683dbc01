"""MinHash: the set of a file's shingles as a few numbers, from which similar files are found without comparing all.

Each of `num_hashes` hash functions keeps the smallest value over the shingles; two files agree in each with a
probability equal to the Jaccard similarity of their sets. Locality-sensitive hashing cuts these numbers, the signature,
into `bands` of `rows`; files that agree in one whole band are candidates. A band becomes a key of 64 bits, so that a
file is `bands` numbers and its signature need not be kept (section 2.1.1).

Signatures are those of datasketch 2.x (scheme affine32): its indexes, stores and files take them.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec

import datasketch
import numpy as np
import polars as pl

from opencoder_lib import MB
from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import remaining
from opencoder_lib.machine import num_processors
from opencoder_lib.refine import minhash_numpy
from opencoder_lib.shingles import JOINING_BYTES, check_unit

SCHEME = "affine32"
SHINGLE_HASHES = ("fast", "sha1")
# What one call of the compiled loops takes: small enough that its copy does not count, and to share out evenly.
BLOCK_BYTES = 4 * MB


@dataclass(frozen=True)
class MinHash:
    """How files are compared: what a shingle is, how many hash functions, and how they are cut into bands.

    ngram, num_hashes, bands and rows are the paper's (section 2.1.1), the rest is ours. unit and fold_case: see
    `shingles.tokens`. min_shingles: a file with fewer distinct shingles is never a near-duplicate. shingle_hash:
    `fast`, or `sha1` as datasketch has it by default. verify: candidates whose Jaccard similarity is lower are let go;
    null takes all candidates. Settings that differ in bands, rows, min_shingles and verify only share their signatures.
    """

    ngram: int = 5
    num_hashes: int = 2048
    bands: int = 16
    rows: int = 128
    seed: int = 1
    unit: str = "word"
    fold_case: bool = False
    min_shingles: int = 1
    shingle_hash: str = "fast"
    verify: float | None = None

    def __post_init__(self):
        for name, least in (
            ("ngram", 1),
            ("num_hashes", 2),
            ("bands", 2),
            ("rows", 1),
            ("seed", 0),
            ("min_shingles", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} must be an integer of at least {least}, it is {value!r}.")
        if self.seed >= 2**32:
            raise ConfigError(f"seed must be below 2^32, as datasketch's must; it is {self.seed}.")
        product = self.bands * self.rows
        if product != self.num_hashes:
            raise ConfigError(
                f"bands * rows must equal num_hashes: {self.bands} * {self.rows} = {product:,}, not "
                f"{self.num_hashes:,}. {self._ways_out()}"
            )
        check_unit(self.unit)
        if self.shingle_hash not in SHINGLE_HASHES:
            raise ConfigError(f"shingle_hash={self.shingle_hash!r} is none of {', '.join(SHINGLE_HASHES)}.")
        number = isinstance(self.verify, (int, float)) and not isinstance(self.verify, bool)
        if self.verify is not None and not (number and 0 < self.verify <= 1):
            raise ConfigError(
                f"verify={self.verify!r} is a Jaccard similarity: above 0, at most 1, or null for no check."
            )

    def _ways_out(self) -> str:
        if self.num_hashes % self.bands == 0:
            return f"Try rows={self.num_hashes // self.bands}."
        if self.num_hashes % self.rows == 0 and self.num_hashes > self.rows:
            return f"Try bands={self.num_hashes // self.rows}."
        return f"Try num_hashes={self.bands * self.rows}."

    @property
    def threshold(self) -> float:
        """The Jaccard similarity (1/b)^(1/r) near which the S-curve is steepest."""
        return (1 / self.bands) ** (1 / self.rows)

    def probability(self, jaccard):
        """The chance 1 - (1 - J^r)^b that a pair of this Jaccard similarity becomes a candidate.

        jaccard: a number, an array, or a Polars expression; the answer is of the same kind.
        """
        return 1 - (1 - jaccard**self.rows) ** self.bands

    def jaccard_at(self, probability: float) -> float:
        """The Jaccard similarity at which a pair becomes a candidate with this probability: the S-curve inverted."""
        return (1 - (1 - probability) ** (1 / self.bands)) ** (1 / self.rows)


@dataclass(frozen=True)
class Sketches:
    """What MinHash says of N texts.

    num_shingles (N,) int64, distinct ones; sets (N, 2) uint64, a hash of the set of shingles: equal for texts that
    differ in layout only; band_keys (N, bands) uint64; signatures (N, num_hashes) uint32, (0, num_hashes) if not asked
    for. A text without shingles keeps the empty signature, all ones.
    """

    num_shingles: np.ndarray
    sets: np.ndarray
    band_keys: np.ndarray
    signatures: np.ndarray


def sketch(
    texts: pl.Series | Iterable[str],
    minhash: MinHash,
    with_signatures: bool = False,
    num_threads: int | None = None,
    compiled: bool | None = None,
) -> Sketches:
    """The sketches of texts, in their order.

    num_threads: as many as there are processors when left out; the answer is the same for any. compiled: false takes
    numpy alone, which is also what happens without numba. Memory beyond the answer does not grow with the number of
    texts; per thread it is ten to forty times the largest text, and sixty times where each character is a token.
    """
    texts = texts if isinstance(texts, pl.Series) else pl.Series(texts, dtype=pl.String)
    num_texts, rows = len(texts), len(texts) if with_signatures else 0
    made = Sketches(
        np.zeros(num_texts, np.int64),
        np.zeros((num_texts, 2), np.uint64),
        np.zeros((num_texts, minhash.bands), np.uint64),
        np.zeros((rows, minhash.num_hashes), np.uint32),
    )
    compiled = has_compiled_loops() if compiled is None else compiled
    fill = partial(_fill_compiled if compiled else _fill_numpy, texts, minhash, made)
    blocks = list(_blocks(texts))
    threads = min(num_threads or num_processors(), max(1, len(blocks)))
    if threads == 1:
        for block in blocks:
            fill(block)
    else:
        with ThreadPoolExecutor(threads) as pool:
            # list() so that an error in a thread is raised here.
            list(pool.map(fill, blocks))
    return made


def has_compiled_loops() -> bool:
    """Whether numba is there."""
    return find_spec("numba") is not None


def _blocks(texts: pl.Series) -> Iterator[slice]:
    """Consecutive texts of about BLOCK_BYTES together."""
    ends = texts.str.len_bytes().cast(pl.Int64).cum_sum().to_numpy()
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK_BYTES, side="right")))
        yield slice(start, stop)
        start = stop


def _fill_numpy(texts: pl.Series, minhash: MinHash, made: Sketches, block: slice) -> None:
    views = made.num_shingles[block], made.sets[block], made.band_keys[block], made.signatures[block]
    minhash_numpy.sketch_texts(texts[block].to_list(), minhash, *permutations(minhash), *views)


def _fill_compiled(texts: pl.Series, minhash: MinHash, made: Sketches, block: slice) -> None:
    from opencoder_lib.refine.minhash_kernels import sketch_texts

    views = made.num_shingles[block], made.sets[block], made.band_keys[block], made.signatures[block]
    data, offsets = text_bytes(texts[block])
    use_sha1 = minhash.shingle_hash == "sha1"
    sketch_texts(data, offsets, *byte_tables(minhash), minhash.ngram, use_sha1, *permutations(minhash), *views)


def text_bytes(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """(C,) UTF-8 bytes of all texts end to end and (N + 1,) int64 offsets."""
    column = texts.to_arrow()
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data or b"", np.uint8), offsets


@cache
def byte_tables(minhash: MinHash) -> tuple[np.ndarray, np.ndarray, bool]:
    """(256,) whether a byte joins a token, (256,) what it counts as, and whether each character is a token."""
    joins = np.array([byte in JOINING_BYTES[minhash.unit] for byte in range(256)], np.uint8)
    folded = np.arange(256, dtype=np.uint8)
    if minhash.fold_case:
        folded[ord("A") : ord("Z") + 1] += 32
    return joins, folded, minhash.unit == "character"


@cache
def permutations(minhash: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """datasketch's multipliers (K,) and addends (K,) of uint32 for the scheme, the number of hashes and the seed."""
    multiply, add = _blank(minhash).permutations
    return np.ascontiguousarray(multiply), np.ascontiguousarray(add)


def _blank(minhash: MinHash) -> datasketch.MinHash:
    return datasketch.MinHash(minhash.num_hashes, seed=minhash.seed, scheme=SCHEME)


# Frames of signatures: for trying other splits, for repositories, and for other people's tools


def signatures(files: pl.DataFrame, minhash: MinHash, num_threads: int | None = None) -> pl.DataFrame:
    """`doc_id`, `num_shingles`, `shingle_set` (16 bytes) and `signature` (num_hashes values) of the files still in."""
    here = remaining(files)
    made = sketch(here["text"], minhash, with_signatures=True, num_threads=num_threads)
    signature = pl.Series("signature", made.signatures, dtype=pl.Array(pl.UInt32, minhash.num_hashes))
    return here.select("doc_id").with_columns(
        pl.Series("num_shingles", made.num_shingles), set_column(made.sets), signature
    )


def set_column(sets: np.ndarray) -> pl.Series:
    """(N, 2) hashes of sets as a column of 16 bytes each."""
    data = np.ascontiguousarray(sets).tobytes()
    return pl.Series("shingle_set", [data[at : at + 16] for at in range(0, len(data), 16)], dtype=pl.Binary)


def signature_matrix(signed: pl.DataFrame, minhash: MinHash) -> np.ndarray:
    """(N, num_hashes) uint32. Raises SchemaError when the signatures were made with another number of functions."""
    matrix = signed["signature"].to_numpy() if signed.height else np.empty((0, minhash.num_hashes), np.uint32)
    if matrix.shape[1] != minhash.num_hashes:
        raise SchemaError(
            f"These signatures have {matrix.shape[1]:,} values, the setting says num_hashes={minhash.num_hashes:,}. "
            "Make them again with signatures(files, minhash); only the split into bands and rows may differ."
        )
    return matrix


def band_keys_of(matrix: np.ndarray, minhash: MinHash) -> np.ndarray:
    """(N, bands) uint64 keys of signatures (N, num_hashes), cut as `minhash` says."""
    if not has_compiled_loops():
        return minhash_numpy.fold_bands(matrix, minhash.bands)
    from opencoder_lib.refine.minhash_kernels import fold_all

    keys = np.empty((len(matrix), minhash.bands), np.uint64)
    fold_all(np.ascontiguousarray(matrix), keys)
    return keys


def as_sketches(signed: pl.DataFrame, minhash: MinHash) -> Iterator[tuple[str, datasketch.MinHash]]:
    """Each `doc_id` with its signature as a datasketch MinHash, ready for any of its indexes.

    Raises SchemaError when the signatures were made with another number of hash functions.
    """
    parameters = _blank(minhash).permutations
    for doc_id, values in zip(signed["doc_id"], signature_matrix(signed, minhash), strict=True):
        yield (
            doc_id,
            datasketch.MinHash(seed=minhash.seed, hashvalues=values, permutations=parameters, scheme=SCHEME),
        )


def estimate_jaccard(signed: pl.DataFrame, one: Iterable[str], other: Iterable[str], minhash: MinHash) -> np.ndarray:
    """Share of equal values between the signatures of each pair of ids: an unbiased estimate of their Jaccard."""
    row_of = {doc_id: row for row, doc_id in enumerate(signed["doc_id"])}
    matrix = signature_matrix(signed, minhash)
    pairs = ((matrix[row_of[left]], matrix[row_of[right]]) for left, right in zip(one, other, strict=True))
    return np.array([np.mean(left == right) for left, right in pairs], dtype=np.float64)
