"""Pages made from what the runs stored: scoreboard, status, rule catalogue, and the landing page's figure and table."""

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

from opencoder_lib.book.markdown import plain, quoted, table
from opencoder_lib.book.project import Card, Project
from opencoder_lib.errors import CookbookError, InputError
from opencoder_lib.paper import format_value
from opencoder_lib.report import OUTCOMES, num_runs
from opencoder_lib.store import read_json

CORPUS, TRANSFORM, FILTERS = "01-collect-and-preprocess", "04-transform", "05-heuristic-filters"
SAMPLING = "06-sampling"
STAGES = ("preprocess", "exact", "fuzzy", "transform", "filter", "sample")
RECORD_FIELDS = ("profile", "device", "date", "commit", "seconds", "claims")
CLAIM_FIELDS = (
    "chapter",
    "key",
    "what",
    "reported",
    "measured",
    "unit",
    "section",
    "status",
    "outcome",
    "because",
    "seeds",
)


def chapter_records(project: Project, cards: list[Card]) -> dict[str, dict]:
    """What each chapter that has run said of itself, with the runner's seconds and memory."""
    found = {}
    for card in cards:
        record = project.build / "chapters" / f"{card.name}.json"
        run = project.build / "runs" / f"{card.name}.json"
        if record.is_file() and run.is_file():
            about = read_json(run)
            found[card.name] = read_json(record) | {
                name: about[name] for name in ("seconds", "peak_memory_mb", "cells")
            }
    return found


def measured_values(records: dict[str, dict]) -> dict[str, tuple]:
    """This run's value and unit by key, for {measured}`key`."""
    return {
        claim["key"]: (claim["measured"], claim["unit"]) for record in records.values() for claim in record["claims"]
    }


def recorded_runs(root: Path) -> list[dict]:
    """The runs kept in book/records/*.json, oldest first. Raises InputError naming the file and what it lacks."""
    found = []
    for path in sorted((root / "book" / "records").glob("*.json")):
        record = read_json(path)
        lacks = [name for name in RECORD_FIELDS if name not in record]
        lacks += [
            f"claims[{index}].{name}"
            for index, claim in enumerate(record.get("claims", []))
            for name in CLAIM_FIELDS
            if name not in claim
        ]
        if lacks:
            raise InputError(f"book/records/{path.name} lacks {', '.join(lacks)}. Write it with: opencoder record")
        found.append(record)
    return sorted(found, key=lambda record: (record["date"], record["profile"]))


def new_record(project: Project, cards: list[Card], date: str, note: str = "") -> dict[str, Any]:
    """The results of these chapters in this profile as a record. Raises InputError when one of them has not run."""
    records = chapter_records(project, cards)
    if missing := [card.name for card in cards if card.name not in records]:
        raise InputError(
            f"{missing[0]} has not run (profile {project.profile}). Run it: opencoder run --profile {project.profile} "
            f"--only {missing[0][:2]}   or record only chapters that have: opencoder record --only CHAPTERS"
        )
    devices = Counter(record["device"] for record in records.values())
    # The chapters that use an accelerator name it; it is what the run is known by.
    accelerators = [device for device in devices if not device.startswith("CPU")]
    return {
        "profile": project.profile,
        "date": date,
        "note": note,
        "device": ", ".join(sorted(accelerators or devices)),
        "commit": next((record["commit"] for record in reversed(list(records.values())) if record["commit"]), None),
        "seconds": {name: record["seconds"] for name, record in records.items()},
        "parameters": {name: record["parameters"] for name, record in records.items()},
        "versions": {name: version for record in records.values() for name, version in record["versions"].items()},
        "claims": [claim | {"chapter": name} for name, record in records.items() for claim in record["claims"]],
    }


def outcome_text(outcome: str) -> str:
    """The verdict as a word the style sheet knows."""
    return f"[{outcome}]{{.verdict .verdict-{outcome.replace(' ', '-')}}}"


def value_text(claim: dict) -> str:
    """The measured value; with the number of runs behind it where there are several."""
    return unbroken(claim["measured"], claim["unit"]) + num_runs(claim["measured"], claim["seeds"])


def unbroken(value: Any, unit: str) -> str:
    """A value for a narrow table cell, its percent sign on the same line."""
    return plain(format_value(value, unit)).replace(r" \%", "\N{NO-BREAK SPACE}\\%")


def scoreboard(project: Project, cards: list[Card], records: dict[str, dict]) -> str:
    """Every reported number beside this run's and recorded ones, with the verdict and its reason."""
    recorded = recorded_runs(project.root)
    counts = Counter(claim["outcome"] for record in records.values() for claim in record["claims"])
    total = sum(counts.values())
    summary = ", ".join(f"{counts[outcome]} *{outcome}*" for outcome in OUTCOMES if counts[outcome])
    lines = [
        "# Scoreboard\n",
        f"Reported numbers beside what profile `{project.profile}` measured: {total} in all; {summary or 'none yet'}. "
        "[How to read this book](how-to-read.md) says what the verdicts mean. "
        "Where no number of runs is given, the measured value comes from one run with the seed named.\n",
    ]
    for card in cards:
        if card.name not in records:
            continue
        record = records[card.name]
        lines.append(f"## {card.name[:2]} {plain(card.title)}\n")
        lines.append(
            f"[Chapter {card.name[:2]}](../notebooks/{card.path.name}), seed {record['seed']}, "
            f"{plain(record['device'])}, {record['seconds']:,.0f} s.\n"
        )
        claims = record["claims"]
        lines.append(_claims(card.name, claims, recorded) if claims else "This chapter makes no claim.\n")
    lines.append("## Recorded runs\n")
    lines.append(_provenance(recorded))
    lines += [_told(record) for record in recorded]
    return "\n".join(lines)


def _claims(chapter: str, claims: list[dict], recorded: list[dict]) -> str:
    beside = any(_of(record, chapter, claim["key"]) for record in recorded for claim in claims)
    rows = []
    for claim in claims:
        paper = f"{unbroken(claim['reported'], claim['unit'])} ({plain(claim['section'])}, {claim['status']})"
        others = [
            f"{value_text(found)} ({plain(record['profile'])}, {plain(record['date'])}: {plain(found['outcome'])})"
            for record in recorded
            if (found := _of(record, chapter, claim["key"]))
        ]
        row = [plain(claim["what"]), paper, value_text(claim), outcome_text(claim["outcome"]), plain(claim["because"])]
        rows.append([*row[:3], "; ".join(others) or "–", *row[3:]] if beside else row)
    head = ["Quantity", "Paper", "This run", *(["Recorded runs"] if beside else []), "Verdict", "Because"]
    return table(head, rows)


def _of(record: dict, chapter: str, key: str) -> dict | None:
    # Two chapters may set different measurements beside the same number of the paper.
    return next((claim for claim in record["claims"] if (claim["chapter"], claim["key"]) == (chapter, key)), None)


def _told(record: dict) -> str:
    """What a recorded run measured and why its verdicts are what they are: its chapters may be long gone."""
    rows = [
        [
            claim["chapter"][:2],
            plain(claim["what"]),
            value_text(claim),
            outcome_text(claim["outcome"]),
            plain(claim["because"]),
        ]
        for claim in record["claims"]
    ]
    head = ["Chapter", "Quantity", "Recorded run", "Verdict", "Because"]
    note = f"{plain(record['note'])}\n\n" if record.get("note") else ""
    return f"### {plain(record['profile'])}, {plain(record['date'])}\n\n{note}{table(head, rows)}"


def _provenance(recorded: list[dict]) -> str:
    if not recorded:
        return (
            "None yet. `opencoder record --profile gpu` keeps the claims of a finished run under `book/records/`, "
            "with device, date and commit; they then stand here beside every later run.\n"
        )
    rows = [
        [
            plain(record["profile"]),
            plain(record["device"]),
            plain(record["date"]),
            plain((record["commit"] or "–")[:12]),
            ", ".join(f"{name[:2]}: {seconds:,.0f}" for name, seconds in sorted(record["seconds"].items())),
            f"{len(record['claims'])}",
        ]
        for record in recorded
    ]
    return table(["Profile", "Device", "Date", "Commit", "Seconds a chapter", "Claims"], rows, numbers=[5])


def headline(cards: list[Card], records: dict[str, dict]) -> str:
    """The first claim of each chapter, for the landing page."""
    rows = []
    for card in cards:
        for claim in records.get(card.name, {"claims": []})["claims"][:1]:
            reported = unbroken(claim["reported"], claim["unit"])
            chapter = f"[{card.name[:2]}](/notebooks/{card.path.name})"
            rows.append([chapter, plain(claim["what"]), reported, value_text(claim), outcome_text(claim["outcome"])])
    return table(["Chapter", "Quantity", "Paper", "This run", "Verdict"], rows) if rows else "No chapter has run yet.\n"


def status(project: Project, cards: list[Card], records: dict[str, dict]) -> str:
    """What each chapter cost, on what, with which versions, from which inputs to which results."""
    rows = [
        [
            f"[{card.name}](../notebooks/{card.path.name})",
            f"{record['seconds']:,.1f}",
            f"{record['peak_memory_mb']:,}",
            f"{record['cells']}",
            plain(record["device"]),
            plain((record["commit"] or "–")[:12]),
        ]
        for card in cards
        if (record := records.get(card.name))
    ]
    total = sum(record["seconds"] for record in records.values())
    versions = {name: version for record in records.values() for name, version in record["versions"].items()}
    lines = [
        "# Status\n",
        f"{len(rows)} chapters, profile `{project.profile}`: {plain(project.settings().get('what', ''))}. "
        f"{total:,.0f} s of chapters in all, some of them side by side.\n",
        table(["Chapter", "Seconds", "Peak memory (MB)", "Cells", "Device", "Commit"], rows, numbers=[1, 2, 3]),
        "## Versions\n",
        table(["Package", "Version"], [[plain(name), plain(version)] for name, version in sorted(versions.items())]),
        "## Inputs and results\n",
        "The first twelve digits of the SHA-256 of each file. The same commit, profile, seed and machine give the same "
        "digits.\n",
    ]
    for card in cards:
        if record := records.get(card.name):
            rows = [["read", *_place(place), f"`{sha[:12]}`"] for place, sha in sorted(record["inputs"].items())]
            rows += [
                ["stored", card.name, plain(name), f"`{sha[:12]}`"] for name, sha in sorted(record["artifacts"].items())
            ]
            parameters = ", ".join(f"`{name} = {value!r}`" for name, value in sorted(record["parameters"].items()))
            lines += [
                f"### {card.name}\n",
                f"Parameters: {parameters}.\n",
                table(["", "Chapter", "Artifact", "SHA-256"], rows),
            ]
    return "\n".join(lines)


def _place(place: str) -> list[str]:
    chapter, _, name = place.partition("/")
    return [chapter, plain(name)]


def rule_catalogue(project: Project) -> str:
    """Every rule with its threshold, reason and examples, and what it removed in this run."""
    if importlib.util.find_spec("opencoder_lib.quality") is None:
        return "# Rule catalogue\n\nThis edition has no rules.\n"
    from opencoder_lib.quality.catalogue import catalogue_page
    from opencoder_lib.quality.loader import load_rules, shipped

    try:
        hits, removed = (project.store.load(FILTERS, name) for name in ("hits", "removed"))
    except CookbookError:
        hits = removed = None
    corrected = load_rules("corrected") if "corrected" in shipped() else None
    return catalogue_page(hits, removed=removed, corrected=corrected)


def funnel_figure(project: Project, static: Path) -> str:
    """Draw the funnel of this run into `static`; return the figure directive with a computed caption."""
    from opencoder_lib.chapter import Chapter
    from opencoder_lib.files import funnel

    if not (project.build / "runs" / f"{SAMPLING}.json").is_file():
        return "Chapter 6 has not run, so there is nothing to draw yet.\n"
    from opencoder_lib.plots.funnel import funnel as draw

    reader = Chapter("landing page", project.profile, 0, project.root, [CORPUS, TRANSFORM, SAMPLING], {})
    steps = funnel(reader.load_corpus(SAMPLING), STAGES, reader.load("edits", TRANSFORM))
    figure, alt = draw(steps)
    static.mkdir(parents=True, exist_ok=True)
    figure.savefig(static / "funnel.png", dpi=160, transparent=True, bbox_inches="tight", metadata={"Software": None})
    first, last = steps.row(0, named=True), steps.row(-1, named=True)
    caption = (
        f"Of {first['files_before']:,} files ({first['bytes_before'] / 1e6:,.1f} MB) in profile {project.profile}, "
        f"{last['files_after']:,} ({last['bytes_after'] / 1e6:,.1f} MB) are kept. Planted files are not counted."
    )
    return (
        "```{figure} book/_static/funnel.png\n"
        f":alt: {quoted(alt)}\n:class: dark-light\n:name: corpus-funnel\n\n{plain(caption)}\n```\n"
    )
