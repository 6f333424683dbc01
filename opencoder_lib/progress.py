"""How far a long run is: a live bar on a terminal, a line now and then elsewhere."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from opencoder_lib import MB

LINE_SECONDS = 20


class Meter:
    """Shows share done, rate and time left of a run over `total` bytes of input, as stored. Use it as a context.

    step: what is being done, where a run has several. The rate is in bytes of text and counts work of this run only:
    what an earlier one left takes no time and would flatter it.
    """

    def __init__(self, total: int, console: Console | None = None, step: str = ""):
        self.console = console or Console(stderr=True, highlight=False)
        self.total = max(total, 1)
        self._before = f"{step}: " if step else ""
        self.done = self.kept = self.text = self.num_shards = 0
        self.began = self._spoken = time.monotonic()
        self._bar = None
        if self.console.is_terminal:
            columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task(f"{self._before}starting", total=self.total)

    def __enter__(self) -> "Meter":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line, as it is."""
        self.console.print(Text(text), soft_wrap=True)

    def advance(self, stored: int, text: int, kept: bool) -> None:
        """One more shard is done: bytes of input and of text in it; `kept` if an earlier run did it."""
        self.done += stored
        self.kept += stored if kept else 0
        self.text += 0 if kept else text
        self.num_shards += 1
        if self._bar:
            self._bar.update(self._task, completed=self.done, description=f"{self._before}{self.state()}")
        elif self.done < self.total and time.monotonic() - self._spoken > LINE_SECONDS:
            self._spoken = time.monotonic()
            self.say(f"{self._before}{min(1, self.done / self.total):.0%} done, {self.state()}")

    def state(self) -> str:
        """'shard 12, 8.1 MB/s, 3 min left'."""
        seconds = max(time.monotonic() - self.began, 1e-3)
        pace = (self.done - self.kept) / seconds
        left = f", {in_words(max(0, self.total - self.done) / pace)} left" if pace else ""
        return f"shard {self.num_shards}, {self.text / MB / seconds:.1f} MB/s{left}"


def in_words(seconds: float) -> str:
    """'40 s', '3 min', '2 h 05 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
