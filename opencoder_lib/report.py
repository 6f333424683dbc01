"""Small pieces of HTML for chapters and pages: tables, documents, verdicts. Everything shown is escaped.

Documents are data: whatever a file contains, it reaches a page as text, never as markup.
"""

from dataclasses import asdict, dataclass
from difflib import unified_diff
from html import escape
from typing import Any

import polars as pl

from opencoder_lib import MB
from opencoder_lib.errors import ConfigError
from opencoder_lib.licences import is_permissive
from opencoder_lib.paper import fact, format_value

OUTCOMES = ("reproduced", "direction only", "not comparable at this size", "not reproduced")
# A control character is shown as its Unicode picture; tabs and line ends keep their meaning.
CONTROL_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}


@dataclass(frozen=True)
class Claim:
    """One reported number beside this run's, with what may be concluded and why."""

    key: str
    what: str
    reported: Any
    measured: Any
    unit: str
    section: str
    status: str
    outcome: str
    because: str
    seeds: int = 1


def claim(
    key: str,
    measured: float | int | str | None,
    because: str,
    *,
    tolerance: float | None = None,
    same_direction: bool | None = None,
    comparable: bool = True,
    seeds: int = 1,
) -> Claim:
    """Set the run's `measured` value beside the paper's number `key` and judge it.

    tolerance: relative difference within which the number counts as reproduced. same_direction: whether the run
    points where the paper does. comparable=False says that this size or input cannot speak to the number; `because`
    then says why. So does a measured null: what this corpus does not hold. `seeds` is the number of independent runs
    behind `measured`.
    """
    reported = fact(key)
    if not because:
        raise ConfigError(f"A verdict on {key} needs a reason: what did this run show, and what can it not show?")
    number = isinstance(reported.value, (int, float)) and isinstance(measured, (int, float))
    if not comparable or measured is None:
        outcome = OUTCOMES[2]
    elif tolerance is not None and number and abs(measured - reported.value) <= tolerance * abs(reported.value):
        outcome = OUTCOMES[0]
    elif same_direction:
        outcome = OUTCOMES[1]
    else:
        outcome = OUTCOMES[3]
    return Claim(
        key,
        reported.what,
        reported.value,
        measured,
        reported.unit,
        reported.section,
        reported.status,
        outcome,
        because,
        seeds,
    )


def claims_table(claims: list[Claim]) -> str:
    """The verdict table: reported, measured, outcome, why."""
    rows = [
        {
            "quantity": item.what,
            "paper": f"{format_value(item.reported, item.unit)} (section {item.section}, {item.status})",
            "this run": format_value(item.measured, item.unit) + num_runs(item.measured, item.seeds),
            "verdict": item.outcome,
            "because": item.because,
        }
        for item in claims
    ]
    return html_table(pl.DataFrame(rows))


def num_runs(measured: float | int | str | None, seeds: int) -> str:
    """' (n = 8)' behind a value of several runs; nothing where the value is a text that says so itself."""
    said = isinstance(measured, str) and f"n = {seeds}" in measured
    return f" (n = {seeds})" if seeds > 1 and not said else ""


def claims_as_dicts(claims: list[Claim]) -> list[dict]:
    """Plain data for storing."""
    return [asdict(item) for item in claims]


def format_cell(name: str, value: Any) -> str:
    """A table cell in words: columns named frac_* as percent, *bytes* as MB, integers with separators."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if name.startswith("frac_"):
            return f"{100 * value:.1f} %"
        if "bytes" in name:
            return f"{value / MB:,.2f} MB"
        return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
    if isinstance(value, (list, tuple, pl.Series)):
        return ", ".join(map(str, value))
    return str(value)


def format_heading(name: str) -> str:
    """A column's name in words; frac_x is 'share of x', so that it never reads like the count beside it."""
    words = name.removeprefix("frac_").replace("_", " ")
    return f"share of {words}" if name.startswith("frac_") else words


def html_table(frame: pl.DataFrame, caption: str = "") -> str:
    """An accessible HTML table of a frame, every cell escaped; numbers are right-aligned."""
    numeric = {name for name, dtype in frame.schema.items() if dtype.is_numeric()}
    kind = {name: ' class="number"' if name in numeric else "" for name in frame.columns}
    head = "".join(f'<th scope="col"{kind[name]}>{escape(format_heading(name))}</th>' for name in frame.columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind[name]}>{_marked(format_cell(name, row[name]))}</td>" for name in frame.columns)
        + "</tr>"
        for row in frame.iter_rows(named=True)
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="cookbook-table"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _marked(text: str) -> str:
    # The style sheet sets a coloured bar beside a verdict; the word itself carries the meaning.
    if text in OUTCOMES:
        return f'<span class="verdict verdict-{text.replace(" ", "-")}">{text}</span>'
    return escape(text)


def may_quote(license_name: str | None) -> bool:
    """Whether excerpts under this licence may be shown: permissive licences only."""
    return is_permissive(license_name)


def document(row: dict, note: str = "", max_lines: int = 16, max_width: int = 120) -> str:
    """A real document with its repository and licence; the text only where the licence permits quoting.

    row: a row of a file frame, as from `iter_rows(named=True)`. Long texts are cut and say so.
    """
    if not _may_show(row):
        shown = "(text not shown: the licence is not a permissive one)"
    elif row.get("text") is None:
        shown = "(no text: the file could not be decoded)"
    else:
        lines = row["text"].splitlines()
        shown = "\n".join(line if len(line) <= max_width else line[:max_width] + " …" for line in lines[:max_lines])
        if len(lines) > max_lines:
            shown += f"\n… {len(lines) - max_lines:,} more lines"
    return _excerpt(escape(_place(row)), note, shown)


def _may_show(row: dict, side: str = "") -> bool:
    return row[f"{side}origin"] == "planted" or may_quote(row.get(f"{side}license"))


def _place(row: dict, side: str = "") -> str:
    """Repository, path and licence of a document; `side` is the prefix of its columns."""
    repo, spdx = row.get(f"{side}repo") or row[f"{side}origin"], row.get(f"{side}license") or "no licence known"
    return f"{repo} · {row[f'{side}path']} · {spdx}"


def _excerpt(caption: str, note: str, shown: str) -> str:
    """A figure of text; `caption` is HTML already, everything else is escaped."""
    why = f"<div>{escape(note)}</div>" if note else ""
    text = f'<pre tabindex="0">{escape(shown.translate(CONTROL_PICTURES))}</pre>'
    return f'<figure class="cookbook-document"><figcaption>{caption}{why}</figcaption>{text}</figure>'


def changes(row: dict, note: str = "", max_lines: int = 24, max_width: int = 120) -> str:
    """A removed document beside the one kept in its place, as the lines that differ (- removed, + kept).

    row: a row of `refine.clusters.beside_survivor`, as from `iter_rows(named=True)`. The texts are shown only where
    both licences permit quoting; long lines and long differences are cut and say so.
    """
    shown = _difference(row["text"], row["kept_text"], max_lines, max_width)
    if not (_may_show(row) and _may_show(row, "kept_")):
        shown = "(text not shown: a licence is not a permissive one)"
    return _excerpt(f"removed: {escape(_place(row))}<br>kept: {escape(_place(row, 'kept_'))}", note, shown)


def edited(row: dict, note: str = "", max_lines: int = 24, max_width: int = 120) -> str:
    """A document that a transform changed, as the lines that differ (- before, + after) and those next to them.

    row: a row of a file frame with `new_text`, as from `iter_rows(named=True)`. The texts are shown only where the
    licence permits quoting; long lines and long differences are cut and say so.
    """
    shown = _difference(row["text"], row["new_text"], max_lines, max_width, context=3)
    if not _may_show(row):
        shown = "(text not shown: the licence is not a permissive one)"
    return _excerpt(escape(_place(row)), note, shown)


def _difference(removed: str, kept: str, max_lines: int, max_width: int, context: int = 1) -> str:
    old, new = removed.splitlines(), kept.splitlines()
    if max(len(old), len(new)) > 5_000:
        # difflib compares in a time that can grow with the square of the lines.
        return f"({len(old):,} and {len(new):,} lines: too long to compare here)"
    lines = list(unified_diff(old, new, lineterm="", n=context))[2:]
    if not lines:
        return "(the lines are equal; only line ends or blank space at the end differ)"
    shown = [line if len(line) <= max_width else line[:max_width] + " …" for line in lines[:max_lines]]
    if len(lines) > max_lines:
        shown.append(f"… {len(lines) - max_lines:,} more lines of difference")
    return "\n".join(shown)
