"""Applies rules to signals: which rules hold for a file, what follows, and the reason that is kept."""

import numpy as np
import polars as pl

from opencoder_lib.errors import SchemaError
from opencoder_lib.files import mark_removed
from opencoder_lib.languages import with_languages
from opencoder_lib.quality.rules import Rulebook, rule_set_expr
from opencoder_lib.seeds import hash_share

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
    joined = judged(files, signals)
    ids, sets = joined["doc_id"].to_list(), joined["rule_set"].to_numpy()
    num = len(ids)
    certain, coin_share = np.zeros(num, bool), np.zeros(num)
    removed_by = np.full(num, None, object)
    measured = np.full(num, np.nan)
    fired: list[list[str]] = [[] for _ in range(num)]
    for reason, where in _without_set(joined):
        certain |= where
        removed_by[where] = reason
    for rule in rules:
        values = signal_values(joined, rule.signal)
        hits = np.flatnonzero(rule.fires(values, sets))
        for index in hits.tolist():
            fired[index].append(rule.id)
        if rule.drop_share == 1:
            certain[hits] = True
        else:
            coin_share[hits] = np.maximum(coin_share[hits], rule.drop_share)
            hits = hits[[hash_share(rule.id, ids[index]) < rule.drop_share for index in hits.tolist()]]
        new = hits[removed_by[hits] == None]  # noqa: E711  (elementwise)
        removed_by[new] = f"{STAGE}.{rule.id}"
        measured[new] = values[new]
    decision = [
        "drop" if sure else f"drop_p{share:g}" if share else "keep"
        for sure, share in zip(certain, coin_share, strict=True)
    ]
    return joined.select("doc_id", "rule_set").with_columns(
        decision=pl.Series(decision, dtype=pl.String),
        removed_by=pl.Series(removed_by.tolist(), dtype=pl.String),
        measured=pl.Series(measured).fill_nan(None),
        fired=pl.Series(fired, dtype=pl.List(pl.String)),
    )


def judged(files: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """`signals` with the columns rule_set, category, language, n_bytes and origin of each file."""
    about = files.join(signals.select("doc_id"), on="doc_id", how="semi")
    if about.select("language", "category", "natural_language").null_count().sum_horizontal().item():
        about = with_languages(about)
    about = about.select("doc_id", "category", "language", "n_bytes", "origin", rule_set=rule_set_expr())
    joined = signals.join(about, on="doc_id", how="left", maintain_order="left")
    if strangers := joined["category"].null_count():
        raise SchemaError(
            f"{strangers} rows of the signals belong to no file of the frame. Compute them from these files."
        )
    return joined


def signal_values(joined: pl.DataFrame, name: str) -> np.ndarray:
    """One column of signals as floats, NaN for null. Raises SchemaError if it is missing."""
    if name not in joined.columns:
        raise SchemaError(f"The signals have no column {name!r}, which a rule needs. Compute them again.")
    return joined[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _without_set(joined: pl.DataFrame):
    """The reason and the files of each category that no set judges."""
    category = joined["category"].cast(pl.String)
    for name, reason in NO_SET.items():
        yield reason, (category == name).to_numpy()


def apply_rules(files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook) -> pl.DataFrame:
    """Return `files` without those a rule removes: removed_by `filter.<rule id>`, measured the deciding value.

    The first rule in rulebook order claims a file. Same rows, same order; earlier removals stand.
    """
    decisions = decide(files, signals, rules)
    hits = decisions.filter(pl.col("removed_by").is_not_null()).select("doc_id", "removed_by", "measured")
    return mark_removed(files, hits)
