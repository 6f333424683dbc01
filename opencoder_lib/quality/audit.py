"""What the rules did: hits, hits no other rule shares, thresholds moved on stored signals, and what is left."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from opencoder_lib.quality.apply import STAGE, decide, judged, signal_values
from opencoder_lib.quality.rules import Rulebook, Threshold


def hits_by_rule(files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook) -> pl.DataFrame:
    """One row per rule, in rulebook order: how often it holds among the real files, alone or with others.

    Columns: rule, scope, signal, files (judged by it), hits, exclusive (no other rule holds), removed (it was the
    first to hold), frac_hits (of files), bytes_exclusive. Exclusive hits are what a rule alone is answerable for.
    """
    joined = judged(files, signals).filter(pl.col("origin") != "planted")
    decisions = decide(files, signals, rules).join(joined.select("doc_id", "n_bytes"), on="doc_id", how="semi")
    size = joined["n_bytes"].fill_null(0).to_numpy()
    sets = joined["rule_set"].to_numpy()
    alone = (decisions["fired"].list.len() == 1).to_numpy()
    rows = []
    for rule in rules:
        hit = rule.fires(signal_values(joined, rule.signal), sets)
        judged_here = int(np.isin(sets, rule.live_sets).sum())
        removed = int((decisions["removed_by"] == f"{STAGE}.{rule.id}").sum())
        share = float(hit.sum() / judged_here) if judged_here else None
        exclusive = hit & alone
        rows.append(
            (rule.id, rule.group, rule.signal, judged_here, int(hit.sum()), int(exclusive.sum()), removed, share,
             int(size[exclusive].sum()))
        )  # fmt: skip
    names = ["rule", "scope", "signal", "files", "hits", "exclusive", "removed", "frac_hits", "bytes_exclusive"]
    kinds = [pl.String] * 3 + [pl.Int64] * 4 + [pl.Float64, pl.Int64]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def what_if(
    files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook, rule_id: str, thresholds: Sequence[float]
) -> pl.DataFrame:
    """What one rule would remove at other thresholds, from stored signals: no text is read.

    Columns: threshold, files (judged by the rule), hits, exclusive (no other rule holds), frac_hits, bytes_exclusive,
    is_current. Real files only. Each number replaces the threshold in every set of the rule; a rule that drops outside a range
    keeps its lower bound and moves the upper one.
    """
    rule = rules[rule_id]
    joined = judged(files, signals).filter(pl.col("origin") != "planted")
    sets, values = joined["rule_set"].to_numpy(), signal_values(joined, rule.signal)
    size = joined["n_bytes"].fill_null(0).to_numpy()
    others = np.zeros(len(values), bool)
    for other in rules:
        if other.id != rule_id:
            others |= other.fires(signal_values(joined, other.signal), sets)
    current = rule.common_threshold
    num_judged = int(np.isin(sets, rule.live_sets).sum())
    rows = []
    for value in thresholds:
        moved = Threshold(current.kind, (current.value[0], value) if current.kind == "drop_outside" else value)
        hit = rule.fires(values, sets, moved)
        exclusive = hit & ~others
        share = float(hit.sum() / num_judged) if num_judged else None
        rows.append((float(value), num_judged, int(hit.sum()), int(exclusive.sum()), share, int(size[exclusive].sum()),
                     moved == current))  # fmt: skip
    names = ["threshold", "files", "hits", "exclusive", "frac_hits", "bytes_exclusive", "is_current"]
    kinds = [pl.Float64, pl.Int64, pl.Int64, pl.Int64, pl.Float64, pl.Int64, pl.Boolean]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def composition(files: pl.DataFrame) -> pl.DataFrame:
    """Bytes and files of each language that reached the filter and that it left, for real files; most bytes first.

    Columns: language, files_before, files_after, bytes_before, bytes_after, frac_bytes_surviving.
    """
    stage = pl.col("removed_by").str.split(".").list.first()
    reached = files.filter((pl.col("origin") != "planted") & (pl.col("removed_by").is_null() | (stage == STAGE)))
    kept = pl.col("removed_by").is_null()
    return (
        reached.group_by("language")
        .agg(
            files_before=pl.len().cast(pl.Int64),
            files_after=kept.sum().cast(pl.Int64),
            bytes_before=pl.col("n_bytes").sum(),
            bytes_after=pl.col("n_bytes").filter(kept).sum(),
        )
        .with_columns(frac_bytes_surviving=pl.col("bytes_after") / pl.col("bytes_before"))
        .sort("bytes_before", "language", descending=[True, False])
    )


def removed_alone(files: pl.DataFrame, decisions: pl.DataFrame, rule_id: str, n: int) -> pl.DataFrame:
    """Up to `n` real files (the first by id) that this rule alone removed, with `measured`: the ones to read when tuning it."""
    alone = decisions.filter((pl.col("fired").list.len() == 1) & (pl.col("removed_by") == f"{STAGE}.{rule_id}")).select(
        "doc_id", decided=pl.col("measured")
    )
    found = files.filter(pl.col("origin") != "planted").join(alone, on="doc_id", how="inner")
    return found.with_columns(measured=pl.col("decided")).drop("decided").sort("doc_id").head(n)
