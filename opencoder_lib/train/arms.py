"""The runs of an experiment: arms that differ in their data only, from the same weights, over as many tokens.

A bench is a folder with all that a run needs (tokenizer, sources as token files, held-out texts, the setting), so that
any process, or another machine, can train any arm for any seed: `Trainer(folder)(seed, arms)`. What is random in a run
comes from its seed: weights, the order of windows, and, where a source differs by seed, its texts.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from opencoder_lib import compute
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.train import loop, schedule
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.packing import Source, TokenFile, open_tokens, write_tokens
from opencoder_lib.train.perplexity import HeldOut, document_bits, hold_out

Texts = Sequence[str] | Mapping[int, Sequence[str]]
Score = Callable[[Any, Tokenizer], dict[str, float]]
EVERY_SEED = "all"
# Steps whose mean is one point of a loss curve.
LOSS_BLOCK = 10


@dataclass(frozen=True)
class Setting:
    """How every run of an experiment is trained: arms and seeds share it.

    peak_lr: of the optimizer; rate_ratio: final rate over peak. trunk: the source that all arms of a seed are trained
    on up to the decay, once; None trains every arm from fresh weights on its own data. Shares are of num_steps.
    """

    shape: Shape
    num_steps: int = 320
    batch_size: int = 4
    peak_lr: float = 0.02
    rate_ratio: float = 1 / 30
    frac_warmup: float = 1 / 16
    frac_decay: float = 0.2
    evaluate_every: int = 80
    trunk: str | None = None
    optimizer: str = "muon"
    precision: str = "auto"
    num_threads: int = 1
    device: str = "cpu"

    def __post_init__(self):
        if self.evaluate_every < 1:
            raise ConfigError(f"evaluate_every={self.evaluate_every} must be at least one step.")
        self.plan()

    def plan(self) -> schedule.WSD:
        """The learning rate of every run. Raises ScheduleError when the phases do not fit."""
        return schedule.WSD(
            self.num_steps,
            num_warmup=round(self.frac_warmup * self.num_steps),
            num_decay=round(self.frac_decay * self.num_steps),
            peak=self.peak_lr,
            final=self.peak_lr * self.rate_ratio,
        )

    def feed(self, seed: int) -> loop.Feed:
        """The batches of a run."""
        return loop.Feed(self.batch_size, self.shape.context, seed)

    @property
    def tokens(self) -> int:
        """Tokens that an arm is trained on, trunk included."""
        return self.num_steps * self.batch_size * self.shape.context

    @property
    def tokens_after_trunk(self) -> int:
        """Tokens that an arm is trained on by itself."""
        own = self.num_steps - self.plan().decay_start if self.trunk else self.num_steps
        return own * self.batch_size * self.shape.context


def prepare(
    folder: Path,
    setting: Setting,
    tokenizer: Tokenizer,
    sources: Mapping[str, Texts],
    arms: Mapping[str, Mapping[str, float]],
    held_out: Mapping[str, tuple[Sequence[str], Sequence[str]]],
) -> "Bench":
    """A bench in `folder`, ready to train any arm.

    sources: name -> texts, or seed -> texts where each seed has its own. arms: name -> weights of its sources.
    held_out: set -> (texts, units), where a unit is what generalises (a repository, a family of tasks) and is resampled
    later. Token files whose texts and tokenizer are unchanged stay as they are. Raises ConfigError when an arm names a
    source that is not there, when a training text is held out, or when a set is empty.
    """
    _check(setting, sources, arms, held_out)
    folder.mkdir(parents=True, exist_ok=True)
    spelling = tokenizer.to_str()
    (folder / "tokenizer.json").write_text(spelling, encoding="utf-8")
    files = {}
    for name, texts in sources.items():
        by_seed = texts if isinstance(texts, Mapping) else {EVERY_SEED: texts}
        files[name] = {str(seed): _tokens(folder, tokenizer, spelling, some) for seed, some in by_seed.items()}
    for name, (texts, units) in held_out.items():
        _write(folder / f"held-out-{_hash(name)}.json", {"texts": list(texts), "units": list(units)})
    about = {
        "setting": asdict(setting),
        "sources": files,
        "arms": {arm: dict(weights) for arm, weights in arms.items()},
        "held_out": {name: _hash(list(texts), list(units)) for name, (texts, units) in held_out.items()},
        "tokenizer": _hash(spelling),
    }
    _write(folder / "bench.json", about)
    return Bench(folder)


@dataclass(frozen=True)
class Bench:
    """An experiment that was prepared."""

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """What bench.json says."""
        return json.loads((self.folder / "bench.json").read_text(encoding="utf-8"))

    @cached_property
    def setting(self) -> Setting:
        """How its runs are trained."""
        known = self.about["setting"]
        return Setting(**(known | {"shape": Shape(**known["shape"])}))

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of its arms, in the order given."""
        return tuple(self.about["arms"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of every source and held-out set."""
        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    @cached_property
    def held_out(self) -> dict[str, "Set"]:
        """The held-out sets by name, as windows."""
        return {name: self._held_out(name) for name in self.about["held_out"]}

    def _held_out(self, name: str) -> "Set":
        found = json.loads((self.folder / f"held-out-{_hash(name)}.json").read_text(encoding="utf-8"))
        return Set(hold_out(found["texts"], self.tokenizer, self.setting.shape.context), tuple(found["units"]))

    def source(self, name: str, seed: int) -> TokenFile:
        """A source as `seed` reads it. Raises ConfigError when it was not prepared for that seed."""
        files = self.about["sources"][name]
        file = files.get(str(seed), files.get(EVERY_SEED))
        if file is None:
            raise ConfigError(
                f"The source {name!r} was prepared for the seeds {', '.join(files)}, not for {seed}. Prepare it again."
            )
        return open_tokens(self.folder / file)

    def data(self, arm: str, seed: int) -> Mixture:
        """What an arm reads: the mixture of its sources."""
        weights = self.about["arms"][arm]
        found = {name: self.source(name, seed) for name in weights}
        if not self.setting.trunk:
            return Mixture(found, weights)
        # The trunk has read the first windows of its source; an arm that goes on with it reads those that follow.
        start = self.setting.plan().decay_start * self.setting.batch_size
        return Mixture(found, weights, start=start, already={self.setting.trunk: start})

    def key(self, arm: str, seed: int) -> str:
        """A hash of all that a run of this arm depends on."""
        names = {*self.about["arms"][arm], *([self.setting.trunk] if self.setting.trunk else [])}
        read = {name: self.source(name, seed).fingerprint for name in sorted(names)}
        given = (self.about["setting"], self.about["arms"][arm], read, self.about["held_out"], self.about["tokenizer"])
        return _hash(arm, seed, *given)


@dataclass(frozen=True)
class Set:
    """A held-out set: its windows, and the unit of each of its documents."""

    windows: HeldOut
    units: tuple[str, ...]

    def bits_by_unit(self, bits_D: np.ndarray) -> list[tuple[str, float, int]]:
        """(unit, bits, bytes) of each unit, sorted."""
        names, place_D = np.unique(self.units, return_inverse=True)
        bits = np.bincount(place_D, weights=bits_D)
        n_bytes = np.bincount(place_D, weights=self.windows.n_bytes_D)
        return [(str(name), float(b), int(n)) for name, b, n in zip(names, bits, n_bytes, strict=True)]


@dataclass(frozen=True)
class Trainer:
    """The training function of a bench, as `evaluate.ablation.run_grid` takes it. Picklable if `score` is.

    score: gives further numbers of a trained model, e.g. pass@1. score_key: a name of it that changes with what it
    computes, for functions have none that another process could compare.
    """

    bench: Bench
    score: Score | None = None
    score_key: str = ""

    def key(self, seed: int, arms: Sequence[str]) -> str:
        """A hash of all that the outcome of this call depends on."""
        return _hash([self.bench.key(arm, seed) for arm in arms], self.score_key)

    def __call__(self, seed: int, arms: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The outcome of each arm: losses, evaluations, units, scores, read, seconds (of processor time)."""
        setting = self.bench.setting
        device = compute.pick_device(setting.device)
        compute.repeat_exactly(setting.num_threads, device)
        began = time.process_time()
        fresh = build_model(setting.shape, seed).to(device)
        start = _Recorder(self.bench, loop.start_run(fresh, Recipe(setting.optimizer)), seed)
        if setting.trunk:
            trunk = Mixture({setting.trunk: self.bench.source(setting.trunk, seed)}, {setting.trunk: 1.0})
            start.go(trunk, until=setting.plan().decay_start)
        shared = time.process_time() - began
        outcomes = {}
        for arm in arms:
            began = time.process_time()
            recorder = start.copy()
            data = self.bench.data(arm, seed)
            recorder.go(data, until=setting.num_steps)
            scores = self.score(recorder.run.model, self.bench.tokenizer) if self.score else {}
            seconds = time.process_time() - began + shared / len(arms)
            outcomes[arm] = recorder.outcome(data) | {"scores": scores, "seconds": seconds}
        return outcomes


@dataclass
class _Recorder:
    """A run with what is measured on the way."""

    bench: Bench
    run: loop.Run
    seed: int
    evaluations: list[dict] = field(default_factory=list)
    units: list[dict] = field(default_factory=list)

    def copy(self) -> "_Recorder":
        return _Recorder(self.bench, loop.branch(self.run), self.seed, list(self.evaluations), list(self.units))

    def go(self, data: Source, until: int) -> None:
        """Train to step `until`, with a look at the held-out sets every so often and at the end."""
        setting = self.bench.setting
        while self.run.step < until:
            stop = min(until, (self.run.step // setting.evaluate_every + 1) * setting.evaluate_every)
            loop.train(
                self.run,
                data,
                setting.plan(),
                setting.feed(self.seed),
                until=stop,
                precision=setting.precision,
            )
            self.evaluate()

    def evaluate(self) -> None:
        """Add the bits per byte of every set; the bits of every unit are those of the last look."""
        setting = self.bench.setting
        self.units = []
        tokens = self.run.step * setting.batch_size * setting.shape.context
        for name, held_out in self.bench.held_out.items():
            found = held_out.bits_by_unit(document_bits(self.run.model, held_out.windows, precision=setting.precision))
            bits, n_bytes = sum(row[1] for row in found), sum(row[2] for row in found)
            row = {"step": self.run.step, "tokens": tokens, "set": name, "bits_per_byte": bits / n_bytes}
            self.evaluations.append(row)
            self.units += [{"set": name, "unit": unit, "bits": b, "n_bytes": n} for unit, b, n in found]

    def outcome(self, data: Mixture) -> dict[str, Any]:
        setting = self.bench.setting
        losses = np.array([row["loss"] for row in self.run.log])
        per_step = setting.batch_size * setting.shape.context
        blocks = [
            {"tokens": min(at + LOSS_BLOCK, len(losses)) * per_step, "loss": float(losses[at : at + LOSS_BLOCK].mean())}
            for at in range(0, len(losses), LOSS_BLOCK)
        ]
        return {"losses": blocks, "evaluations": self.evaluations, "units": self.units, "read": self.read(data)}

    def read(self, data: Mixture) -> list[dict[str, Any]]:
        """What this arm has read of each source, the trunk apart."""
        setting = self.bench.setting
        counts = data.counts(setting.tokens_after_trunk // setting.shape.context)
        context, sources = setting.shape.context, data.sources
        return [
            {
                "source": name,
                "tokens": count * context,
                "source_tokens": sources[name].num_tokens,
                "passes": count * context / sources[name].num_tokens,
            }
            for name, count in counts.items()
        ]


def _check(setting, sources, arms, held_out) -> None:
    if not arms or not held_out:
        raise ConfigError("An experiment needs at least one arm and one held-out set.")
    for arm, weights in arms.items():
        for name in weights:
            if name not in sources:
                raise ConfigError(f"Arm {arm!r} reads {name!r}, which is no source.{did_you_mean(name, sources)}")
    if setting.trunk and setting.trunk not in sources:
        raise ConfigError(f"trunk={setting.trunk!r} is no source.{did_you_mean(setting.trunk, sources)}")
    unseen = {text: name for name, (texts, _) in held_out.items() for text in texts}
    for name, (texts, units) in held_out.items():
        if not len(texts) or len(texts) != len(units):
            raise ConfigError(f"The held-out set {name!r} has {len(texts)} texts and {len(units)} units.")
    for name, texts in sources.items():
        for some in texts.values() if isinstance(texts, Mapping) else [texts]:
            if leaked := [text for text in some if text in unseen]:
                raise ConfigError(
                    f"{len(leaked)} texts of the source {name!r} are held out too (in {unseen[leaked[0]]!r}): "
                    "the score would measure memory. Take them out of the source."
                )


def _tokens(folder: Path, tokenizer: Tokenizer, spelling: str, texts: Sequence[str]) -> str:
    """The name of the token file of `texts`, written unless it is there."""
    name = f"tokens-{_hash(spelling, list(texts))}.safetensors"
    if not (folder / name).is_file():
        write_tokens(texts, tokenizer, folder / name)
    return name


def _hash(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:20]


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
