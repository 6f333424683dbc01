"""What a run of `clean` is to do: its stages and settings, checked before the first file is read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib import MB
from opencoder_lib.clean.optout import OptOut
from opencoder_lib.clean.parts import Workplace
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.files import SCHEMA
from opencoder_lib.quality import Rulebook
from opencoder_lib.refine.clusters import KEEP
from opencoder_lib.refine.minhash import MinHash

STAGES = ("preprocess", "exact", "fuzzy", "transform", "filter", "sample")
# Which licences may stay, and which text files; see refine/licences.py and refine/github_text.py.
LICENCES, TEXT_FILES = ("any", "permissive"), ("all", "named")
# Text in memory at once, of one task: what a row group of the parts holds.
GROUP_BYTES = 8 * MB
# 1 for a file that an earlier run kept, else 0. No column of a user's has such a name.
EARLIER = "opencoder:earlier"
LEAST_UNIT, MOST_UNIT = 16 * MB, 256 * MB


def chosen_stages(names: Sequence[str] | str | None) -> tuple[str, ...]:
    """The stages named, in the order of the paper; all of them for null. Raises ConfigError on an unknown one."""
    if names is None:
        return STAGES
    wanted = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in STAGES:
            raise ConfigError(f"There is no stage {name!r}.{did_you_mean(name, STAGES)} They run in this order.")
    return tuple(name for name in STAGES if name in wanted)


def unit_bytes(total: int) -> int:
    """How much input one task reads: enough tasks to share out, not more than a driver can keep count of.

    It depends on the input alone, so that a run can go on with another number of processes or nodes.
    """
    return min(max(total // 64, LEAST_UNIT), MOST_UNIT)


@dataclass(frozen=True)
class Plan:
    """What every task is told.

    budgets: bytes a language may have at the end. against: folders of earlier runs, whose kept files are known already.
    order: names all that the output depends on.
    """

    out: str
    stages: tuple[str, ...]
    minhash: MinHash
    rules: Rulebook
    max_bytes: int
    unit_bytes: int
    budgets: dict[str, int] = field(default_factory=dict)
    licences: str = LICENCES[0]
    text_files: str = TEXT_FILES[0]
    notebooks: bool = True
    opt_out: OptOut = field(default_factory=OptOut)
    against: tuple[str, ...] = ()
    order: str = ""
    extra: dict[str, pl.DataType] = field(default_factory=dict)

    def __post_init__(self):
        for name, value, known in (
            ("licences", self.licences, LICENCES),
            ("text files", self.text_files, TEXT_FILES),
        ):
            if value not in known:
                raise ConfigError(f"There is no choice {value!r} of {name}.{did_you_mean(value, known)}")

    @property
    def samples(self) -> bool:
        """Whether files may go for a budget, which only all of them together can tell."""
        return "sample" in self.stages and bool(self.budgets)

    @property
    def place(self) -> Workplace:
        """Where parts lie."""
        return Workplace(self.out, self.order)

    @property
    def keep(self) -> tuple[str, ...]:
        """What decides which copy stays: what an earlier run kept, then the paper's rule."""
        return (EARLIER, *KEEP)

    @property
    def keep_schema(self) -> dict[str, pl.DataType]:
        """The columns of `keep` with their types."""
        return {EARLIER: pl.Int32(), **{name: SCHEMA[name] for name in KEEP}}

    @property
    def columns(self) -> list[str]:
        """Columns of the output."""
        return [*SCHEMA, *self.extra, *(["survivor_in"] if self.against else [])]

    def settings(self) -> dict[str, Any]:
        """The parameters as plain data, for the report."""
        return {
            "stages": list(self.stages),
            "max_bytes": self.max_bytes,
            "minhash": asdict(self.minhash) if "fuzzy" in self.stages else None,
            "rulebook": self.rules.name if "filter" in self.stages else None,
            "budgets": dict(sorted(self.budgets.items())) if "sample" in self.stages else None,
            "licences": self.licences,
            "text_files": self.text_files,
            "notebooks": self.notebooks,
            "keep": list(KEEP),
            "opt_out_entries": len(self.opt_out),
            "against": list(self.against),
            "unit_bytes": self.unit_bytes,
        }


@dataclass(frozen=True)
class Shard:
    """Consecutive row groups of one file of text. source: -1 for the input, else the number of an earlier run."""

    name: str
    path: str
    first_group: int
    num_groups: int
    n_bytes: int
    unit: int
    source: int = -1

    @property
    def groups(self) -> range:
        """Its row groups."""
        return range(self.first_group, self.first_group + self.num_groups)


def shards_of(path: Path, unit: int, group_bytes: Sequence[int], most: int, source: int = -1) -> list[Shard]:
    """The shards of one file of text: as many row groups each as hold about `most` bytes."""
    shards, first, size = [], 0, 0
    for number, n_bytes in enumerate(group_bytes):
        if number > first and size + n_bytes > most:
            shards.append((first, number, size))
            first, size = number, 0
        size += n_bytes
    if group_bytes:
        shards.append((first, len(group_bytes), size))
    prefix = f"{unit:06d}" if source < 0 else f"earlier-{source}-{unit:06d}"
    return [
        Shard(f"{prefix}-{at:03d}", str(path), begin, end - begin, held, unit, source)
        for at, (begin, end, held) in enumerate(shards)
    ]
