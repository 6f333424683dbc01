"""`opencoder train`: from a configuration to a trained model in a folder, going on where it was stopped.

OUT/config.json      all settings, defaults included
    tokens/          the corpus as tokens, the tokenizer, the held-out documents
    checkpoints/     the last ones
    log.jsonl        a line for every step, measurement, checkpoint
    curves/          the same for TensorBoard
    model/           the trained model, as transformers loads it
"""

import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opencoder_lib.compute import repeat_exactly, uses_bfloat16
from opencoder_lib.durable import explained, replace_durably
from opencoder_lib.errors import ConfigError
from opencoder_lib.seeds import stream_seed
from opencoder_lib.train import loop, parallel
from opencoder_lib.train.checkpoint import Checkpoints
from opencoder_lib.train.export import export
from opencoder_lib.train.identity import identity
from opencoder_lib.train.job.config import ALONE, Config, read_config
from opencoder_lib.train.job.corpus import Corpus, Preparation, plan_preparation
from opencoder_lib.train.job.log import RunLog
from opencoder_lib.train.job.outlook import check_corpus, outlook
from opencoder_lib.train.job.sample import text_hash
from opencoder_lib.train.job.start import Beginning, load_beginning, read_beginning
from opencoder_lib.train.job.stopping import Interrupted, Stoppable, Stopping
from opencoder_lib.train.job.telling import Narrator, duration, progress_line, say, say_nothing
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.model import build_model
from opencoder_lib.train.perplexity import HeldOut, hold_out
from opencoder_lib.train.tokenizer import END

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs in one folder are then not told apart
    fcntl = None

MINE = "config.json"
# What --fresh takes away; tokens stay, for they do not depend on the run.
OF_A_RUN = ("checkpoints", "log.jsonl", "curves", "model", "start.json")
POLL_SECONDS = 2.0
# With so many tokens a process, a step is long: looking at each costs nothing beside it, and a stop that was asked for
# must not wait for ten of them, for torchrun kills its processes after half a minute.
TOKENS_OF_LONG_STEP = 2**14


def train(config_path: str | Path, fresh: bool = False, dry_run: bool = False, changes: Sequence[str] = ()) -> None:
    """Carry out a configuration: tokenise, train, export; an earlier run in the same folder is gone on with.

    fresh: take away checkpoints, log and model of an earlier run first. dry_run: say what would be done and what it
    takes. changes: 'section.key=value'. Under torchrun every process calls this. Ctrl-C, or a termination by a
    scheduler, saves a checkpoint at the end of the step and then raises KeyboardInterrupt or SystemExit(143).
    """
    config = read_config(config_path, changes)
    world_size, first = int(os.environ.get("WORLD_SIZE", "1")), os.environ.get("RANK", "0") == "0"
    tell = say if first else say_nothing
    if world_size > 1 and config.parallel.strategy == ALONE:
        raise ConfigError(
            f"torchrun started {world_size} processes, and parallel.strategy is none. Set it to ddp or fsdp."
        )
    preparation = plan_preparation(config)
    _check_folder(config)
    outlook(config, preparation, world_size, tell)
    if dry_run:
        return
    with _alone_in(Path(config.out.folder), first):
        if first:
            _open_folder(config, fresh)
        # Before the processes join: tokenising may take longer than they would wait for each other.
        _prepare(preparation, first, tell)
        with Stopping() as stopping, parallel.team(config.compute.device) as team:
            repeat_exactly(config.compute.threads or torch.get_num_threads(), team.device)
            _seed_all(stream_seed(config.model.seed, "run", team.rank))
            work = Work(config, preparation.open(), team, tell)
            work.carry_out(stopping)


@dataclass
class Work:
    """One process's part of a run whose corpus is ready."""

    config: Config
    corpus: Corpus
    team: parallel.Team
    tell: Callable[[str], Any]

    def carry_out(self, stopping: Stopping) -> None:
        """Train from where the run is to its end and export the model."""
        began = time.monotonic()
        run = self._fresh_run()
        beginning = read_beginning(self.config, self.feed)
        source = self._source(beginning)
        check_corpus(source, self.feed, self.plan, self.tell)
        self.checkpoints = self._checkpoints(run, source, beginning)
        came_from = self.checkpoints.resume(run)
        if came_from is None and beginning is not None:
            load_beginning(run, beginning, self.checkpoints, Path(self.config.out.folder))
            came_from = beginning.path
        log = self._log(run)
        if came_from is not None:
            self.tell(f"going on from step {run.step} ({came_from})")
            if log:
                log.event("resumed", step=run.step, checkpoint=came_from.name)
        try:
            self._train(run, source, stopping, log)
        finally:
            if log:
                log.close()
        model = self._export(run)
        self._sum_up(run, model, time.monotonic() - began)

    @property
    def feed(self) -> loop.Feed:
        """Batches of this run."""
        end = self.corpus.tokenizer.token_to_id(END)
        return self.config.feed.feed(self.config.model.sizes().context, end, self.team.world_size)

    @property
    def plan(self):
        """Rates of this run."""
        return self.config.plan.wsd(self.feed.tokens_per_step)

    @property
    def until(self) -> int:
        """The step at which this run ends."""
        return self.config.plan.stop_at or self.plan.num_steps

    def _fresh_run(self) -> loop.Run:
        config = self.config
        model = build_model(
            config.model.sizes(), config.model.seed, device=self.team.device, attention=config.model.attention
        )
        strategy = "ddp" if config.parallel.strategy == ALONE else config.parallel.strategy
        return loop.start_run(model, config.optimizer.recipe(), strategy=strategy, precision=config.compute.precision)

    def _source(self, beginning: Beginning | None) -> Mixture:
        weights = {name: source.weight for name, source in self.config.data.sources.items()}
        if beginning is None:
            return Mixture(self.corpus.sources, weights)
        already = beginning.already(self.corpus.sources, self.feed, self.tell)
        return Mixture(self.corpus.sources, weights, start=beginning.step * self.feed.batch_size, already=already)

    def _checkpoints(self, run: loop.Run, source: Mixture, beginning: Beginning | None) -> Checkpoints:
        config = self.config
        settings = {
            # What it comes to on this machine: 'auto' is another thing on a processor without bfloat16.
            "bfloat16": uses_bfloat16(self.team.device, config.compute.precision),
            "clip": config.optimizer.clip,
            "held_out": text_hash("\x1e".join(self.corpus.held_out)).hex(),
            "start": beginning.about if beginning else None,
        }
        about = identity(
            run.model, source, self.plan, self.feed, config.optimizer.recipe(), self.team.world_size, settings
        )
        folder = Path(config.out.folder) / "checkpoints"
        return Checkpoints(folder, about, config.out.keep_last, self.tell)

    def _log(self, run: loop.Run) -> RunLog | None:
        if self.team.rank:
            return None
        folder = Path(self.config.out.folder)
        curves = folder / "curves" if self.config.out.tensorboard else None
        return RunLog(folder / "log.jsonl", run.log, run.evaluations, curves, self.tell)

    def _train(self, run: loop.Run, source: Mixture, stopping: Stopping, log: RunLog | None) -> None:
        config = self.config
        try:
            with progress_line():
                loop.train(
                    run,
                    Stoppable(source, run, stopping),
                    self.plan,
                    self.feed,
                    until=self.until,
                    held_out=self._held_out(),
                    evaluate_every=config.out.evaluate_every,
                    clip=config.optimizer.clip,
                    precision=config.compute.precision,
                    compiled=config.compute.compile,
                    recompute=config.compute.recompute,
                    loss_chunk_tokens=config.compute.loss_chunk_tokens,
                    read_every=_read_every(self.feed, self.team.world_size),
                    save=partial(self._save, log=log),
                    save_every=config.out.save_every,
                    log=Narrator(log, self.until, self.tell) if log else None,
                    show_progress=sys.stdout.isatty(),
                )
        except Interrupted as interrupted:
            self._save(run, log)
            self.tell(
                f"Stopped after step {run.step} of {self.until}; it is saved. The same command goes on from there."
            )
            raise interrupted.ending() from None
        except loop.TrainingDiverged as error:
            if log:
                log.event("diverged", step=run.step, reason=str(error))
            raise loop.TrainingDiverged(f"{error} {self._way_out()}") from None

    def _save(self, run: loop.Run, log: RunLog | None) -> None:
        began = time.monotonic()
        if log:
            log.sync()
        path = self.checkpoints.save(run)
        if log:
            log.event("saved", step=run.step, checkpoint=path.name, seconds=round(time.monotonic() - began, 3))

    def _way_out(self) -> str:
        good = next(iter(self.checkpoints.steps().values()), None)
        if good is None:
            return f"No checkpoint had been saved yet (out.save_every = {self.config.out.save_every})."
        return (
            f"The last good checkpoint is {good}; to try again from there with other settings, name it as "
            "start.checkpoint in a configuration with another out.folder."
        )

    def _held_out(self) -> HeldOut | None:
        texts = self.corpus.held_out
        return hold_out(texts, self.corpus.tokenizer, self.feed.context) if texts else None

    def _export(self, run: loop.Run) -> Path:
        folder = Path(self.config.out.folder) / "model"
        return export(run.model, self.corpus.tokenizer, folder, getattr(torch, self.config.out.dtype))

    def _sum_up(self, run: loop.Run, model: Path, seconds: float) -> None:
        parts = [f"step {run.step}", f"{run.step * self.feed.tokens_per_step:,} tokens"]
        parts += [f"loss {run.log[-1]['loss']:.3f}"] if run.log else []
        # A branch without held-out text has the trunk's measurements, which are not its own.
        if run.evaluations and self.corpus.held_out:
            parts.append(f"held-out {run.evaluations[-1]['held_out_bits_per_byte']:.3f} bits/byte")
        self.tell(f"Done: {', '.join(parts)} in {duration(seconds)}. Model: {model}")


def _read_every(feed: loop.Feed, world_size: int) -> int | None:
    """Steps between two looks at the loss; None for what suits the device."""
    return 1 if feed.tokens_per_step >= TOKENS_OF_LONG_STEP * world_size else None


def _check_folder(config: Config) -> None:
    """Raise ConfigError when OUT holds what no run of ours has written, or the trunk of this one."""
    folder = Path(config.out.folder)
    if config.start and Path(config.start.checkpoint).absolute().is_relative_to(folder.absolute()):
        # --fresh would take it away; and one folder holds one run.
        raise ConfigError(f"start.checkpoint = {config.start.checkpoint!r} lies in out.folder; choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out.folder = {str(folder)!r} is a file.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MINE).is_file():
        raise ConfigError(
            f"out.folder = {str(folder)!r} holds other things and no run of opencoder train. Choose an empty folder."
        )


def _open_folder(config: Config, fresh: bool) -> None:
    folder = Path(config.out.folder)
    with explained(folder):
        if fresh:
            for name in OF_A_RUN:
                place = folder / name
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        replace_durably(folder / MINE, lambda file: file.write(config.as_json().encode() + b"\n"))


@contextmanager
def _alone_in(folder: Path, first: bool) -> Iterator[None]:
    """A context in which no other run writes to the folder. Raises ConfigError when one is at work."""
    if not first or fcntl is None:
        yield
        return
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MINE).touch()
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - closed below
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"Another run is at work in {folder}. Wait for it, or choose another folder.") from None
        except OSError:
            pass  # some network file systems have no locks either
        yield


def _seed_all(seed: int) -> None:
    """The generators that nothing here draws from start alike in every run, so equal runs leave equal checkpoints."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _prepare(preparation: Preparation, first: bool, tell: Callable[[str], Any]) -> None:
    if first:
        preparation.prepare(tell)
        return
    # torchrun ends this process when the first one fails.
    while not preparation.is_ready():
        time.sleep(POLL_SECONDS)
