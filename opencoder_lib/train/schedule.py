"""Warm-up, stable, decay: the learning rate at every step of a run."""

from dataclasses import dataclass

import torch
from torch import Tensor

from opencoder_lib.errors import ConfigError


class ScheduleError(ConfigError):
    """A schedule whose phases or rates do not fit together."""


@dataclass(frozen=True)
class WSD:
    """A warm-up-stable-decay plan. Steps count optimizer updates; rates are in the optimizer's unit.

    The last warm-up step reaches `peak`, the last step of all reaches `final`. `final == peak` is the plan that
    never decays: the control for what decay does.
    """

    num_steps: int
    num_warmup: int
    num_decay: int
    peak: float
    final: float

    def __post_init__(self):
        if self.num_steps < 1 or self.num_warmup < 0 or self.num_decay < 0:
            raise ScheduleError(
                f"A schedule needs num_steps >= 1, num_warmup >= 0, num_decay >= 0, not {self.num_steps}, "
                f"{self.num_warmup}, {self.num_decay}."
            )
        if self.num_warmup + self.num_decay > self.num_steps:
            raise ScheduleError(
                f"Warm-up ({self.num_warmup} steps) and decay ({self.num_decay}) overlap: together "
                f"{self.num_warmup + self.num_decay} of {self.num_steps} steps. Shorten one or train longer."
            )
        if not 0 < self.final <= self.peak:
            raise ScheduleError(f"Rates must satisfy 0 < final <= peak, not final={self.final}, peak={self.peak}.")

    @property
    def decay_start(self) -> int:
        """The first step of the decay phase."""
        return self.num_steps - self.num_decay


def wsd_lr(step: Tensor, plan: WSD) -> Tensor:
    """Learning rate at each step: linear warm-up, constant, exponential decay.

    step: (T,) integer steps from 0. Returns (T,) float64 in the unit of plan.peak. Decay is peak * r**p with
    r = final / peak and p the share of the decay phase that is done, so the rate falls by the same factor every
    step. Raises ScheduleError for a step outside the plan. Source: pre-training details (section 3.2), which say
    'exponential' and give both rates; the formula is ours (paper.toml, pretrain.decay_formula).
    """
    if step.numel() and not (int(step.min()) >= 0 and int(step.max()) < plan.num_steps):
        raise ScheduleError(
            f"Steps {int(step.min())} to {int(step.max())} are not all within 0 to {plan.num_steps - 1}."
        )
    done = step.to(torch.float64) + 1
    warmup = (done / max(plan.num_warmup, 1)).clamp(max=1)
    share = ((done - plan.decay_start) / max(plan.num_decay, 1)).clamp(min=0, max=1)
    return plan.peak * warmup * (plan.final / plan.peak) ** share
