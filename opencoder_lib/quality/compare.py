"""Two rulebooks side by side on the same signals: which rules differ, and which files fare otherwise."""

from dataclasses import dataclass

import polars as pl

from opencoder_lib.files import real
from opencoder_lib.quality.apply import decide
from opencoder_lib.quality.audit import quotable
from opencoder_lib.quality.registry import find_signal
from opencoder_lib.quality.rules import Rule, Rulebook, scope_of

SIDES = ("only before", "only after")


def changed_rules(before: Rulebook, after: Rulebook) -> pl.DataFrame:
    """The rules that `after` replaces, adds or leaves out.

    Columns: rule, before, after (signal and threshold in words; null where the rule does not exist), mends (the quirk).
    In the order of `before`, new rules last. The quirk is what the new signal says it mends, else the new reason.
    """
    old, new = ({rule.id: rule for rule in rulebook} for rulebook in (before, after))
    rows = []
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        if was is not None and now is not None and _judgement(was) == _judgement(now):
            continue
        rows.append((name, was and _words(was), now and _words(now), now and quirk(now)))
    return pl.DataFrame(rows, schema=dict.fromkeys(["rule", "before", "after", "mends"], pl.String), orient="row")


def quirk(rule: Rule) -> str:
    """What the rule's signal mends of an official one; its reason where the signal mends nothing."""
    return find_signal(rule.signal, scope_of(rule.example_set)).mends or rule.why


def _judgement(rule: Rule) -> tuple:
    return rule.signal, rule.thresholds, rule.drop_share


def _words(rule: Rule) -> str:
    return f"{rule.signal} {rule.common_threshold}"


@dataclass(frozen=True)
class Comparison:
    """What became of every real file under two rulebooks. See `changed_decisions`."""

    counts: pl.DataFrame
    by_rule: pl.DataFrame
    files: pl.DataFrame


def changed_decisions(files: pl.DataFrame, signals: pl.DataFrame, before: Rulebook, after: Rulebook) -> Comparison:
    """How many decisions change from one rulebook to the other, which rules cause it, and for which files.

    counts: before, after (decisions, before any coin), files, bytes; every pair that occurs, unchanged ones too.
    by_rule: rule, side ('only before': it no longer holds; 'only after'), files (whose decision changes and for which
    this rule's verdict differs), alone (of them, no other rule's verdict differs). files: the changed ones, doc_id,
    before, after, only_before, only_after (ids of rules), n_bytes. Real files only.
    """
    old, new = (decide(files, signals, rulebook) for rulebook in (before, after))
    both = (
        real(files)
        .select("doc_id", "n_bytes")
        .join(old.select("doc_id", before="decision", fired_before="fired"), on="doc_id", maintain_order="left")
        .join(new.select("doc_id", after="decision", fired_after="fired"), on="doc_id", maintain_order="left")
    )
    counts = (
        both.group_by("before", "after")
        .agg(files=pl.len().cast(pl.Int64), bytes=pl.col("n_bytes").sum())
        .sort("before", "after")
    )
    changed = both.filter(pl.col("before") != pl.col("after")).select(
        "doc_id",
        "before",
        "after",
        only_before=pl.col("fired_before").list.set_difference("fired_after").list.sort(),
        only_after=pl.col("fired_after").list.set_difference("fired_before").list.sort(),
        n_bytes="n_bytes",
    )
    return Comparison(counts, _causes(changed), changed)


def _causes(changed: pl.DataFrame) -> pl.DataFrame:
    differing = pl.col("only_before").list.len() + pl.col("only_after").list.len()
    parts = [
        changed.select(rule=column, side=pl.lit(side), alone=differing == 1).explode("rule").drop_nulls("rule")
        for column, side in zip(("only_before", "only_after"), SIDES, strict=True)
    ]
    return (
        pl.concat(parts)
        .group_by("rule", "side")
        .agg(files=pl.len().cast(pl.Int64), alone=pl.col("alone").sum().cast(pl.Int64))
        .sort("files", "rule", "side", descending=[True, False, False])
    )


def changed_examples(files: pl.DataFrame, changed: pl.DataFrame, each: int = 1) -> pl.DataFrame:
    """Rows of `files` with a `reason` in words: `each` of the files that change, for every rule that causes it.

    changed: `Comparison.files`. In order of decision, rule, id; every file once. Only if the licence permits quoting.
    """
    cause = pl.col("only_before").list.concat("only_after")
    said = pl.format("{} → {}: {}", "before", "after", cause.list.join(", "))
    picked = (
        changed.join(quotable(files).select("doc_id"), on="doc_id", how="semi")
        .select("doc_id", "before", "after", reason=said, rule=cause)
        .explode("rule")
        .sort("before", "after", "rule", "doc_id")
        .unique("doc_id", keep="first", maintain_order=True)
        .group_by("before", "after", "rule", maintain_order=True)
        .head(each)
    )
    return (
        picked.select("doc_id", "reason")
        .join(files, on="doc_id", maintain_order="left")
        .select(*files.columns, "reason")
    )
