"""What a run says about itself: losses read back from the device, speed, and whether it still learns."""

import math
import time
from datetime import timedelta
from typing import Any, Protocol

import torch
from torch import Tensor

from opencoder_lib.errors import CookbookError
from opencoder_lib.train import parallel
from opencoder_lib.train.cost import flops_per_token, mfu, peak_flops
from opencoder_lib.train.model import shape_of

# A model that guesses evenly has a loss of ln(vocabulary); this many times that is no longer learning.
EXPLODED = 3.0
# Steps between two readings of an accelerator. Each reading waits for all work under way.
READ_EVERY = 10


class TrainingDiverged(CookbookError):
    """The loss became infinite, not a number, or far worse than guessing."""


class Log(Protocol):
    """Where rows go besides the run's own records; called on the first rank only. Who makes it closes it."""

    def step(self, row: dict[str, Any]) -> None:
        """One optimizer step."""

    def evaluation(self, row: dict[str, Any]) -> None:
        """One look at the held-out sets."""

    def close(self) -> None:
        """Nothing more will come."""


class Meter:
    """Collects loss and gradient norm of each step on the device, and reads them some steps at a time.

    Asking a device for a number waits until it has nothing left to do, so an accelerator is asked seldom. A processor
    is asked every step, before the update: then a step that diverged has not touched the weights.
    """

    def __init__(self, run, tokens_per_step: int, context: int, read_every: int | None, log: Log | None):
        self.run, self.log = run, log
        self.tokens_per_step = tokens_per_step
        self.every = read_every or (1 if run.device.type == "cpu" else READ_EVERY)
        self.flops = flops_per_token(shape_of(run.model), context)
        self.peak = peak_flops(run.device)
        self.first, self.busy = run.step, 0.0
        self._waiting: list[tuple[dict, Tensor]] = []
        self._since = time.perf_counter()

    def note(self, rate: float, loss: Tensor, norm: Tensor) -> None:
        """Take up the step that is being done; raises TrainingDiverged at once where every step is read.

        loss: this rank's share of the mean over the batch; norm: of the whole gradient, the same on every rank.
        """
        step = self.run.step + 1
        row = {"step": step, "tokens": step * self.tokens_per_step, "learning_rate": rate}
        self._waiting.append((row, torch.stack([loss.float(), norm.float()])))
        if len(self._waiting) >= self.every:
            self.read()

    def read(self) -> None:
        """Nothing is waiting any more: the run's log holds every step. Raises TrainingDiverged."""
        if not self._waiting:
            return
        # Losses in one row, not a column: an accelerator's sum over processes takes contiguous memory only.
        values_2S = torch.stack([values for _, values in self._waiting], dim=1)
        parallel.sum_over_ranks(values_2S[0])
        values = values_2S.T.tolist()
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self.busy += seconds
        speed = self.speed(len(values), seconds)
        for (row, _), (loss, norm) in zip(self._waiting, values, strict=True):
            self._check(row, loss, norm)
            order = {"step": row["step"], "tokens": row["tokens"], "loss": loss}
            row = order | {"learning_rate": row["learning_rate"], "gradient_norm": norm}
            self.run.log.append(row)
            if self.log and parallel.is_first():
                self.log.step(row | speed)
        self._waiting.clear()

    def speed(self, steps: int, seconds: float) -> dict[str, float]:
        """Tokens a second over all ranks, and MFU (full attention) where the device's peak is known."""
        pace = steps * self.tokens_per_step / max(seconds, 1e-9)
        share = mfu(pace, self.flops, self.peak, parallel.world_size())
        return {"tokens_per_second": pace} | ({} if share is None else {"mfu": share})

    def resume(self) -> None:
        """The clock runs from now: what came since the last reading was no training."""
        self._since = time.perf_counter()

    def say(self, until: int, end: str = "") -> None:
        """One line on the terminal, over the last one."""
        if not self.run.log or not self.busy:
            return
        row, scores = self.run.log[-1], self.run.evaluations[-1:]
        done = max(row["step"] - self.first, 1)
        speed = self.speed(done, self.busy)
        parts = [f"loss {row['loss']:.3f}"]
        parts += [
            f"{_plain(name)} {value:.3f} bits/byte" for s in scores for name, value in s.items() if "bits" in name
        ]
        parts += [f"{speed['tokens_per_second']:,.0f} tokens/s"]
        parts += [f"MFU {speed['mfu']:.1%}"] if "mfu" in speed else []
        left = timedelta(seconds=round(self.busy / done * (until - row["step"])))
        parts += [f"{left} left"] if left else []
        # The blank at the end covers what a longer line left behind.
        print(f"\rstep {row['step']}/{until}: {', '.join(parts)}    ", end=end, flush=True)

    def _check(self, row: dict, loss: float, norm: float) -> None:
        limit = EXPLODED * math.log(self.run.model.config.vocab_size)
        if loss < limit and math.isfinite(norm):
            return
        what = f"loss is {loss:.4g} (limit {limit:.1f})" if not loss < limit else f"gradient's norm is {norm:.4g}"
        # The step before this one is the last that was good.
        number = row["step"] - 1
        message = f"Step {number}: the {what} at learning rate {row['learning_rate']:.3g}. "
        if self.every > 1:
            message += f"It was noticed at step {self.run.step}, so the weights in memory are spoilt. "
        if self.run.saved_step is not None:
            message += f"The last checkpoint is of step {self.run.saved_step}. "
        raise TrainingDiverged(message + "Lower the peak rate, warm up for longer, or look at the batch of this step.")


def _plain(name: str) -> str:
    return name.removesuffix("_bits_per_byte").replace("_", "-")
