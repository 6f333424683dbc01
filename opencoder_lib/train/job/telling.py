"""What `opencoder train` says while it works: lines on a terminal or in a job's log file."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opencoder_lib.train.job.log import RunLog

# Between two lines of progress where there is no terminal to keep one line up to date.
LINE_SECONDS = 30


def say(text: str) -> None:
    """One line on standard output, at once: a job's log file is read while it runs."""
    print(text, flush=True)


def say_nothing(text: str) -> None:
    """For processes other than the first."""


def duration(seconds: float) -> str:
    """'40 s', '3 min', '2 h 05 min', '4 days 3 h'."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"


@contextmanager
def progress_line() -> Iterator[None]:
    """While a terminal shows one line that is kept up to date: whatever breaks it off speaks on the next line."""
    try:
        yield
    except BaseException:
        if sys.stdout.isatty():
            say("")
        raise


class Narrator:
    """Passes rows on to a log and, without a terminal, tells now and then how far the run is."""

    def __init__(self, log: RunLog, until: int, tell: Callable[[str], Any] = say):
        self.log, self.until, self.tell = log, until, tell
        self._spoken = time.monotonic()

    def step(self, row: Mapping[str, Any]) -> None:
        """A step was done."""
        self.log.step(row)
        if not sys.stdout.isatty() and time.monotonic() - self._spoken > LINE_SECONDS:
            self._spoken = time.monotonic()
            left = (self.until - row["step"]) * row["tokens"] / row["step"] / row["tokens_per_second"]
            share = f", MFU {row['mfu']:.1%}" if "mfu" in row else ""
            self.tell(
                f"step {row['step']}/{self.until}: loss {row['loss']:.3f}, {row['tokens_per_second']:,.0f} tokens/s"
                f"{share}, {duration(left)} left"
            )

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """Held-out text was measured."""
        self.log.evaluation(row)
        if not sys.stdout.isatty():
            found = [f"{name.removesuffix('_bits_per_byte')} {row[name]:.3f}" for name in row if "bits" in name]
            self.tell(f"step {row['step']}/{self.until}: {', '.join(found)} bits/byte")

    def close(self) -> None:
        """Nothing more will come."""
        self.log.close()
