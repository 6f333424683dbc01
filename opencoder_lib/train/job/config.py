"""What `opencoder train` is asked to do: a TOML file, read into frozen dataclasses that have been checked.

Unknown names, wrong types and numbers that do not fit together are told before anything starts. Paths are relative to
the folder the command is given in. Every key is explained at its field here; `configs/` holds complete examples.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path

from opencoder_lib.compute import PRECISIONS
from opencoder_lib.errors import ConfigError, InputError, did_you_mean
from opencoder_lib.train.job.typed import apply_change, read_table
from opencoder_lib.train.loop import Feed
from opencoder_lib.train.model import ATTENTIONS, Shape, find_shape
from opencoder_lib.train.optim import OPTIMIZERS, Recipe
from opencoder_lib.train.parallel import STRATEGIES
from opencoder_lib.train.schedule import SHAPES as DECAYS
from opencoder_lib.train.schedule import WSD

SHIPPED = Path(__file__).parent / "configs"
NAME = re.compile(r"[A-Za-z0-9_-]+")  # becomes part of a file name
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
ALONE = "none"
EXPORT_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Model:
    """[model]: a named shape, sizes of its own, or a named shape with some sizes changed. seed: of fresh weights."""

    shape: str | None = None
    vocab: int | None = None
    hidden: int | None = None
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    ffn: int | None = None
    context: int | None = None
    rope_theta: float | None = None
    tied: bool | None = None
    attention: str = "sdpa"
    seed: int = 0

    def __post_init__(self):
        _one_of("model.attention", self.attention, ATTENTIONS)
        self.sizes()

    def sizes(self) -> Shape:
        """The shape that is trained. Raises ConfigError when sizes are missing or do not fit together."""
        given = {key: getattr(self, key) for key in Shape.__annotations__ if getattr(self, key) is not None}
        for key, value in given.items():
            if value is not True and value is not False and value <= 0:
                raise ConfigError(f"model.{key} = {value} must be above 0.")
        if self.shape is not None:
            return replace(find_shape(self.shape), **given)
        if missing := [part.name for part in fields(Shape) if part.default is MISSING and part.name not in given]:
            raise ConfigError(f"[model] lacks {', '.join(missing)}. Give all sizes, or the name of a shape.")
        return Shape(**given)


@dataclass(frozen=True)
class Source:
    """[data.sources.NAME]: files or folders of Parquet, JSON Lines (.jsonl, .jsonl.gz) or token files.

    weight: share of the windows, in any unit. text_column: where tables keep the text.
    """

    paths: tuple[str, ...]
    weight: float = 1.0
    text_column: str = "text"

    def __post_init__(self):
        if not self.paths:
            raise ConfigError("data.sources: paths must name at least one file or folder.")


@dataclass(frozen=True)
class HeldOut:
    """[data.held_out]: text that is measured and never trained on.

    frac: share of the repositories, drawn by hash of the name, at least one; of single texts where fewer than two
    repositories are named. Or paths: files of their own. max_bytes: how much of it is read at each measurement; the
    rest of what is held out is left out all the same.
    """

    frac: float | None = None
    paths: tuple[str, ...] = ()
    repo_column: str = "repo"
    text_column: str = "text"
    max_bytes: int = 1_000_000
    seed: int = 0

    def __post_init__(self):
        if (self.frac is None) == (not self.paths):
            raise ConfigError("[data.held_out] needs either frac (share of the repositories) or paths.")
        if self.frac is not None and not 0 < self.frac < 1:
            raise ConfigError(f"data.held_out.frac = {self.frac} must lie between 0 and 1.")
        _above("data.held_out.max_bytes", self.max_bytes)


@dataclass(frozen=True)
class Data:
    """[data]: one corpus by paths, or several as [data.sources.NAME]."""

    paths: tuple[str, ...] = ()
    text_column: str = "text"
    sources: dict[str, Source] = field(default_factory=dict)
    held_out: HeldOut | None = None

    def __post_init__(self):
        if bool(self.paths) == bool(self.sources):
            raise ConfigError("[data] needs either paths or one or more [data.sources.NAME].")
        for name, source in self.sources.items():
            if not NAME.fullmatch(name):
                raise ConfigError(f"data.sources: {name!r} is no name; use letters, digits, _ and -.")
            _above(f"data.sources.{name}.weight", source.weight)
        if self.paths:
            object.__setattr__(self, "sources", {"corpus": Source(self.paths, text_column=self.text_column)})


@dataclass(frozen=True)
class Tokenizer:
    """[tokenizer]: path of a tokenizer.json, or the size of one to train on up to sample_bytes of the corpus."""

    path: str | None = None
    vocab_size: int | None = None
    sample_bytes: int = 100_000_000

    def __post_init__(self):
        if (self.path is None) == (self.vocab_size is None):
            raise ConfigError("[tokenizer] needs either path or vocab_size.")
        _above("tokenizer.sample_bytes", self.sample_bytes)


@dataclass(frozen=True)
class Plan:
    """[plan]: length and learning rate of the run. Give steps or tokens, of each the whole, the warm-up, the decay.

    peak, final: learning rates. shape: the curve of the decay. stop_at: end this run at a step before the plan's end,
    for instance where the decay begins, to branch from there.
    """

    peak: float
    final: float
    steps: int | None = None
    tokens: int | None = None
    warmup_steps: int | None = None
    warmup_tokens: int | None = None
    decay_steps: int | None = None
    decay_tokens: int | None = None
    shape: str = "exponential"
    stop_at: int | None = None

    def __post_init__(self):
        _one_of("plan.shape", self.shape, DECAYS)
        if self.stop_at is not None:
            _above("plan.stop_at", self.stop_at)
        for first, second in (("steps", "tokens"), ("warmup_steps", "warmup_tokens"), ("decay_steps", "decay_tokens")):
            given = [name for name in (first, second) if getattr(self, name) is not None]
            if len(given) == 2 or (not given and first == "steps"):
                raise ConfigError(f"[plan] needs either {first} or {second}.")

    def wsd(self, tokens_per_step: int) -> WSD:
        """The plan in steps. Raises ScheduleError when its phases do not fit."""

        def steps(count: int | None, tokens: int | None) -> int:
            return count if count is not None else round((tokens or 0) / tokens_per_step)

        return WSD(
            num_steps=steps(self.steps, self.tokens),
            num_warmup=steps(self.warmup_steps, self.warmup_tokens),
            num_decay=steps(self.decay_steps, self.decay_tokens),
            peak=self.peak,
            final=self.final,
            shape=self.shape,
        )


@dataclass(frozen=True)
class Batches:
    """[feed]: batch_size sequences a step over all processes, each of context tokens (the model's by default).

    micro_batch: sequences that a process computes at a time; less takes less memory and learns the same. seed: of the
    order. document_mask: no attention across documents.
    """

    batch_size: int
    context: int | None = None
    micro_batch: int | None = None
    seed: int = 0
    document_mask: bool = False

    def __post_init__(self):
        for name in ("batch_size", "context", "micro_batch"):
            if (value := getattr(self, name)) is not None:
                _above(f"feed.{name}", value)

    def feed(self, context: int, end: int | None, world_size: int = 1) -> Feed:
        """How this run is fed on so many processes. Raises ConfigError when the batch does not split evenly."""
        share, rest = divmod(self.batch_size, world_size)
        micro = share if self.micro_batch is None else self.micro_batch
        if rest or share % micro:
            raise ConfigError(
                f"feed.batch_size = {self.batch_size} does not split into micro-batches of {micro} on {world_size} "
                f"processes. Make it a multiple of {micro * world_size}."
            )
        masked = end if self.document_mask else None
        return Feed(self.batch_size, self.context or context, self.seed, share // micro, masked)


@dataclass(frozen=True)
class Optimizer:
    """[optimizer]: muon (with adamw for embeddings and norms) or adamw, and what stays fixed; clip: largest norm."""

    name: str = "muon"
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    embedding_rate: float = 1.0
    clip: float = 1.0

    def __post_init__(self):
        _one_of("optimizer.name", self.name, OPTIMIZERS)
        _above("optimizer.clip", self.clip)
        self.recipe()

    def recipe(self) -> Recipe:
        """The same for `make_optimizers`."""
        return Recipe(self.name, self.momentum, self.betas, self.weight_decay, self.embedding_rate)


@dataclass(frozen=True)
class Parallel:
    """[parallel]: none, ddp (every process holds all weights) or fsdp (each its share); the last two by torchrun."""

    strategy: str = ALONE

    def __post_init__(self):
        _one_of("parallel.strategy", self.strategy, (ALONE, *STRATEGIES))


@dataclass(frozen=True)
class Compute:
    """[compute]: device auto, cpu or cuda; precision auto, float32 or bfloat16; torch.compile; recompute activations.

    threads: of a processor, all by default; the same number repeats a run bit by bit. loss_chunk_tokens: tokens whose
    logits exist at a time, chosen by default.
    """

    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    recompute: bool = False
    threads: int | None = None
    loss_chunk_tokens: int | None = None

    def __post_init__(self):
        if not DEVICE.fullmatch(self.device):
            raise ConfigError(f"compute.device = {self.device!r} is none of auto, cpu, cuda.")
        _one_of("compute.precision", self.precision, PRECISIONS)
        for name in ("threads", "loss_chunk_tokens"):
            if (value := getattr(self, name)) is not None:
                _above(f"compute.{name}", value)


@dataclass(frozen=True)
class Out:
    """[out]: where everything goes; steps between checkpoints and between measurements (0: only at the end).

    keep_last: how many checkpoints stay. tensorboard: also write curves. dtype: of the exported weights.
    """

    folder: str
    save_every: int = 0
    keep_last: int = 2
    evaluate_every: int = 0
    tensorboard: bool = True
    dtype: str = "float32"

    def __post_init__(self):
        _one_of("out.dtype", self.dtype, EXPORT_DTYPES)
        _above("out.keep_last", self.keep_last)
        for name in ("save_every", "evaluate_every"):
            if getattr(self, name) < 0:
                raise ConfigError(f"out.{name} = {getattr(self, name)} must be at least 0.")


@dataclass(frozen=True)
class Start:
    """[start]: go on from another run's checkpoint, with its weights, optimizers and step, under this plan and data.

    This is how the decay, or a second try after a divergence, branches from a trunk.
    """

    checkpoint: str


@dataclass(frozen=True)
class Config:
    """A whole run."""

    model: Model
    data: Data
    tokenizer: Tokenizer
    plan: Plan
    feed: Batches
    out: Out
    optimizer: Optimizer = field(default_factory=Optimizer)
    parallel: Parallel = field(default_factory=Parallel)
    compute: Compute = field(default_factory=Compute)
    start: Start | None = None

    def __post_init__(self):
        longest = self.model.sizes().context
        if self.feed.context is not None and self.feed.context > longest:
            raise ConfigError(
                f"feed.context = {self.feed.context} is more than the {longest} positions that the model reads; "
                f"set model.context = {self.feed.context} to read more."
            )

    def as_json(self) -> str:
        """All settings, defaults included, as JSON."""
        return json.dumps(asdict(self), indent=1)


def read_config(path: str | Path, changes: Sequence[str] = ()) -> Config:
    """The configuration in a TOML file, or the shipped one of that name ('toy'), with `changes` applied.

    changes: 'section.key=value', value in TOML or else plain text. Raises InputError when the file cannot be read,
    ConfigError when it asks for something that cannot be.
    """
    path = Path(path)
    if not path.is_file() and (SHIPPED / f"{path}.toml").is_file():
        path = SHIPPED / f"{path}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        shipped = ", ".join(sorted(found.stem for found in SHIPPED.glob("*.toml")))
        raise InputError(f"There is no configuration {path}. Shipped with the package: {shipped}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read as TOML: {error}") from None
    for change in changes:
        apply_change(table, change)
    return read_table(Config, table)


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(f"{name} = {value!r} is none of {', '.join(known)}.{did_you_mean(value, known)}")


def _above(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name} = {value} must be above 0.")
