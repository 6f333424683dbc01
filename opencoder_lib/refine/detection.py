"""What a MinHash setting catches and misses: by the formula, on pairs built for it, and on the corpus' own pairs.

A split is a MinHash whose bands and rows are under test; splits of one list share everything else, so one set of
signatures serves them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import reached, real, removed_for, score
from opencoder_lib.intervals import wilson
from opencoder_lib.refine.fuzzy import drop_near_duplicates
from opencoder_lib.refine.minhash import MinHash, band_keys_of, signature_matrix, signatures, sketch
from opencoder_lib.refine.similarity import jaccard_of_pairs
from opencoder_lib.seeds import rng
from opencoder_lib.shingles import jaccard, shingles

STAGE = "fuzzy"
# By the formula this index misses 1.6 % of the pairs at a Jaccard similarity of 0.5 and one in 40 million at 0.7.
SENSITIVE = MinHash(num_hashes=256, bands=64, rows=4, seed=99)
MOST_NEIGHBOURS = 128
EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
PAIRS_AT_ONCE = 4096


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
        pl.Series(f"{side}_signature", sketch(pairs[side], minhash, with_signatures=True).signatures, dtype=dtype)
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
    """What one setting did: split, files_removed, frac_files, frac_bytes, lowest_measured, precision, recall.

    files: after `drop_near_duplicates`. The shares are those removed of the real files that reached the stage;
    precision and recall are those of the planted files, lowest_measured is the removed real file least like its
    survivor.
    """
    judged = reached(real(files), STAGE)
    gone = judged.filter(removed_for(STAGE))
    planted = score(files, STAGE)
    return {
        "split": split_name(minhash),
        "files_removed": gone.height,
        "frac_files": gone.height / max(1, judged.height),
        "frac_bytes": gone["n_bytes"].sum() / max(1, judged["n_bytes"].sum()),
        "lowest_measured": gone["measured"].min(),
        "precision": planted["precision"],
        "recall": planted["recall"],
    }


def split_name(minhash: MinHash) -> str:
    """'16 x 128': bands and rows."""
    return f"{minhash.bands} x {minhash.rows}"


def sensitivity(files: pl.DataFrame, splits: Sequence[MinHash], changes: Mapping[str, Mapping]) -> pl.DataFrame:
    """What each split removes when one assumption is another: rows of `outcome` with the `change` in front.

    changes: a label, and the fields of MinHash that differ from those of the splits as given. Neighbours that need the
    same signatures share them, and no more than one set of them is held.
    """
    rows, known, signed = [], None, None
    for label, fields in changes.items():
        settings = [replace(split, **fields) for split in splits]
        wanted = replace(settings[0], min_shingles=1, verify=None)
        if wanted != known:
            known, signed = wanted, signatures(files, wanted)
        for setting in settings:
            rows.append({"change": label} | outcome(drop_near_duplicates(files, setting, signed), setting))
    return pl.DataFrame(rows, infer_schema_length=None)


# The corpus' own pairs: what is similar in truth, and what a split finds of it


def pairs_in_bands(doc_ids: pl.Series, band_keys: np.ndarray, most: int = MOST_NEIGHBOURS) -> tuple[pl.DataFrame, int]:
    """The distinct pairs of files that share a band, and how many bands were too full to give all of theirs.

    band_keys: (N, B) uint64. The pairs are a frame of `one` and `other`, the smaller id first. Each file of a band is
    paired with at most the `most` files that follow it in the order of ids: the work grows with files x bands x most
    and never with the square of a band.
    """
    ids = doc_ids.sort()
    keys = band_keys[doc_ids.arg_sort().to_numpy()].ravel()
    number = np.repeat(np.arange(len(ids)), band_keys.shape[1])
    order = np.lexsort((number, keys))
    keys, number = keys[order], number[order]
    found = np.empty(0, np.int64)
    for step in range(1, most + 1):
        same = keys[step:] == keys[:-step]
        if not same.any():
            break
        found = np.unique(np.concatenate([found, number[:-step][same] * len(ids) + number[step:][same]]))
    too_full = np.unique(keys[most + 1 :][keys[most + 1 :] == keys[: -most - 1]])
    one, other = np.divmod(found, max(1, len(ids)))
    return pl.DataFrame({"one": ids.gather(one), "other": ids.gather(other)}), len(too_full)


def similar_pairs(
    files: pl.DataFrame, sets: pl.DataFrame, minhash: MinHash, most: int = MOST_NEIGHBOURS
) -> tuple[pl.DataFrame, int]:
    """Pairs with their exact Jaccard similarity, and how many bands of the index were cut at `most`: the ground truth.

    files: those of `sets`, which is of `shingle_sets` for the same minhash. Columns: one, other, jaccard. The pairs
    come from an index far more sensitive than any split worth judging (SENSITIVE), over the shingles that minhash
    describes, with hash functions of its own, so that no split is judged by its own luck.
    """
    cut = {"num_hashes": SENSITIVE.num_hashes, "bands": SENSITIVE.bands, "rows": SENSITIVE.rows, "seed": SENSITIVE.seed}
    made = sketch(files["text"], replace(minhash, **cut))
    judged = made.num_shingles >= minhash.min_shingles
    pairs, num_cut = pairs_in_bands(files["doc_id"].filter(pl.Series(judged)), made.band_keys[judged], most)
    return with_jaccard(pairs, sets), num_cut


def with_jaccard(pairs: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    """The pairs `one` and `other` with their exact `jaccard`."""
    return pairs.with_columns(jaccard=pl.Series(jaccard_of_pairs(sets, pairs["one"], pairs["other"]), dtype=pl.Float64))


def finds(pairs: pl.DataFrame, signed: pl.DataFrame, split: MinHash) -> pl.Series:
    """Whether the two files of each pair share a band of the split: a boolean named like the split."""
    keys = band_keys_of(signature_matrix(signed, split), split)
    row_of = {doc_id: row for row, doc_id in enumerate(signed["doc_id"])}
    one, other = (np.array([row_of[doc_id] for doc_id in pairs[side]], np.int64) for side in ("one", "other"))
    found = np.zeros(pairs.height, bool)
    for start in range(0, pairs.height, PAIRS_AT_ONCE):
        here = slice(start, start + PAIRS_AT_ONCE)
        found[here] = (keys[one[here]] == keys[other[here]]).any(axis=1)
    return pl.Series(split_name(split), found)


def judge_split(
    truth: pl.DataFrame, sets: pl.DataFrame, signed: pl.DataFrame, split: MinHash, most: int = MOST_NEIGHBOURS
) -> dict:
    """How well a split tells the pairs at or above its threshold from the others, on the corpus' own pairs.

    truth: of `similar_pairs`; signed: of `signatures`, for the files of `sets`. precision is the share of the pairs
    found that reach the threshold, precision_at_0.05_less the same for a threshold lower by that; recall is the share
    that it finds of the true pairs at or above the threshold, expected_recall what the formula says of them. Shares of
    nothing are null.
    """
    able = signed.filter(pl.col("num_shingles") >= split.min_shingles)
    keys = band_keys_of(signature_matrix(able, split), split)
    found = with_jaccard(pairs_in_bands(able["doc_id"], keys, most)[0], sets)["jaccard"]
    wanted = truth.filter(pl.col("jaccard") >= split.threshold)
    caught = finds(wanted, signed, split)
    return {
        "split": split_name(split),
        "threshold": split.threshold,
        "pairs_found": found.len(),
        "precision": (found >= split.threshold).mean(),
        "precision_at_0.05_less": (found >= split.threshold - 0.05).mean(),
        "true_pairs": wanted.height,
        "true_pairs_found": int(caught.sum()),
        "recall": caught.mean(),
        "expected_recall": wanted.select(split.probability(pl.col("jaccard"))).to_series().mean(),
    }


def pairs_by_similarity(
    truth: pl.DataFrame, signed: pl.DataFrame, splits: Sequence[MinHash], edges: Sequence[float] = EDGES
) -> pl.DataFrame:
    """The true pairs in steps of their similarity: `jaccard` (in words), `pairs`, and how many each split finds.

    A step has its lower edge and not its upper; pairs of one set of shingles, at 1, are a step of their own. Pairs
    below the first edge are left out.
    """
    flagged = truth.with_columns(finds(truth, signed, split) for split in splits)
    rows = []
    for low, high in [*pairwise(edges), (1.0, 2.0)]:
        here = flagged.filter(pl.col("jaccard") >= low, pl.col("jaccard") < high)
        counted = {split_name(split): int(here[split_name(split)].sum()) for split in splits}
        rows.append({"jaccard": f"{low:g} to {high:g}" if low < 1 else "1", "pairs": here.height} | counted)
    return pl.DataFrame(rows)
