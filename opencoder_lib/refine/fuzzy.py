"""Fuzzy deduplication: of files whose sets of 5-grams are all but equal, one stays (paper section 2.1.1).

    keys(shard, ...)        one row a file: what its shingles are worth as numbers, and what decides who stays
    same_sets(bucket)       files with the same set of shingles, as links; all rows of one set must meet here
    band_rows(keys)         one row a band of the other files: its key and the file
    shared_bands(bucket)    those whose key occurs more than once; all rows of one key must meet here
    candidates(...)         connected components of both: the files that have to be looked at again
    decide(members, ...)    which of them go, for whom, and how similar the two are; whole components must meet here
    mark(shard, ...)        the shard with those files removed

Only `candidates` sees more than a bucket, and it sees only files that resemble another one. A cluster shuffles a key of
8 bytes and an id per band; the text never moves. Files that differ in layout only have the same set of shingles: one
hash finds them, they go under a reason of their own, and one of them is looked for in the bands for all.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from opencoder_lib.errors import SchemaError
from opencoder_lib.files import mark_removed, remaining
from opencoder_lib.refine.clusters import KEEP, choose_survivors, connected_components, only_of, survivor_columns
from opencoder_lib.refine.minhash import MinHash, band_keys_of, set_column, signature_matrix, sketch
from opencoder_lib.refine.similarity import jaccard_of_pairs, shingle_sets

NEAR, SAME = "fuzzy.near_duplicate", "fuzzy.same_shingles"
LINKS = {"doc_id": pl.String, "group": pl.String}
# Members of a bucket are compared with a leader; who is unlike it, with the next. Nobody waits for a thousandth.
MAX_LEADERS = 32


def drop_near_duplicates(
    files: pl.DataFrame,
    minhash: MinHash | None = None,
    signatures: pl.DataFrame | None = None,
    keep: Sequence[str] = KEEP,
) -> pl.DataFrame:
    """Of each component of near-duplicate candidates only the first by `keep` is left; the others name it.

    minhash: the paper's setting when left out. signatures: of `minhash.signatures` for these files, to try other bands
    without hashing again. `measured` is the Jaccard similarity with the survivor, computed from the texts. Candidates
    are not verified unless minhash.verify says so: the paper mentions no check. Raises ConfigError on unknown columns
    in `keep`, SchemaError on signatures that do not fit.
    """
    minhash = minhash or MinHash()
    known = keys(files, minhash, keep) if signatures is None else _keys_from(files, signatures, minhash, keep)
    same = same_sets(known)
    shared = shared_bands(band_rows(known, same))
    found = candidates(shared, same)
    alike = remaining(files).join(shared, on="doc_id", how="semi")
    members = known.drop("band_keys").join(found, on="doc_id", how="inner")
    return mark(files, decide(members, shared, same, shingle_sets(alike, minhash), minhash, keep))


def keys(
    shard: pl.DataFrame, minhash: MinHash, keep: Sequence[str] = KEEP, num_threads: int | None = None
) -> pl.DataFrame:
    """One row for each file that can have a near-duplicate.

    Columns: doc_id, the `keep` columns, num_shingles (distinct ones), shingle_set (16 bytes), band_keys.
    """
    columns = survivor_columns(shard, keep)
    here = remaining(shard)
    made = sketch(here["text"], minhash, num_threads=num_threads)
    return _rows(here.select("doc_id", *columns), made.num_shingles, set_column(made.sets), made.band_keys, minhash)


def _keys_from(files: pl.DataFrame, signed: pl.DataFrame, minhash: MinHash, keep: Sequence[str]) -> pl.DataFrame:
    columns = survivor_columns(files, keep)
    here = remaining(files)
    unsigned = here.join(signed, on="doc_id", how="anti", maintain_order="left")
    if unsigned.height:
        # Going on without them would keep their duplicates and say nothing.
        raise SchemaError(
            f"The signatures lack {unsigned.height:,} of {here.height:,} files, the first is {unsigned['path'][0]!r}. "
            "Make them with signatures(files, minhash) after the stages before this one."
        )
    about = here.select("doc_id", *columns).join(signed, on="doc_id", how="left", maintain_order="left")
    band_keys = band_keys_of(signature_matrix(about, minhash), minhash)
    counts = about["num_shingles"].to_numpy()
    return _rows(about.select("doc_id", *columns), counts, about["shingle_set"], band_keys, minhash)


def _rows(about: pl.DataFrame, counts: np.ndarray, sets: pl.Series, band_keys: np.ndarray, minhash: MinHash):
    # A file without a shingle resembles nothing: all such files have the same, empty, signature.
    keys = pl.Series("band_keys", band_keys, dtype=pl.Array(pl.UInt64, minhash.bands))
    rows = about.with_columns(pl.Series("num_shingles", counts, dtype=pl.Int64), sets, keys)
    return rows.filter(pl.col("num_shingles") >= minhash.min_shingles)


def same_sets(bucket: pl.DataFrame) -> pl.DataFrame:
    """Links `doc_id` and `group`, the smallest id with the same set of shingles, for all but that one; sorted."""
    repeated = bucket.select("doc_id", "shingle_set").filter(pl.col("shingle_set").is_duplicated())
    linked = repeated.with_columns(group=pl.col("doc_id").min().over("shingle_set"))
    return linked.filter(pl.col("doc_id") != pl.col("group")).select(*LINKS).sort("doc_id")


def band_rows(known: pl.DataFrame, same: pl.DataFrame) -> pl.DataFrame:
    """`key` and `doc_id`, one row for each band of each file that no other file stands for in `same`."""
    leading = known.join(same, on="doc_id", how="anti")
    return leading.select(key="band_keys", doc_id="doc_id").explode("key")


def shared_bands(bucket: pl.DataFrame) -> pl.DataFrame:
    """The rows of a bucket whose key occurs more than once."""
    return bucket.filter(pl.col("key").is_duplicated())


def star_links(shared: pl.DataFrame) -> pl.DataFrame:
    """Links `doc_id` and `group`, the smallest id that shares a whole band with it; sorted, each once.

    A band of n files gives n - 1 links, so boilerplate that is everywhere costs no more than anything else.
    """
    linked = shared.with_columns(group=pl.col("doc_id").min().over("key"))
    return linked.filter(pl.col("doc_id") != pl.col("group")).select(*LINKS).unique().sort(*LINKS)


def candidates(shared: pl.DataFrame, same: pl.DataFrame) -> pl.DataFrame:
    """`doc_id` and `cluster`, the smallest id of its component, of every file that resembles another one."""
    links = pl.concat([star_links(shared), same.select(*LINKS)])
    return connected_components(links).rename({"group": "cluster"})


def verified_links(shared: pl.DataFrame, sets: pl.DataFrame, least: float) -> pl.DataFrame:
    """Links between files that share a band and whose Jaccard similarity is at least `least`; sorted, each once.

    In each band all files are held against the smallest id; then against the smallest of those that are like none so
    far, and so on, at most MAX_LEADERS times: the work stays linear in the size of the band, whatever is in it.
    """
    found, others, waiting = [], shared, shared
    for _ in range(MAX_LEADERS):
        leaders = waiting.group_by("key").agg(group=pl.col("doc_id").min())
        # Who is linked is asked again: being like an earlier leader does not keep it from being like this one.
        others = others.join(leaders, left_on=["key", "doc_id"], right_on=["key", "group"], how="anti")
        pairs = others.join(leaders, on="key", how="inner")
        if pairs.is_empty():
            break
        asked = pairs.select(*LINKS).unique()
        asked = asked.with_columns(jaccard=pl.Series(jaccard_of_pairs(sets, asked["doc_id"], asked["group"])))
        found.append(asked.filter(pl.col("jaccard") >= least).select(*LINKS))
        waiting = waiting.join(leaders, left_on=["key", "doc_id"], right_on=["key", "group"], how="anti")
        waiting = waiting.join(pairs.join(found[-1], on=list(LINKS), how="semi"), on=["key", "doc_id"], how="anti")
    return pl.concat(found).unique().sort(*LINKS) if found else pl.DataFrame(schema=LINKS)


def decide(
    members: pl.DataFrame,
    shared: pl.DataFrame,
    same: pl.DataFrame,
    sets: pl.DataFrame,
    minhash: MinHash,
    keep: Sequence[str] = KEEP,
) -> pl.DataFrame:
    """The files that go: `doc_id`, `removed_by`, `survivor`, `measured`, `cluster`, sorted by `doc_id`.

    members: `doc_id` and the `keep` columns of whole components; shared, same: what links them; sets: of
    `shingle_sets`, for the files in `shared`.
    """
    near = star_links(shared) if minhash.verify is None else verified_links(shared, sets, minhash.verify)
    clusters = connected_components(pl.concat([near, same.select(*LINKS)]))
    ranked = choose_survivors(clusters.join(members, on="doc_id", how="inner"), keep)
    gone = ranked.filter(pl.col("doc_id") != pl.col("survivor")).select("doc_id", "survivor", cluster="group")
    # One file of each set stands for all of them: it is the one whose shingles are known.
    stands_for = dict(same.select(*LINKS).iter_rows())
    one, other = ([stands_for.get(name, name) for name in gone[column]] for column in ("doc_id", "survivor"))
    differ = pl.Series([left != right for left, right in zip(one, other, strict=True)], dtype=pl.Boolean)
    pairs = [(left, right) for left, right in zip(one, other, strict=True) if left != right]
    measured = np.ones(gone.height)
    measured[differ.to_numpy()] = jaccard_of_pairs(sets, [left for left, _ in pairs], [right for _, right in pairs])
    reason = pl.when(differ).then(pl.lit(NEAR)).otherwise(pl.lit(SAME))
    gone = gone.with_columns(removed_by=reason, measured=pl.Series(measured, dtype=pl.Float64))
    return gone.select("doc_id", "removed_by", "survivor", "measured", "cluster").sort("doc_id")


def mark(shard: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """The shard with the files that `decisions` names removed; decisions about other shards are passed over."""
    return mark_removed(shard, only_of(shard, decisions))
