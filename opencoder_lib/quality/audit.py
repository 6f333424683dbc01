"""What the rules did: hits, hits no other rule shares, thresholds moved on stored signals, and what is left."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from opencoder_lib.files import reached, real
from opencoder_lib.paper import facts
from opencoder_lib.quality.apply import STAGE, decide, judged, signal_values
from opencoder_lib.quality.rules import Rulebook
from opencoder_lib.report import PERMISSIVE


def hits_by_rule(files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook) -> pl.DataFrame:
    """One row per rule, in rulebook order: how often it holds among the real files, alone or with others.

    Columns: rule, scope, signal, files (judged by it), hits, exclusive (no other rule holds), removed (it was the
    first to hold), frac_files_hit (of files), bytes_exclusive. Exclusive hits are what a rule alone is answerable for.
    """
    joined = real(judged(files, signals))
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
    names = ["rule", "scope", "signal", "files", "hits", "exclusive", "removed", "frac_files_hit", "bytes_exclusive"]
    kinds = [pl.String] * 3 + [pl.Int64] * 4 + [pl.Float64, pl.Int64]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def what_if(
    files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook, rule_id: str, thresholds: Sequence[float]
) -> pl.DataFrame:
    """What one rule would remove at other thresholds, from stored signals: no text is read.

    Columns: threshold, files (judged by the rule), hits, exclusive (no other rule holds), frac_files_hit,
    bytes_exclusive, is_current. Ascending, the threshold in force always among them. Real files only. A number
    replaces the threshold in every set of the rule; a rule that drops outside a range moves the upper end.
    """
    rule = rules[rule_id]
    joined = real(judged(files, signals))
    sets, values = joined["rule_set"].to_numpy(), signal_values(joined, rule.signal)
    size = joined["n_bytes"].fill_null(0).to_numpy()
    others = np.zeros(len(values), bool)
    for other in rules:
        if other.id != rule_id:
            others |= other.fires(signal_values(joined, other.signal), sets)
    current = rule.common_threshold
    num_judged = int(np.isin(sets, rule.live_sets).sum())
    rows = []
    moved_to = {float(cut) for cut in thresholds if not np.isclose(cut, current.cut, rtol=1e-9)} | {current.cut}
    for cut in sorted(moved_to):
        hit = rule.fires(values, sets, current.moved_to(cut))
        exclusive = hit & ~others
        share = float(hit.sum() / num_judged) if num_judged else None
        rows.append((cut, num_judged, int(hit.sum()), int(exclusive.sum()), share, int(size[exclusive].sum()),
                     cut == current.cut))  # fmt: skip
    names = ["threshold", "files", "hits", "exclusive", "frac_files_hit", "bytes_exclusive", "is_current"]
    kinds = [pl.Float64, pl.Int64, pl.Int64, pl.Int64, pl.Float64, pl.Int64, pl.Boolean]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def composition(files: pl.DataFrame) -> pl.DataFrame:
    """Bytes and files of each language that reached the filter and that it left, for real files; most bytes first.

    Columns: language, files_before, files_after, bytes_before, bytes_after, frac_bytes_surviving.
    """
    kept = pl.col("removed_by").is_null()
    return (
        reached(real(files), STAGE)
        .group_by("language")
        .agg(
            files_before=pl.len().cast(pl.Int64),
            files_after=kept.sum().cast(pl.Int64),
            bytes_before=pl.col("n_bytes").sum(),
            bytes_after=pl.col("n_bytes").filter(kept).sum(),
        )
        .with_columns(frac_bytes_surviving=pl.col("bytes_after") / pl.col("bytes_before"))
        .sort("bytes_before", "language", descending=[True, False])
    )


def with_reported(composed: pl.DataFrame) -> pl.DataFrame:
    """Return the frame of `composition` with `frac_reported`, the paper's surviving share of the language, or null."""
    prefix = "surviving."
    reported = {
        key.removeprefix(prefix).replace("_", " "): float(found.value)
        for key, found in facts().items()
        if key.startswith(prefix)
    }
    share = pl.col("language").replace_strict(reported, default=None, return_dtype=pl.Float64)
    return composed.with_columns(frac_reported=share)


def distribution(
    files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook, rule_id: str, highest: float, num_bins: int = 40
) -> pl.DataFrame:
    """How the signal of one rule is distributed over the real files it judges.

    Columns: low, high (edges of the bin, the last one open), files, hits (of them, beyond the threshold).
    """
    rule = rules[rule_id]
    joined = real(judged(files, signals)).filter(pl.col("rule_set").is_in(rule.live_sets))
    values, sets = signal_values(joined, rule.signal), joined["rule_set"].to_numpy()
    edges = np.linspace(0, highest, num_bins + 1)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, num_bins - 1)
    known = ~np.isnan(values)
    count = np.bincount(place[known], minlength=num_bins)
    hits = np.bincount(place[rule.fires(values, sets)], minlength=num_bins)
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "files": count, "hits": hits})


def by_defect(files: pl.DataFrame) -> pl.DataFrame:
    """Planted files by what was planted: defect, planted, removed here, and by which rules. Near misses are 'clean'."""
    return (
        reached(files, STAGE)
        .filter(pl.col("truth").is_not_null())
        .group_by(defect="truth")
        .agg(
            planted=pl.len().cast(pl.Int64),
            removed=pl.col("removed_by").is_not_null().sum().cast(pl.Int64),
            first_rule=pl.col("removed_by").drop_nulls().unique().sort().str.strip_prefix(f"{STAGE}."),
        )
        .sort("defect")
    )


def removed_alone(
    files: pl.DataFrame, decisions: pl.DataFrame, rules: Rulebook, rule_ids: Sequence[str], each: int
) -> pl.DataFrame:
    """Files that one rule alone removed, `each` per rule (the first by id): the ones to read when tuning it.

    Only real files under a permissive licence. The column `reason` has rule, value and threshold in words.
    """
    alone = decisions.filter(pl.col("fired").list.len() == 1).select("doc_id", "rule_set", decided="measured")
    free = pl.any_horizontal(pl.col("license").str.starts_with(name) for name in PERMISSIVE)
    found = real(files).filter(free).join(alone, on="doc_id", how="inner").sort("doc_id")
    parts = [found.head(0).with_columns(reason=pl.lit(""))]
    for rule_id in rule_ids:
        rule = rules[rule_id]
        for row in found.filter(pl.col("removed_by") == f"{STAGE}.{rule_id}").head(each).iter_rows(named=True):
            said = f"{rule_id}: {rule.signal} = {row['decided']:.4g}, dropped when {rule.thresholds[row['rule_set']]}"
            parts.append(found.filter(pl.col("doc_id") == row["doc_id"]).with_columns(reason=pl.lit(said)))
    return pl.concat(parts)
