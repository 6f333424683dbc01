"""The page of all rules: a table to search, then each with its reason, its documents and what it removed in this run.

Whatever a document or a path contains, it reaches the page escaped and without line ends that could end the HTML.
"""

import re
from collections.abc import Iterable
from html import escape

import polars as pl

from opencoder_lib.paper import fact
from opencoder_lib.quality.compare import changed_rules
from opencoder_lib.quality.loader import load_rules
from opencoder_lib.quality.registry import SIGNALS, find_signal
from opencoder_lib.quality.rules import CODE_SETS, SETS, Rule, Rulebook, scope_of
from opencoder_lib.report import CONTROL_PICTURES, html_table

MAX_LINES, MAX_WIDTH = 30, 100
# Whatever else some reader of the page might take for a line end; "\n" has its entity.
INVISIBLE = {code: 0x2424 for code in (0x85, 0x2028, 0x2029)} | CONTROL_PICTURES
COLUMNS = ("Rule", "Drops when", "Sets", "Hits", "Alone", "Why", "Source")
NUMBERS = ("Hits", "Alone")


def catalogue_page(
    hits: pl.DataFrame | None = None,
    rules: Rulebook | None = None,
    removed: pl.DataFrame | None = None,
    corrected: Rulebook | None = None,
) -> str:
    """The rule catalogue as MyST Markdown.

    hits: the artifact `hits` of chapter 05 (the columns of `audit.hits_by_rule`); removed: its artifact `removed` (the
    columns of `audit.removed_examples`); both null before it has run. corrected: a second rulebook; the page then shows
    where it differs.
    """
    rules = load_rules("released") if rules is None else rules
    counts = {row["rule"]: row for row in hits.iter_rows(named=True)} if hits is not None else {}
    found: dict[str, list[dict]] = {}
    for row in removed.iter_rows(named=True) if removed is not None else ():
        found.setdefault(row["rule"], []).append(row)
    parts = ["# Rule catalogue", _introduction(rules, hits), "## All rules", _all_rules(rules, counts)]
    parts += ["## How many rules are there?", _counts(rules)]
    if corrected is not None:
        parts += ["## What the second rulebook changes", _changes(rules, corrected)]
    for group in dict.fromkeys(rule.group for rule in rules):
        parts.append(f"## {group[0].upper()}{group[1:]}")
        parts += [_entry(rule, counts.get(rule.id), found.get(rule.id, [])) for rule in rules if rule.group == group]
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


def _all_rules(rules: Rulebook, counts: dict[str, dict]) -> str:
    """One table of all rules in HTML. The search box is hidden until its script is there to answer it."""
    kind = {name: ' class="number"' if name in NUMBERS else "" for name in COLUMNS}
    head = "".join(f'<th scope="col"{kind[name]}>{name}</th>' for name in COLUMNS)
    lines = [
        '<div class="cookbook-searchable">',
        '<div class="cookbook-search" hidden>',
        '<label for="rule-search">Show only rules with these words</label>',
        '<input type="search" id="rule-search" autocomplete="off" spellcheck="false">',
        '<p role="status"></p>',
        "</div>",
        '<div class="cookbook-table" role="region" aria-label="All rules" tabindex="0"><table>',
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *(_row(rule, counts.get(rule.id, {})) for rule in rules),
        "</tbody></table></div></div>",
    ]
    return "\n".join(lines)


def _row(rule: Rule, count: dict) -> str:
    numbers = (f"{count[name]:,}" if name in count else "–" for name in ("hits", "exclusive"))
    cells = [
        f'<th scope="row"><a href="#{_anchor(rule)}">{escape(rule.id)}</a></th>',
        *(f"<td>{_inline(text)}</td>" for text in (_threshold(rule), _sets(rule))),
        *(f'<td class="number">{number}</td>' for number in numbers),
        *(f"<td>{_inline(text)}</td>" for text in (rule.why, rule.source)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


# What is counted, under which key of paper.toml, and the word before the number.
REPORTED = (
    ("rules, in the paper's words", "filter.num_rules", "over "),
    ("rules, in the words of the release's README", "filter.num_rules_readme", "over "),
    ("signals that the release registers", "filter.num_signals", ""),
    ("of these, different computations", "filter.num_computations", ""),
    ("of these, signals with a threshold somewhere", "filter.num_live_signals", ""),
    ("live pairs of signal and set of files", "filter.num_pairs", ""),
    ("different pairs of signal and threshold", "filter.num_thresholds", ""),
    ("the same, with 'computed, not used' as one more setting of a signal", "filter.num_settings", ""),
)


def _sets(rule: Rule) -> str:
    """The sets a rule can drop files of; for nearly all code, those it leaves out."""
    without = [name for name in CODE_SETS if name not in rule.live_sets]
    if len(without) > 4 or set(rule.live_sets) - set(CODE_SETS):
        return ", ".join(rule.live_sets)
    return "all code and data" + (f" but {', '.join(without)}" if without else "")


def _counts(rules: Rulebook) -> str:
    """How many rules, by scope and by set, and why the paper's number is another one."""
    thresholds = {(rule.official_in(name), found) for rule in rules for name, found in rule.thresholds.items()}
    counted = [
        ("entries: rules with an id, a reason and examples", len(rules)),
        ("signals they read", len({name for name, _ in thresholds})),
        ("pairs of rule and set of files that can drop a file", rules.num_pairs),
        ("different pairs of signal and threshold", len(thresholds)),
    ]
    rows = [(what, f"{number:,}", "this rulebook") for what, number in counted]
    rows += [(what, f"{more}{fact(key).text}", fact(key).section) for what, key, more in REPORTED]
    table = html_table(pl.DataFrame(rows, schema=["what is counted", "how many", "where"], orient="row"))
    said = {key.removeprefix("filter."): f"{more}{fact(key).text}" for _, key, more in REPORTED}
    text = (
        f"**{len(rules)} rules**, live as **{rules.num_pairs} pairs** of rule and set of files. The paper says "
        f"{said['num_rules']}, the README of the release {said['num_rules_readme']}. The number depends on what is "
        f"counted. One signal judges several sets, so pairs ({said['num_pairs']} in the release) are far more than "
        f"signals ({said['num_signals']}, of which {said['num_live_signals']} are used and {said['num_computations']} "
        "are different computations: some bear two names). Two counts come near. A signal with another threshold for "
        f"another language may be called another rule: that gives {said['num_thresholds']}, which fits the README. If "
        f"being switched off in a set is one more setting, it gives {said['num_settings']}, which fits the paper. "
        f"Whether the authors counted so is not known. {_complete(rules)}"
    )
    return "\n\n".join([text, table, _by_scope(rules), _by_set(rules)])


def _complete(rules: Rulebook) -> str:
    released = fact("filter.num_pairs")
    missing = released.value - rules.num_pairs
    if missing > 0:
        return f"{missing:,} of the release's {released.text} live pairs are not in this rulebook."
    if missing < 0:
        return f"This rulebook has {-missing:,} live pairs more than the release."
    return f"All {released.text} live pairs of the release are in this rulebook."


def _by_scope(rules: Rulebook) -> str:
    rows = []
    for group in dict.fromkeys(rule.group for rule in rules):
        here = [rule for rule in rules if rule.group == group]
        names = {name for rule in here for name in _official_names(rule)}
        rows.append((group, len(here), len(names), sum(len(rule.live_sets) for rule in here)))
    # Said here, so that nobody looks for them among the rules.
    used = {name for rule in rules for name in _official_names(rule)}
    silent = len({entry.official for entry in SIGNALS.values() if entry.official} - used)
    caption = f"Rules by scope; {silent} more official signals are computed and have no threshold in this rulebook"
    names = ["scope", "rules", "signals", "pairs"]
    return html_table(pl.DataFrame(rows, schema=names, orient="row"), caption)


def _official_names(rule: Rule) -> list[str]:
    """The names the release gives the rule's signal in its live sets."""
    return list(dict.fromkeys(rule.official_in(name) for name in rule.live_sets))


def _by_set(rules: Rulebook) -> str:
    live = [(name, sum(name in rule.live_sets for rule in rules)) for name in SETS]
    return html_table(pl.DataFrame(live, schema=["set", "live rules"], orient="row"), "Live rules of each set of files")


def _changes(rules: Rulebook, corrected: Rulebook) -> str:
    """Which entries a second rulebook replaces, and the quirk each of them mends."""
    differing = changed_rules(rules, corrected)
    counted = f"Rules of `{escape(corrected.name)}` that differ from `{escape(rules.name)}`: {differing.height}."
    if differing.is_empty():
        return counted
    rows = [
        "<tr>"
        + f'<th scope="row">{escape(row["rule"])}</th>'
        + "".join(f"<td>{_inline(row[name] or '–')}</td>" for name in ("before", "after", "mends"))
        + "</tr>"
        for row in differing.iter_rows(named=True)
    ]
    names = ("Rule", escape(rules.name), escape(corrected.name), "What it mends")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = [
        '<div class="cookbook-table" role="region" aria-label="Changed rules" tabindex="0"><table>',
        f"<thead><tr>{head}</tr></thead><tbody>",
        *rows,
        "</tbody></table></div>",
    ]
    return counted + "\n\n" + "\n".join(table)


def _entry(rule: Rule, count: dict | None, removed: Iterable[dict]) -> str:
    """One rule: heading, reason, a list of facts, its two documents and files it removed, folded."""
    signal = find_signal(rule.signal, scope_of(rule.example_set))
    official = ", ".join(f"`{name}`" for name in _official_names(rule) if name)
    known_as = f"our own, for {official or 'none of the release'}" if signal.mends else f"officially {official}"
    folded = [
        _folded("A document it drops", rule.drops if rule.drops is not None else rule.never_fires),
        _folded("A near miss it keeps", rule.keeps),
        *(_folded(_place(row), row["excerpt"] or "(empty)") for row in removed),
    ]
    lines = [
        f"({_anchor(rule)})=\n### `{rule.id}`",
        _plain(rule.why),
        "\n".join(
            [
                f"- **Signal** `{rule.signal}` ({known_as}): {_definitions(rule)}",
                f"- **Drops when** value {_plain(_threshold(rule))}",
                f"- **Sets** {', '.join(rule.live_sets)}",
                f"- **Source** {_plain(rule.source)}",
                f"- **This run** {_run(count)}",
            ]
        ),
        "\n".join(folded),
    ]
    return "\n\n".join(lines)


def _definitions(rule: Rule) -> str:
    """What the signal is, set by set where the sets differ."""
    sets: dict[str, list[str]] = {}
    for name in rule.live_sets:
        sets.setdefault(find_signal(rule.signal, scope_of(name)).definition, []).append(name)
    if len(sets) == 1:
        return _plain(*sets)
    return " ".join(f"*{', '.join(names)}*: {_plain(text)}" for text, names in sets.items())


def _anchor(rule: Rule) -> str:
    """The name by which the table links to the entry; only what is valid in an HTML id."""
    return "rule-" + re.sub(r"[^a-z0-9]+", "-", rule.id.lower())


def _threshold(rule: Rule) -> str:
    """The threshold in words, with the sets that have another one and the coin."""
    common = rule.common_threshold
    other = [f"{name} {threshold}" for name, threshold in rule.thresholds.items() if threshold != common]
    text = str(common) + (f"; {', '.join(other)}" if other else "")
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


def _inline(text: str) -> str:
    """The same for HTML: escaped, on one line, `code` spans as <code>."""
    spans = re.split(r"`([^`]*)`", " ".join(text.translate(INVISIBLE).split()))
    return "".join(f"<code>{escape(part)}</code>" if at % 2 else escape(part) for at, part in enumerate(spans))


def _place(row: dict) -> str:
    """Where an excerpt comes from, and under which licence."""
    also = f" · {row['others']} other rules hold too" if row["others"] else " · no other rule holds"
    return f"Removed in this run: {row['repo']} · {row['path']} · {row['license']}{also}"


def _folded(title: str, text: str) -> str:
    """A folded document on one line of HTML: a blank line would end the block and turn the rest into Markdown."""
    body = escape(_cut(text).translate(INVISIBLE)).replace("\n", "&#10;")
    summary = escape(title.translate(INVISIBLE)).replace("\n", " ")
    return f'<details class="cookbook-document"><summary>{summary}</summary><pre tabindex="0">{body}</pre></details>'


def _cut(text: str) -> str:
    """The first lines and characters of a document, saying what was left out."""
    lines = text.strip("\n").split("\n")
    shown = [line if len(line) <= MAX_WIDTH else line[:MAX_WIDTH] + " …" for line in lines[:MAX_LINES]]
    return "\n".join(shown + ([f"… {len(lines) - MAX_LINES:,} more lines"] if len(lines) > MAX_LINES else []))
