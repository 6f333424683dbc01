"""A design (arms, data, held-out texts, setting) becomes results; before that, what it will cost and can see."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from opencoder_lib import compute
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.evaluate.ablation import Results, resolution, run_grid
from opencoder_lib.progress import in_words
from opencoder_lib.store import library_hash
from opencoder_lib.train import loop
from opencoder_lib.train.arms import Bench, Score, Setting, Texts, Trainer, prepare
from opencoder_lib.train.model import build_model, count_parameters
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.perplexity import document_bits

TIMED_STEPS = 4


@dataclass(frozen=True)
class Design:
    """One experiment, ready to run.

    sources, arms, held_out: as `train.arms.prepare` takes them. baseline: the arm that the others are compared with.
    control: the arm that could explain the effect away. controls: arm -> arms that could explain what this one does;
    who asks for the arm gets them too. metric: the held-out set that the verdict is about. paired_sd:
    how far paired differences scattered in earlier runs, in bits per byte; says beforehand what n seeds can see.
    about: tables and numbers on how the data was made, for the notebook and the command to show.
    """

    name: str
    question: str
    setting: Setting
    tokenizer: Tokenizer
    sources: Mapping[str, Texts]
    arms: Mapping[str, Mapping[str, float]]
    baseline: str
    control: str
    held_out: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    metric: str
    paired_sd: float
    controls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    score: Score | None = None
    score_key: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for what, name, known in (
            ("baseline", self.baseline, self.arms),
            ("control", self.control, self.arms),
            ("metric", self.metric, self.held_out),
        ):
            if name not in known:
                raise ConfigError(f"{self.name}: the {what} {name!r} is not there.{did_you_mean(name, known)}")

    def only(self, arms: Sequence[str]) -> "Design":
        """The same experiment with these arms, the baseline, the control, and what controls the arms named."""
        if unknown := [arm for arm in arms if arm not in self.arms]:
            raise ConfigError(f"{self.name} has no arm {unknown[0]!r}.{did_you_mean(unknown[0], self.arms)}")
        wanted = {*arms, self.baseline, self.control, *(name for arm in arms for name in self.controls.get(arm, ()))}
        return replace(self, arms={arm: weights for arm, weights in self.arms.items() if arm in wanted})


def set_up(design: Design, folder: Path) -> Bench:
    """The design's texts as token files in `folder`."""
    return prepare(folder, design.setting, design.tokenizer, design.sources, design.arms, design.held_out)


def run(
    design: Design,
    seeds: Sequence[int],
    folder: Path,
    workers: int = 2,
    say: Callable[[str], None] | None = None,
) -> Results:
    """Train every arm for every seed; finished runs stay in `folder` and are not repeated."""
    bench = set_up(design, folder)
    return run_grid(
        design.name,
        Trainer(bench, design.score, _score_key(design)),
        tuple(design.arms),
        design.baseline,
        seeds,
        folder,
        workers=at_once(design.setting, workers),
        together=design.setting.trunk is not None,
        say=say,
    )


def at_once(setting: Setting, workers: int) -> int:
    """How many runs are trained at the same time: processes that share one accelerator would only take turns."""
    return workers if setting.device == "cpu" else 1


def _score_key(design: Design) -> str:
    """What a score depends on besides the model: its settings, and the code that asks and judges."""
    judges = library_hash("ablations", "evaluate", "exercises", "sandbox") if design.score else ""
    return f"{design.score_key} {judges}"


@dataclass(frozen=True)
class Cost:
    """What a grid takes. Seconds are of one processor thread, or of the accelerator; measured on a few steps."""

    runs: int
    tokens_each: int
    seconds_each: float
    seconds: float
    workers: int

    def __str__(self) -> str:
        return (
            f"{self.runs} runs of {self.tokens_each:,} tokens, about {in_words(self.seconds_each)} each; "
            f"{in_words(self.seconds)} of computing in all, {in_words(self.seconds / self.workers)} with "
            f"{self.workers} at a time on an idle machine"
        )


def cost(design: Design, seeds: Sequence[int], folder: Path, workers: int = 2) -> Cost:
    """What `run` will take, from a few timed steps and one look at the held-out sets. Scores come on top."""
    bench, setting = set_up(design, folder), design.setting
    device = compute.pick_device(setting.device)
    compute.repeat_exactly(setting.num_threads, device)
    clock = time.process_time if device.type == "cpu" else time.monotonic
    trial = loop.start_run(build_model(setting.shape, 0).to(device), Recipe(setting.optimizer))
    # Any source will do: what a step costs does not depend on its tokens.
    data = bench.source(next(iter(design.arms[design.baseline])), seeds[0])
    plan, feed = setting.plan(), setting.feed(0)
    loop.train(trial, data, plan, feed, until=min(2, setting.num_steps), precision=setting.precision)
    began, first = clock(), trial.step
    until = min(first + TIMED_STEPS, setting.num_steps)
    loop.train(trial, data, plan, feed, until=until, precision=setting.precision)
    step = (clock() - began) / max(1, until - first)
    began = clock()
    for held_out in bench.held_out.values():
        document_bits(trial.model, held_out.windows, precision=setting.precision)
    look = clock() - began
    total = grid_seconds(setting, len(design.arms), len(seeds), step, look)
    runs = len(design.arms) * len(seeds)
    return Cost(runs, setting.tokens, total / runs, total, at_once(setting, workers))


def grid_seconds(setting: Setting, num_arms: int, num_seeds: int, step: float, look: float) -> float:
    """Seconds of a whole grid from those of one step and of one look at the held-out sets.

    A shared trunk is trained once a seed; every stretch is looked at every `evaluate_every` steps and at its end.
    """
    trunk = setting.plan().decay_start if setting.trunk else 0
    own = setting.num_steps - trunk
    looks_of_trunk = -(-trunk // setting.evaluate_every)
    looks_of_arm = -(-setting.num_steps // setting.evaluate_every) - trunk // setting.evaluate_every
    return num_seeds * (trunk * step + looks_of_trunk * look + num_arms * (own * step + looks_of_arm * look))


def announce(design: Design, seeds: Sequence[int], folder: Path, workers: int = 2) -> str:
    """What will be done, what it costs and what it can see, in a few lines: to be read before it starts."""
    lines = [
        f"{design.name}: {design.question}",
        f"Arms: {', '.join(design.arms)}; compared with {design.baseline!r}, control {design.control!r}.",
        f"Model: {count_parameters(design.setting.shape):,} parameters, {design.setting.num_steps} steps.",
        f"Cost: {cost(design, seeds, folder, workers)}{'; scores come on top' if design.score else ''}.",
    ]
    if len(seeds) < 2:
        return "\n".join([*lines, "Power: one seed gives no interval; nothing can be concluded from it."])
    seen = resolution(design.paired_sd, len(seeds))
    return "\n".join(
        [
            *lines,
            f"Power: paired differences scattered by about {seen.sd:.3f} bits per byte in earlier runs. With {seen.n} "
            f"seeds a mean difference of {seen.visible:.3f} excludes zero, and a true one of {seen.likely:.3f} is "
            "found with 80 % probability.",
        ]
    )
