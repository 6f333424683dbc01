"""Rules are data: an entry of a rulebook says which signal drops a file, in which sets, from where on, and why.

Each entry carries a document it removes and a near miss it keeps. What an entry leaves out or gets wrong is an error
that names the file, the rule and what was probably meant; nothing is guessed.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from opencoder_lib.errors import CookbookError, did_you_mean
from opencoder_lib.quality.registry import PROGRAMS

CODE_SETS = ("others", "data", "shell", "sql", "python", "c", "cpp", "csharp", "go", "html", "java", "javascript")
SETS = ("text_en", "text_zh", *CODE_SETS)
THRESHOLDS = ("drop_above", "drop_below", "drop_outside", "drop_if")


class RulebookError(CookbookError):
    """A rulebook that cannot be used."""

    exit_code = 2


def scope_of(rule_set: str) -> str:
    """Which signals the files of a set have: text, a program's own, or code."""
    return "text" if rule_set.startswith("text_") else rule_set if rule_set in PROGRAMS else "code"


def rule_set_expr() -> pl.Expr:
    """The set a file is judged by, from category, language and natural_language; null for other types."""
    language, category = pl.col("language"), pl.col("category")
    own = [name for name in CODE_SETS if name not in ("others", "data")]
    return (
        pl.when(category == "text")
        .then(pl.when(pl.col("natural_language") == "zh").then(pl.lit("text_zh")).otherwise(pl.lit("text_en")))
        .when(category.is_in(["code", "data"]) & language.is_in(own))
        .then(language)
        .when(category == "data")
        .then(pl.lit("data"))
        .when(category == "code")
        .then(pl.lit("others"))
    )


@dataclass(frozen=True)
class Threshold:
    """When a value drops a file. Comparisons are strict and on the rounded value; null never drops.

    kind: drop_above, drop_below, drop_outside (value is (low, high)) or drop_if (equal; true is 1, false is 0).
    """

    kind: str
    value: float | tuple[float, float]

    def fires(self, values: np.ndarray) -> np.ndarray:
        """One boolean a value; NaN stands for null."""
        if self.kind == "drop_above":
            return values > self.value
        if self.kind == "drop_below":
            return values < self.value
        if self.kind == "drop_outside":
            return (values < self.value[0]) | (values > self.value[1])
        return values == self.value

    @property
    def cut(self) -> float:
        """The number that a what-if moves: of a range, the upper end."""
        return self.value[1] if self.kind == "drop_outside" else self.value

    def moved_to(self, cut: float) -> "Threshold":
        """The same kind of threshold with another cut."""
        return Threshold(self.kind, (self.value[0], cut) if self.kind == "drop_outside" else cut)

    def __str__(self) -> str:
        if self.kind == "drop_outside":
            return f"< {self.value[0]:,.10g} or > {self.value[1]:,.10g}"
        return f"{ {'drop_above': '>', 'drop_below': '<', 'drop_if': '='}[self.kind] } {self.value:,.10g}"


@dataclass(frozen=True)
class Rule:
    """One rule.

    official: the signal's name in the release, `{set}` standing for the set; empty for signals of our own. thresholds:
    the one that counts in each live set, in the order of `sets`. drop_share: the share of hits that is acted on.
    drops, keeps: the example documents; drops is null with a reason in never_fires, and called drops_file where its
    name matters. replaces: whether it stands in for the rule of that name in the rulebook this one extends.
    """

    id: str
    signal: str
    official: str
    sets: tuple[str, ...]
    thresholds: dict[str, Threshold]
    source: str
    why: str
    drops: str | None
    keeps: str
    never_fires: str = ""
    drop_share: float = 1.0
    group: str = ""
    example_set: str = ""
    drops_file: str = ""
    replaces: bool = False

    @property
    def live_sets(self) -> tuple[str, ...]:
        """The sets in which the rule can drop a file."""
        return tuple(self.thresholds)

    @property
    def common_threshold(self) -> Threshold:
        """The threshold of most of its sets."""
        return max(self.thresholds.values(), key=list(self.thresholds.values()).count)

    def official_in(self, rule_set: str) -> str:
        """The name the release gives its signal in one set."""
        return self.official.replace("{set}", rule_set)

    def fires(self, values: np.ndarray, sets: np.ndarray, replaced: Threshold | None = None) -> np.ndarray:
        """Which files the rule hits. values: its signal, NaN for null; sets: each file's set. `replaced` stands in for
        the threshold of every live set."""
        hit = np.zeros(len(values), bool)
        for name, threshold in self.thresholds.items():
            here = sets == name
            hit[here] = (replaced or threshold).fires(values[here])
        return hit


@dataclass(frozen=True)
class Rulebook:
    """Rules in the order in which they claim a file."""

    name: str
    rules: tuple[Rule, ...] = field(repr=False)

    def __iter__(self):
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __getitem__(self, rule_id: str) -> Rule:
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise RulebookError(f"{self.name} has no rule {rule_id!r}.{did_you_mean(rule_id, [r.id for r in self.rules])}")

    @property
    def sha256(self) -> str:
        """Over all rules, whatever files they were read from."""
        return hashlib.sha256(repr(self.rules).encode()).hexdigest()

    @property
    def num_pairs(self) -> int:
        """Live (set, signal) pairs: how the release's thresholds are counted."""
        return sum(len(rule.live_sets) for rule in self.rules)
