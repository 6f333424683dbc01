"""What the reader of the terminal sees while chapters run: a live table, or plain lines where nothing can move."""

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

HEARTBEAT_SECONDS = 20
MARKS = {"done": ("done", "green"), "fresh": ("up to date", "dim"), "failed": ("FAILED", "bold red")}


class Reporter:
    """Prints one line an event; on a terminal also a live line for each chapter at work. Use it as a context."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console()
        self.live = (
            Live(console=self.console, refresh_per_second=5, transient=True) if self.console.is_terminal else None
        )
        self.spoken: dict[str, float] = {}

    def __enter__(self) -> "Reporter":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.live:
            self.live.stop()

    def line(self, chapter: str, word: str, text: str = "", style: str = "") -> None:
        """One line: chapter, state, text. Nothing in it is read as markup."""
        self.console.print(Text.assemble((f"{chapter:<26}", "bold"), (f"{word:<11}", style), text), soft_wrap=True)

    def started(self, chapter: str, reasons: list[str]) -> None:
        """A chapter begins, and why."""
        self.spoken[chapter] = time.monotonic()
        self.line(chapter, "running", f"because {in_words(reasons)}", "cyan")

    def would_run(self, chapter: str, reasons: list[str]) -> None:
        """A dry run found a stale chapter."""
        self.line(chapter, "stale", in_words(reasons), "yellow")

    def fresh(self, chapter: str) -> None:
        """A chapter needs no run."""
        self.settled(chapter, "fresh", "", 0.0)

    def settled(self, chapter: str, state: str, text: str, seconds: float) -> None:
        """A chapter has its outcome."""
        word, style = MARKS.get(state, ("not run", "yellow"))
        if state == "done":
            text = f"in {seconds:.0f} s"
        elif state == "skipped":
            text = f"because {text}"
        self.line(chapter, word, text, style)

    def working(self, children: list) -> None:
        """Which cell each running chapter is at: live, or now and then as a line."""
        if self.live:
            self.live.update(progress_table(children))
            return
        for child in children:
            if time.monotonic() - self.spoken[child.card.name] > HEARTBEAT_SECONDS:
                self.spoken[child.card.name] = time.monotonic()
                self.line(child.card.name, "at work", position(child))


def position(child: Any) -> str:
    """'cell 7 of 14 (run-minhash), 45 s'."""
    cell = f"cell {child.number} of {child.of} ({child.cell})" if child.cell else "starting"
    return f"{cell}, {child.seconds:.0f} s"


def progress_table(children: list) -> Table:
    """One row for each chapter at work, with a bar over its cells."""
    table = Table.grid(padding=(0, 1))
    for child in children:
        done = round(20 * max(0, child.number - 1) / child.of) if child.of else 0
        table.add_row(child.card.name, Text("━" * done, "cyan") + Text("━" * (20 - done), "dim"), position(child))
    return table


def in_words(reasons: list[str], most: int = 3) -> str:
    """At most three reasons, then how many more."""
    more = len(reasons) - most
    return ", ".join(reasons[:most]) + (f" and {more} more" if more > 0 else "")
