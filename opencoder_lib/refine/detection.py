"""What a MinHash setting catches and misses: the formula, and a measurement on pairs whose similarity is known."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import reached, real, score
from opencoder_lib.intervals import wilson
from opencoder_lib.refine.minhash import REASON, MinHash, signature_matrix
from opencoder_lib.seeds import rng
from opencoder_lib.shingles import jaccard, shingles

STAGE = REASON.partition(".")[0]


def pairs_of_known_jaccard(
    seed: int, jaccards: Sequence[float], n: int, num_shingles: int = 1000, ngram: int = 5
) -> pl.DataFrame:
    """`n` pairs of documents for each Jaccard similarity, which is exact for them by construction.

    Both documents of a pair begin with the same words and end with words of their own, no word twice, so the sets of
    their n-grams have `num_shingles` members together and as many in common as the similarity asks for, rounded to
    one. Columns: jaccard (counted on the two sets, not the one asked for), left, right (the texts).
    Raises ConfigError when a similarity is not within (0, 1] or too small for `num_shingles`.
    """
    rows = []
    for asked in jaccards:
        shared = round(asked * num_shingles)
        if not 0 < asked <= 1 or shared < 1:
            raise ConfigError(
                f"A pair of Jaccard similarity {asked} cannot be built from {num_shingles} shingles: it must lie "
                f"between {1 / num_shingles} and 1."
            )
        draws = rng(seed, "pairs", str(asked))
        for _ in range(n):
            left, right = _pair_of_texts(draws, shared, num_shingles - shared, ngram)
            rows.append((jaccard(shingles(left, ngram), shingles(right, ngram)), left, right))
    return pl.DataFrame(rows, schema={"jaccard": pl.Float64, "left": pl.String, "right": pl.String}, orient="row")


def _pair_of_texts(draws: np.random.Generator, shared: int, differing: int, ngram: int) -> tuple[str, str]:
    # 62-bit words: among a million of them the chance of one repeat is below 10^-6.
    words = [f"w{value:x}" for value in draws.integers(2**62, size=shared + ngram - 1 + differing)]
    start, tails = words[: shared + ngram - 1], words[shared + ngram - 1 :]
    return " ".join(start + tails[: differing // 2]), " ".join(start + tails[differing // 2 :])


def sign_pairs(pairs: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """The pairs with `left_signature` and `right_signature`, which serve every split of the same num_hashes."""
    dtype = pl.Array(pl.UInt32, minhash.num_hashes)
    sides = [
        pl.Series(f"{side}_signature", signature_matrix(pairs[side], minhash)[0], dtype=dtype)
        for side in ("left", "right")
    ]
    return pairs.with_columns(sides)


def measure_detection(pairs: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """How many pairs of each similarity become candidates, beside the formula; sorted by similarity.

    pairs: of `pairs_of_known_jaccard`, signed or not. Columns: bands, rows, jaccard, pairs, hits, frac_detected, low
    and high (Wilson interval of 95 %), expected (1 - (1 - J^r)^b), rmse (of the Jaccard estimated from the signatures).
    Raises ConfigError when the signatures have another length than num_hashes.
    """
    if "left_signature" not in pairs.columns:
        pairs = sign_pairs(pairs, minhash)
    equal = pairs["left_signature"].to_numpy() == pairs["right_signature"].to_numpy()
    if equal.shape[1] != minhash.num_hashes:
        raise ConfigError(f"The pairs are signed with {equal.shape[1]:,} hashes, not {minhash.num_hashes:,}.")
    one_band_equal = equal.reshape(len(equal), minhash.bands, minhash.rows).all(axis=2).any(axis=1)
    estimated = pl.Series(equal.mean(axis=1))
    judged = pairs.select("jaccard", hit=pl.Series(one_band_equal), error=estimated - pairs["jaccard"])
    counted = judged.group_by("jaccard").agg(
        pairs=pl.len().cast(pl.Int64),
        hits=pl.col("hit").sum().cast(pl.Int64),
        rmse=(pl.col("error") ** 2).mean().sqrt(),
    )
    rows = [
        (value, count, hits, hits / count, *wilson(hits, count), minhash.probability(value), rmse)
        for value, count, hits, rmse in counted.sort("jaccard").iter_rows()
    ]
    names = ["jaccard", "pairs", "hits", "frac_detected", "low", "high", "expected", "rmse"]
    split = [pl.lit(minhash.bands).alias("bands"), pl.lit(minhash.rows).alias("rows")]
    return pl.DataFrame(rows, schema=names, orient="row").select(*split, pl.all())


def half_detection(measured: pl.DataFrame) -> float:
    """The similarity at which half of the pairs were detected, read off between the two nearest measured points.

    measured: of `measure_detection`, one setting. Raises ConfigError when the points do not reach across one half.
    """
    points = measured.sort("jaccard").select("jaccard", "frac_detected").rows()
    for (left, low), (right, high) in pairwise(points):
        if low < 0.5 <= high:
            return left + (0.5 - low) / (high - low) * (right - left)
    raise ConfigError(
        f"The measured similarities {[round(point[0], 4) for point in points]} never cross a detection of one half; "
        "add some below and above MinHash.jaccard_at(0.5)."
    )


def detection_curve(minhash: MinHash, start: float = 0.0, stop: float = 1.0, points: int = 500) -> pl.DataFrame:
    """The S-curve by the formula: bands, rows, threshold, jaccard, probability at evenly spaced similarities."""
    grid = np.linspace(start, stop, points)
    return pl.DataFrame({"jaccard": grid, "probability": minhash.probability(grid)}).select(
        pl.lit(minhash.bands).alias("bands"),
        pl.lit(minhash.rows).alias("rows"),
        pl.lit(minhash.threshold).alias("threshold"),
        "jaccard",
        "probability",
    )


def describe_splits(splits: Sequence[MinHash]) -> pl.DataFrame:
    """Bands, rows and threshold of each setting, and the similarities at which it finds 10, 50 and 90 % of pairs."""
    rows = [
        {"bands": split.bands, "rows": split.rows, "threshold": split.threshold}
        | {f"J at {100 * chance:.0f} %": split.jaccard_at(chance) for chance in (0.1, 0.5, 0.9)}
        for split in splits
    ]
    return pl.DataFrame(rows)


def planted_pairs(files: pl.DataFrame, minhash: MinHash) -> pl.DataFrame:
    """The planted copies that reached this stage: doc_id, jaccard (true), caught, expected (chance by the formula).

    files: with the column `planted_jaccard` of chapter 01, after `drop_near_duplicates`.
    """
    return (
        reached(files, STAGE)
        .filter(pl.col("planted_jaccard").is_not_null())
        .select(
            "doc_id",
            jaccard="planted_jaccard",
            caught=pl.col("removed_by").is_not_null(),
            expected=minhash.probability(pl.col("planted_jaccard")),
        )
    )


def outcome(files: pl.DataFrame, minhash: MinHash) -> dict:
    """What one setting did: split, files_removed, frac_of_files, frac_of_bytes, lowest_measured, precision, recall.

    files: after `drop_near_duplicates`. The shares are those removed of the real files that reached the stage;
    precision and recall are those of the planted files, lowest_measured is the removed real file least like its
    survivor.
    """
    judged = reached(real(files), STAGE)
    gone = judged.filter(pl.col("removed_by") == REASON)
    planted = score(files, STAGE)
    return {
        "split": f"{minhash.bands} x {minhash.rows}",
        "files_removed": gone.height,
        "frac_of_files": gone.height / max(1, judged.height),
        "frac_of_bytes": gone["n_bytes"].sum() / max(1, judged["n_bytes"].sum()),
        "lowest_measured": gone["measured"].min(),
        "precision": planted["precision"],
        "recall": planted["recall"],
    }
