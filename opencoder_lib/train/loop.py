"""The training loop: one step after another, and nothing a step depends on is hidden.

A `Run` is all that the next step needs besides the tokens and the plan. Because the batch and the rate of a step are
pure functions of its number, a run can be branched at any step and go on under another plan over the same data. The
same loop serves a processor, one accelerator, and several under torchrun (see `parallel`).
Axes: B sequences, T positions.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from opencoder_lib.compute import autocast, keep_memory
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.train import parallel
from opencoder_lib.train.loss import IGNORED, NextToken
from opencoder_lib.train.meter import Log, Meter, TrainingDiverged
from opencoder_lib.train.optim import Recipe, make_optimizers, set_rate
from opencoder_lib.train.packing import Source, as_source, batch, document_positions
from opencoder_lib.train.perplexity import HeldOut, document_bits
from opencoder_lib.train.schedule import WSD, wsd_lr

__all__ = ["Feed", "Run", "TrainingDiverged", "branch", "start_run", "train"]


@dataclass(frozen=True)
class Feed:
    """How tokens reach the model: sequences a step, tokens a sequence, the seed of their order.

    batch_size: over all processes. accumulate: micro-batches that each process computes one after another before an
    update; the update stays that of the whole batch. document_end: the token that ends a document, to keep attention
    within documents and count positions from their start; None lets attention cross, as the paper does as far as it
    says.
    """

    batch_size: int
    context: int
    seed: int
    accumulate: int = 1
    document_end: int | None = None

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimizer update learns from."""
        return self.batch_size * self.context


@dataclass
class Run:
    """A run between two steps: `step` updates are done, the records say how they went.

    module: what is called to compute a loss, `model` with what several processes need around it. saved_step: the step
    of the last checkpoint. Nothing is random but fresh weights and the order of the data, which follow from seeds.
    """

    model: PreTrainedModel
    optimizers: list[Optimizer]
    step: int = 0
    log: list[dict] = field(default_factory=list)
    evaluations: list[dict] = field(default_factory=list)
    saved_step: int | None = None
    module: nn.Module | None = None

    def __post_init__(self):
        if self.module is None:
            self.module = NextToken(self.model)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device


def start_run(
    model: PreTrainedModel, recipe: Recipe | None = None, *, strategy: str = "ddp", precision: str = "auto"
) -> Run:
    """A run that has done no step.

    strategy: 'ddp' or 'fsdp'; says something under torchrun only. precision: of the weights that 'fsdp' gathers.
    """
    module = parallel.wrap(NextToken(model), strategy, precision)
    # Sharding replaces the parameters, so the optimizers are made after it.
    return Run(model, make_optimizers(model, recipe or Recipe()), module=module)


def branch(run: Run) -> Run:
    """An independent copy of a run, optimizer state included: both go on without touching each other."""
    if parallel.is_sharded(run.module):
        raise ConfigError("A sharded run cannot be copied in memory. Save a checkpoint and start two runs from it.")
    # One deepcopy over the whole run: the copied optimizers must hold the copied weights, not the old ones.
    return copy.deepcopy(run)


def train(
    run: Run,
    source: np.ndarray | Source,
    plan: WSD,
    feed: Feed,
    *,
    until: int | None = None,
    held_out: HeldOut | Mapping[str, HeldOut] | None = None,
    evaluate_every: int = 0,
    clip: float = 1.0,
    precision: str = "auto",
    compiled: bool = False,
    recompute: bool = False,
    loss_chunk_tokens: int | None = None,
    read_every: int | None = None,
    save: Callable[[Run], object] | None = None,
    save_every: int = 0,
    log: Log | None = None,
    show_progress: bool = False,
) -> Run:
    """Take `run` to step `until` (the plan's end by default) and return it, its records grown.

    `run.log` gains a row a step: step, tokens seen, loss (nats a token, before the update), learning rate, gradient
    norm before clipping. `run.evaluations` gains a row every `evaluate_every` steps and at `until`: step, tokens,
    `NAME_bits_per_byte` of every held-out set; a single set is called 'held_out'. `log` gets the same rows as they
    come, with tokens a second and MFU.

    compiled: torch.compile the decoder layers. recompute: keep one tensor a layer for the backward pass and compute
    the rest again (activation checkpointing). loss_chunk_tokens: see `loss.summed_cross_entropy`. read_every: steps
    between two looks at the loss, by default each on a processor and each tenth on an accelerator. save: called with
    the complete run on every rank every `save_every` steps and at `until`.

    Raises TrainingDiverged with the step when loss or gradient is not finite or the loss explodes, InputError for a
    token that the model does not know, ConfigError for settings that do not fit together.
    """
    until = plan.num_steps if until is None else until
    _check(run, plan, feed, until, clip)
    _prepare(run, compiled, recompute, loss_chunk_tokens)
    source = as_source(source)
    sets = held_out if isinstance(held_out, Mapping) else {} if held_out is None else {"held_out": held_out}
    if sets and not run.evaluations:
        _evaluate(run, sets, feed, precision, log)
    meter = Meter(run, feed.tokens_per_step, feed.context, read_every, log)
    run.module.train()
    while run.step < until:
        rate = float(wsd_lr(torch.tensor([run.step]), plan))
        set_rate(run.optimizers, rate)
        loss = _backward(run, source, feed, precision)
        norm = parallel.whole(clip_grad_norm_(run.model.parameters(), clip))
        meter.note(rate, loss, norm)
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        run.step += 1
        to_evaluate, to_save = (_is_due(run.step, until, every) for every in (evaluate_every, save_every))
        if to_evaluate or to_save:
            meter.read()
        if sets and to_evaluate:
            _evaluate(run, sets, feed, precision, log)
        if save and to_save:
            save(run)
            run.saved_step = run.step
        if to_evaluate or to_save:
            meter.resume()
        if show_progress and parallel.is_first():
            meter.say(until, end="\n" if run.step == until else "")
    run.module.eval()
    return run


def _is_due(step: int, until: int, every: int) -> bool:
    return step == until or bool(every and step % every == 0)


def _backward(run: Run, source: Source, feed: Feed, precision: str) -> Tensor:
    """The gradients of this step's batch are in place; returns this rank's share of the mean loss.

    The mean is over all tokens of the batch, those that are read and not learned included: so each process knows the
    divisor without asking the others.
    """
    size = parallel.world_size()
    rows = batch(source, feed.seed, run.step, feed.batch_size, feed.context, parallel.rank(), size)
    vocab = run.model.config.vocab_size
    # A source writes ~id for a token that is read and not learned, such as what a user says in a conversation.
    known = np.where(rows < 0, ~rows, rows)
    if known.max() >= vocab:
        raise InputError(
            f"Step {run.step} reads the token {known.max():,}; the model's vocabulary has {vocab:,}. "
            "Tokenise the corpus with the tokenizer that the model was built for."
        )
    targets = np.where(rows < 0, IGNORED, rows)
    inputs = _on(run.device, known[:, :-1]).chunk(feed.accumulate)
    parts = _on(run.device, targets[:, 1:]).chunk(feed.accumulate)
    mean = torch.zeros((), device=run.device)
    for number, (inputs_BT, targets_BT) in enumerate(zip(inputs, parts, strict=True), 1):
        positions_BT = None if feed.document_end is None else document_positions(inputs_BT, feed.document_end)
        with parallel.gradients_stay_here(run.module, number < len(parts)):
            with autocast(run.device, precision):
                loss = run.module(inputs_BT, targets_BT, positions_BT) / feed.tokens_per_step
            # The processes' gradients are averaged; the batch wants their sum.
            (loss * size).backward()
        mean += loss.detach()
    return mean


def _on(device: torch.device, values: np.ndarray) -> Tensor:
    """The values on `device`. Copied from pinned memory, or the processor would wait for the step before to end."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _evaluate(run: Run, sets: Mapping[str, HeldOut], feed: Feed, precision: str, log: Log | None) -> None:
    # Sharded weights must be computed with through the module that gathers them.
    model = parallel.Scorer(run.module) if parallel.is_sharded(run.module) else run.model
    row = {"step": run.step, "tokens": run.step * feed.tokens_per_step}
    run.module.eval()
    # Compiling again for every shape of the last batch would take longer than it saves.
    with torch.compiler.set_stance("force_eager"):
        for name, held_out in sets.items():
            bits_D = document_bits(model, parallel.share_of(held_out), precision=precision)
            total = parallel.sum_over_ranks(torch.tensor(bits_D.sum(), device=run.device))
            row[f"{name}_bits_per_byte"] = float(total) / float(held_out.n_bytes_D.sum())
    run.module.train()
    run.evaluations.append(row)
    if log and parallel.is_first():
        log.evaluation(row)


def _prepare(run: Run, compiled: bool, recompute: bool, loss_chunk_tokens: int | None) -> None:
    """What changes time and memory of a step and not its result."""
    if run.device.type == "cpu":
        keep_memory()
    module = run.module.module if hasattr(run.module, "module") else run.module
    module.chunk_tokens, module.compiled = loss_chunk_tokens, compiled
    for layer in run.model.model.layers:
        # Set on the layers, as transformers does: its own switch changes its name with its versions.
        layer.gradient_checkpointing = recompute
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        if compiled and layer._compiled_call_impl is None:
            layer.compile()
        elif not compiled:
            layer._compiled_call_impl = None


def _check(run: Run, plan: WSD, feed: Feed, until: int, clip: float) -> None:
    if not run.step <= until <= plan.num_steps:
        raise ConfigError(f"Cannot go from step {run.step} to {until} in a plan of {plan.num_steps} steps.")
    if feed.accumulate < 1 or feed.batch_size % (feed.accumulate * parallel.world_size()):
        raise ConfigError(
            f"batch_size={feed.batch_size} does not split into accumulate={feed.accumulate} micro-batches on each of "
            f"{parallel.world_size()} processes. Make it a multiple of {feed.accumulate * parallel.world_size()}."
        )
    if not clip > 0:
        raise ConfigError(f"clip={clip} must be above 0; use float('inf') not to clip.")
    rows = feed.batch_size // (feed.accumulate * parallel.world_size())
    if feed.document_end is not None and rows > 1 and run.model.config._attn_implementation == "flash_attention_2":
        # transformers tells documents apart by their positions only where a batch is one row.
        raise ConfigError(
            f"flash_attention_2 would ignore the document mask with {rows} sequences at a time. Take one at a time "
            f"(accumulate={feed.batch_size // parallel.world_size()}), or sdpa or flex_attention."
        )
    longest = run.model.config.max_position_embeddings
    if feed.context > longest:
        raise ConfigError(f"context={feed.context} is more than the {longest} positions that the model reads.")
