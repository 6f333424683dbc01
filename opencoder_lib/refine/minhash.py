"""Fuzzy deduplication: files whose sets of 5-grams are all but equal, found without comparing every pair.

MinHash turns the set of a file's shingles into `num_hashes` numbers; two files agree in each number with a
probability equal to the Jaccard similarity of their sets. Locality-sensitive hashing cuts the numbers into `bands`
of `rows`; files that agree in one whole band are candidates. Candidates are joined into connected components, and of
each component one file stays, chosen as among exact duplicates (section 2.1.1).

    keys(shard)          doc_id, number of shingles and signature of every file still in
    links(bucket)        candidates, as links to the smallest doc_id of their bucket
    decide(files, ...)   which files go, for whom, and how similar the two are estimated to be
    mark(shard, ...)     the shard with those files removed

datasketch makes the signatures and keeps the index; it is also what a faster kernel has to equal, bit by bit.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import datasketch
import numpy as np
import polars as pl

from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import mark_removed, remaining
from opencoder_lib.refine.clusters import KEEP, choose_survivors, connected_components, only_of, survivor_columns
from opencoder_lib.shingles import shingles

REASON = "fuzzy.near_duplicate"
SCHEME = "affine32"
# datasketch makes a (shingles x num_hashes) matrix of what it gets at once. 32 shingles are 256 KB at 2,048 hashes:
# a file of any size fits, and the matrix stays in the processor's cache, which is twice as fast.
SHINGLES_AT_ONCE = 32


@dataclass(frozen=True)
class MinHash:
    """How files are compared: length of a shingle, number of hash functions, and how they are cut into bands.

    The defaults are the paper's (section 2.1.1); `seed` and the hash family are ours. Two settings with equal `ngram`,
    `num_hashes` and `seed` share their signatures, whatever the bands.
    """

    ngram: int = 5
    num_hashes: int = 2048
    bands: int = 16
    rows: int = 128
    seed: int = 1

    def __post_init__(self):
        for name, least in (("ngram", 1), ("num_hashes", 2), ("bands", 2), ("rows", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} must be an integer of at least {least}, it is {value!r}.")
        product = self.bands * self.rows
        if product != self.num_hashes:
            raise ConfigError(
                f"bands * rows must equal num_hashes: {self.bands} * {self.rows} = {product:,}, not "
                f"{self.num_hashes:,}. {self._ways_out()}"
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


def drop_near_duplicates(
    files: pl.DataFrame,
    minhash: MinHash | None = None,
    signatures: pl.DataFrame | None = None,
    keep: Sequence[str] = KEEP,
) -> pl.DataFrame:
    """Of each component of near-duplicate candidates only the first by `keep` is left; the others name it.

    minhash: the paper's setting when left out. signatures: what `keys` returned for these files, to try other bands
    without hashing again. `measured` is the Jaccard similarity with the survivor as the signatures estimate it
    (standard error below 1 / (2 sqrt(num_hashes))). Candidates are not verified: the paper mentions no check.
    Raises ConfigError on unknown columns in `keep`, SchemaError on signatures that do not fit.
    """
    minhash = minhash or MinHash()
    survivor_columns(files, keep)
    signatures = keys(files, minhash) if signatures is None else _signatures_of(files, signatures)
    return mark(files, decide(files, signatures, links(signatures, minhash), keep))


def signature_matrix(texts: Iterable[str], minhash: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """Signatures (N, num_hashes) of uint32 and numbers of distinct shingles (N,) of int64, one row a text.

    Bit for bit what datasketch's MinHash gives for the same shingles with scheme affine32 and SHA-1. A text without
    shingles keeps datasketch's empty signature, all ones. Memory beyond the result does not grow with the texts.
    """
    blank = datasketch.MinHash(minhash.num_hashes, seed=minhash.seed, scheme=SCHEME)
    texts = list(texts)
    matrix = np.empty((len(texts), minhash.num_hashes), dtype=np.uint32)
    counts = np.zeros(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        pieces = [piece.encode("ascii") for piece in shingles(text, minhash.ngram)]
        sketch = blank.copy()
        for start in range(0, len(pieces), SHINGLES_AT_ONCE):
            sketch.update_batch(pieces[start : start + SHINGLES_AT_ONCE])
        matrix[row], counts[row] = sketch.hashvalues, len(pieces)
    return matrix, counts


def keys(shard: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """`doc_id`, `num_shingles` (distinct ones) and `signature` (num_hashes values) of the files still in."""
    here = remaining(shard)
    matrix, counts = signature_matrix(here["text"], minhash)
    signature = pl.Series("signature", matrix, dtype=pl.Array(pl.UInt32, minhash.num_hashes))
    return here.select("doc_id", pl.Series("num_shingles", counts), signature)


def _signatures_of(files: pl.DataFrame, signatures: pl.DataFrame) -> pl.DataFrame:
    here = remaining(files).select("doc_id", "path")
    unsigned = here.join(signatures, on="doc_id", how="anti", maintain_order="left")
    if unsigned.height:
        # Going on without them would keep their duplicates and say nothing.
        raise SchemaError(
            f"The signatures lack {unsigned.height:,} of {here.height:,} files, the first is {unsigned['path'][0]!r}. "
            "Make them with keys(files, minhash) after the stages before this one."
        )
    return signatures.join(here.select("doc_id"), on="doc_id", how="semi", maintain_order="left")


def as_sketches(signatures: pl.DataFrame, minhash: MinHash) -> Iterable[tuple[str, datasketch.MinHash]]:
    """Each `doc_id` with its signature as a datasketch MinHash, ready for any of its indexes.

    Raises SchemaError when the signatures were made with another number of hash functions.
    """
    matrix = _matrix(signatures)
    if len(matrix) and matrix.shape[1] != minhash.num_hashes:
        raise SchemaError(
            f"These signatures have {matrix.shape[1]:,} values, the setting says num_hashes={minhash.num_hashes:,}. "
            "Make them again with keys(files, minhash); only the split into bands and rows may differ."
        )
    blank = datasketch.MinHash(minhash.num_hashes, seed=minhash.seed, scheme=SCHEME)
    for doc_id, values in zip(signatures["doc_id"], matrix, strict=True):
        yield (
            doc_id,
            datasketch.MinHash(seed=minhash.seed, hashvalues=values, permutations=blank.permutations, scheme=SCHEME),
        )


def links(signatures: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """Candidates: `doc_id` and `group`, the smallest doc_id that shares a whole band with it; sorted, each once.

    A file without a single shingle resembles nothing, so it is never a candidate. A bucket of n files gives n - 1
    links, so boilerplate that is everywhere costs no more than anything else.
    """
    index = datasketch.MinHashLSH(num_perm=minhash.num_hashes, params=(minhash.bands, minhash.rows), hashfunc=_band_key)
    for doc_id, sketch in as_sketches(signatures.filter(pl.col("num_shingles") > 0), minhash):
        index.insert(doc_id, sketch)
    found = set()
    for table in index.hashtables:
        for members in map(table.get, table.keys()):
            smallest = min(members)
            found.update((member, smallest) for member in members if member != smallest)
    return pl.DataFrame(sorted(found), schema={"doc_id": pl.String, "group": pl.String}, orient="row")


def _band_key(values: bytes) -> bytes:
    # 16 bytes instead of 4 * rows: the index holds each key, and 2^-128 is no risk.
    return hashlib.sha256(values).digest()[:16]


def decide(
    files: pl.DataFrame, signatures: pl.DataFrame, candidates: pl.DataFrame, keep: Sequence[str] = KEEP
) -> pl.DataFrame:
    """The files that go: `doc_id`, `removed_by`, `survivor`, `measured`, sorted by `doc_id`.

    files: needs `doc_id` and the `keep` columns only. candidates: links of all parts, end to end.
    """
    columns = survivor_columns(files, keep)
    groups = connected_components(candidates)
    members = groups.join(files.select("doc_id", *columns), on="doc_id", how="left")
    gone = choose_survivors(members, keep).filter(pl.col("doc_id") != pl.col("survivor")).sort("doc_id")
    similarity = estimate_jaccard(signatures, gone["doc_id"], gone["survivor"])
    return gone.select(
        "doc_id", pl.lit(REASON).alias("removed_by"), "survivor", pl.Series("measured", similarity, dtype=pl.Float64)
    )


def estimate_jaccard(signatures: pl.DataFrame, one: Sequence[str], other: Sequence[str]) -> np.ndarray:
    """Share of equal values between the signatures of each pair of ids: an unbiased estimate of their Jaccard."""
    row_of = {doc_id: row for row, doc_id in enumerate(signatures["doc_id"])}
    matrix = _matrix(signatures)
    pairs = ((matrix[row_of[left]], matrix[row_of[right]]) for left, right in zip(one, other, strict=True))
    return np.array([np.mean(left == right) for left, right in pairs], dtype=np.float64)


def mark(shard: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """The shard with the files that `decisions` names removed; decisions about other shards are passed over."""
    return mark_removed(shard, only_of(shard, decisions))


def _matrix(signatures: pl.DataFrame) -> np.ndarray:
    return signatures["signature"].to_numpy() if signatures.height else np.empty((0, 0), dtype=np.uint32)
