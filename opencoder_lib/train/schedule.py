"""Warm-up, stable, decay: the learning rate at every step of a run."""

from dataclasses import dataclass

import torch
from torch import Tensor

from opencoder_lib.errors import ConfigError, did_you_mean

SHAPES = ("exponential", "linear", "cosine", "1-sqrt")


class ScheduleError(ConfigError):
    """A schedule whose phases or rates do not fit together."""


@dataclass(frozen=True)
class WSD:
    """A warm-up-stable-decay plan. Steps count optimizer updates; rates are in the optimizer's unit.

    The last warm-up step reaches `peak`, the last step of all reaches `final`, and `shape` names the curve between:
    the formulas are those of `wsd_lr`. `final == peak` is the plan that never decays: the control for what decay does.
    """

    num_steps: int
    num_warmup: int
    num_decay: int
    peak: float
    final: float
    shape: str = "exponential"

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
        if not 0 < self.final <= self.peak < float("inf"):
            raise ScheduleError(f"Rates must satisfy 0 < final <= peak, not final={self.final}, peak={self.peak}.")
        if self.shape not in SHAPES:
            raise ScheduleError(f"There is no decay of shape {self.shape!r}.{did_you_mean(self.shape, SHAPES)}")

    @property
    def decay_start(self) -> int:
        """The first step of the decay phase."""
        return self.num_steps - self.num_decay


def wsd_lr(step: Tensor, plan: WSD) -> Tensor:
    """Learning rate at each step: linear warm-up, constant, decay in the plan's shape.

    step: (T,) integer steps from 0. Returns (T,) float64 in the unit of plan.peak; nothing but the step decides, so a
    run may be resumed or branched anywhere. With p the share of the decay phase that is done, 0 < p <= 1:

        exponential    peak * (final / peak) ** p                       the same factor every step
        linear         final + (peak - final) * (1 - p)
        cosine         final + (peak - final) * (1 + cos(pi * p)) / 2
        1-sqrt         final + (peak - final) * (1 - sqrt(p))           steep first, flat last

    Raises ScheduleError for a step outside the plan. Source: pre-training details (section 3.2), which say
    'exponential' and give both rates; the formula is ours (paper.toml, pretrain.decay_formula), and the other three
    are the ones in common use.
    """
    if step.numel() and not (int(step.min()) >= 0 and int(step.max()) < plan.num_steps):
        raise ScheduleError(
            f"Steps {int(step.min())} to {int(step.max())} are not all within 0 to {plan.num_steps - 1}."
        )
    done = step.to(torch.float64) + 1
    warmup = (done / max(plan.num_warmup, 1)).clamp(max=1)
    share = ((done - plan.decay_start) / max(plan.num_decay, 1)).clamp(min=0, max=1)
    floor = plan.final / plan.peak
    if plan.shape == "exponential":
        return plan.peak * warmup * floor**share
    left = {"linear": 1 - share, "cosine": (1 + torch.cos(torch.pi * share)) / 2, "1-sqrt": 1 - share.sqrt()}
    return plan.peak * warmup * (floor + (1 - floor) * left[plan.shape])
