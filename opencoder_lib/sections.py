"""Sections of a report: from a frame to a piece of HTML, the same on a chapter's page and in `report.html`.

    chapter.html(sections.funnel(funnel(files, stages)))

A section is a table whose caption says in numbers what it holds; shares also have a bar, from zero. Cells are data and
always escaped. An empty frame gives a sentence instead of a table.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from opencoder_lib.cells import GREY, Share, count, flat, nothing, percent, said, size, table, unit_of
from opencoder_lib.errors import SchemaError
from opencoder_lib.progress import in_words

# The colours of plots.style, which needs matplotlib; a test keeps them equal.
STAGE_COLOUR = {
    "preprocess": "#0072B2",
    "exact": "#E69F00",
    "fuzzy": "#009E73",
    "transform": "#CC79A7",
    "filter": "#D55E00",
    "sample": "#56B4E9",
}
CATEGORY_COLOUR = {
    "code": "#0072B2",
    "data": "#E69F00",
    "text": "#009E73",
    "excluded": "#D55E00",
    "unknown": "#808080",
}
PASSES = {
    "read": "inputs read, judged by preprocessing",
    "licences": "what licence files say told to each file",
    "digests": "a SHA-256 of each text",
    "exact": "equal ones found and decided",
    "keys": "shingles and bands of the rest",
    "sets": "shingles of files that share a band",
    "decide": "near-duplicates decided",
    "write": "transform, filter and output",
    "sample": "languages cut to their budgets",
}
COUNTS = {"files": pl.Int64, "bytes": pl.Int64}
BEFORE_AFTER = {f"{what}_{when}": pl.Int64 for when in ("before", "removed", "after") for what in ("files", "bytes")}
READ_KEPT = {f"{what}_{when}": pl.Int64 for when in ("read", "kept") for what in ("files", "bytes")}
# What each section reads of its frame; `frame_of` makes such a frame of plain rows.
COLUMNS: dict[str, dict[str, pl.DataType]] = {
    "funnel": {"stage": pl.String, **BEFORE_AFTER},
    "composition": {"language": pl.String, "category": pl.String, **READ_KEPT},
    "rules": {"reason": pl.String, **COUNTS},
    "dedup": {
        **{"stage": pl.String, "groups": pl.Int64, "files": pl.Int64, "largest": pl.Int64},
        "sizes": pl.List(pl.Struct({"size": pl.String, "groups": pl.Int64})),
    },
    "transforms": {
        **{"transform": pl.String, "kind": pl.String},
        **{"files": pl.Int64, "n": pl.Int64, "bytes_cut": pl.Int64},
    },
    "licences": {"license": pl.String, "permissive": pl.Boolean, **READ_KEPT},
    "sampling": {
        **{"language": pl.String, "budget": pl.Int64},
        **{name: dtype for name, dtype in BEFORE_AFTER.items() if not name.endswith("removed")},
    },
}


def frame_of(section: str, rows: Iterable[Mapping[str, Any]] | None) -> pl.DataFrame:
    """The frame that a section reads, from plain rows as `report.json` holds them; what a row lacks is null."""
    return pl.DataFrame(list(rows or ()), schema=COLUMNS[section])


def funnel(stages: pl.DataFrame) -> str:
    """What each stage took and left. stages: the frame of `files.funnel`, or the same columns without the shares.

    Bars: bytes left of all read, and paler what this stage took.
    """
    if stages.is_empty():
        return nothing("No stage ran.")
    rows = _columns_of("funnel", stages).rows(named=True)
    first, last = rows[0], rows[-1]
    total, unit = first["bytes_before"], unit_of(first["bytes_before"])
    lines = [["read", Share(total, total), unit.cell(total), "-", "-", f"{first['files_before']:,}", "-", "-"]]
    for row in rows:
        left, gone, colour = row["bytes_after"], row["bytes_removed"], STAGE_COLOUR.get(row["stage"], GREY)
        lines.append(
            [
                *(row["stage"], Share(left, total, colour, of=left + gone), unit.cell(left), unit.cell(gone)),
                *(percent(gone, row["bytes_before"]), f"{row['files_after']:,}", f"{row['files_removed']:,}"),
                percent(row["files_removed"], row["files_before"]),
            ]
        )
    caption = (
        f"{last['files_after']:,} of {count(first['files_before'], 'file')} left "
        f"({percent(last['files_after'], first['files_before'])}), {size(last['bytes_after'])} of {size(total)} "
        f"({percent(last['bytes_after'], total)}). Shares removed are of what reached the stage; the bars show "
        "the size left of all read, and paler what the stage took."
    )
    if any(row["stage"] == "transform" for row in rows):
        caption += " A transform removes no file: its size is what it cut from texts."
    head = ["Stage", "Size left", f"Left, {unit.name}", f"Removed, {unit.name}", "Share of size"]
    return table("Funnel", caption, [*head, "Files left", "Files removed", "Share of files"], lines)


def composition(languages: pl.DataFrame, n: int = 20) -> str:
    """Languages before and after, the largest that were kept first; those after the nth are summed up.

    languages: language, category, files_read, bytes_read, files_kept, bytes_kept.
    """
    if languages.is_empty():
        return nothing("No file was read, so there are no languages.")
    found = _columns_of("composition", languages).sort(
        ["bytes_kept", "bytes_read", "language"], descending=[True, True, False]
    )
    sums = _sums(found)
    kept = found.filter(pl.col("files_kept") > 0)
    leads = ""
    if kept.height:
        leads = f", led by {kept['language'][0]} with {percent(kept['bytes_kept'][0], sums['bytes_kept'])} of the bytes"
    caption = (
        f"{count(found.height, 'language')} read, {kept.height:,} kept{leads}. Shares are of all bytes "
        "read and of all bytes kept; the bars show the latter, coloured by category."
    )
    lines = []
    for row in _top(found, n, "language", "further languages"):
        category = row["category"] or "-"
        lines.append([row["language"] or "unknown", category, *_read_kept(row, sums, CATEGORY_COLOUR.get(category))])
    return table("Languages", caption, ["Language", "Category", *_read_kept_head(sums)], lines, texts=(1,))


def rules(removed: pl.DataFrame, n: int = 12) -> str:
    """Why files went, stage by stage: the n most frequent reasons of each, the rest summed up.

    removed: reason (`stage.rule`), files, bytes.
    """
    if removed.is_empty():
        return nothing("No file was removed.")
    found = _columns_of("rules", removed).with_columns(stage=pl.col("reason").str.split(".").list.first())
    found = found.sort(["files", "bytes", "reason"], descending=[True, True, False])
    unit, lines, told = unit_of(int(found["bytes"].sum())), [], []
    for stage in sorted(found["stage"].unique(), key=_place):
        here = found.filter(stage=stage).drop("stage")
        sums, colour = _sums(here), STAGE_COLOUR.get(stage, GREY)
        told.append(f"{stage} {sums['files']:,}")
        for row in _top(here, n, "reason", f"further reasons of {stage}"):
            share = Share(row["files"], sums["files"], colour)
            size_share = percent(row["bytes"], sums["bytes"])
            lines.append([row["reason"], f"{row['files']:,}", share, unit.cell(row["bytes"]), size_share])
    sums = _sums(found)
    caption = (
        f"{count(sums['files'], 'file')} of {size(sums['bytes'])} went for {count(found.height, 'reason')}: "
        f"{', '.join(told)}. Shares and bars are of what the same stage removed."
    )
    return table(
        "Reasons", caption, ["Reason", "Files", "Share of files", f"Size, {unit.name}", "Share of size"], lines
    )


def dedup(found: pl.DataFrame) -> str:
    """Groups of equal and of similar files, and how large they are.

    found: stage, groups, files (removed), largest (files in the largest group), sizes (list of size, groups).
    """
    if found.is_empty() or not found["groups"].sum():
        return nothing("No file was found to repeat another one.")
    rows = _columns_of("dedup", found).rows(named=True)
    told = "; ".join(
        f"{row['stage']}: {count(row['files'], 'file')} gone from {count(row['groups'], 'group')}" for row in rows
    )
    lines = [[row["stage"], *(f"{row[name]:,}" for name in ("groups", "files", "largest"))] for row in rows]
    caption = f"{told}. The size of a group counts the files that stay."
    head = ["Stage", "Groups", "Files removed", "Files in the largest group"]
    parts = [table("Duplicates", caption, head, lines)]
    for row in rows:
        sizes, groups = row["sizes"] or [], row["groups"]
        if sizes and groups:
            colour = STAGE_COLOUR.get(row["stage"], GREY)
            lines = [[s["size"], f"{s['groups']:,}", Share(s["groups"], groups, colour)] for s in sizes]
            caption = f"{row['stage']}: {count(groups, 'group')} by the number of files in them."
            head = ["Files in the group", "Groups", "Share of groups"]
            parts.append(table(f"Sizes of groups, {row['stage']}", caption, head, lines))
    return "\n".join(parts)


def transforms(found: pl.DataFrame, n: int = 30) -> str:
    """What was changed in texts, by transform and kind. found: transform, kind, files, n, bytes_cut."""
    if found.is_empty():
        return nothing("No text was changed.")
    found = _columns_of("transforms", found).sort(
        ["transform", "files", "n", "kind"], descending=[False, True, True, False]
    )
    n_places, cut = int(found["n"].sum()), int(found["bytes_cut"].sum())
    unit, most = unit_of(int(found["bytes_cut"].abs().max())), found["files"].max()
    lines = [
        [
            *(_named(row["transform"]), row["kind"] or "-", f"{row['files']:,}"),
            *(Share(row["files"], most, STAGE_COLOUR["transform"]), f"{row['n']:,}", unit.cell(row["bytes_cut"])),
        ]
        for row in _top(found, n, "transform", "further kinds", of_files=False)
    ]
    caption = (
        f"Cut or replaced: {count(n_places, 'place')} in texts, {size(cut)} less in all. A file may have "
        "several kinds; the bars are relative to the most frequent one. A placeholder that is longer than what it "
        "replaces cuts less than nothing."
    )
    head = ["Transform", "Kind", "Files", "Of the most frequent", "Places", f"Cut, {unit.name}"]
    return table("Changes of text", caption, head, lines, texts=(1,))


def licences(found: pl.DataFrame, n: int = 20) -> str:
    """Licences before and after. found: license (null where none is known), permissive and counts as `composition`."""
    if found.is_empty():
        return nothing("Licences were not looked for.")
    found = _columns_of("licences", found).sort(
        ["bytes_kept", "bytes_read", "license"], descending=[True, True, False], nulls_last=True
    )
    sums = _sums(found)
    free = _sums(found.filter(pl.col("permissive")))
    none = _sums(found.filter(pl.col("license").is_null()))
    caption = (
        f"{percent(free['files_kept'], sums['files_kept'])} of {count(sums['files_kept'], 'kept file')} under a "
        f"permissive licence; for {percent(none['files_kept'], sums['files_kept'])} none is known."
    )
    lines = []
    named = found.with_columns(pl.col("license").fill_null("no licence known"))
    for row in _top(named, n, "license", "further licences"):
        permissive = "-" if row["permissive"] is None else "yes" if row["permissive"] else "no"
        colour = STAGE_COLOUR["fuzzy"] if row["permissive"] else GREY
        lines.append([row["license"], permissive, *_read_kept(row, sums, colour)])
    return table("Licences", caption, ["Licence", "Permissive", *_read_kept_head(sums)], lines, texts=(1,))


def sampling(found: pl.DataFrame) -> str:
    """Budgets and what was drawn.

    found: language, budget (bytes), files_before, bytes_before, files_after, bytes_after.

    A language without a budget (null) is kept whole.
    """
    if found.is_empty():
        return nothing("No language had a budget, so nothing was sampled.")
    found = _columns_of("sampling", found).sort(["bytes_before", "language"], descending=[True, False])
    sums = _sums(found)
    unit = unit_of(max(sums["bytes_before"], sums["bytes_after"]))
    lines = []
    for row in found.iter_rows(named=True):
        before, after, budget = row["bytes_before"], row["bytes_after"], row["budget"]
        said = "none" if budget is None else unit.cell(budget) + (" (not reached)" if budget > before else "")
        share = Share(after, before, STAGE_COLOUR["sample"], of=before)
        sizes = (f"{row['files_after']:,}", unit.cell(before), unit.cell(after), share)
        lines.append([row["language"] or "unknown", said, f"{row['files_before']:,}", *sizes])
    caption = (
        f"{sums['files_after']:,} of {count(sums['files_before'], 'file')} drawn by the hash of their ids, "
        f"{size(sums['bytes_after'])} of {size(sums['bytes_before'])}, in {count(found.height, 'language')}. "
        "The bars show the share of a language's bytes that is left."
    )
    head = ["Language", f"Budget, {unit.name}", "Files before", "Files after", f"Before, {unit.name}"]
    return table("Sampling", caption, [*head, f"After, {unit.name}", "Share left"], lines)


def timings(seconds_by_pass: Mapping[str, float]) -> str:
    """How long each pass took. seconds_by_pass: in any order."""
    total = sum(seconds_by_pass.values())
    if not seconds_by_pass:
        return nothing("No times were taken.")
    order = sorted(seconds_by_pass, key=lambda name: list(PASSES).index(name) if name in PASSES else len(PASSES))
    lines = [
        [name, PASSES.get(name, "-"), f"{seconds_by_pass[name]:,.1f}", Share(seconds_by_pass[name], total, GREY)]
        for name in order
    ]
    caption = (
        f"The passes of this run took {in_words(total)}. What an earlier, interrupted run had done is not counted."
    )
    return table("Times", caption, ["Pass", "What it does", "Seconds", "Share"], lines, texts=(1,))


def settings(about: Mapping[str, Any]) -> str:
    """Every parameter, and all else that the output depends on, by name."""
    found = flat(about)
    if not found:
        return nothing("It was not noted what made this output.")
    parameters = {name: found[name] for kind in ("settings.", "columns.") for name in found if name.startswith(kind)}
    versions = {name: value for name, value in found.items() if name.startswith("versions.")}
    others = {name: value for name, value in found.items() if name not in {*parameters, *versions}}
    parts = []
    for title, chosen, caption in (
        ("Parameters", parameters, f"{count(len(parameters), 'parameter')} of this run."),
        ("Inputs and hashes", others, "What was read, and by which code and rules: equal hashes, equal output."),
        ("Versions", versions, f"{count(len(versions), 'package')} that can change a value, Python among them."),
    ):
        if chosen:
            lines = [[name.removeprefix("settings.").removeprefix("versions."), said(chosen[name])] for name in chosen]
            parts.append(table(title, caption, ["Name", "Value"], lines, texts=(1,)))
    return "\n".join(parts)


def counted(name: str, caption: str, head: tuple[str, str], counts: Mapping[str, int], n: int = 20) -> str:
    """Things and how many of each, most first; those after the nth are summed up."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(found) > n + 1:
        found[n:] = [(f"{len(found) - n:,} further ones", sum(number for _, number in found[n:]))]
    return table(name, caption, head, [[what, f"{number:,}"] for what, number in found])


def _columns_of(section: str, frame: pl.DataFrame) -> pl.DataFrame:
    """What a section reads of a frame, with the types it counts on."""
    wanted = COLUMNS[section]
    if missing := [name for name in wanted if name not in frame.columns]:
        raise SchemaError(f"The section {section!r} needs the column {missing[0]!r}; the frame has {frame.columns}.")
    return frame.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())


def _place(stage: str) -> tuple[int, str]:
    known = list(STAGE_COLOUR)
    return (known.index(stage) if stage in known else -1), stage


def _named(name: str | None) -> str:
    return (name or "-").replace("_", " ")


def _sums(frame: pl.DataFrame) -> dict[str, int]:
    return {name: int(frame[name].sum()) for name, dtype in frame.schema.items() if dtype == pl.Int64}


def _top(frame: pl.DataFrame, n: int, label: str, rest: str, of_files: bool = True) -> list[dict[str, Any]]:
    """The first n rows and one that sums up the others; a single other row is shown as it is."""
    if frame.height <= n + 1:
        return frame.rows(named=True)
    others = frame.slice(n)
    last = dict.fromkeys(frame.columns) | _sums(others) | {label: f"{others.height:,} {rest}"}
    return [*frame.head(n).rows(named=True), last]


def _read_kept_head(sums: Mapping[str, int]) -> list[str]:
    unit = unit_of(sums["bytes_read"]).name
    return ["Share of size kept", f"Kept, {unit}", "Files kept", f"Read, {unit}", "Share of size read", "Files read"]


def _read_kept(row: Mapping[str, Any], sums: Mapping[str, int], colour: str | None) -> list[str | Share]:
    unit = unit_of(sums["bytes_read"])
    return [
        *(Share(row["bytes_kept"], sums["bytes_kept"], colour or GREY), unit.cell(row["bytes_kept"])),
        *(f"{row['files_kept']:,}", unit.cell(row["bytes_read"])),
        *(percent(row["bytes_read"], sums["bytes_read"]), f"{row['files_read']:,}"),
    ]
