"""Training on one accelerator: what it reaches, beside Trainer, and under which settings. Start it by gpu.sh.

Each part runs in a process of its own, in a fixed order, until the time is used up: the parts that a bar hangs on come
first. What is known is written after every part, to training-gpu.json and training-gpu.log in the output folder.

MFU is tokens a second times FLOPs a token over the bfloat16 peak of the device's data sheet. FLOPs a token are 6 per
weight of the matrices (output embedding included, input embedding not) plus, for attention, 12 * layers * width *
context ("full", on which the bars are) or half of that ("causal", what a causal kernel computes).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "benchmarks/gpu_parts.py"
LARGE, BASE = "opencoder-1.5b", "base"
# MFU in the full convention: at least, and wished for. And tokens a second of our loop against Trainer.
AT_LEAST, GOAL, AGAINST_TRAINER = 0.35, 0.45, 1.2
# Sums in another order move a loss of ten nats by about this much in bfloat16.
LOSS_APART = 0.02
# Ways in which a part may end that are results.
TOO_MUCH = ("out of time", "out of memory", "no such kernel")
CHAPTER_NEEDS = ("polars", "daft", "typer", "papermill", "ipykernel", "matplotlib", "sklearn", "datasketch", "numba")
CHAPTER = [sys.executable, "-m", "opencoder_lib", "run", "--profile", "gpu", "--only", "10"]


@dataclass(frozen=True)
class Part:
    """One thing to measure. settings: what gpu_parts.py is told, or the command to run.

    limit: seconds after which it is ended; least: with fewer seconds left it is not started. or_else: other settings
    to try one after the other where memory runs out.
    """

    name: str
    settings: dict[str, Any] | list[str]
    limit: float = 120
    least: float = 40
    or_else: tuple[dict[str, Any], ...] = ()


def sized(shape: str, side: str, micro_batch: int, **others: Any) -> dict[str, Any]:
    """Settings of a training part: 65,536 tokens a step, whatever the micro-batch."""
    sequences, warmup, steps = {LARGE: (16, 3, 8), BASE: (32, 5, 20)}[shape]
    split = {"micro_batch": micro_batch, "accumulate": sequences // micro_batch}
    return {"kind": "training", "shape": shape, "side": side, "warmup": warmup, "steps": steps, **split, **others}


def smaller(shape: str, *micro_batches: int) -> tuple[dict[str, Any], ...]:
    """The same step in smaller micro-batches."""
    return tuple(
        {key: sized(shape, "", micro)[key] for key in ("micro_batch", "accumulate")} for micro in micro_batches
    )


def parts(folder: str) -> list[Part]:
    """What is measured, in this order. folder: where the two halves of the resume meet."""
    resume = {"kind": "resume", "shape": "small", "steps": 20, "micro_batch": 8, "folder": folder, "compiled": True}
    tuned = {"compiled": True}
    return [
        Part("machine", {"kind": "machine"}, limit=60, least=0),
        Part("1.5B ours", sized(LARGE, "ours", 4, **tuned), 180, 60, smaller(LARGE, 2, 1)),
        Part("1.5B Trainer", sized(LARGE, "trainer", 4), 120, 45, smaller(LARGE, 2, 1)),
        Part("base ours", sized(BASE, "ours", 16, **tuned), 120, 40, smaller(BASE, 8, 4)),
        Part("base Trainer", sized(BASE, "trainer", 16), 90, 30, smaller(BASE, 8, 4)),
        Part("resume, first", resume | {"phase": "first"}, 90, 45),
        Part("resume, rest", resume | {"phase": "rest"}, 90, 20),
        Part("1.5B cudnn", sized(LARGE, "ours", 4, attention="cudnn", **tuned), 120, 45, smaller(LARGE, 2)),
        Part("1.5B chunk 4096", sized(LARGE, "ours", 4, chunk=4_096, **tuned), 120, 45, smaller(LARGE, 2)),
        Part("chapter 10 recipe", {"kind": "recipe", "compiled": True}, 150, 60),
        Part("1.5B micro 8", sized(LARGE, "ours", 8, **tuned), 120, 45),
        Part("1.5B profile", sized(LARGE, "ours", 4, **tuned) | {"kind": "profile"}, 120, 45, smaller(LARGE, 2)),
        Part("1.5B eager", sized(LARGE, "ours", 4), 120, 45, smaller(LARGE, 2)),
        Part("1.5B recompute 8", sized(LARGE, "ours", 8, recompute=True, **tuned), 120, 45),
        Part("1.5B micro 2", sized(LARGE, "ours", 2, **tuned), 120, 45),
        Part("1.5B Muon", sized(LARGE, "ours", 4, optimizer="muon", **tuned), 120, 45, smaller(LARGE, 2)),
        Part("base eager", sized(BASE, "ours", 16), 90, 30),
        Part("base chunk 8192", sized(BASE, "ours", 16, chunk=8_192, **tuned), 90, 40),
        Part("base profile", sized(BASE, "ours", 16, **tuned) | {"kind": "profile"}, 90, 40),
        Part("1.5B Trainer compiled", sized(LARGE, "trainer", 4, **tuned), 180, 60, smaller(LARGE, 2, 1)),
        Part("chapter 10", CHAPTER, 3_600, 60),
    ]


def rehearsed(part: Part) -> Part:
    """The same part at a size that a processor does in seconds; the chapter itself has no such size."""
    if isinstance(part.settings, list):
        return part
    tiny = {"tiny": True, "warmup": 1, "steps": 6 if part.settings["kind"] == "resume" else 2, "micro_batch": 2}
    tiny |= {"accumulate": 2, "batch_size": 2, "megabytes": 0.6}
    # The only kernel of attention with a name that processors have too.
    tiny |= {key: value for key, value in {"chunk": 32, "attention": "flash"}.items() if key in part.settings}
    # A processor at work on other things compiles slowly.
    return replace(part, settings=part.settings | tiny, limit=600, least=0, or_else=())


def run_part(part: Part, seconds: float, log: Any) -> dict[str, Any]:
    """What the part's own process said, or how it failed, within so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.json"
        is_command = isinstance(part.settings, list)
        told = [] if is_command else [sys.executable, str(PROGRAM), json.dumps(part.settings), str(target)]
        log.write(f"\n=== {part.name}: {json.dumps(part.settings)}\n")
        log.flush()
        start = time.monotonic()
        # A session of its own, so that ending it ends the compiler's processes too.
        process = subprocess.Popen(
            part.settings if is_command else told, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
        took = {"seconds": round(time.monotonic() - start, 1)}
        if code is None:
            return took | {"failed": "out of time", "why": f"ended after {seconds:.0f} s"}
        if not is_command and target.is_file():
            return took | json.loads(target.read_text(encoding="utf-8"))
        return took | ({} if code == 0 and is_command else {"failed": "ended", "why": f"exit code {code}; see the log"})


def end(process: subprocess.Popen) -> None:
    """The process and all that it started are gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def attempts(part: Part, left: float, log: Any) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """Settings and outcome of each try: a smaller one follows as long as memory runs out and time is left."""
    until = time.monotonic() + left
    for changes in ({}, *part.or_else):
        settings = part.settings if isinstance(part.settings, list) else part.settings | changes
        remaining = until - time.monotonic()
        if changes and remaining < part.least / 2:
            return
        found = run_part(replace(part, settings=settings), min(part.limit, remaining), log)
        yield settings, found
        if found.get("failed") != "out of memory":
            return


def measured(chosen: list[Part], budget: float, log: Any) -> Iterable[dict[str, Any]]:
    """One entry per try of each part, as soon as it is there; parts without time left say so."""
    until = time.monotonic() + budget
    for part in chosen:
        left = until - time.monotonic()
        absent = [name for name in CHAPTER_NEEDS if find_spec(name) is None] if part.settings is CHAPTER else []
        if absent:
            yield {"name": part.name, "skipped": f"needs {', '.join(absent)}; 'chapter 10 recipe' stands in"}
        elif left < part.least:
            yield {"name": part.name, "skipped": "no time left"}
        else:
            for settings, found in attempts(part, left, log):
                yield {"name": part.name, "settings": settings, **found}


def bars(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was asked for, what was measured, and whether it is enough; 'not measured' is neither."""
    found = []
    for shape in (LARGE, BASE):
        best = fastest(entries, shape, "ours")
        share = best and best["mfu"]["full"]
        found.append(_bar(f"MFU of {shape}, full attention", share, AT_LEAST, GOAL))
    rates = [fastest(entries, LARGE, side) for side in ("ours", "trainer")]
    faster = rates[0]["tokens_per_second"]["median"] / rates[1]["tokens_per_second"]["median"] if all(rates) else None
    found.append(
        _bar(f"{LARGE}: our loop against {rates[1]['side'] if rates[1] else 'Trainer'}", faster, AGAINST_TRAINER)
    )
    rest = next((entry for entry in entries if entry["name"] == "resume, rest" and "exact" in entry), None)
    found.append(_bar("resume, exact kernels: same weights", rest and float(rest["exact"]["same_weights"]), 1.0))
    apart = rest and rest["fast"]["largest_loss_difference"]
    close = None if apart is None else float(apart <= LOSS_APART)
    found.append(_bar(f"resume, fast kernels: losses within {LOSS_APART}", close, 1.0))
    return found


def _bar(what: str, value: float | None, at_least: float, goal: float | None = None) -> dict[str, Any]:
    said = "not measured" if value is None else _verdict(value, at_least, goal)
    return {"what": what, "value": value, "at_least": at_least, "goal": goal, "said": said}


def _verdict(value: float, at_least: float, goal: float | None = None) -> str:
    if value < at_least:
        return "missed"
    return "met" if goal is None or value >= goal else "met, not the goal"


def fastest(entries: list[dict[str, Any]], shape: str, side: str) -> dict[str, Any] | None:
    """The entry of this shape and side with the most tokens a second. Trainer counts as it comes, not compiled."""
    timed = [
        entry
        for entry in entries
        if "tokens_per_second" in entry
        and (entry["settings"].get("shape"), entry["settings"].get("side")) == (shape, side)
    ]
    timed = [entry for entry in timed if side == "ours" or not entry["settings"].get("compiled")]
    return max(timed, key=lambda entry: entry["tokens_per_second"]["median"], default=None)


def line(entry: dict[str, Any]) -> str:
    """One line of the table: what was tried, and what came of it."""
    head = f"{entry['name']:<22s} {_tried(entry.get('settings', {})):<44s}"
    if "skipped" in entry:
        return f"{head} {entry['skipped']}"
    if "failed" in entry:
        return f"{head} {entry['failed']}: {entry['why'][:110]}"
    if "tokens_per_second" in entry:
        rate, mfu = entry["tokens_per_second"], entry["mfu"]
        speed = f"{rate['median']:>9,.0f} {rate['min']:>9,.0f}-{rate['max']:<9,.0f}"
        shares = [f"{mfu[name]:>8.1%}" if mfu[name] is not None else f"{'':>8s}" for name in ("full", "causal")]
        memory = f"{entry['peak_bytes'] / 1e9:>8.1f}" if "peak_bytes" in entry else f"{'':>8s}"
        about = entry.get("side", "")
        if mfu["full"] is not None and about == "our loop":
            about += f", {_verdict(mfu['full'], AT_LEAST, GOAL)}"
        if "evaluations" in entry:
            bits = [entry["evaluations"][place]["held_out_bits_per_byte"] for place in (0, -1)]
            about = f"held-out {bits[0]:.3f} to {bits[1]:.3f} bits/byte in {entry['num_steps']} steps"
        return f"{head} {speed} {' '.join(shares)} {memory}  {about}"
    return f"{head} {_other(entry)}"


HEADER = f"{'part':<22s} {'settings':<44s} {'tokens/s':>9s} {'of its steps':^19s}"
HEADER += f" {'MFU full':>8s} {'causal':>8s} {'peak GB':>8s}"


def _tried(settings: dict[str, Any] | list[str]) -> str:
    if isinstance(settings, list):
        return "opencoder run --profile gpu --only 10"
    if settings.get("kind") in ("machine", None):
        return ""
    said = (
        [f"{settings['micro_batch']} x {settings['accumulate']}"] if settings["kind"] in ("training", "profile") else []
    )
    said += ["compiled" if settings.get("compiled") else "eager"]
    said += ["recompute"] if settings.get("recompute") else []
    said += [f"{key} {settings[key]}" for key in ("chunk", "attention", "optimizer") if settings.get(key)]
    return ", ".join(said)


def _other(entry: dict[str, Any]) -> str:
    """What a part says that measures no training speed."""
    if "kernels" in entry:
        top = [f"{kernel['share']:.0%} {kernel['name'][:40]}" for kernel in entry["kernels"][:3]]
        return f"{entry['milliseconds']:,.0f} ms a step: {'; '.join(top)}"
    if "product_flops" in entry:
        reached = f"{entry['product_flops'] / 1e12:,.1f} TFLOP/s, copy {entry['copy_bytes_per_second'] / 1e12:.2f} TB/s"
        return f"{entry['device']}: {reached}"
    if "exact" in entry and "same_weights" in entry["exact"]:
        kinds = [(name, entry[name]) for name in ("exact", "fast")]
        said = [f"{name}: weights {'the same' if one['same_weights'] else 'differ'}" for name, one in kinds]
        apart = [f"losses at most {one['largest_loss_difference']:.2g} apart" for _, one in kinds]
        return "; ".join(f"{weights}, {losses}" for weights, losses in zip(said, apart, strict=True))
    return f"done in {entry['seconds']:.0f} s"


def said_of(bar: dict[str, Any]) -> str:
    """One line on a bar."""
    value = "" if bar["value"] is None else f"{bar['value']:.3g}"
    wished = f", goal {bar['goal']:g}" if bar["goal"] else ""
    return f"{bar['what']:<52s} {value:>6s}  at least {bar['at_least']:g}{wished}: {bar['said']}"


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "build/benchmarks"))
    parser.add_argument("--minutes", type=float, default=9.5, help="when they are over, no more is tried")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--tiny", action="store_true", help="rehearse every part with a toy model")
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts, in the usual order")
    parser.add_argument("--list", action="store_true", help="print the parts and stop")
    found = parser.parse_args(given)
    names = [part.name for part in parts("")]
    if unknown := set(found.only or []) - set(names):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are: {', '.join(names)}")
    return found


def main(given: list[str] | None = None) -> int:
    """Measure, write, print; 0 unless a bar was missed or a part failed in a way that is no result."""
    asked = arguments(given)
    asked.out.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    report: dict[str, Any] = {"format": 1, "started": started, "about": __doc__, "device": asked.device}
    with tempfile.TemporaryDirectory() as folder, open(asked.out / "training-gpu.log", "w", encoding="utf-8") as log:
        chosen = [part for part in parts(folder) if not asked.only or part.name in asked.only]
        if asked.tiny:
            # Nothing of the chapter is tiny.
            chosen = [rehearsed(part) for part in chosen if part.settings is not CHAPTER]
        for part in chosen:
            if isinstance(part.settings, dict):
                part.settings["device"] = asked.device
        if asked.list:
            print("\n".join(f"{part.name:<22s} {_tried(part.settings)}" for part in chosen))
            return 0
        print(HEADER, flush=True)
        entries: list[dict[str, Any]] = []
        for entry in measured(chosen, 60 * asked.minutes, log):
            entries.append(entry)
            print(line(entry), flush=True)
            report |= {"parts": entries, "bars": [] if asked.tiny else bars(entries)}
            (asked.out / "training-gpu.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
            if entry["name"] == "machine" and "failed" in entry:
                break
    print("\n" + "\n".join([*map(said_of, report["bars"]), str(asked.out / "training-gpu.json")]))
    broken = [entry for entry in entries if entry.get("failed", TOO_MUCH[0]) not in TOO_MUCH]
    return 1 if broken or any(bar["said"] == "missed" for bar in report["bars"]) else 0


if __name__ == "__main__":
    sys.exit(main())
