"""Arguments for the cases of an exercise, drawn so that the cases can tell right from nearly right."""

import numpy as np

from opencoder_lib.exercises.family import LETTERS, NOUNS, pick

PEOPLE = ("ana", "bo", "cy", "dee", "eli", "fay", "gus", "hal", "ivy", "jon", "kim", "lou")


def number(random: np.random.Generator, low: int = 0, high: int = 99) -> int:
    """An integer from `low` to `high`."""
    return int(random.integers(low, high + 1))


def near(random: np.random.Generator, *limits: int) -> int:
    """An integer at most five from one of `limits`, half of the time; else one of 0 to 99."""
    if random.random() < 0.5:
        return pick(random, limits) + number(random, -5, 5)
    return number(random)


def numbers(random: np.random.Generator, *limits: int, least: int = 1) -> list[int]:
    """`least` to 6 integers, some of them equal or near to `limits`."""
    length = number(random, least, 6)
    return [near(random, *limits) if limits else number(random) for _ in range(length)]


def text(random: np.random.Generator, *pieces: str) -> str:
    """One to three short words with `pieces` strewn in and at the ends."""
    words = [pick(random, NOUNS) for _ in range(number(random, 1, 3))]
    for piece in pieces:
        for _ in range(number(random, 0, 2)):
            at = number(random, 0, len(words) - 1)
            word = words[at]
            cut = pick(random, (0, len(word), number(random, 0, len(word))))
            words[at] = word[:cut] + piece + word[cut:]
    return " ".join(words)


def letters(random: np.random.Generator, least: int, most: int) -> str:
    """A row of `least` to `most` letters without meaning."""
    return "".join(pick(random, LETTERS) for _ in range(number(random, least, most)))


def table(random: np.random.Generator, *limits: int, keys: tuple[str, ...] = ()) -> dict[str, int]:
    """One to five people or `keys` with a number each, some of them equal or near to `limits`."""
    pool = [*PEOPLE, *keys * 6]
    chosen = dict.fromkeys(pick(random, pool) for _ in range(number(random, 1, 5)))
    return {key: near(random, *limits) if limits else number(random) for key in chosen}
