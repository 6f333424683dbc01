"""Exact deduplication: of all files with the same bytes, one stays.

The paper hashes every document with SHA-256 and keeps, per hash, the copy with the most stars and the latest
commit (section 2.1.1). Three quarters of GitHub's files go here, at the speed of the hash.

    keys(shard)          one small row a file: its id, the digest, what decides who stays
    reduce(bucket)       all rows with the same digest meet here; which files go, and for whom
    mark(shard, ...)     the shard with those files removed

Nothing else crosses between shards, so a cluster runs these same three functions: keys on every shard, a shuffle
by digest, reduce on every bucket, mark on every shard.
"""

import hashlib
from collections.abc import Sequence

import polars as pl

from opencoder_lib.files import mark_removed, remaining
from opencoder_lib.refine.clusters import KEEP, choose_survivors, only_of, survivor_columns

REASON = "exact.duplicate"


def drop_exact_duplicates(files: pl.DataFrame, keep: Sequence[str] = KEEP) -> pl.DataFrame:
    """Of files with equal text only the first by `keep` is left; the others name it in `survivor`.

    keep: columns, most important first, the largest value wins; unknown values lose and the smallest doc_id decides
    between equals. Raises ConfigError on a column that does not exist. Source: section 2.1.1.
    """
    return mark(files, reduce(keys(files, keep), keep))


def keys(shard: pl.DataFrame, keep: Sequence[str] = KEEP) -> pl.DataFrame:
    """`doc_id`, `group` (the 32 bytes of SHA-256 of the text's UTF-8) and the `keep` columns of the files still in."""
    columns = survivor_columns(shard, keep)
    here = remaining(shard)
    digests = [hashlib.sha256(text.encode("utf-8")).digest() for text in here["text"]]
    return here.select("doc_id", pl.Series("group", digests, dtype=pl.Binary), *columns)


def reduce(bucket: pl.DataFrame, keep: Sequence[str] = KEEP) -> pl.DataFrame:
    """The files of a bucket that go: `doc_id`, `removed_by`, `survivor`, sorted by `doc_id`.

    bucket: rows of `keys`; all rows with one digest must be in one bucket, in any order.
    """
    repeated = bucket.filter(pl.col("group").is_duplicated())
    gone = choose_survivors(repeated, keep).filter(pl.col("doc_id") != pl.col("survivor"))
    return gone.select("doc_id", pl.lit(REASON).alias("removed_by"), "survivor").sort("doc_id")


def mark(shard: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """The shard with the files that `decisions` names removed; decisions about other shards are passed over."""
    return mark_removed(shard, only_of(shard, decisions))


def shared_contents(files: pl.DataFrame, min_bytes: int = 1) -> pl.DataFrame:
    """Which repositories hold the same contents, before deduplication took the copies: one row a pair, largest first.

    Columns: repo, other, contents (distinct ones that both hold; for repo == other those held more than once), n_bytes
    (one copy of each), vendored (contents whose path in `repo` ends with their whole path in `other`, as
    pip/_vendor/rich/box.py ends with rich/box.py). Of two names the one with more such paths comes first, so `repo`
    has taken from `other` where `vendored` is not 0. Contents under `min_bytes` are left out: an empty file is shared
    by everyone and says nothing. The work is quadratic in the number of copies of one content.
    """
    gone = files.filter(pl.col("removed_by") == REASON)
    stayed = files.filter(pl.col("doc_id").is_in(gone["survivor"].unique().implode()))
    columns = [pl.col("repo").fill_null("(no repository)"), "path", "n_bytes"]
    held = pl.concat([gone.select(*columns, group="survivor"), stayed.select(*columns, group="doc_id")])
    held = held.filter(pl.col("n_bytes") >= min_bytes).with_row_index("row")
    pairs = held.join(held, on="group", suffix="_other").filter(pl.col("row") != pl.col("row_other"))
    pairs = pairs.with_columns(
        vendored=(pl.col("repo") != pl.col("repo_other"))
        & pl.col("path").str.ends_with(pl.concat_str(pl.lit("/"), pl.col("path_other")))
    )
    contents = pairs.group_by("repo", "repo_other", "group").agg(pl.col("n_bytes").first(), pl.col("vendored").any())
    counted = contents.group_by("repo", other="repo_other").agg(
        contents=pl.len().cast(pl.Int64),
        n_bytes=pl.col("n_bytes").sum(),
        vendored=pl.col("vendored").sum().cast(pl.Int64),
    )
    # Each pair of repositories occurs in both directions; keep the one that the paths speak for.
    pair = pl.concat_list("repo", "other").list.sort()
    directed = counted.sort("vendored", "repo", descending=[True, False]).with_columns(pair=pair)
    once = directed.unique("pair", keep="first", maintain_order=True).drop("pair")
    return once.sort("n_bytes", "repo", "other", descending=[True, False, False])
