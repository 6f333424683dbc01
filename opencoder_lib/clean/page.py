"""`report.html`: what `opencoder clean` did, as one file that loads nothing and can be sent to anybody.

Made from `report.json` alone and of the same sections as the chapters. A part that an older report does not have is
left out or said to be empty.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from typing import Any

import polars as pl

from opencoder_lib import cells, sections
from opencoder_lib.cells import count, escaped, percent, size, unit_of
from opencoder_lib.progress import in_words
from opencoder_lib.sections import frame_of

Report = Mapping[str, Any]
MAX_FILES = 50
# What comes later wins.
STYLES = ("report.css", "sections.css")


def page(report: Report, name: str = "") -> str:
    """The page as HTML: style inlined, no script, and a policy that forbids loading anything.

    report: as `report.json` holds it; keys that are missing count as empty. name: of the output, for the title.
    """
    style = "".join((files("opencoder_lib") / part).read_text(encoding="utf-8") for part in STYLES)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Cleaned code: {name}" if name else "Cleaned code"
    parts = _parts(report)
    contents = "".join(f'<li><a href="#{anchor}">{escape(heading)}</a></li>' for anchor, heading, _ in parts)
    body = "\n".join(
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(heading)}</h2>\n{text}\n</section>'
        for anchor, heading, text in parts
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escaped(title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#funnel">To the funnel</a>
<header>
<h1>{escaped(title)}</h1>
<p class="lead">{escaped(_lead(report))}</p>
{_numbers(report)}
<nav aria-label="Contents"><ul>{contents}</ul></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def _parts(report: Report) -> list[tuple[str, str, str]]:
    """Anchor, heading and HTML of each section, in the order of the page."""
    return [
        ("funnel", "Funnel", _section(report, "funnel", "funnel", sections.funnel)),
        ("languages", "Languages", _section(report, "languages", "composition", sections.composition)),
        ("rules", "What was removed, and why", _section(report, "removed_by", "rules", sections.rules)),
        ("duplicates", "Duplicates", _section(report, "dedup", "dedup", sections.dedup)),
        ("transforms", "Changes of text", _section(report, "transforms", "transforms", sections.transforms)),
        ("licences", "Licences", _section(report, "licences", "licences", sections.licences)),
        ("sampling", "Sampling", _section(report, "sampling", "sampling", sections.sampling)),
        ("unread", "What could not be read or was left out", _unread(report)),
        ("times", "Times", sections.timings(report.get("seconds_by_pass") or {})),
        ("settings", "Parameters and provenance", sections.settings(report.get("about") or {})),
        ("files", "Files and hashes", _files(report)),
    ]


def _section(report: Report, key: str, name: str, show: Callable[[pl.DataFrame], str]) -> str:
    rows = report.get(key)
    if rows is None:
        # Not the same as an empty one: whoever wrote this report did not look.
        return cells.nothing("This report does not say.")
    if isinstance(rows, Mapping):
        rows = [{"reason": reason, **entry} for reason, entry in rows.items()]
    return show(frame_of(name, rows))


def _lead(report: Report) -> str:
    names = [str(name) for name in report.get("inputs", [])]
    if not names:
        return "Written by opencoder clean."
    further = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"What opencoder clean made of {', '.join(names[:3])}{further}."


def _numbers(report: Report) -> str:
    """The headline numbers."""
    funnel, languages = report.get("funnel", []), report.get("languages", [])
    found = []
    if funnel:
        first, last = funnel[0], funnel[-1]
        for what, told in (("files", "{:,}".format), ("bytes", size)):
            before, after = first[f"{what}_before"], last[f"{what}_after"]
            title = "Files kept" if what == "files" else "Size kept"
            found.append((title, told(after), f"{percent(after, before)} of {told(before)}"))
    if languages:
        kept = sum(row["files_kept"] > 0 for row in languages)
        found.append(("Languages kept", f"{kept:,}", f"of {len(languages):,} read"))
    if transforms := report.get("transforms"):
        found.append(("Places changed", f"{sum(row['n'] for row in transforms):,}", "in texts, by transforms"))
    if "seconds" in report:
        seconds = report["seconds"]
        rate = f"{funnel[0]['bytes_before'] / 1e6 / seconds:,.1f} MB/s" if funnel and seconds else "rate unknown"
        found.append(("Time", in_words(seconds), f"{rate}, engine {report.get('engine', 'unknown')}"))
    items = "".join(
        f"<div><dt>{escaped(title)}</dt><dd>{escaped(value)}</dd><dd>{escaped(more)}</dd></div>"
        for title, value, more in found
    )
    return f'<dl class="numbers">{items}</dl>' if items else ""


def _unread(report: Report) -> str:
    """Notes, what is no file, lines that could not be read, and what was opted out."""
    parts = []
    if notes := report.get("notes"):
        caption = f"{count(sum(notes.values()), 'note')} taken while reading."
        parts.append(sections.counted("Notes", caption, ("Note", "How many"), notes))
    if skipped := report.get("skipped"):
        caption = f"{count(sum(skipped.values()), 'entry', 'entries')} of the inputs are no files of text."
        parts.append(sections.counted("Skipped", caption, ("What", "How many"), skipped))
    if lines := report.get("unreadable_lines"):
        parts.append(_unreadable(lines))
    opt_out = report.get("opt_out") or {}
    if opt_out.get("entries"):
        parts.append(_opted_out(opt_out))
    return "\n".join(parts) or cells.nothing("Everything was read; nothing was left out.")


def _unreadable(lines: Mapping[str, Mapping[str, Any]]) -> str:
    most = sorted(lines.items(), key=lambda item: (-item[1]["n"], item[0]))
    rows = [[name, f"{entry['n']:,}", "; ".join(entry["examples"][:3])] for name, entry in most[:MAX_FILES]]
    if len(most) > MAX_FILES:
        rest = sum(entry["n"] for _, entry in most[MAX_FILES:])
        rows.append([f"{len(most) - MAX_FILES:,} further files", f"{rest:,}", "see report.json"])
    n = sum(entry["n"] for entry in lines.values())
    caption = f"{count(n, 'line or row', 'lines or rows')} in {count(len(lines), 'file')} could not be read."
    return cells.table("Unreadable", caption, ("File", "How many", "Such as"), rows, texts=(2,))


def _opted_out(opt_out: Mapping[str, Any]) -> str:
    unused = opt_out.get("matched_nothing", [])
    told = (
        f"{count(opt_out['entries'], 'opt-out entry', 'opt-out entries')} left out {count(opt_out['files'], 'file')}."
    )
    if not unused:
        return f"<p>{told} Each of them matched something.</p>"
    shown = ", ".join(unused[:MAX_FILES]) + (", …" if len(unused) > MAX_FILES else "")
    return f"<p>{told} {len(unused):,} matched nothing: {escaped(shown)}.</p>"


def _files(report: Report) -> str:
    """The files of the output with their hashes, so that a copy can be checked."""
    found = pl.DataFrame(
        list(report.get("files") or ()),
        schema={"path": pl.String, "rows": pl.Int64, "bytes": pl.Int64, "sha256": pl.String},
    )
    if found.is_empty():
        return cells.nothing("This report does not hold the hashes of the output.")
    unit = unit_of(found["bytes"].max())
    rows = [
        [row["path"], "-" if row["rows"] is None else f"{row['rows']:,}", unit.cell(row["bytes"]), row["sha256"] or "-"]
        for row in found.head(MAX_FILES).iter_rows(named=True)
    ]
    caption = (
        f"{count(found.height, 'file')} of {size(found['bytes'].sum())} as stored, with the SHA-256 of their bytes."
    )
    if found.height > MAX_FILES:
        caption += f" The first {MAX_FILES} are shown; report.json has them all."
    return cells.table("Files", caption, ("File", "Rows", f"Size, {unit.name}", "SHA-256"), rows, texts=(3,))
