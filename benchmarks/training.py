"""How fast our training loop is, beside transformers.Trainer and a bare loop of the same model.

    python benchmarks/training.py [--repeats 7] [--steps 6] [--only 1 3] [--models 0.69M]

On the processor, one thread, processor time, on Python's standard library. Each side has a process of its own, as in
real life (what one side frees would make another's memory cheaper), and the sides take turns; a turn is timed from the
end of its first step to the end of its last, after a turn that is not timed. A ratio is that of one turn, and the table
shows their median and range. The end code is 1 when a bar is missed. Trainer needs the package accelerate.
"""

import os

# One thread: set before anything that reads it is imported.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import argparse
import multiprocessing
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from training_sides import INSTALL_ACCELERATE, Timed, bare_loop, has_accelerate, library_texts, our_loop, trainer

from opencoder_lib.compute import uses_bfloat16
from opencoder_lib.machine import num_processors
from opencoder_lib.train.loop import Feed, start_run
from opencoder_lib.train.model import SHAPES, Shape, build_model
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.packing import batch, open_tokens, write_tokens
from opencoder_lib.train.tokenizer import END, train_tokenizer

CPU = torch.device("cpu")
TOKENS_PER_STEP = 2_048
BATCHES_READ = 200
MODELS = {
    "0.69M": SHAPES["micro"],
    "2.56M": Shape(vocab=4_096, hidden=192, layers=4, heads=3, kv_heads=3, ffn=512, context=512, tied=True),
}


@dataclass(frozen=True)
class Measure:
    """Two sides and what their ratio, in tokens per CPU-second, should be at least."""

    number: str
    what: str
    ours: str
    theirs: str
    peer: str
    bar: float | None = None


MEASURES = (
    # Without bfloat16 in hardware our loop computes in float32 as Trainer does, and this bar means nothing.
    Measure("1", "our loop, AdamW", "ours", "trainer", "Trainer as it comes (float32)", 1.25),
    Measure("1b", "our loop, AdamW", "ours", "trainer bf16", "Trainer, bf16=True"),
    Measure("2", "our loop, AdamW", "ours", "bare", "bare loop, same precision", 0.97),
    Measure("2b", "our loop, Muon (the default)", "muon", "bare", "bare loop, same precision"),
    Measure("3", "batches of a token file", "loader", "ours", "our loop", 100),
    Measure("4", "our loop, documents masked", "masked", "ours", "our loop, no mask", 0.93),
    Measure("5", "our loop, compiled", "compiled", "ours", "our loop, eager"),
)


@dataclass(frozen=True)
class Row:
    """One line of the table: tokens per CPU-second of two sides, and the ratio of each turn."""

    measure: Measure
    model: str
    ours: float
    theirs: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median over the turns."""
        return float(np.median(self.ratios))

    @property
    def missed(self) -> bool:
        """Whether there is a bar here and the median is below it."""
        bar = None if self.measure.number == "1" and not uses_bfloat16(CPU) else self.measure.bar
        return bar is not None and self.ratio < bar

    def __str__(self) -> str:
        about, turns = self.measure, f"{min(self.ratios):,.3g}-{max(self.ratios):,.3g}"
        cells = f"{about.number:<3s} {about.what:<29s} {self.model:>6s} {self.ours:>11,.0f} {self.theirs:>11,.0f}  "
        cells += f"{about.peer:<30s} {self.ratio:>9,.3g} {turns:>17s}"
        return cells + ("" if about.bar is None else f"  >= {about.bar:g}{', missed' if self.missed else ''}")


HEADER = f"{'':<3s} {'measure':<29s} {'model':>6s} {'ours tok/s':>11s} {'peer tok/s':>11s}  {'peer':<30s}"
HEADER += f" {'ratio':>9s} {'turns':>17s}  bar"


@dataclass(frozen=True)
class Work:
    """What every side of one model is given: its shape, tokens, the token that ends a document, steps a turn."""

    shape: Shape
    tokens: Path
    end: int
    num_steps: int

    @property
    def feed(self) -> Feed:
        """The batches of every side."""
        return Feed(TOKENS_PER_STEP // self.shape.context, self.shape.context, seed=0)


def side(name: str, work: Work) -> Callable[[], Timed]:
    """A turn of the side called `name`; it keeps its model, and our loop its run, from turn to turn."""
    source, feed, steps, now = open_tokens(work.tokens), work.feed, work.num_steps, time.process_time
    if name == "loader":
        return reading(work)
    model = build_model(work.shape, 0)
    if name == "bare":
        return lambda: bare_loop(model, source, feed, steps, now)
    if name.startswith("trainer"):
        return lambda: trainer(model, source, feed, steps, now, bf16=name == "trainer bf16")
    run = start_run(model, Recipe("muon" if name == "muon" else "adamw"))
    feed = replace(feed, document_end=work.end if name == "masked" else None)
    return lambda: our_loop(run, source, feed, steps, now, compiled=name == "compiled")


def reading(work: Work) -> Callable[[], Timed]:
    """Nothing but reading batches, from a new place every turn."""
    source, feed, start = open_tokens(work.tokens), work.feed, 0

    def read() -> Timed:
        nonlocal start
        before = time.process_time()
        for step in range(start, start + BATCHES_READ):
            batch(source, 0, step, feed.batch_size, feed.context)
        start += BATCHES_READ
        return Timed(np.array([(time.process_time() - before) / BATCHES_READ]), np.array([]), 0.0)

    return read


def serve(name: str, work: Work, pipe: Connection) -> None:
    """The process of a side: a turn whenever it is asked for one, until the other end closes."""
    torch.set_num_threads(1)
    turn = None
    with suppress(EOFError):
        while pipe.recv():
            try:
                turn = turn or side(name, work)
                pipe.send(turn())
            except Exception as error:  # the parent says which side failed; the others go on
                pipe.send(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:100]}")


class Sides:
    """The sides of one model, each in its process; those that failed say why in `failed`."""

    def __init__(self, names: list[str], work: Work):
        self.failed: dict[str, str] = {}
        self.pipes: dict[str, Connection] = {}
        start = multiprocessing.get_context("spawn")
        for name in names:
            self.pipes[name], theirs = start.Pipe()
            start.Process(target=serve, args=(name, work, theirs), daemon=True).start()
            theirs.close()

    def __enter__(self) -> "Sides":
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self.pipes.values():
            pipe.close()

    def turn(self, name: str) -> Timed | None:
        """What a turn of this side took; None once it has failed."""
        if name in self.failed:
            return None
        self.pipes[name].send(True)
        try:
            found = self.pipes[name].recv()
        except EOFError:
            found = "its process ended"
        if isinstance(found, str):
            self.failed[name] = found
            return None
        return found

    def seconds(self, repeats: int) -> dict[str, np.ndarray]:
        """Seconds a step of every side in every turn, (repeats,) each. The order changes: all see the same machine."""
        names = list(self.pipes)
        check_same_work({name: self.turn(name) for name in names})
        took = {name: np.full(repeats, np.nan) for name in names}
        for turn in range(repeats):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                timed = self.turn(name)
                if timed is not None:
                    took[name][turn] = timed.seconds_S.mean()
        return took


def check_same_work(first: dict[str, Timed | None]) -> None:
    """Stop unless the sides learn alike from their first steps, for else nothing here compares anything."""
    means = {name: timed.losses_S.mean() for name, timed in first.items() if timed is not None and len(timed.losses_S)}
    if "ours" not in means:
        raise SystemExit("Our loop did not run, so there is nothing to compare.")
    for name, mean in means.items():
        # Trainer draws its windows in an order of its own, and Muon learns faster.
        if abs(mean / means["ours"] - 1) > 0.1:
            raise SystemExit(
                f"{name} does not do the work of our loop: its loss is {mean:.3f}, ours {means['ours']:.3f}."
            )


def rows(model: str, sides: Sides, chosen: list[Measure], repeats: int) -> Iterator[Row | str]:
    """The rows of the chosen measures for one model, or why there is none."""
    took = sides.seconds(repeats)
    for measure in chosen:
        failed = [
            f"{name} failed: {sides.failed[name]}" for name in (measure.ours, measure.theirs) if name in sides.failed
        ]
        if failed:
            yield f"{measure.number:<3s} {measure.what:<29s} {model:>6s} {failed[0]}"
            continue
        ours, theirs = took[measure.ours], took[measure.theirs]
        rates = (TOKENS_PER_STEP / float(np.median(seconds)) for seconds in (ours, theirs))
        yield Row(measure, model, *rates, tuple((theirs / ours).tolist()))


def token_file(folder: Path, vocab: int) -> tuple[Path, int]:
    """A token file of Python's library in a vocabulary of this size, and the id of the token that ends a document."""
    texts = [text for some in library_texts(4.0).values() for text in some]
    tokenizer = train_tokenizer(texts, vocab)
    path = folder / f"{vocab}.safetensors"
    write_tokens(texts, tokenizer, path)
    return path, tokenizer.token_to_id(END)


def machine() -> str:
    """The processor and the versions of what is compared."""
    model, about = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    for line in about.read_text().splitlines() if about.exists() else ():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    versions = [f"Python {platform.python_version()}"]
    for package in ("torch", "transformers", "accelerate", "tokenizers", "numpy"):
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    products = "bfloat16" if uses_bfloat16(CPU) else "float32 only, so measure 1 has no bar here"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {num_processors()} processors{load}, matrix products in {products}; {', '.join(versions)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = [measure.number for measure in MEASURES]
    parser.add_argument("--repeats", type=int, default=7, help="turns of each side")
    parser.add_argument("--steps", type=int, default=6, help="timed steps a turn")
    parser.add_argument("--only", nargs="+", choices=numbers, default=numbers, help="which measures")
    parser.add_argument("--models", nargs="+", choices=[*MODELS], default=[*MODELS], help="of which parameters")
    asked = parser.parse_args()
    chosen = [measure for measure in MEASURES if measure.number in asked.only]
    print(f"{machine()}\n{TOKENS_PER_STEP:,} tokens a step; tok/s are tokens per CPU-second\n", flush=True)
    if not has_accelerate():
        chosen = [measure for measure in chosen if not measure.theirs.startswith("trainer")]
        print(f"Measures 1 and 1b are left out: {INSTALL_ACCELERATE}.\n")
    names = list(dict.fromkeys(["ours"] + [name for measure in chosen for name in (measure.ours, measure.theirs)]))
    print(HEADER, flush=True)
    missed = False
    for model in asked.models:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            work = Work(MODELS[model], *token_file(folder, MODELS[model].vocab), asked.steps + 1)
            sides = stack.enter_context(Sides(names, work))
            for row in rows(model, sides, chosen, asked.repeats):
                print(row, flush=True)
                missed |= isinstance(row, Row) and row.missed
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
