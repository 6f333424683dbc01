"""What the tables of a report are made of: numbers in words, sizes in one unit, shares with a bar; all escaped.

A bar is an SVG that needs neither style sheet nor script, so that it looks the same in JupyterLab, in the book and in
a file by itself.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from opencoder_lib.report import CONTROL_PICTURES

GREY = "#808080"


class Share(NamedTuple):
    """A cell that shows part / whole as a percentage and as a bar; `of` is the paler part that the bar is cut from."""

    part: float
    whole: float
    colour: str = GREY
    of: float | None = None


class Unit(NamedTuple):
    """The unit of sizes in one table, so that they can be compared down a column."""

    name: str
    bytes: int
    digits: int

    def cell(self, n_bytes: int | None) -> str:
        """The size without its unit, which the heading names; what would round to zero is not shown as zero."""
        if n_bytes is None:
            return "-"
        if n_bytes == 0:
            return "0"
        least = 10**-self.digits
        if 0 < abs(n_bytes) / self.bytes < least / 2:
            return f"{'-' if n_bytes < 0 else ''}<{least:.{self.digits}f}"
        return f"{n_bytes / self.bytes:,.{self.digits}f}"


UNITS = tuple((name, 1000**power) for power, name in enumerate(("bytes", "kB", "MB", "GB", "TB", "PB")))


def unit_of(n_bytes: int | None) -> Unit:
    """The unit for sizes up to `n_bytes`, the largest not above it, with three significant digits or more."""
    most = abs(n_bytes or 0)
    name, n = next(((name, n) for name, n in reversed(UNITS) if most >= n), UNITS[0])
    return Unit(name, n, 0 if n == 1 else 2 if most < 10 * n else 1)


def size(n_bytes: int) -> str:
    """A size in a sentence: '8.00 MB'."""
    unit = unit_of(n_bytes)
    return f"{unit.cell(n_bytes)} {unit.name}"


def count(n: int, one: str, many: str = "") -> str:
    """'1 file', '2 files'."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(part: float, whole: float) -> str:
    """The share in percent; something is never shown as nothing, nor not quite all as all."""
    if not whole:
        return "-"
    shown = f"{100 * part / whole:.1f}"
    if shown == "0.0" and part > 0:
        return "<0.1 %"
    if shown == "100.0" and part < whole:
        return ">99.9 %"
    return f"{shown} %"


def flat(about: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, `settings.minhash.bands`, in the order of their names; lists stay whole."""
    found: dict[str, Any] = {}
    for name, value in sorted(about.items()):
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def said(value: Any, most: int = 20) -> str:
    """A parameter's value in words."""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, (list, tuple)):
        further = [f"and {len(value) - most:,} more"] if len(value) > most else []
        return ", ".join([*(said(item) for item in value[:most]), *further])
    return str(value)


def nothing(sentence: str) -> str:
    """What stands where a table would be empty."""
    return f'<p class="cookbook-nothing">{escaped(sentence)}</p>'


def table(
    name: str, caption: str, head: Sequence[str], lines: Sequence[Sequence[str | Share]], texts: Iterable[int] = ()
) -> str:
    """A table that says what it is to a screen reader, that can be scrolled by keyboard, and escapes every cell."""
    texts = {0, *texts}
    kind = ["" if at in texts else ' class="number"' for at in range(len(head))]
    heads = "".join(f'<th scope="col"{kind[at]}>{escaped(title)}</th>' for at, title in enumerate(head))
    body = "\n".join(
        f'<tr><th scope="row">{_breakable(escaped(line[0]))}</th>'
        + "".join(f"<td{kind[at]}>{_cell(cell)}</td>" for at, cell in enumerate(line[1:], start=1))
        + "</tr>"
        for line in lines
    )
    # A number and its percent sign stay on one line.
    told = escaped(caption).replace(" %", "&nbsp;%")
    return (
        f'<div class="cookbook-table cookbook-section" role="region" aria-label="{escaped(name)}" tabindex="0"><table>'
        f"<caption><span>{told}</span></caption><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def escaped(text: str) -> str:
    """Text as HTML shows it, whatever it holds."""
    # Undecodable names and control characters are shown, and cannot end a line or the encoding of the page.
    shown = text.translate(CONTROL_PICTURES).encode("utf-8", "backslashreplace").decode()
    return escape(shown)


def _breakable(html: str) -> str:
    # In a narrow column a name breaks where its parts end.
    return re.sub(r"([._/])(?=\w)", r"\1<wbr>", html)


def _cell(cell: str | Share) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    return f"{percent(cell.part, cell.whole)} {_bar(cell)}"


def _bar(cell: Share) -> str:
    """A bar 96 pixels wide that stands for the whole. It repeats a number, so a screen reader leaves it out."""

    def width(part: float) -> str:
        return f"{max(0.0, min(96.0, 96 * part / cell.whole)) if cell.whole else 0:.1f}"

    paler = ""
    if cell.of is not None:
        paler = f'<rect width="{width(cell.of)}" height="10" fill="{cell.colour}" fill-opacity="0.3"/>'
    return (
        '<svg class="cookbook-bar" width="96" height="10" viewBox="0 0 96 10" aria-hidden="true" focusable="false">'
        f'{paler}<rect width="{width(cell.part)}" height="10" fill="{cell.colour}"/>'
        f'<rect x="0.5" y="0.5" width="95" height="9" fill="none" stroke="{GREY}" stroke-opacity="0.6"/></svg>'
    )
