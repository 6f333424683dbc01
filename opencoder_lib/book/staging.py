"""The folder the pages are built from: configuration, prose, generated pages and executed notebooks, in one place.

build/<profile>/src/ mirrors the checkout, so links and launch buttons point at what is in git. It is written anew into
a folder beside it and only then takes its place; equal content gives an equal hash, and then no page is built.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from opencoder_lib.book import pages, reference
from opencoder_lib.book.markdown import fill_numbers, relink
from opencoder_lib.book.notebooks import as_text, stage_notebook
from opencoder_lib.book.project import Card, Project
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.store import read_json

FUNNEL, HEADLINE = "<!-- generated: funnel -->", "<!-- generated: headline -->"
# Sources that are tools or data of the book, not pages or files of it.
NOT_STAGED = ("records", "_toc.yml", "__pycache__")


def stage(project: Project, cards: list[Card]) -> str:
    """Write build/<profile>/src/ and return the hash of its content. All chapters have run."""
    import yaml

    target = project.build / "src"
    fresh = project.build / "src.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    book = project.root / "book"
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    check_toc(toc, cards)
    number_chapters(toc, cards)
    config = staged_config(yaml.safe_load((project.root / "_config.yml").read_text(encoding="utf-8")))
    (fresh / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=True, allow_unicode=True), encoding="utf-8")
    (fresh / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False, allow_unicode=True), encoding="utf-8")
    records = pages.chapter_records(project, cards)
    measured = pages.measured_values(records)
    _copy_book(book, fresh, measured)
    _copy_mathjax(fresh / "book" / "_static")
    # Chapters show sections of a report, and these look as in report.html.
    (fresh / "book" / "_static" / "sections.css").write_bytes(
        (package_files("opencoder_lib") / "sections.css").read_bytes()
    )
    _write_generated(project, cards, records, fresh)
    _write_notebooks(project, cards, fresh, measured)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return content_hash(target)


def staged_config(config: dict[str, Any]) -> dict[str, Any]:
    """`_config.yml` as the build needs it: launch buttons only when there is a repository to launch."""
    if not config.get("repository", {}).get("url"):
        config = {name: value for name, value in config.items() if name != "launch_buttons"}
        config["repository"] = {"url": ""}
    return config


def toc_pages(toc: dict) -> list[str]:
    """Every page of the table of contents, without suffix, the root first."""
    return [toc["root"], *(entry["file"] for entry in _entries(toc) if "file" in entry)]


def _entries(node: dict) -> Iterator[dict]:
    """Every entry below a node of the table of contents, in reading order."""
    for below in ("parts", "sections", "chapters"):
        for entry in node.get(below, []):
            yield entry
            yield from _entries(entry)


def check_toc(toc: dict, cards: list[Card]) -> None:
    """Raise ConfigError unless book/_toc.yml lists exactly the chapters that exist."""
    listed = {page.removeprefix("notebooks/") for page in toc_pages(toc) if page.startswith("notebooks/")}
    names = {card.name for card in cards}
    if strange := sorted(listed - names):
        raise ConfigError(
            f"book/_toc.yml lists notebooks/{strange[0]}, which is no chapter.{did_you_mean(strange[0], names)}"
        )
    if forgotten := sorted(names - listed):
        raise ConfigError(f"book/_toc.yml does not list notebooks/{forgotten[0]}. Add a line for it under its part.")


def number_chapters(toc: dict, cards: list[Card]) -> None:
    """Put the chapter's number before its title in the navigation; the prose speaks of chapters by number."""
    titles = {f"notebooks/{card.name}": f"{card.name[:2]} {card.title}" for card in cards}
    for entry in _entries(toc):
        if entry.get("file") in titles:
            entry.setdefault("title", titles[entry["file"]])


def _copy_book(book: Path, fresh: Path, measured: dict[str, tuple]) -> None:
    for path in sorted(book.rglob("*")):
        place = path.relative_to(book)
        if path.is_dir() or any(part in NOT_STAGED or part.startswith(".") for part in place.parts):
            continue
        # The landing page is staged at the top, so that index.html is a page and not a redirect.
        target = fresh / place if place == Path("index.md") else fresh / "book" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md":
            shutil.copyfile(path, target)
            continue
        text = fill_numbers(path.read_text(encoding="utf-8"), f"book/{place}", measured)
        target.write_text(relink(text, "book") if place == Path("index.md") else text, encoding="utf-8")


def _copy_mathjax(static: Path) -> None:
    """Put MathJax beside the pages: from a network it would not load offline, and formulas would stay raw TeX."""
    source = metadata.distribution("sphinx-mathjax-offline").locate_file(
        "sphinx-mathjax-offline/static/mathjax/tex-svg.js"
    )
    static.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(source), static / "tex-svg.js")


def _write_generated(project: Project, cards: list[Card], records: dict[str, dict], fresh: Path) -> None:
    generated = {
        "scoreboard.md": pages.scoreboard(project, cards, records),
        "rule-catalogue.md": pages.rule_catalogue(project),
        "status.md": pages.status(project, cards, records),
        "api.md": reference.api_page(project.library),
        "commands.md": reference.commands_page(),
    }
    for name, text in generated.items():
        (fresh / "book" / name).write_text(text, encoding="utf-8")
    landing = fresh / "index.md"
    if landing.is_file():
        text = landing.read_text(encoding="utf-8")
        if FUNNEL in text.splitlines():
            text = text.replace(FUNNEL, pages.funnel_figure(project, fresh / "book" / "_static"))
        text = text.replace(HEADLINE, pages.headline(cards, records))
        landing.write_text(text, encoding="utf-8")


def _write_notebooks(project: Project, cards: list[Card], fresh: Path, measured: dict[str, tuple]) -> None:
    (fresh / "notebooks").mkdir()
    for card in cards:
        executed = read_json(project.build / "executed" / f"{card.name}.ipynb")
        page = stage_notebook(card, executed, measured)
        (fresh / "notebooks" / card.path.name).write_text(as_text(page), encoding="utf-8")


def content_hash(folder: Path) -> str:
    """SHA-256 over names and bytes of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            entry = json.dumps([path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()])
            digest.update(entry.encode())
    return digest.hexdigest()
