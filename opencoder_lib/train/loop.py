"""The training loop: one step after another, and nothing a step depends on is hidden.

A `Run` is all that the next step needs besides the tokens and the plan. Because the batch and the rate of a step are
pure functions of its number, a run can be branched at any step and go on under another plan over the same data.
Axes: B sequences, T positions, V vocabulary.
"""

import copy
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from transformers import PreTrainedModel

from opencoder_lib.compute import autocast
from opencoder_lib.errors import ConfigError, CookbookError
from opencoder_lib.train.optim import Recipe, make_optimizers, set_rate
from opencoder_lib.train.packing import batch
from opencoder_lib.train.perplexity import HeldOut, bits_per_byte
from opencoder_lib.train.schedule import WSD, wsd_lr

# A model that guesses evenly has a loss of ln(vocabulary); this many times that is no longer learning.
EXPLODED = 3.0


class TrainingDiverged(CookbookError):
    """The loss became infinite, not a number, or far worse than guessing."""


@dataclass(frozen=True)
class Feed:
    """How tokens reach the model: sequences a step, tokens a sequence, the seed of their order."""

    batch_size: int
    context: int
    seed: int

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimizer update learns from."""
        return self.batch_size * self.context


@dataclass
class Run:
    """A run between two steps: `step` updates are done, the records say how they went."""

    model: PreTrainedModel
    optimizers: list[Optimizer]
    step: int = 0
    log: list[dict] = field(default_factory=list)
    evaluations: list[dict] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device


def start_run(model: PreTrainedModel, recipe: Recipe | None = None) -> Run:
    """A run that has done no step."""
    return Run(model, make_optimizers(model, recipe or Recipe()))


def branch(run: Run) -> Run:
    """An independent copy of a run, optimizer state included: both go on without touching each other."""
    # One deepcopy over the whole run: the copied optimizers must hold the copied weights, not the old ones.
    return copy.deepcopy(run)


def train(
    run: Run,
    tokens: np.ndarray,
    plan: WSD,
    feed: Feed,
    *,
    until: int | None = None,
    held_out: HeldOut | None = None,
    evaluate_every: int = 0,
    clip: float = 1.0,
    precision: str = "auto",
    show_progress: bool = False,
) -> Run:
    """Take `run` to step `until` (the plan's end by default) and return it, its records grown.

    `run.log` gains a row a step: step, tokens seen, loss (nats a token, before the update), learning rate, gradient
    norm before clipping. `run.evaluations` gains a row every `evaluate_every` steps and at `until`: step, tokens,
    held-out bits per byte. Raises TrainingDiverged with the step when the loss is not finite or explodes.
    """
    until = plan.num_steps if until is None else until
    if not run.step <= until <= plan.num_steps:
        raise ConfigError(f"Cannot go from step {run.step} to {until} in a plan of {plan.num_steps} steps.")
    if held_out is not None and not run.evaluations:
        _evaluate(run, held_out, feed, precision)
    limit = EXPLODED * math.log(run.model.config.vocab_size)
    started, first = time.monotonic(), run.step
    run.model.train()
    while run.step < until:
        rate = float(wsd_lr(torch.tensor([run.step]), plan))
        set_rate(run.optimizers, rate)
        ids_BT = torch.from_numpy(batch(tokens, feed.seed, run.step, feed.batch_size, feed.context)).to(run.device)
        with autocast(run.device, precision):
            logits_BTV = run.model(input_ids=ids_BT[:, :-1]).logits
        loss = cross_entropy(logits_BTV.float().flatten(0, 1), ids_BT[:, 1:].flatten())
        if not loss.item() < limit:
            raise TrainingDiverged(
                f"Step {run.step}: the loss is {loss.item():.4g} (limit {limit:.1f}) at learning rate {rate:.3g}. "
                "Lower the peak rate, warm up for longer, or look at the batch of this step."
            )
        loss.backward()
        norm = clip_grad_norm_(run.model.parameters(), clip)
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        run.step += 1
        run.log.append(
            {
                "step": run.step,
                "tokens": run.step * feed.tokens_per_step,
                "loss": loss.item(),
                "learning_rate": rate,
                "gradient_norm": norm.item(),
            }
        )
        if held_out is not None and (run.step == until or (evaluate_every and run.step % evaluate_every == 0)):
            _evaluate(run, held_out, feed, precision)
        if show_progress:
            _say(run, until, (run.step - first) * feed.tokens_per_step / (time.monotonic() - started))
    run.model.eval()
    return run


def _evaluate(run: Run, held_out: HeldOut, feed: Feed, precision: str) -> None:
    run.model.eval()
    found = bits_per_byte(run.model, held_out, precision)
    run.model.train()
    run.evaluations.append(
        {"step": run.step, "tokens": run.step * feed.tokens_per_step, "held_out_bits_per_byte": found}
    )


def _say(run: Run, until: int, tokens_per_second: float) -> None:
    last = f", held-out {run.evaluations[-1]['held_out_bits_per_byte']:.3f} bits/byte" if run.evaluations else ""
    end = "\n" if run.step == until else ""
    loss = run.log[-1]["loss"]
    print(f"\rstep {run.step}/{until}: loss {loss:.3f}{last}, {tokens_per_second:,.0f} tokens/s ", end=end, flush=True)
