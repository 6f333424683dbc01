"""What other ways to choose within a budget would do: by stars, by size, by whole repositories, by other keys.

The paper gives the size of a cut and not who is cut. Every choice here takes files in its own order until the next one
does not fit, as `sampling.downsample` does in the order of a hash; what differs is who comes first.
"""

import polars as pl

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import real, remaining
from opencoder_lib.refine.sampling import REASON, STAGE, check_budgets, places

HASH, WHOLE = "hash of the id", "whole repositories, hash of the name"


def compare_choices(
    files: pl.DataFrame, language: str, budget: int, num_keys: int = 20, key: str = STAGE
) -> pl.DataFrame:
    """What each choice keeps of the real files of `language` that reached sampling; first of all the hash with `key`.

    Columns: choice, files, repos, n_bytes, median_size_in_B, frac_bytes_in_largest_repo, frac_mixture_moved: the bytes
    that would have to change their repository for the mixture to be that before the cut, 0 when nothing has changed;
    for choices by a hash also frac_mixture_moved_lowest and _highest under `num_keys` other keys.
    Raises ConfigError when no file of the language has a byte.
    """
    check_budgets({language: budget})
    here = _files_of(files, language, key)
    stars = here.sort("stars", "place", descending=[True, False], nulls_last=True)
    fixed = {
        "most stars first": stars,
        "smallest first": here.sort("size", "place"),
        "largest first": here.sort("size", "place", descending=[True, False]),
    }
    keys = [key, *(f"{key}-{number}" for number in range(1, num_keys + 1))]
    rows = [_hashed(here, HASH, "doc_id", budget, keys), _hashed(here, WHOLE, "repo", budget, keys)]
    rows += [_row(name, ordered, here, budget) for name, ordered in fixed.items()]
    everything = _row("no cut", here, here, int(here["size"].sum()))
    return pl.DataFrame([everything, *rows], infer_schema_length=None)


def _files_of(files: pl.DataFrame, language: str, key: str) -> pl.DataFrame:
    found = real(files).filter(pl.col("language") == language)
    found = pl.concat([remaining(found), found.filter(pl.col("removed_by") == REASON)])
    size = pl.col("text").str.len_bytes().cast(pl.Int64)
    here = found.select("doc_id", pl.col("repo").fill_null("(none)"), "stars", size=size)
    if not here["size"].sum():
        raise ConfigError(f"There is no byte of {language!r} to choose from. Name a language of the corpus.")
    return here.with_columns(places(here["doc_id"], key)).sort("place", "doc_id")


def _hashed(here: pl.DataFrame, name: str, of: str, budget: int, keys: list[str]) -> dict:
    orders = (
        here.with_columns(places(here[of], key).alias("_order")).sort("_order", "place", "doc_id") for key in keys
    )
    first, *others = [_row(name, ordered, here, budget) for ordered in orders]
    moved = [row["frac_mixture_moved"] for row in others if row["frac_mixture_moved"] is not None]
    return first | {
        "frac_mixture_moved_lowest": min(moved, default=None),
        "frac_mixture_moved_highest": max(moved, default=None),
    }


def _row(name: str, ordered: pl.DataFrame, before: pl.DataFrame, budget: int) -> dict:
    kept = ordered.filter(pl.col("size").cum_sum() <= budget)
    was, now = _mixture(before), _mixture(kept)
    both = was.join(now, on="repo", how="left", suffix="_now", maintain_order="left").with_columns(
        pl.col("frac_now").fill_null(0)
    )
    return {
        "choice": name,
        "files": kept.height,
        "repos": kept["repo"].n_unique(),
        "n_bytes": int(kept["size"].sum()),
        "median_size_in_B": round(kept["size"].median() or 0),
        "frac_bytes_in_largest_repo": now["frac"].max(),
        "frac_mixture_moved": (both["frac"] - both["frac_now"]).abs().sum() / 2 if kept["size"].sum() else None,
        "frac_mixture_moved_lowest": None,
        "frac_mixture_moved_highest": None,
    }


def _mixture(files: pl.DataFrame) -> pl.DataFrame:
    """Share of the bytes by repository."""
    sums = files.group_by("repo").agg(frac=pl.col("size").sum()).filter(pl.col("frac") > 0)
    return sums.with_columns(pl.col("frac") / pl.col("frac").sum()).sort("repo")
