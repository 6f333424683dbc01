"""Applies rules to signals: which rules hold for a file, what follows, and the reason that is kept."""

import numpy as np
import polars as pl

from opencoder_lib.files import mark_removed
from opencoder_lib.quality.hits import HitMatrix, hit_matrix
from opencoder_lib.quality.rules import Rulebook

STAGE = "filter"
# Files that the release drops without asking a rule.
NO_SET = {"excluded": f"{STAGE}.excluded_type", "unknown": f"{STAGE}.unknown_type"}


def decide(files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook) -> pl.DataFrame:
    """One row per row of `signals`: doc_id, rule_set, decision, removed_by, measured, fired.

    decision: keep, drop, or drop_p0.8 where only rules with a coin stand against the file; it is taken before the coin.
    removed_by: `filter.<id>` of the first rule that holds and wins its coin, else null; measured: its signal's value.
    fired: the ids of all rules that hold, in rulebook order. Null signals hold nothing against a file.
    Raises SchemaError if `signals` lacks a column that a rule needs, or has a file that `files` does not.
    """
    return decisions_of(hit_matrix(files, signals, rules))


def decisions_of(matrix: HitMatrix) -> pl.DataFrame:
    """The frame of `decide`, when the matrix is there already."""
    category = matrix.joined["category"].cast(pl.String)
    without_set = category.replace_strict(NO_SET, default=None, return_dtype=pl.String)
    removed_by = without_set.to_numpy().copy()
    acts_NR, ids = matrix.acts_NR, np.array([rule.id for rule in matrix.rules], object)
    first_N = np.where(acts_NR.any(1), acts_NR.argmax(1), -1) if len(ids) else np.full(len(removed_by), -1)
    measured = np.full(len(removed_by), np.nan)
    for place, rule in enumerate(matrix.rules):
        rows = np.flatnonzero((first_N == place) & without_set.is_null().to_numpy())
        removed_by[rows] = f"{STAGE}.{rule.id}"
        measured[rows] = matrix.values(rule)[rows]
    # The largest share of a rule that holds; 1 where no coin is thrown.
    share_N = (matrix.holds_NR * np.array([rule.drop_share for rule in matrix.rules])).max(1, initial=0)
    share_N[without_set.is_not_null().to_numpy()] = 1
    words = {1.0: "drop", 0.0: "keep"}
    fired: list[list[str]] = [[] for _ in range(len(removed_by))]
    for row, place in zip(*np.nonzero(matrix.holds_NR), strict=True):
        fired[row].append(ids[place])
    return matrix.joined.select("doc_id", "rule_set").with_columns(
        decision=pl.Series([words.get(share, f"drop_p{share:g}") for share in share_N.tolist()], dtype=pl.String),
        removed_by=pl.Series(removed_by.tolist(), dtype=pl.String),
        measured=pl.Series(measured).fill_nan(None),
        fired=pl.Series(fired, dtype=pl.List(pl.String)),
    )


def apply_rules(files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook) -> pl.DataFrame:
    """Return `files` without those a rule removes: removed_by `filter.<rule id>`, measured the deciding value.

    The first rule in rulebook order claims a file. Same rows, same order; earlier removals stand.
    """
    decisions = decide(files, signals, rules)
    hits = decisions.filter(pl.col("removed_by").is_not_null()).select("doc_id", "removed_by", "measured")
    return mark_removed(files, hits)
