"""Build the HTML from the staged folder with warnings as errors, check it, put it in place."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from opencoder_lib.book.project import Project
from opencoder_lib.book.results import ANSI
from opencoder_lib.book.staging import toc_pages
from opencoder_lib.errors import CookbookError
from opencoder_lib.store import read_json, write_json

BUILDERS = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme", "pydata-sphinx-theme", "sphinx-mathjax-offline")
PROBLEM = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b: ")
MOST_SHOWN = 20


class PagesFailed(CookbookError):
    """The pages could not be built, or are not what they must be."""


def up_to_date(project: Project, staged: str) -> bool:
    """Whether the HTML in place was built from this staged content with these builders."""
    try:
        built = read_json(project.build / "site.json")
    except (FileNotFoundError, CookbookError):
        return False
    return built == _site(staged) and (project.build / "html" / "index.html").is_file()


def _site(staged: str) -> dict:
    return {"staged": staged, "builders": {name: importlib.metadata.version(name) for name in BUILDERS}}


def build_html(project: Project, staged: str, say: Callable[[str], None]) -> Path:
    """Build the staged folder, check every page, and let the result take the place of build/<profile>/html.

    Raises PagesFailed with the warnings, or with the pages that are missing or load something from elsewhere.
    The pages in place stay until new ones have passed.
    """
    source, work, target = project.build / "src", project.build / "sphinx", project.build / "html"
    shutil.rmtree(work, ignore_errors=True)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    command += ["--path-output", str(work), "--all", "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run(
        command,
        cwd=source,
        env=os.environ | {"PYTHONPATH": str(project.library.parent), "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    log = project.build / "pages.log"
    printed = ANSI.sub("", done.stdout + done.stderr)
    log.write_text(printed, encoding="utf-8")
    problems = sorted({line for line in printed.splitlines() if PROBLEM.search(line)})
    if done.returncode:
        shown = [line.replace(f"{source}/", "") for line in problems[:MOST_SHOWN]]
        shown = shown or printed.splitlines()[-MOST_SHOWN:]
        more = f"\n  … {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
        place = log.relative_to(project.root)
        raise PagesFailed(
            f"The pages were not built: {len(problems)} warnings, and a warning is an error here. Whole log: {place}\n"
            + "\n".join(f"  {line}" for line in shown)
            + more
        )
    fresh = work / "_build" / "html"
    import yaml

    toc = yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8"))
    if wrong := check_pages(fresh, toc_pages(toc)):
        raise PagesFailed(
            "The pages are not as they must be:\n" + "\n".join(f"  {line}" for line in wrong[:MOST_SHOWN])
        )
    old = project.build / "html.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    write_json(project.build / "site.json", _site(staged))
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    say(f"{len(list(target.rglob('*.html')))} pages built without a warning.")
    return target


class _Loads(HTMLParser):
    """What a page loads when it is opened, links a reader may follow left out."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        about = dict(attrs)
        place = about.get("href") if tag == "link" else about.get("src") if tag != "a" else None
        # A canonical or alternate link names an address and loads nothing.
        loads = tag != "link" or (about.get("rel") or "") not in ("canonical", "alternate", "author", "license")
        if place and loads and place.startswith(("http:", "https:", "//")):
            self.found.append(f"<{tag}> {place}")


def check_pages(html: Path, wanted: list[str]) -> list[str]:
    """What is wrong with built pages: those missing, and those that load anything from elsewhere."""
    wrong = [f"{page}.html is missing" for page in wanted if not (html / f"{page}.html").is_file()]
    for path in sorted(html.rglob("*.html")):
        page = _Loads()
        page.feed(path.read_text(encoding="utf-8"))
        wrong += [f"{path.relative_to(html)} loads {place}" for place in sorted(set(page.found))]
    if not (html / "searchindex.js").is_file():
        wrong.append("searchindex.js is missing, so search would find nothing")
    return wrong
