"""Files that belong together, and the one of them that stays: shared by exact and fuzzy deduplication.

A group is named by an id, and a frame with the columns `doc_id` and `group` says who is in it. Everything here
gives the same answer for any order of the rows and for any split into parts.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components as component_labels

from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.files import remaining, removed_for

KEEP = ("stars", "committed_at")


def survivor_columns(files: pl.DataFrame, keep: Sequence[str] = KEEP) -> list[str]:
    """The columns that decide which copy stays. Raises ConfigError on a repeated name or one the frame lacks."""
    columns = [keep] if isinstance(keep, str) else list(keep)
    for name in columns:
        if name not in files.columns:
            raise ConfigError(f"keep names {name!r}, which the files do not have.{did_you_mean(name, files.columns)}")
    if len(set(columns)) < len(columns) or "doc_id" in columns:
        raise ConfigError(f"keep={columns} must name each column once, and never doc_id: it always decides last.")
    return columns


def choose_survivors(members: pl.DataFrame, keep: Sequence[str] = KEEP) -> pl.DataFrame:
    """Each member with its group's `survivor`: the largest value of the first `keep` column, then of the next.

    members: `doc_id`, `group` and the columns named in `keep`. An unknown (null) value loses to any known one, and
    equal files are told apart by the smallest `doc_id`, so the choice is the same on every machine.
    """
    columns = survivor_columns(members, keep)
    descending = [False, *[True] * len(columns), False]
    ranked = members.sort("group", *columns, "doc_id", descending=descending, nulls_last=True)
    return ranked.with_columns(survivor=pl.col("doc_id").first().over("group"))


def connected_components(links: pl.DataFrame) -> pl.DataFrame:
    """Every linked file once, with its component's smallest `doc_id` as `group`; sorted by `doc_id`.

    links: `doc_id` and `group`, each row saying that these two ids belong together. The answer has the same two
    columns and is itself a set of links, so components of parts merge by joining the parts end to end and asking
    again. Time and memory are linear in the number of links.
    """
    ids = pl.concat([links["doc_id"], links["group"]]).unique().sort()
    one, other = (_places(links[name], ids) for name in ("doc_id", "group"))
    shape = (len(ids), len(ids))
    graph = coo_array((np.ones(links.height, np.int8), (one, other)), shape=shape)
    number, label = component_labels(graph, directed=False)
    # Ids are sorted, so the first member of a component is its smallest: its name depends on no order of the links.
    first = np.full(number, len(ids), np.int64)
    np.minimum.at(first, label, np.arange(len(ids)))
    group = ids.gather(first[label]) if len(ids) else ids
    return pl.DataFrame({"doc_id": ids, "group": group}, schema={"doc_id": pl.String, "group": pl.String})


def _places(names: pl.Series, ids: pl.Series) -> np.ndarray:
    """Where each name stands in the sorted `ids`."""
    return ids.search_sorted(names).to_numpy() if len(names) else np.empty(0, np.int64)


def only_of(files: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """The decisions that concern files of this shard."""
    return decisions.join(remaining(files).select("doc_id"), on="doc_id", how="semi")


def removed_groups(files: pl.DataFrame, reason: str) -> pl.DataFrame:
    """One row per survivor of a stage or reason, largest group first: the files it stands for and what they weigh.

    Columns: survivor, path, repo, language, n_bytes (of the survivor), files (with the survivor), repos (distinct,
    with the survivor's), bytes_removed, lowest_measured.
    """
    gone = files.filter(removed_for(reason))
    about = files.select("path", "repo", "language", "n_bytes", survivor="doc_id")
    groups = gone.group_by("survivor").agg(
        copies=pl.len().cast(pl.Int64),
        other_repos=pl.col("repo").unique(),
        bytes_removed=pl.col("n_bytes").sum(),
        lowest_measured=pl.col("measured").min(),
    )
    joined = groups.join(about, on="survivor", how="left").with_columns(
        files=pl.col("copies") + 1,
        repos=pl.concat_list("other_repos", pl.concat_list("repo")).list.drop_nulls().list.n_unique().cast(pl.Int64),
    )
    order = ["survivor", "path", "repo", "language", "n_bytes", "files", "repos", "bytes_removed", "lowest_measured"]
    return joined.select(order).sort("files", "bytes_removed", "survivor", descending=[True, True, False])


def beside_survivor(files: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Each file that a stage or reason removed, with its survivor's path, repo, license, origin, text as `kept_*`."""
    kept = files.select(
        pl.col("doc_id").alias("survivor"),
        *(pl.col(name).alias(f"kept_{name}") for name in ("path", "repo", "license", "origin", "text")),
    )
    gone = files.filter(removed_for(reason))
    return gone.join(kept, on="survivor", how="left", maintain_order="left").sort("doc_id")
