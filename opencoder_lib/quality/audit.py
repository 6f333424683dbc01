"""What the rules did: hits, hits that no other rule shares, what they have in common, and what is left."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from opencoder_lib.files import reached, real
from opencoder_lib.paper import facts
from opencoder_lib.quality.apply import STAGE
from opencoder_lib.quality.hits import HitMatrix
from opencoder_lib.quality.rules import Rulebook
from opencoder_lib.report import may_quote

SURVIVING = "surviving."
EXCERPT_LINES, EXCERPT_WIDTH = 12, 100


def hits_by_rule(matrix: HitMatrix) -> pl.DataFrame:
    """One row per rule, in rulebook order: how often it holds among the real files, alone or with others.

    Columns: rule, scope, signal, files (judged by it), hits, exclusive (no other rule holds), removed (it was the
    first to act), frac_files_hit (of files), bytes_exclusive. Exclusive hits are what a rule alone is answerable for.
    """
    found = matrix.real
    alone_NR = found.holds_NR & (found.holds_NR.sum(1) == 1)[:, None]
    first_N = np.where(found.acts_NR.any(1), found.acts_NR.argmax(1), -1) if len(matrix.rules) else np.array([])
    hits = found.holds_NR.sum(0)
    judged = np.array([len(found.rows_judged_by(rule)) for rule in matrix.rules], np.int64)
    return pl.DataFrame(
        {
            "rule": [rule.id for rule in matrix.rules],
            "scope": [rule.group for rule in matrix.rules],
            "signal": [rule.signal for rule in matrix.rules],
            "files": judged,
            "hits": hits,
            "exclusive": alone_NR.sum(0),
            "removed": [int((first_N == place).sum()) for place in range(len(matrix.rules))],
            "frac_files_hit": hits / np.maximum(judged, 1),
            "bytes_exclusive": found.n_bytes_N @ alone_NR,
        },
        schema_overrides={"removed": pl.Int64},
    ).with_columns(frac_files_hit=pl.when(pl.col("files") > 0).then("frac_files_hit"))


def overlap(matrix: HitMatrix, top: int = 12) -> pl.DataFrame:
    """What the `top` rules with most hits have in common: one row per ordered pair of them, real files only.

    Columns: rule, hits, other, both (files that both hit), frac_both (share of the hits of `rule` that `other` hits
    too). A rule beside itself is 1. Most hits first.
    """
    found = matrix.real
    hits = found.holds_NR.sum(0)
    most = [int(place) for place in np.argsort(-hits, kind="stable")[:top] if hits[place]]
    # Counts of common files of all pairs in one product.
    wide = found.holds_NR[:, most].astype(np.float32)
    both = (wide.T @ wide).astype(np.int64)
    ids = [rule.id for rule in matrix.rules]
    rows = [
        (ids[a], int(hits[a]), ids[b], int(both[i, j]), float(both[i, j] / hits[a]))
        for i, a in enumerate(most)
        for j, b in enumerate(most)
    ]
    schema = {"rule": pl.String, "hits": pl.Int64, "other": pl.String, "both": pl.Int64, "frac_both": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def by_defect(matrix: HitMatrix) -> pl.DataFrame:
    """Planted files by what was planted: how many of the defects are removed, and how many of their near misses.

    Columns: defect, planted, removed, frac_recall, near_misses, near_misses_removed, frac_precision (removed defects
    among all removed files of the kind; null if none), first_rule (the rules that came first). Near misses look like
    the defect and must stay; files planted for other stages are one row, 'other'.
    """
    planted = matrix.of_files(matrix.joined["truth"].is_not_null().to_numpy())
    ids = np.array([rule.id for rule in matrix.rules], object)
    acts = planted.acts_NR.any(1)
    first = [ids[row.argmax()] if some else None for row, some in zip(planted.acts_NR, acts, strict=True)]
    kind = pl.coalesce(pl.col("truth"), "repo").str.extract(rf"^{STAGE}\.(.+)$")
    near = pl.col("repo").str.extract(rf"^planted/{STAGE}\.(.+)$")
    defect, removed = pl.col("is_defect"), pl.col("is_removed")
    return (
        planted.joined.select(
            defect=pl.coalesce(kind, near, pl.lit("other")),
            is_defect=pl.col("truth").str.starts_with(f"{STAGE}."),
            is_removed=pl.Series(acts, dtype=pl.Boolean),
            first=pl.Series(first, dtype=pl.String),
        )
        .group_by("defect")
        .agg(
            planted=defect.sum().cast(pl.Int64),
            removed=(defect & removed).sum().cast(pl.Int64),
            near_misses=(~defect).sum().cast(pl.Int64),
            near_misses_removed=(~defect & removed).sum().cast(pl.Int64),
            first_rule=pl.col("first").filter(defect).drop_nulls().unique().sort(),
        )
        .select(
            "defect",
            "planted",
            "removed",
            _share("removed", pl.col("planted")).alias("frac_recall"),
            "near_misses",
            "near_misses_removed",
            _share("removed", pl.col("removed") + pl.col("near_misses_removed")).alias("frac_precision"),
            "first_rule",
        )
        .sort(pl.col("defect") == "other", "defect")
    )


def _share(part: str, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(pl.col(part) / whole)


def by_rule_on_planted(matrix: HitMatrix) -> pl.DataFrame:
    """Precision and recall of each rule that holds for a planted file, in rulebook order.

    Columns: rule, hits_defects, hits_clean (planted files that must stay), frac_precision, defect (the kind it hits
    most), frac_recall (of that kind). A rule is not meant to find every defect, so recall is asked of one kind only.
    """
    planted = matrix.of_files(matrix.joined["truth"].is_not_null().to_numpy())
    truth = planted.joined["truth"]
    kinds = sorted(name for name in truth.unique() if name.startswith(f"{STAGE}."))
    member_NK = np.column_stack([(truth == kind).to_numpy() for kind in kinds]) if kinds else np.zeros((len(truth), 0))
    hits_RK = planted.holds_NR.T.astype(np.int64) @ member_NK.astype(np.int64)
    rows = []
    for place, rule in enumerate(matrix.rules):
        hits = int(planted.holds_NR[:, place].sum())
        if not hits:
            continue
        on_defects = int(hits_RK[place].sum())
        best = int(hits_RK[place].argmax()) if on_defects else None
        rows.append(
            {
                "rule": rule.id,
                "hits_defects": on_defects,
                "hits_clean": hits - on_defects,
                "frac_precision": on_defects / hits,
                "defect": kinds[best].removeprefix(f"{STAGE}.") if best is not None else None,
                "frac_recall": hits_RK[place, best] / member_NK[:, best].sum() if best is not None else None,
            }
        )
    schema = {"rule": pl.String, "hits_defects": pl.Int64, "hits_clean": pl.Int64, "frac_precision": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"defect": pl.String, "frac_recall": pl.Float64})


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
    reported = {
        key.removeprefix(SURVIVING).replace("_", " "): float(found.value)
        for key, found in facts().items()
        if key.startswith(SURVIVING)
    }
    share = pl.col("language").replace_strict(reported, default=None, return_dtype=pl.Float64)
    return composed.with_columns(frac_reported=share)


def quotable(files: pl.DataFrame) -> pl.DataFrame:
    """The real files whose licence permits to show an excerpt."""
    found = real(files)
    return found.filter(pl.col("license").is_in([name for name in found["license"].unique() if may_quote(name)]))


def removed_alone(
    files: pl.DataFrame, decisions: pl.DataFrame, rules: Rulebook, rule_ids: Sequence[str], each: int
) -> pl.DataFrame:
    """Files that one rule alone removed, `each` per rule (the first by id): the ones to read when tuning it.

    Only real files under a permissive licence. The column `reason` has rule, value and threshold in words.
    """
    alone = decisions.filter(pl.col("fired").list.len() == 1).select("doc_id", "rule_set", decided="measured")
    found = quotable(files).join(alone, on="doc_id", how="inner").sort("doc_id")
    parts = [found.head(0).with_columns(reason=pl.lit(""))]
    for rule_id in rule_ids:
        rule = rules[rule_id]
        for row in found.filter(pl.col("removed_by") == f"{STAGE}.{rule_id}").head(each).iter_rows(named=True):
            said = f"{rule_id}: {rule.signal} = {row['decided']:.4g}, dropped when {rule.thresholds[row['rule_set']]}"
            parts.append(found.filter(pl.col("doc_id") == row["doc_id"]).with_columns(reason=pl.lit(said)))
    return pl.concat(parts)


def removed_examples(files: pl.DataFrame, decisions: pl.DataFrame, each: int = 2) -> pl.DataFrame:
    """Up to `each` removed real files per rule that holds for them, for the catalogue: the beginning of each.

    Columns: doc_id, rule, repo, path, license, others (how many other rules hold too), excerpt (at most 12 lines of 100
    characters). Files with the fewest other rules first, then by id; only files whose licence permits quoting.
    decisions: the frame of `decide`; order of rules as in the rulebook for each file.
    """
    lines = pl.col("text").str.slice(0, 8 * EXCERPT_LINES * EXCERPT_WIDTH).str.split("\n").list.head(EXCERPT_LINES)
    short = lines.list.eval(pl.element().str.slice(0, EXCERPT_WIDTH)).list.join("\n")
    removed = quotable(files).filter(pl.col("removed_by").str.starts_with(f"{STAGE}."))
    return (
        decisions.filter(pl.col("removed_by").is_not_null())
        .select("doc_id", others=pl.col("fired").list.len().cast(pl.Int64) - 1, rule="fired")
        .join(removed.select("doc_id"), on="doc_id", how="semi")
        .explode("rule")
        .drop_nulls("rule")
        .sort("rule", "others", "doc_id")
        .group_by("rule", maintain_order=True)
        .head(each)
        .join(removed.select("doc_id", "repo", "path", "license", excerpt=short), on="doc_id", how="left")
        .select("doc_id", "rule", "repo", "path", "license", "others", "excerpt")
    )
