"""What a run will take, told before it starts: parameters, tokens, arithmetic, memory, disk, time."""

import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from opencoder_lib.compute import available_bytes, pick_device, uses_bfloat16
from opencoder_lib.durable import existing, in_bytes
from opencoder_lib.errors import ConfigError
from opencoder_lib.train import parallel
from opencoder_lib.train.cost import check_memory, estimate_memory, flops_per_token, peak_flops
from opencoder_lib.train.job.config import Config
from opencoder_lib.train.job.corpus import Preparation
from opencoder_lib.train.job.log import read_log
from opencoder_lib.train.job.telling import duration
from opencoder_lib.train.loop import Feed
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.model import Shape, count_parameters
from opencoder_lib.train.schedule import WSD
from opencoder_lib.train.windows import num_windows

# Where no run has been measured: what a well-tuned run reaches of an accelerator's peak.
ASSUMED_MFU = 0.4
# Reading the same text more often than this teaches little more; the paper reads its corpus four times.
MANY_PASSES = 8


def outlook(config: Config, preparation: Preparation, world_size: int, say: Callable[[str], Any]) -> None:
    """Say what the run will do and what it takes. Raises ConfigError when it cannot fit into memory."""
    shape = config.model.sizes()
    feed = config.feed.feed(shape.context, 0, world_size)
    plan = config.plan.wsd(feed.tokens_per_step)
    last = config.plan.stop_at or plan.num_steps
    if last > plan.num_steps:
        raise ConfigError(f"plan.stop_at = {last} is past the end of the plan, step {plan.num_steps}.")
    for name, text in (
        ("model", _model(config, shape)),
        ("data", _data(preparation)),
        ("plan", _plan(plan, feed, last)),
        ("compute", _compute(config, shape, feed, last, world_size)),
        ("time", _time(config, shape, feed, last, world_size)),
        ("out", f"{config.out.folder}, {_checkpoints(config, shape)}"),
    ):
        say(f"{name + ':':<9}{text}")
    _tell_memory(config, shape, feed, world_size, say)


def check_corpus(source: Mixture, feed: Feed, plan: WSD, say: Callable[[str], Any]) -> None:
    """Raise ConfigError when a source does not fill a window or all together a batch; say when much is read again."""
    for name, part in source.sources.items():
        try:
            num_windows(part, feed.context)
        except ConfigError as error:
            raise ConfigError(f"data.sources.{name} is too small: {error}") from None
    windows = sum(num_windows(part, feed.context) for part in source.sources.values())
    if windows < feed.batch_size:
        raise ConfigError(
            f"The corpus has {windows:,} windows of {feed.context} tokens, fewer than the {feed.batch_size} of one "
            "batch. Train on more text, or with a smaller feed.batch_size or feed.context."
        )
    passes = source.passes(plan.num_steps * feed.batch_size - source.start, feed.context)
    for name, count in passes.items():
        if count > MANY_PASSES:
            say(f"note: this plan reads {name} {count:,.1f} times; it has {source.sources[name].num_tokens:,} tokens.")


def _model(config: Config, shape: Shape) -> str:
    whole, inner = count_parameters(shape), count_parameters(shape, embeddings=False)
    name = config.model.shape or "own sizes"
    return f"{name}, {whole:,} parameters ({inner:,} without the vocabulary of {shape.vocab:,})"


def _data(preparation: Preparation) -> str:
    names = list(preparation.config.data.sources)
    count = preparation.estimated_tokens()
    what = f"about {in_bytes(preparation.text_bytes())} of text, " if preparation.text_bytes() else ""
    held_out = "" if preparation.config.data.held_out else "; nothing held out"
    return f"{', '.join(names)}: {what}about {_count(count)} tokens{held_out}"


def _plan(plan: WSD, feed: Feed, last: int) -> str:
    stop = f", stopping at step {last:,}" if last != plan.num_steps else ""
    return (
        f"{plan.num_steps:,} steps of {feed.batch_size:,} x {feed.context:,} tokens = "
        f"{_count(plan.num_steps * feed.tokens_per_step)}; warm-up {plan.num_warmup:,}, {plan.shape} decay "
        f"{plan.num_decay:,}; rate {plan.peak:g} to {plan.final:g}{stop}"
    )


def _compute(config: Config, shape: Shape, feed: Feed, last: int, world_size: int) -> str:
    device = pick_device(config.compute.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    kind = "bfloat16" if uses_bfloat16(device, config.compute.precision) else "float32"
    flops = flops_per_token(shape, feed.context) * feed.tokens_per_step * last
    several = f"{world_size} processes ({config.parallel.strategy})" if world_size > 1 else "one process"
    return f"{flops:.2e} FLOPs on {name}, {kind}, {several}"


def _tell_memory(config: Config, shape: Shape, feed: Feed, world_size: int, say: Callable[[str], Any]) -> None:
    device = parallel.own_device(config.compute.device)
    needed = estimate_memory(
        shape,
        feed.batch_size // world_size // feed.accumulate,
        feed.context,
        config.optimizer.recipe(),
        device=device,
        precision=config.compute.precision,
        compiled=config.compute.compile,
        recompute=config.compute.recompute,
        loss_chunk_tokens=config.compute.loss_chunk_tokens,
        strategy=config.parallel.strategy,
        world_size=world_size,
    )
    available = available_bytes(device)
    there = "" if available is None else f"; {in_bytes(available)} available"
    each = " a process" if world_size > 1 else ""
    say(f"{'memory:':<9}about {in_bytes(sum(needed.values()))}{each}{there}")
    try:
        check_memory(needed, device)
    except ConfigError as error:
        raise ConfigError(f"{error} Settings: feed.micro_batch, compute.recompute, parallel.strategy.") from None


def _time(config: Config, shape: Shape, feed: Feed, last: int, world_size: int) -> str:
    tokens = last * feed.tokens_per_step
    log = Path(config.out.folder) / "log.jsonl"
    rows = read_log(log)[-200:] if log.is_file() else []
    # Rows that were written again from a checkpoint do not know how long they took.
    paces = [row["tokens_per_second"] for row in rows if "tokens_per_second" in row]
    if paces:
        pace = median(paces)
        return f"about {duration(tokens / pace)} in all, at the {pace:,.0f} tokens/s of the run so far"
    if peak := peak_flops(pick_device(config.compute.device)):
        pace = ASSUMED_MFU * peak * world_size / flops_per_token(shape, feed.context)
        return f"about {duration(tokens / pace)} if {ASSUMED_MFU:.0%} of the peak are reached ({pace:,.0f} tokens/s)"
    return "not known before the first steps"


def _checkpoints(config: Config, shape: Shape) -> str:
    # In float32: a weight, and two numbers of AdamW's or one of Muon's for each.
    whole, inner = count_parameters(shape), count_parameters(shape, embeddings=False)
    size = 4 * (3 * whole - inner * (config.optimizer.name == "muon"))
    needed = size * (config.out.keep_last + 1)
    free = shutil.disk_usage(existing(Path(config.out.folder))).free
    room = f"{in_bytes(needed)} of {in_bytes(free)} free" + (", which is TOO LITTLE" if needed > free else "")
    return f"{config.out.keep_last} checkpoints of about {in_bytes(size)} and one being written: {room}"


def _count(number: float) -> str:
    """'12.3 M', '2.0 T': how a reader compares amounts of tokens."""
    for unit in ("", " k", " M", " B"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:,.3g} T"
