"""The parts of the accelerator benchmark. Each runs in a process of its own, started by gpu.py:

    python benchmarks/gpu_parts.py '{"kind": "training", "shape": "base", ...}' RESULT.json

A part writes one JSON object: what it measured, or {"failed": why}. Nothing here needs more than torch, transformers,
what comes with them, and this repository. Axes: S steps.
"""

import gc
import hashlib
import json
import platform
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import CalledProcessError, run
from typing import Any

import numpy as np
import torch
from training_sides import Marks, Timed, has_accelerate, library_texts, our_loop, plain_loop, trainer
from transformers import LlamaForCausalLM, PreTrainedModel

from opencoder_lib import compute, seeds
from opencoder_lib.errors import InputError
from opencoder_lib.train import cost, loop, perplexity
from opencoder_lib.train.checkpoint import Checkpoints
from opencoder_lib.train.identity import identity
from opencoder_lib.train.model import Shape, build_model, find_shape
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.packing import pack
from opencoder_lib.train.schedule import WSD
from opencoder_lib.train.tokenizer import train_tokenizer

ROOT = Path(__file__).resolve().parent.parent
TINY = Shape(vocab=512, hidden=64, layers=2, heads=2, kv_heads=2, ffn=128, context=64, tied=True)
PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy", "triton", "liger_kernel")
# Kernels that scaled_dot_product_attention may choose from, by what the setting is called.
ATTENTION_KERNELS = {"flash": "FLASH_ATTENTION", "cudnn": "CUDNN_ATTENTION", "efficient": "EFFICIENT_ATTENTION"}
CHAPTER = "10-pretrain-wsd"
NUM_WINDOWS = 512


def shape_of(settings: dict) -> Shape:
    """The shape a part is about; with "tiny" a toy of the same build, for a rehearsal without an accelerator."""
    return TINY if settings.get("tiny") else find_shape(settings["shape"])


def random_tokens(shape: Shape, num_windows: int = NUM_WINDOWS) -> np.ndarray:
    """Tokens that mean nothing: enough windows that none comes twice in a benchmark."""
    random = seeds.rng(0, "benchmark tokens")
    return random.integers(0, shape.vocab, num_windows * shape.context + 1, dtype=np.uint32)


def fresh_model(shape: Shape, device: torch.device) -> PreTrainedModel:
    """A model made by transformers where it is to be trained: drawing 1.9 billion numbers elsewhere takes long."""
    torch.manual_seed(0)
    with device:
        return LlamaForCausalLM(shape.config())


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds, once all work handed to the device is done."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def machine(settings: dict) -> dict[str, Any]:
    """What runs here: names and versions, and what the device reaches where nothing else is asked of it."""
    device = compute.pick_device(settings["device"])
    about: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform(), "versions": {}}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            about["versions"][package] = version(package)
    about["commit"] = _output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    about["changed_files"] = (_output("git", "-C", str(ROOT), "status", "--porcelain") or "").count("\n")
    about["peak_flops"] = cost.peak_flops(device)
    if device.type == "cuda":
        known = torch.cuda.get_device_properties(device)
        about |= {"device": known.name, "memory_bytes": known.total_memory, "cuda": torch.version.cuda}
        about["cudnn"] = torch.backends.cudnn.version()
        asked = "driver_version,power.limit,clocks.max.sm,clocks.max.memory"
        about["nvidia_smi"] = _output("nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader")
    else:
        about["device"] = platform.processor() or platform.machine()
    return about | _ceilings(device, 8_192 if device.type == "cuda" else 256)


def _output(*command: str) -> str | None:
    try:
        return run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, CalledProcessError, TimeoutError):
        return None


def _ceilings(device: torch.device, size: int) -> dict[str, float]:
    """FLOP/s of one large product in bfloat16, and bytes a second of a copy (read and written)."""
    now, left = clock(device), torch.randn(size, size, device=device).bfloat16()
    right, target = torch.randn_like(left), torch.empty_like(left)

    def seconds(work: Callable[[], Any], repeats: int = 20) -> float:
        work()
        start = now()
        for _ in range(repeats):
            work()
        return (now() - start) / repeats

    product = seconds(lambda: torch.mm(left, right, out=target))
    copied = seconds(lambda: target.copy_(left))
    return {"product_flops": 2 * size**3 / product, "copy_bytes_per_second": 2 * left.nbytes / copied}


def training(settings: dict) -> dict[str, Any]:
    """Tokens a second, memory and first step of one side with one choice of settings."""
    device, shape = compute.pick_device(settings["device"]), shape_of(settings)
    micro, accumulate = settings["micro_batch"], settings["accumulate"]
    feed = loop.Feed(micro * accumulate, shape.context, seed=0, accumulate=accumulate)
    num_steps = settings["warmup"] + settings["steps"]
    model, tokens, now = fresh_model(shape, device), random_tokens(shape), clock(device)
    with attention_by(settings.get("attention")):
        timed = _side(settings, model, tokens, feed, num_steps, now)
    seconds_S = timed.seconds_S[settings["warmup"] - 1 :]
    return _speed(seconds_S, feed, shape, device) | {
        "seconds_per_step": seconds_S.tolist(),
        "first_step_seconds": timed.first_seconds,
        "losses": timed.losses_S.tolist(),
        "tokens_per_step": feed.tokens_per_step,
        "side": _name_of(settings["side"]),
    }


def attention_by(name: str | None):
    """A context in which scaled_dot_product_attention uses this kernel alone; None leaves the choice to torch."""
    if name is None:
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel([getattr(SDPBackend, ATTENTION_KERNELS[name])])


def _name_of(side: str) -> str:
    names = {"ours": "our loop", "trainer": "Trainer" if has_accelerate() else "plain loop, as Trainer (no accelerate)"}
    return names[side]


def _side(settings: dict, model: PreTrainedModel, tokens: np.ndarray, feed: loop.Feed, num_steps: int, now) -> Timed:
    """The steps of the side that the settings name. Trainer gives way to a loop like it without accelerate."""
    compiled, recompute = settings.get("compiled", False), settings.get("recompute", False)
    if settings["side"] == "ours":
        made = loop.start_run(model, Recipe(settings.get("optimizer", "adamw")))
        options = {"compiled": compiled, "recompute": recompute, "loss_chunk_tokens": settings.get("chunk")}
        return our_loop(made, tokens, feed, num_steps, now, **options)
    if has_accelerate():
        bf16 = compute.has_bfloat16(model.device)
        return trainer(model, tokens, feed, num_steps, now, bf16=bf16, compiled=compiled, recompute=recompute)
    if compiled:
        model = torch.compile(model)
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return plain_loop(model, tokens, feed, num_steps, now)


def _speed(seconds_S: np.ndarray, feed: loop.Feed, shape: Shape, device: torch.device) -> dict[str, Any]:
    """Median and range of tokens a second, MFU in both conventions where the peak is known, memory."""
    rates_S = feed.tokens_per_step / seconds_S
    median, peak = float(np.median(rates_S)), cost.peak_flops(device)
    flops = {name: cost.flops_per_token(shape, feed.context, name) for name in cost.ATTENTION_SHARE}
    about: dict[str, Any] = {
        "tokens_per_second": {"median": median, "min": float(rates_S.min()), "max": float(rates_S.max())},
        "flops_per_token": flops,
        "mfu": {name: cost.mfu(median, value, peak) for name, value in flops.items()},
    }
    if device.type == "cuda":
        about["peak_bytes"] = torch.cuda.max_memory_allocated(device)
        about["peak_reserved_bytes"] = torch.cuda.max_memory_reserved(device)
    return about


def profile(settings: dict) -> dict[str, Any]:
    """Where the time of one step of our loop goes: kernels by their time on the device, the longest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiling

    device, shape = compute.pick_device(settings["device"]), shape_of(settings)
    micro, accumulate = settings["micro_batch"], settings["accumulate"]
    feed = loop.Feed(micro * accumulate, shape.context, seed=0, accumulate=accumulate)
    made = loop.start_run(fresh_model(shape, device), Recipe("adamw"))
    tokens, now = random_tokens(shape), clock(device)
    options = {"compiled": settings.get("compiled", False), "loss_chunk_tokens": settings.get("chunk")}
    our_loop(made, tokens, feed, settings["warmup"], now, **options)
    activities = [ProfilerActivity.CUDA] if device.type == "cuda" else [ProfilerActivity.CPU]
    with profiling(activities=activities) as seen:
        our_loop(made, tokens, feed, 1, now, **options)
    kind = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    spent = sorted(((getattr(entry, kind), entry.count, entry.key) for entry in seen.key_averages()), reverse=True)
    total = sum(microseconds for microseconds, _, _ in spent) or 1
    kernels = [
        {
            "share": round(microseconds / total, 4),
            "milliseconds": microseconds / 1_000,
            "calls": count,
            "name": name[:120],
        }
        for microseconds, count, name in spent[:25]
    ]
    return {"milliseconds": total / 1_000, "kernels": kernels}


def resume(settings: dict) -> dict[str, Any]:
    """An exact resume in two processes, once with kernels that repeat exactly and once with the fast ones.

    "first" trains to the end and leaves a checkpoint on the way; "rest" starts from other weights, takes up the
    checkpoint in a fresh process, goes on, and compares losses and the hash of all weights.
    """
    compute.repeat_exactly(1, compute.pick_device(settings["device"]))
    return {kernels: _resumed(settings, kernels) for kernels in ("exact", "fast")}


def _resumed(settings: dict, kernels: str) -> dict[str, Any]:
    device, shape = compute.pick_device(settings["device"]), shape_of(settings)
    torch.use_deterministic_algorithms(kernels == "exact")
    folder, half, num_steps = Path(settings["folder"]) / kernels, settings["steps"] // 2, settings["steps"]
    tokens, plan = random_tokens(shape, 64), WSD(num_steps, 2, num_steps // 4, 1e-3, 1e-4)
    feed = loop.Feed(settings["micro_batch"], shape.context, seed=0)
    is_first = settings["phase"] == "first"
    if not is_first and not (folder / "first.json").is_file():
        raise InputError(f"There is no whole run with {kernels} kernels to compare with: the first half did not end.")
    made = loop.start_run(build_model(shape, 0 if is_first else 1, device=device))
    kept = Checkpoints(folder, identity(made.model, tokens, plan, feed), say=lambda _: None)
    options = {"compiled": kernels == "fast" and settings["compiled"], "read_every": 1}
    if is_first:
        loop.train(made, tokens, plan, feed, until=half, **options)
        start = time.perf_counter()
        kept.save(made)
        about: dict[str, Any] = {"save_seconds": time.perf_counter() - start}
    else:
        start = time.perf_counter()
        kept.resume(made)
        about = {"load_seconds": time.perf_counter() - start, "resumed_at": made.step}
    loop.train(made, tokens, plan, feed, **options)
    about |= {"losses": [row["loss"] for row in made.log], "weights": weights_hash(made.model)}
    if is_first:
        (folder / "first.json").write_text(json.dumps(about), encoding="utf-8")
    else:
        about |= compare_runs(json.loads((folder / "first.json").read_text(encoding="utf-8")), about)
    del made
    gc.collect()
    return about


def compare_runs(first: dict, rest: dict) -> dict[str, Any]:
    """What an uninterrupted run and a resumed one have in common."""
    apart = np.abs(np.subtract(first["losses"], rest["losses"]))
    return {
        "same_weights": first["weights"] == rest["weights"],
        "same_losses": first["losses"] == rest["losses"],
        "largest_loss_difference": float(apart.max()),
    }


def weights_hash(model: torch.nn.Module) -> str:
    """SHA-256 over every bit of every weight."""
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def recipe(settings: dict) -> dict[str, Any]:
    """The gpu profile of chapter 10 as far as a bare machine can: its model, steps, batch and rate on Python's library.

    The chapter itself needs the packages of the book and the corpus of the chapters before it. One repository in five,
    here a top-level package of the standard library, is held out whole.
    """
    device = compute.pick_device(settings["device"])
    known = tomllib.loads((ROOT / "opencoder_lib/profiles.toml").read_text(encoding="utf-8"))["gpu"]["chapters"][
        CHAPTER
    ]
    shape = TINY if settings.get("tiny") else find_shape(known["shape_name"])
    num_steps = settings.get("steps") or known["num_steps"]
    batch_size = settings.get("batch_size") or known["batch_size"]
    seen, unseen = _library_split(settings.get("megabytes", 40.0))
    bpe = train_tokenizer(seen, shape.vocab)
    tokens, held_out = pack(seen, bpe), perplexity.hold_out(unseen, bpe, shape.context)
    plan = WSD(num_steps, num_steps // 20, num_steps // 5, known["peak_lr"], known["peak_lr"] / 30)
    feed = loop.Feed(batch_size, shape.context, seed=0)
    made, now = loop.start_run(build_model(shape, 0, device=device)), clock(device)
    marks = Marks(now)
    options = {"held_out": held_out, "evaluate_every": max(num_steps // 4, 1), "compiled": settings["compiled"]}
    loop.train(made, tokens, plan, feed, log=marks, **options)
    # What the loop itself says: time spent on held-out text is not in it.
    said_S = np.array([row["tokens_per_second"] for row in marks.rows])
    return _speed(feed.tokens_per_step / said_S, feed, shape, device) | {
        "num_steps": num_steps,
        "tokens_per_step": feed.tokens_per_step,
        "seconds": now() - marks.times[0],
        "corpus_tokens": len(tokens),
        "evaluations": made.evaluations,
        "first_loss": made.log[0]["loss"],
        "last_loss": made.log[-1]["loss"],
    }


def _library_split(megabytes: float) -> tuple[list[str], list[str]]:
    """Texts of Python's own library, seen and held out by top-level package."""
    texts = library_texts(megabytes)
    sizes = {owner: sum(map(len, some)) for owner, some in texts.items()}
    unseen = perplexity.hold_out_repositories(sizes, frac=0.2, seed=0)
    seen = [text for owner, some in texts.items() if owner not in unseen for text in some]
    # Enough to measure with, and no large package decides alone.
    beginnings = [text[:10_000] for owner in unseen for text in texts[owner][:2]]
    return seen, beginnings[:60]


KINDS = {"machine": machine, "training": training, "profile": profile, "resume": resume, "recipe": recipe}


def outcome(settings: dict) -> dict[str, Any]:
    """What the part measured, or why it could not. Running out of memory is a result, not an error."""
    try:
        return KINDS[settings["kind"]](settings)
    except torch.OutOfMemoryError as error:
        return {"failed": "out of memory", "why": str(error).splitlines()[0]}
    except Exception as error:  # the other parts must still run; the log has the traceback
        import traceback

        traceback.print_exc()
        # A kernel asked for by name may not serve this device or width of a head; that is worth knowing.
        absent = settings.get("attention") and isinstance(error, RuntimeError)
        why = (str(error).strip().splitlines() or [""])[0][:300]
        return {"failed": "no such kernel" if absent else type(error).__name__, "why": why}


def main() -> None:
    settings, target = json.loads(sys.argv[1]), Path(sys.argv[2])
    target.write_text(json.dumps(outcome(settings)), encoding="utf-8")


if __name__ == "__main__":
    main()
