"""The sides of the training benchmarks, each timed at the same place of a step: our loop, a bare one, and Trainer.

Every side is handed the same model, the same windows of tokens and a clock, and returns how long each step took. Its
first step is left out: it makes what later steps reuse. Axes: B sequences, T positions, S steps.
"""

import sysconfig
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset
from transformers import PreTrainedModel

from opencoder_lib import MB
from opencoder_lib.compute import autocast
from opencoder_lib.train import loop
from opencoder_lib.train.packing import Source, as_source, batch
from opencoder_lib.train.schedule import WSD

# A rate at which no model here diverges within a benchmark; it decides nothing about speed.
RATE = 3e-4
BETAS = (0.9, 0.95)
FOREVER = 10**6
INSTALL_ACCELERATE = "transformers.Trainer needs the package accelerate (pip install accelerate)"


def has_accelerate() -> bool:
    """Whether transformers.Trainer can run here."""
    return find_spec("accelerate") is not None


def library_texts(megabytes: float) -> dict[str, list[str]]:
    """Python's own sources by top-level module or package, in the order of their names, so many MB together.

    Real code that is on every machine with Python. Installed packages and Python's tests are left out.
    """
    root, texts, total = Path(sysconfig.get_paths()["stdlib"]), {}, 0
    for entry in sorted(root.iterdir()):
        if entry.name in ("site-packages", "dist-packages", "test"):
            continue
        for path in sorted(entry.rglob("*.py")) if entry.is_dir() else [entry]:
            if path.suffix == ".py" and total < megabytes * MB:
                with suppress(OSError, UnicodeDecodeError):
                    text = path.read_text(encoding="utf-8")
                    total += len(text)
                    texts.setdefault(entry.name, []).append(text)
    return texts


@dataclass(frozen=True)
class Timed:
    """What a side measured: seconds of each step but the first, and the losses that go with all of them."""

    seconds_S: np.ndarray
    losses_S: np.ndarray
    first_seconds: float


class Marks:
    """Notes the time whenever a step is done; our loop takes it for a log."""

    def __init__(self, now: Callable[[], float]):
        self.now = now
        self.times = [now()]
        self.rows: list[dict] = []

    def step(self, row: dict) -> None:
        """A step was done."""
        self.times.append(self.now())
        self.rows.append(row)

    def evaluation(self, row: dict) -> None:
        """Nothing is evaluated here."""

    def close(self) -> None:
        """Nothing is open."""

    def timed(self) -> Timed:
        """The seconds between the marks."""
        first, *rest = np.diff(self.times)
        return Timed(np.array(rest), np.array([row["loss"] for row in self.rows]), float(first))


def our_loop(
    run: loop.Run, source: np.ndarray | Source, feed: loop.Feed, num_steps: int, now: Callable[[], float], **options
) -> Timed:
    """`num_steps` more steps of our loop. options: those of `loop.train`."""
    marks, plan = Marks(now), WSD(FOREVER, 0, 0, RATE, RATE)
    # Each step is read back, as the other sides are asked after each step.
    loop.train(run, source, plan, feed, until=run.step + num_steps, log=marks, read_every=1, **options)
    return marks.timed()


def bare_loop(
    model: PreTrainedModel,
    source: np.ndarray | Source,
    feed: loop.Feed,
    num_steps: int,
    now: Callable[[], float],
    precision: str = "auto",
) -> Timed:
    """What one writes down in ten lines: no check, no log, no micro-batch; the whole table of logits."""
    source, marks = as_source(source), Marks(now)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=0.0, fused=True)
    model.train()
    for step in range(num_steps):
        ids_BT = torch.from_numpy(batch(source, feed.seed, step, feed.batch_size, feed.context)).to(model.device)
        with autocast(model.device, precision):
            logits_BTV = model(input_ids=ids_BT[:, :-1]).logits
            loss = cross_entropy(logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        marks.step({"loss": loss.item()})
    return marks.timed()


def plain_loop(
    model: PreTrainedModel,
    source: np.ndarray | Source,
    feed: loop.Feed,
    num_steps: int,
    now: Callable[[], float],
    precision: str = "auto",
) -> Timed:
    """What Trainer does in a step, for machines without accelerate: the model's own loss, micro-batches, AdamW."""
    source, marks = as_source(source), Marks(now)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=0.0, fused=True)
    model.train()
    for step in range(num_steps):
        rows_BT = batch(source, feed.seed, step, feed.batch_size, feed.context)[:, :-1]
        mean = 0.0
        for ids_BT in torch.from_numpy(rows_BT.copy()).to(model.device).chunk(feed.accumulate):
            with autocast(model.device, precision):
                loss = model(input_ids=ids_BT, labels=ids_BT).loss / feed.accumulate
            loss.backward()
            mean += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        marks.step({"loss": float(mean)})
    return marks.timed()


class _Windows(Dataset):
    """Windows of a source for Trainer; a window is its own label, which the model shifts by one."""

    def __init__(self, source: Source, feed: loop.Feed, num_steps: int):
        self.source, self.feed, self.num_steps = source, feed, num_steps

    def __len__(self) -> int:
        return self.feed.batch_size * self.num_steps

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        ids_T = torch.from_numpy(
            self.source.windows(np.array([place]), self.feed.seed, self.feed.context)[0, :-1].copy()
        )
        return {"input_ids": ids_T, "labels": ids_T}


def _recomputing(arguments: type) -> dict:
    """Activation checkpointing in the words of this version of transformers."""
    known = {entry.name for entry in fields(arguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


def trainer(
    model: PreTrainedModel,
    source: np.ndarray | Source,
    feed: loop.Feed,
    num_steps: int,
    now: Callable[[], float],
    *,
    bf16: bool = False,
    compiled: bool = False,
    recompute: bool = False,
) -> Timed:
    """transformers.Trainer with the same model, batch and AdamW; all that is not the work under study is left out.

    It logs once, at the end; progress bars, reports and checkpoints are off. Its only loss is the mean over all steps,
    since reading one each step is not its default.
    """
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    marks = Marks(now)

    class AtStepEnd(TrainerCallback):
        def on_step_end(self, *_, **__):
            marks.step({"loss": float("nan")})

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=num_steps,
            per_device_train_batch_size=feed.batch_size // feed.accumulate,
            gradient_accumulation_steps=feed.accumulate,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            adam_beta1=BETAS[0],
            adam_beta2=BETAS[1],
            max_grad_norm=1.0,
            bf16=bf16,
            torch_compile=compiled,
            **_recomputing(TrainingArguments) if recompute else {},
            use_cpu=model.device.type == "cpu",
            logging_steps=num_steps,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=feed.seed,
        )
        made = Trainer(
            model=model,
            args=arguments,
            train_dataset=_Windows(as_source(source), feed, num_steps),
            callbacks=[AtStepEnd()],
        )
        made.remove_callback(PrinterCallback)
        marks.times = [now()]
        made.train()
    losses = [row["train_loss"] for row in made.state.log_history if "train_loss" in row]
    timed = marks.timed()
    return Timed(timed.seconds_S, np.array(losses), timed.first_seconds)
