"""Ending a run between two steps, on all processes at the same one, when the user or a scheduler asks for it."""

import os
import signal
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch

from opencoder_lib.train import parallel
from opencoder_lib.train.windows import Source


class Interrupted(Exception):
    """Raised between two steps: everything that was done is in the run."""

    def __init__(self, signal_number: int):
        super().__init__(signal_number)
        self.signal_number = signal_number

    def ending(self) -> BaseException:
        """What ends the program as the signal would have."""
        return KeyboardInterrupt() if self.signal_number == signal.SIGINT else SystemExit(128 + self.signal_number)


@dataclass
class Stopping:
    """Takes note of Ctrl-C and of a request to terminate instead of dying of them; a second Ctrl-C is obeyed at once.

    Use as a context.
    """

    asked: int = 0
    _before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> "Stopping":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        # torchrun passes on the Ctrl-C that its processes get from the terminal too; two are then one.
        if self.asked and number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        self.asked = self.asked or number

    def agreed(self, device: torch.device) -> int:
        """The signal that any process has got, the same answer on all of them; 0 for none."""
        if not parallel.is_parallel():
            return self.asked
        found = torch.tensor(self.asked, device=device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return int(found)


@dataclass
class Stoppable:
    """A source that ends the run when it is asked for the next batch and a stop was asked for before.

    Then the step before is complete. Where the loop reads losses some steps at a time, it waits for the reading: a
    checkpoint must know all its losses.
    """

    source: Source
    run: Any
    stopping: Stopping
    _first: int = field(init=False)

    def __post_init__(self):
        self._first = self.run.step

    @property
    def num_tokens(self) -> int:
        """Tokens of the source."""
        return self.source.num_tokens

    @property
    def fingerprint(self) -> str:
        """That of the source."""
        return self.source.fingerprint

    def windows(self, places: np.ndarray, seed: int, length: int) -> np.ndarray:
        """The source's windows. Raises Interrupted on every process at the same step."""
        run = self.run
        is_read = run.step > self._first and run.log[-1]["step"] == run.step
        if is_read and (asked := self.stopping.agreed(run.device)):
            raise Interrupted(asked)
        return self.source.windows(places, seed, length)
