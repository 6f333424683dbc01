"""Where thresholds should lie, as the paper's appendix asks: coarse by distribution, fine by files of one rule, by eye.

All of it comes from stored signals; only the files to be read are opened. Real files only.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from opencoder_lib.files import in_hash_order
from opencoder_lib.quality.audit import quotable
from opencoder_lib.quality.hits import HitMatrix
from opencoder_lib.quality.rules import Rule, Threshold

QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
BACK, GONE = "comes back", "goes"
KEPT, ALONE = "kept", "removed by one rule"


def coarse(matrix: HitMatrix, rule_ids: Sequence[str] | None = None) -> pl.DataFrame:
    """Each threshold beside the quantiles of its signal over the real files that the rule judges.

    Columns: rule, drops_when, files (with a value), nulls, p1, p5, p50, p95, p99, frac_files_hit (of those with a
    value). rule_ids: only these, in this order; all otherwise.
    """
    found = matrix.real
    rows = []
    for rule in map(matrix.rules.__getitem__, rule_ids) if rule_ids is not None else matrix.rules:
        here = found.rows_judged_by(rule)
        values = found.values(rule)[here]
        known = values[~np.isnan(values)]
        marks = np.quantile(known, QUANTILES).tolist() if len(known) else [None] * len(QUANTILES)
        hits = int(found.holds_NR[here, matrix.place[rule.id]].sum())
        share = hits / len(known) if len(known) else None
        rows.append((rule.id, str(rule.common_threshold), len(known), len(values) - len(known), *marks, share))
    marks = {f"p{100 * at:g}": pl.Float64 for at in QUANTILES}
    schema = {"rule": pl.String, "drops_when": pl.String, "files": pl.Int64, "nulls": pl.Int64}
    return pl.DataFrame(rows, schema=schema | marks | {"frac_files_hit": pl.Float64}, orient="row")


def distribution(matrix: HitMatrix, rule_id: str, highest: float | None = None, num_bins: int = 40) -> pl.DataFrame:
    """How the signal of one rule is distributed over the real files it judges.

    Columns: rule, low, high (edges of the bin, the last one open), files, hits (of them, beyond the threshold).
    highest: where the last bin ends; by default a quarter beyond the threshold or the 99 % quantile.
    """
    rule, found = matrix.rules[rule_id], matrix.real
    here = found.rows_judged_by(rule)
    values, held = found.values(rule)[here], found.holds_NR[here, matrix.place[rule_id]]
    known = ~np.isnan(values)
    if highest is None:
        tail = np.quantile(values[known], 0.99) if known.any() else 0.0
        highest = max(1.25 * rule.common_threshold.cut, tail) or 1.0
    edges = np.linspace(0, highest, num_bins + 1)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, num_bins - 1)
    count, hits = (np.bincount(place[some], minlength=num_bins) for some in (known, held))
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "files": count, "hits": hits}).select(
        pl.lit(rule_id).alias("rule"), pl.all()
    )


def what_if(matrix: HitMatrix, rule_id: str, thresholds: Sequence[float]) -> pl.DataFrame:
    """What one rule would remove at other thresholds, every other rule in place.

    Columns: threshold, files (judged by the rule), hits, exclusive (no other rule holds), frac_files_hit,
    bytes_exclusive, is_current. Ascending, the threshold in force always among them. A number replaces the threshold in
    every set of the rule; a rule that drops outside a range moves the upper end.
    """
    rule, found = matrix.rules[rule_id], matrix.real
    current = rule.common_threshold
    place = matrix.place[rule_id]
    others = found.holds_NR.sum(1) - found.holds_NR[:, place] > 0
    judged = len(found.rows_judged_by(rule))
    rows = []
    moved_to = {float(cut) for cut in thresholds if not np.isclose(cut, current.cut, rtol=1e-9)} | {current.cut}
    for cut in sorted(moved_to):
        hit = found.holds_at(rule, dict.fromkeys(rule.live_sets, current.moved_to(cut)))
        alone = hit & ~others
        share = float(hit.sum() / judged) if judged else None
        row = (cut, judged, int(hit.sum()), int(alone.sum()), share, int(found.n_bytes_N[alone].sum()))
        rows.append((*row, cut == current.cut))
    names = ["threshold", "files", "hits", "exclusive", "frac_files_hit", "bytes_exclusive", "is_current"]
    kinds = [pl.Float64, pl.Int64, pl.Int64, pl.Int64, pl.Float64, pl.Int64, pl.Boolean]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def tightened(threshold: Threshold, share: float) -> Threshold | None:
    """The threshold moved by `share` of its value so that it drops more; less, if `share` is negative.

    A range moves both of its ends. Null for drop_if, which has nowhere to move.
    """
    kind, value = threshold.kind, threshold.value
    if kind == "drop_above":
        return Threshold(kind, value * (1 - share))
    if kind == "drop_below":
        return Threshold(kind, value * (1 + share))
    if kind == "drop_outside":
        return Threshold(kind, (value[0] * (1 + share), value[1] * (1 - share)))
    return None


def what_if_all(matrix: HitMatrix, shares: Sequence[float] = (0.1, 0.25)) -> pl.DataFrame:
    """What would come back and what would go if one rule were changed, for every rule and change, after the coins.

    Columns: rule, scope, change ('off', '25 % looser' … '25 % stricter'), files_back, bytes_back, files_gone,
    bytes_gone. A change moves the rule's threshold in every set by that share of its value; a rule that asks for one
    value can only be switched off, its other rows are null. A file that another rule removes stays removed.
    """
    found = matrix.real
    moves = [(f"{share:.0%} looser".replace("%", " %"), -share) for share in sorted(shares, reverse=True)]
    moves += [(f"{share:.0%} stricter".replace("%", " %"), share) for share in sorted(shares)]
    acting_N = found.acts_NR.sum(1)
    rows = []
    for place, rule in enumerate(matrix.rules):
        was = found.acts_NR[:, place]
        free = acting_N - was == 0
        alone = was & free
        rows.append((rule.id, rule.group, "off", int(alone.sum()), int(found.n_bytes_N[alone].sum()), 0, 0))
        for label, share in moves:
            moved = {name: tightened(threshold, share) for name, threshold in rule.thresholds.items()}
            if None in moved.values():
                rows.append((rule.id, rule.group, label, None, None, None, None))
                continue
            # Only files that no other rule removes can change sides, so only their coins are thrown.
            now = found.acts(rule, found.holds_at(rule, moved) & free)
            sides = (alone & ~now, now & ~was)
            counts = [count for side in sides for count in (int(side.sum()), int(found.n_bytes_N[side].sum()))]
            rows.append((rule.id, rule.group, label, *counts))
    schema = {"rule": pl.String, "scope": pl.String, "change": pl.Enum(["off", *(label for label, _ in moves)])}
    numbers = ["files_back", "bytes_back", "files_gone", "bytes_gone"]
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(numbers, pl.Int64), orient="row")


def what_if_table(changes: pl.DataFrame, of: str = "files") -> pl.DataFrame:
    """One row per rule: by how much the kept corpus would grow (or shrink: negative) under each change.

    changes: the frame of `what_if_all`. of: 'files' or 'bytes'. Rules without any effect are left out; the largest
    effect comes first.
    """
    columns = changes["change"].dtype.categories.to_list()
    names = {change: change if of == "files" else f"{of} {change}" for change in columns}
    grown = changes.with_columns(grown=pl.col(f"{of}_back") - pl.col(f"{of}_gone"))
    effect = pl.max_horizontal(pl.col(f"{of}_back") + pl.col(f"{of}_gone")).max()
    order = changes.group_by("rule").agg(effect=effect).filter(pl.col("effect") > 0)
    return (
        grown.with_columns(pl.col("change").cast(pl.String))
        .pivot("change", index="rule", values="grown")
        .join(order, on="rule", how="inner")
        .sort("effect", "rule", descending=[True, False])
        .select("rule", *(pl.col(change).alias(name) for change, name in names.items()))
    )


def changing_sides(matrix: HitMatrix, rule_id: str, thresholds: Sequence[float]) -> pl.DataFrame:
    """The files that change sides when one rule's threshold moves: each at the nearest of `thresholds` that moves it.

    Columns: doc_id, rule_set, value, threshold, side ('comes back' or 'goes'), n_bytes; in order of the distance from
    the threshold in force, then by value. Only files that no other rule removes, after the coin.
    """
    rule, found = matrix.rules[rule_id], matrix.real
    current = rule.common_threshold
    was, free = found.acts_NR[:, matrix.place[rule_id]], ~found.others_act(rule)
    values, settled = found.values(rule), ~free
    parts = []
    for cut in sorted((float(cut) for cut in thresholds), key=lambda cut: (abs(cut - current.cut), cut)):
        moved = dict.fromkeys(rule.live_sets, current.moved_to(cut))
        now = found.acts(rule, found.holds_at(rule, moved) & free)
        rows = np.flatnonzero((now != was) & ~settled)
        settled[rows] = True
        rows = rows[np.argsort(values[rows], kind="stable")]
        about = found.joined[rows].select("doc_id", "rule_set", "n_bytes")
        sides = pl.Series([BACK if was[row] else GONE for row in rows.tolist()], dtype=pl.String)
        parts.append(about.with_columns(value=pl.Series(values[rows]), threshold=pl.lit(cut), side=sides))
    columns = ["doc_id", "rule_set", "value", "threshold", "side", "n_bytes"]
    return pl.concat(parts).select(columns)


def to_read(files: pl.DataFrame, changing: pl.DataFrame, rule: Rule, each: int = 1) -> pl.DataFrame:
    """Rows of `files` with a `reason` in words: `each` of the files that change sides at every threshold.

    changing: the frame of `changing_sides`. Only files whose licence permits quoting.
    """
    said = pl.format(
        "{} when {} is cut at {}: its value is {}",
        "side",
        pl.lit(rule.signal),
        pl.col("threshold").round_sig_figs(4),
        pl.col("value").round_sig_figs(4),
    )
    allowed = changing.join(quotable(files).select("doc_id"), on="doc_id", how="semi", maintain_order="left")
    picked = allowed.group_by("threshold", "side", maintain_order=True).head(each).select("doc_id", reason=said)
    return picked.join(files, on="doc_id", how="left", maintain_order="left").select(*files.columns, "reason")


def inspection_sample(files: pl.DataFrame, decisions: pl.DataFrame, num_files: int, seed: int = 0) -> pl.DataFrame:
    """Files to score with a language model: half that the filter kept, half that one rule alone removed.

    Returns rows of `files` with `side` ('kept' or 'removed by one rule') and `rule` (null for kept files). Every rule
    takes its turn, so that a frequent one does not fill the sample. Only files whose licence permits quoting, since the
    point is to read some of them. The draw is a hash of the id and the seed.
    """
    drawn = in_hash_order(quotable(files), f"inspect {seed}")
    about = decisions.select("doc_id", "removed_by", "fired")
    drawn = drawn.join(about, on="doc_id", how="inner", suffix="_here", maintain_order="left")
    # Removed by this stage, not by an earlier one, and by the only rule that holds.
    alone = (pl.col("fired").list.len() == 1) & (pl.col("removed_by") == pl.col("removed_by_here"))
    kept = drawn.filter(pl.col("removed_by").is_null()).with_columns(side=pl.lit(KEPT), rule=pl.lit(None, pl.String))
    removed = drawn.filter(alone).with_columns(side=pl.lit(ALONE), rule=pl.col("fired").list.first())
    turn = pl.int_range(pl.len()).over("rule")
    removed = removed.sort(turn, maintain_order=True)
    half = num_files // 2
    both = pl.concat([kept.head(num_files - half), removed.head(half)])
    return both.select(*files.columns, "side", "rule")


def lowest_and_highest(scored: pl.DataFrame, each: int = 1) -> pl.DataFrame:
    """The `each` files with least and with most bits per byte of either side, with a `reason` in words.

    scored: a frame of `inspection_sample` with the column `bits_per_byte`; files without a score are left out. Very low
    is trivial or repeated, very high cannot be learnt: the paper reads both ends and asks whether a rule is missing.
    """
    parts = []
    for side in (KEPT, ALONE):
        ordered = scored.filter((pl.col("side") == side) & pl.col("bits_per_byte").is_not_nan()).sort(
            "bits_per_byte", "doc_id"
        )
        ends = min(each, ordered.height // 2)
        for end, rows in (("lowest", ordered.head(ends)), ("highest", ordered.tail(ends).reverse())):
            by = pl.format("{} ({})", "side", "rule") if side == ALONE else pl.col("side")
            said = pl.format("{}: {} bits per byte, among the {}", by, pl.col("bits_per_byte").round(2), pl.lit(end))
            parts.append(rows.with_columns(end=pl.lit(end), reason=said))
    return pl.concat(parts)


def score_by_rule(scored: pl.DataFrame) -> pl.DataFrame:
    """Bits per byte of the scored files by the rule that removed them, kept files as one row of their own.

    Columns: rule ('kept' for kept files), files, lowest, median, highest; highest median first.
    """
    bits = pl.col("bits_per_byte")
    return (
        scored.filter(bits.is_not_nan())
        .group_by(rule=pl.coalesce("rule", "side"))
        .agg(files=pl.len().cast(pl.Int64), lowest=bits.min(), median=bits.median(), highest=bits.max())
        .sort("median", "rule", descending=[True, False])
    )
