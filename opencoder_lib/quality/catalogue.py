"""The page of all rules: scope, threshold, reason, source, what each did in this run, and its two example documents."""

import re
from html import escape

import polars as pl

from opencoder_lib.paper import fact
from opencoder_lib.quality.loader import load_rules
from opencoder_lib.quality.registry import find_signal
from opencoder_lib.quality.rules import SETS, Rule, Rulebook, scope_of
from opencoder_lib.report import html_table

MAX_LINES, MAX_WIDTH = 30, 100


def catalogue_page(hits: pl.DataFrame | None = None, rules: Rulebook | None = None) -> str:
    """The rule catalogue as MyST Markdown.

    hits: the artifact `hits` of chapter 05 (the columns of `audit.hits_by_rule`), or null before it has run.
    """
    rules = load_rules("released") if rules is None else rules
    counts = {row["rule"]: row for row in hits.iter_rows(named=True)} if hits is not None else {}
    parts = ["# Rule catalogue", _introduction(rules, hits), "## Counts", _counts(rules)]
    for group in dict.fromkeys(rule.group for rule in rules):
        here = [rule for rule in rules if rule.group == group]
        parts += [f"## {group[0].upper()}{group[1:]}", _overview(here, counts)]
        parts += [_entry(rule, counts.get(rule.id)) for rule in here]
    return "\n\n".join(parts) + "\n"


def _introduction(rules: Rulebook, hits: pl.DataFrame | None) -> str:
    ran = (
        "The hits are those of this book's run of {doc}`chapter 05 </notebooks/05-heuristic-filters>`, real files only."
        if hits is not None
        else "Chapter 05 has not run in this profile, so no hits are shown."
    )
    return (
        "A file is dropped when any rule of its set holds. This page is made from the rulebook "
        f"`{escape(rules.name)}`: every entry states its threshold, why it exists and where it comes from, and shows a "
        f"document that it drops and one that the whole rulebook keeps. The tests run these documents. {ran}"
    )


def _counts(rules: Rulebook) -> str:
    """How many rules, by scope and by set, and why the paper's number is another one."""
    groups = dict.fromkeys(rule.group for rule in rules)
    scopes = ", ".join(f"{sum(rule.group == group for rule in rules)} {group}" for group in groups)
    live = [(name, sum(name in rule.live_sets for rule in rules)) for name in SETS]
    table = html_table(
        pl.DataFrame(live, schema=["set", "live rules"], orient="row"), "Live rules of each set of files"
    )
    text = (
        f"**{len(rules)} rules** ({scopes}) over {len({rule.official for rule in rules})} official signals, live as "
        f"**{rules.num_pairs} pairs** of rule and set. The paper speaks of over {fact('filter.num_rules').text} rules. "
        f"The release registers {fact('filter.num_signals').text} signals, of which "
        f"{fact('filter.num_live_signals').text} have a threshold somewhere, in {fact('filter.num_pairs').text} live "
        "pairs. None of these is 130: the paper's number fits neither signals nor pairs and is best read as a loose "
        "count. What the release has and this rulebook has not are the language-specific rules of C, C++, C#, Go, "
        "HTML, Java and JavaScript; their files are judged by the general rules. The Chinese rules on words "
        "are loaded, but silent without a Chinese tokenizer."
    )
    return f"{text}\n\n{table}"


def _overview(rules: list[Rule], counts: dict[str, dict]) -> str:
    rows = [
        {
            "rule": rule.id,
            "drops when": str(rule.common_threshold),
            "sets": len(rule.live_sets),
            "hits": counts.get(rule.id, {}).get("hits"),
            "of them alone": counts.get(rule.id, {}).get("exclusive"),
        }
        for rule in rules
    ]
    schema = {"rule": pl.String, "drops when": pl.String, "sets": pl.Int64, "hits": pl.Int64}
    return html_table(pl.DataFrame(rows, schema=schema | {"of them alone": pl.Int64}))


def _entry(rule: Rule, count: dict | None) -> str:
    """One rule: heading, reason, a line of facts, two folded documents."""
    definition = find_signal(rule.signal, scope_of(rule.example_set)).definition
    lines = [
        f"### `{rule.id}`",
        _plain(rule.why),
        "\n".join(
            [
                f"- **Signal** `{rule.signal}` (official name `{rule.official}`): {_plain(definition)}",
                f"- **Drops when** {_plain(_threshold(rule))}",
                f"- **Sets** {', '.join(rule.live_sets)}",
                f"- **Source** {_plain(rule.source)}",
                f"- **This run** {_run(count)}",
            ]
        ),
        _folded("A document it drops", rule.drops, rule.never_fires) + _folded("A near miss it keeps", rule.keeps),
    ]
    return "\n\n".join(lines)


def _threshold(rule: Rule) -> str:
    """The threshold in words, with the sets that have another one and the coin."""
    common = rule.common_threshold
    other = [f"{name} {threshold}" for name, threshold in rule.thresholds.items() if threshold != common]
    text = f"value {common}" + (f"; {', '.join(other)}" if other else "")
    return text + (f"; acts on {rule.drop_share:.0%} of its hits, chosen by a hash" if rule.drop_share < 1 else "")


def _run(count: dict | None) -> str:
    if count is None:
        return "not run"
    return (
        f"{count['hits']:,} of {count['files']:,} files it judges, {count['exclusive']:,} of them by no other rule; "
        f"first to claim {count['removed']:,}"
    )


def _plain(text: str) -> str:
    """Text whose Markdown signs are taken literally; `code` spans stay."""
    spans = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_{}\[\]<>$#|~^&])", r"\\\1", part) for part in spans)


def _folded(title: str, text: str | None, instead: str = "") -> str:
    """A folded document on one line of HTML: a blank line would end the block and turn the rest into Markdown."""
    shown = instead if text is None else _cut(text)
    body = escape(shown).replace("\n", "&#10;")
    return (
        f'<details class="cookbook-document"><summary>{escape(title)}</summary><pre tabindex="0">{body}</pre></details>'
    )


def _cut(text: str) -> str:
    """The first lines and characters of a document, saying what was left out."""
    lines = text.strip("\n").split("\n")
    shown = [line if len(line) <= MAX_WIDTH else line[:MAX_WIDTH] + " …" for line in lines[:MAX_LINES]]
    return "\n".join(shown + ([f"… {len(lines) - MAX_LINES:,} more lines"] if len(lines) > MAX_LINES else []))
