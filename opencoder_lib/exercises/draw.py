"""Exercises by number and seed. What training sees and what is asked never coincide."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from opencoder_lib import seeds
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.exercises import arithmetic, comparisons, dicts, lists, strings
from opencoder_lib.exercises.family import Exercise, Family, key_of, make, pick

FAMILIES: dict[str, Family] = {
    family.name: family for module in (arithmetic, comparisons, strings, lists, dicts) for family in module.FAMILIES
}
# Never trained on as a whole, a quarter of each kind. Some only combine what other families show (scaled_difference,
# outside, scale_each, sum_above, total_plus), some need what none shows (clamp, ends_with, reversed_suffix).
HELD_OUT = (
    *("scaled_difference", "clamp", "outside", "ends_with", "reversed_suffix", "scale_each", "sum_above", "total_plus"),
)
SPLITS = ("train", "test")
FRAC_TRAIN = 0.75


def seen_families() -> list[str]:
    """The families that training may show."""
    return [name for name in FAMILIES if name not in HELD_OUT]


def held_out_families() -> list[str]:
    """The families that training never shows."""
    return list(HELD_OUT)


def split_of(key: str) -> str:
    """The side of an exercise: by hash of its family and constants, so that new names do not make it a new one."""
    return "train" if seeds.hash_share("exercises", key) < FRAC_TRAIN else "test"


@cache
def _choices(name: str, split: str) -> list[dict[str, Any]]:
    family = FAMILIES[name]
    return [row for row in family.choices() if split_of(key_of(family, row)) == split]


def draw(num: int, seed: int, split: str = "train", families: Sequence[str] | None = None) -> list[Exercise]:
    """`num` different exercises, the families in turn, so that their shares are equal; the same for the same arguments.

    families: those of `seen_families` by default. What computes the same, up to names, is on the same side of `split`
    in every call. Raises ConfigError on an unknown split or family, on a held-out family for training, and when there
    are not so many exercises.
    """
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}.{did_you_mean(split, SPLITS)}")
    names = seen_families() if families is None else list(families)
    for name in names:
        if name not in FAMILIES:
            raise ConfigError(f"There is no family {name!r}.{did_you_mean(name, FAMILIES)}")
        if split == "train" and name in HELD_OUT:
            raise ConfigError(f"The family {name!r} is held out: it may be asked for with split='test' only.")
    streams = {name: seeds.rng(seed, "exercises", split, name) for name in names}
    found: dict[str, Exercise] = {}
    for turn in range(20 * num + 100):
        if len(found) >= num or not names:
            break
        name = names[turn % len(names)]
        exercise = make(FAMILIES[name], pick(streams[name], _choices(name, split)), streams[name])
        found.setdefault(exercise.exercise_id, exercise)
    if len(found) < num:
        raise ConfigError(
            f"{len(found)} different exercises were found, not {num}. Ask for fewer or for more families."
        )
    return list(found.values())
