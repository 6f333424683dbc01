"""Run stale chapters in dependency order, at most `jobs` at a time, and say why each one runs.

Going on after a failure, a kill or Ctrl-C is running it again: whatever finished is not repeated.
"""

import os
import queue
import signal
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opencoder_lib.book import results
from opencoder_lib.book.child import Child, start_child
from opencoder_lib.book.keys import Library, current_key, stale_reasons
from opencoder_lib.book.lock import locked
from opencoder_lib.book.progress import Reporter
from opencoder_lib.book.project import Card, Project, find_card, read_cards, resolve_parameters, with_needs
from opencoder_lib.errors import ConfigError, CookbookError, MissingArtifact


class Interrupted(CookbookError):
    """Ctrl-C, or a request to end."""

    exit_code = 130


@dataclass
class Outcome:
    """What became of one chapter: state is done, fresh, failed or skipped; `text` says why."""

    chapter: str
    state: str
    text: str = ""
    seconds: float = 0.0


@dataclass
class Schedule:
    """The chapters of one call: what is chosen, with which parameters, and what became of each."""

    project: Project
    cards: list[Card]
    parameters: dict[str, dict[str, Any]]
    force: set[str]
    library: Library
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def key(self, card: Card) -> dict[str, Any]:
        """The chapter's key now."""
        return current_key(self.project, card, self.parameters[card.name], self.library)

    def reasons(self, card: Card) -> list[str]:
        """Why a chapter must run now; its needs are settled."""
        if card.name in self.force:
            return ["asked for with --force"]
        return stale_reasons(self.project, card, self.key(card))

    def unsettled_needs(self, card: Card) -> list[str]:
        """Needs among the chosen chapters that have no outcome yet."""
        return [
            need for need in card.needs if need not in self.outcomes and any(other.name == need for other in self.cards)
        ]

    def broken_needs(self, card: Card) -> list[str]:
        """Needs that failed or were not run."""
        return [
            need for need in card.needs if need in self.outcomes and self.outcomes[need].state in ("failed", "skipped")
        ]


def plan(
    project: Project,
    only: Iterable[str] = (),
    assignments: Iterable[str] = (),
    force: bool = False,
    needs: bool = True,
) -> Schedule:
    """What a run would work on. Every name and value is checked here, before anything starts.

    only: chapters by number or name; with `needs` also every chapter they need. force: run the chosen ones even
    if nothing changed. Raises ConfigError, or MissingArtifact for a need that never ran when needs=False.
    """
    cards = read_cards(project.root)
    parameters = resolve_parameters(project, cards, assignments)
    named = [find_card(cards, name) for name in only]
    chosen = with_needs(cards, named or cards) if needs else [card for card in cards if not named or card in named]
    for card in chosen:
        for need in card.needs:
            if all(need != other.name for other in chosen) and not (project.build / "runs" / f"{need}.json").is_file():
                raise MissingArtifact(
                    f"{card.name} needs {need}, which has not run (profile {project.profile}). "
                    f"Run: opencoder run --only {need[:2]} --profile {project.profile}, or leave out --no-needs."
                )
    forced = {card.name for card in named or cards} if force else set()
    return Schedule(project, chosen, parameters, forced, Library(project.library))


def explain(schedule: Schedule, reporter: Reporter) -> list[str]:
    """Say what a run would do without doing it; return the chapters that would or might run."""
    stale: list[str] = []
    for card in schedule.cards:
        waits = [need for need in card.needs if need in stale]
        reasons = schedule.reasons(card)
        if not reasons and not waits:
            reporter.fresh(card.name)
            continue
        stale.append(card.name)
        reporter.would_run(card.name, reasons or [f"only if {' or '.join(waits)} gives new results"])
    return stale


def run(schedule: Schedule, reporter: Reporter, jobs: int | None = None) -> dict[str, Outcome]:
    """Run what is stale; return the outcome of every chosen chapter.

    Other chapters go on when one fails; those that need it are skipped. Raises Interrupted on Ctrl-C and
    lock.Busy when another runner is at work.
    """
    settings = schedule.project.settings()
    jobs = jobs or min(settings.get("jobs", 1), os.cpu_count() or 1)
    if jobs < 1:
        raise ConfigError(f"--jobs {jobs}: at least one chapter must run at a time.")
    limit = 60 * settings.get("timeout_minutes", 60)
    with locked(schedule.project.build) as lock, _termination_as_interrupt():
        _Run(schedule, reporter, jobs, limit, lock).to_the_end()
    return schedule.outcomes


class _Run:
    def __init__(self, schedule: Schedule, reporter: Reporter, jobs: int, limit: float, lock: int):
        self.schedule, self.reporter, self.jobs, self.limit, self.lock = schedule, reporter, jobs, limit, lock
        self.events: queue.Queue = queue.Queue()
        self.working: dict[str, tuple[Child, dict]] = {}

    def to_the_end(self) -> None:
        try:
            while len(self.schedule.outcomes) < len(self.schedule.cards):
                self.start_what_can()
                if self.working:
                    self.wait()
        except KeyboardInterrupt:
            names = ", ".join(self.working) or "nothing"
            for child, _ in self.working.values():
                child.stop()
                child.clean()
            raise Interrupted(
                f"Stopped while running {names}. Finished chapters are kept: the same command goes on from here."
            ) from None
        finally:
            for child, _ in self.working.values():
                child.stop()

    def start_what_can(self) -> None:
        for card in self.schedule.cards:
            name = card.name
            if name in self.schedule.outcomes or name in self.working or self.schedule.unsettled_needs(card):
                continue
            if broken := self.schedule.broken_needs(card):
                self.settle(Outcome(name, "skipped", f"it needs {' and '.join(broken)}"))
                continue
            if len(self.working) >= self.jobs:
                continue
            reasons = self.schedule.reasons(card)
            if not reasons:
                self.settle(Outcome(name, "fresh"))
                continue
            key = self.schedule.key(card)
            parameters = self.schedule.parameters[name]
            child = start_child(self.schedule.project, card, parameters, self.jobs, self.lock, self.events)
            self.working[name] = (child, key)
            self.reporter.started(name, reasons)

    def wait(self) -> None:
        try:
            name, event = self.events.get(timeout=0.2)
        except queue.Empty:
            name, event = None, {}
        if name in self.working:
            child, key = self.working[name]
            if event is None:
                child.process.wait()
                self.finish(child, key)
            else:
                child.note(event)
        for child, _ in list(self.working.values()):
            if child.seconds > self.limit:
                child.stop()
                where = f"cell {child.cell} ({child.number} of {child.of})"
                self.fail(child, f"it ran longer than {self.limit / 60:g} minutes and was stopped at {where}.")
        self.reporter.working([child for child, _ in self.working.values()])

    def finish(self, child: Child, key: dict) -> None:
        if child.process.returncode != 0:
            self.fail(child, results.failure(child))
            return
        try:
            record = results.accept(self.schedule.project, child, key)
        except CookbookError as error:
            self.fail(child, str(error))
        except OSError as error:
            self.fail(child, f"its results could not be stored: {error}.")
        else:
            del self.working[child.card.name]
            self.settle(Outcome(child.card.name, "done", seconds=record["seconds"]))

    def fail(self, child: Child, text: str) -> None:
        kept = results.keep_failed(self.schedule.project, child)
        if kept:
            text += f"\n    as far as it came: {kept.relative_to(self.schedule.project.root)}"
        del self.working[child.card.name]
        self.settle(Outcome(child.card.name, "failed", text, child.seconds))

    def settle(self, outcome: Outcome) -> None:
        self.schedule.outcomes[outcome.chapter] = outcome
        # First take its line off the live table, or it would be drawn once more below the outcome.
        self.reporter.working([child for child, _ in self.working.values()])
        self.reporter.settled(outcome.chapter, outcome.state, outcome.text, outcome.seconds)


class _termination_as_interrupt:
    """Within: SIGTERM, as a service manager or `timeout` sends it, ends the run as Ctrl-C does."""

    def __enter__(self):
        self.here = threading.current_thread() is threading.main_thread()
        if self.here:
            self.before = signal.signal(signal.SIGTERM, self.interrupt)

    def __exit__(self, *_):
        if self.here:
            signal.signal(signal.SIGTERM, self.before)

    @staticmethod
    def interrupt(*_):
        raise KeyboardInterrupt
