"""`opencoder diff DIR1 DIR2`: what changed between two runs, and why, in words."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from rich.console import Console

from opencoder_lib.cells import count, size
from opencoder_lib.clean.difference import Difference, compare, write_changed
from opencoder_lib.errors import InputError
from opencoder_lib.report import CONTROL_PICTURES

__all__ = ["Difference", "compare", "diff", "told"]

MOST_ROWS = 40

console = Console(soft_wrap=True, highlight=False)


def diff(first: Path, second: Path, rows: Path | None = None) -> Difference:
    """Print what differs between two outputs of `clean`; write every row that does as Parquet to `rows`, if named.

    The columns of `rows`: doc_id, change, path, repo, language, was, is (reason, `kept` or null), bytes_was, bytes_is
    (of the text where it was kept, else as found).
    """
    if rows is not None:
        _check_target(rows, first, second)
    found = compare(first, second)
    for line in told(found, first, second):
        console.print(line, markup=False)
    if rows is not None:
        write_changed(found, first, second, rows)
        console.print(f"Written: {rows}, {count(found.changed.height, 'row')}", markup=False)
    return found


def _check_target(rows: Path, first: Path, second: Path) -> None:
    if rows.suffix != ".parquet" or rows.is_dir():
        raise InputError(f"Changed rows are written as Parquet, to a file that ends in .parquet, not {str(rows)!r}.")
    if not rows.parent.is_dir():
        raise InputError(f"There is no folder {str(rows.parent)!r} to write {rows.name!r} into. Make it first.")
    if any(rows.resolve().is_relative_to(folder.resolve()) for folder in (first, second)):
        raise InputError(f"{str(rows)!r} lies in an output that is compared. Name a file outside of it.")


def told(found: Difference, first: Path, second: Path) -> Iterator[str]:
    """What `diff` prints, line by line."""
    n = found.files
    if found.nothing:
        yield (
            f"{first} and {second} do not differ: the same {count(n['both'], 'file')} with the same fates and texts, "
            "from the same settings, inputs and code."
        )
        return
    yield (
        f"{first} -> {second}: {count(n['both'], 'file')} in both, {n['first'] - n['both']:,} only in the first, "
        f"{n['second'] - n['both']:,} only in the second"
    )
    yield from _told_about(found)
    if found.changed.is_empty():
        yield "No file differs: the same fates and the same texts."
        return
    yield from _told_fates(found.fates)
    if found.survivors:
        yield f"{count(found.survivors, 'file')} went for the same reason, but another file stands for them."
    if found.texts.height:
        yield "Kept files whose text differs, by what was done otherwise:"
        for row in found.texts.iter_rows(named=True):
            sizes = f"{size(row['bytes_was'])} -> {size(row['bytes_is'])}"
            yield f"  {row['because']:<44}{count(row['files'], 'file'):>14}  {sizes}"
    yield from _told_languages(found.languages)


def _told_about(found: Difference) -> Iterator[str]:
    if found.about.is_empty():
        yield "The same settings, inputs, versions and code."
        return
    yield "Settings, inputs, versions and code that differ:"
    wide = max(map(len, found.about["name"])) + 2
    for name, was, now in found.about.iter_rows():
        yield f"  {_shown(name):<{wide}}{_short(was)} -> {_short(now)}"
    if found.rules is None:
        yield "Rules differ. Which ones is not known: a rulebook is not at hand, or not as it was used."
    elif found.rules.height:
        yield "Rules that differ:"
        wide = max(map(len, found.rules["rule"])) + 2
        for row in found.rules.iter_rows(named=True):
            yield f"  {_shown(row['rule']):<{wide}}{_short(row['before'])} -> {_short(row['after'])}"


def _told_fates(fates: pl.DataFrame) -> Iterator[str]:
    if fates.is_empty():
        return
    yield "Files that fare otherwise:"
    rows = [{**row, "was": _shown(row["was"]), "is": _shown(row["is"])} for row in fates.iter_rows(named=True)]
    was, now = (max(len(name), *(len(row[name]) for row in rows[:MOST_ROWS])) + 2 for name in ("was", "is"))
    yield f"  {'was':<{was}}{'is':<{now}}{'files':>12}{'size':>12}  such as"
    for row in rows[:MOST_ROWS]:
        paths = ", ".join(_shown(example["path"]) for example in row["examples"] or ())
        yield f"  {row['was']:<{was}}{row['is']:<{now}}{row['files']:>12,}{size(row['bytes']):>12}  {paths}"
    if further := rows[MOST_ROWS:]:
        n = sum(row["files"] for row in further)
        yield f"  and {len(further):,} further pairs of fates with {count(n, 'file')}"


def _told_languages(languages: pl.DataFrame) -> Iterator[str]:
    if languages.is_empty():
        return
    yield "Kept files by language, where they differ:"
    wide = max(8, *(len(_shown(name)) for name in languages["language"].head(MOST_ROWS))) + 2
    for row in languages.head(MOST_ROWS).iter_rows(named=True):
        files = f"{row['files_was']:,} -> {row['files_is']:,}"
        sizes = f"{size(row['bytes_was'])} -> {size(row['bytes_is'])}"
        yield f"  {_shown(row['language']):<{wide}}{files:>20} files  {sizes}"
    if (further := languages.height - MOST_ROWS) > 0:
        yield f"  and {further:,} further languages"


def _shown(name: str) -> str:
    """A name as a terminal may show it: one line, nothing that steers it."""
    return name.translate(CONTROL_PICTURES).replace("\n", "\u240a").replace("\t", "\u2409")


def _short(value: str | None) -> str:
    if value is None:
        return "(not noted)"
    return f"{value[:12]}…" if re.fullmatch("[0-9a-f]{64}", value) else _shown(value)
