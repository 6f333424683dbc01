"""What a family of exercises is, and one exercise of it with all its names and constants chosen."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from opencoder_lib.sandbox import Candidate, Case

# Names of parameters by what they hold. No pool has two names of which one is part of the other's sense.
NAMES = {
    "number": ("n", "value", "score", "amount", "level", "price", "weight", "total", "speed", "points"),
    "text": ("text", "word", "line", "name", "label", "title", "phrase", "code"),
    "numbers": ("values", "numbers", "scores", "prices", "levels", "marks", "sizes", "weights"),
    "table": ("table", "stock", "counts", "ages", "budget", "votes"),
}
ANNOTATIONS = {"number": "int", "text": "str", "numbers": "list[int]", "table": "dict[str, int]"}
# A function's name says nothing of what it does: whoever writes it must read the task.
VERBS = ("bring", "do", "find", "get", "give", "make", "read", "run", "send", "show", "take", "work")
ITEMS = ("item", "entry", "one", "each", "x", "v")
NOUNS = (
    *("apple", "basket", "bridge", "candle", "cloud", "coin", "field", "garden", "harbor", "island", "ladder", "lamp"),
    *("market", "meadow", "mirror", "orange", "paper", "pocket", "river", "road", "shelf", "signal", "silver", "stone"),
    *(
        "summer",
        "table",
        "ticket",
        "tower",
        "train",
        "tunnel",
        "valley",
        "village",
        "wagon",
        "water",
        "window",
        "winter",
    ),
)
SMALL = tuple(range(2, 60))
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
NUM_CASES = 6
Constants = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A kind of function: how it is asked for, how it is written, and what it gives.

    params: what each parameter holds, a key of `NAMES`. constants: what each may be. tasks, idea, trap, body: templates
    with `{p}`, `{q}` for the parameters, `{i}` for a loop's variable and the constants by name; idea and trap are for
    textbook pages. answer: what the body gives, computed by a second implementation, from the arguments and the
    constants. inputs: arguments at random. edges: arguments that must be among the cases, as they tell the function
    from its near misses. allowed: which constants go together.
    """

    name: str
    kind: str
    params: tuple[str, ...]
    constants: Mapping[str, Sequence]
    tasks: tuple[str, ...]
    body: str
    answer: Callable[..., Any]
    inputs: Callable[[np.random.Generator, Constants], tuple]
    idea: str
    trap: str
    edges: Callable[[Constants], Sequence[tuple]] = lambda constants: ()
    allowed: Callable[[Constants], bool] = lambda constants: True

    def choices(self) -> list[dict[str, Any]]:
        """All constants that go together, in order."""
        rows = (dict(zip(self.constants, values, strict=True)) for values in product(*self.constants.values()))
        return [row for row in rows if self.allowed(row)]


@dataclass(frozen=True)
class Exercise:
    """One function that is asked for, with its answer and the cases that judge any other answer."""

    family: str
    kind: str
    key: str
    name: str
    params: tuple[str, ...]
    annotations: tuple[str, ...]
    task: str
    body: str
    idea: str
    trap: str
    cases: tuple[Case, ...]

    @property
    def header(self) -> str:
        """The line that the function starts with."""
        return f"def {self.name}({', '.join(self.params)}):"

    @property
    def source(self) -> str:
        """The function as the family writes it."""
        return f"{self.header}\n    return {self.body}\n"

    @property
    def exercise_id(self) -> str:
        """16 hexadecimal digits of everything but the cases."""
        parts = (self.family, self.key, self.header, self.task, self.body)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]

    def candidate(self, program: str | None = None) -> Candidate:
        """A program, the family's own by default, to be judged by the cases."""
        return Candidate(self.source if program is None else program, self.name, self.cases)


def make(family: Family, constants: Constants, random: np.random.Generator) -> Exercise:
    """The exercise of `family` with these constants; names, wording and cases are drawn."""
    names: list[str] = []
    for held in family.params:
        names.append(pick(random, [name for name in NAMES[held] if name not in names]))
    item = pick(random, ITEMS)
    words = {"p": names[0], "q": names[-1], "i": item, **constants}
    return Exercise(
        family=family.name,
        kind=family.kind,
        key=key_of(family, constants),
        name=f"{pick(random, VERBS)}_{pick(random, NOUNS)}",
        params=tuple(names),
        annotations=tuple(ANNOTATIONS[held] for held in family.params),
        task=pick(random, family.tasks).format_map(words),
        body=family.body.format_map(words),
        idea=family.idea.format_map(words),
        trap=family.trap.format_map(words),
        cases=make_cases(family, constants, random),
    )


def key_of(family: Family, constants: Constants) -> str:
    """What an exercise computes, whatever it is called: the family and its constants."""
    return f"{family.name}:{','.join(f'{name}={value!r}' for name, value in constants.items())}"


def make_cases(family: Family, constants: Constants, random: np.random.Generator) -> tuple[Case, ...]:
    """`NUM_CASES` cases with different arguments and at least two different values: first the edges, then at random."""
    found: dict[str, Case] = {}

    def add(args: tuple) -> None:
        found.setdefault(repr(args), Case(args, family.answer(*args, **constants)))

    for args in family.edges(constants):
        add(args)
    # A function that always gives the same must not pass.
    while len(found) < NUM_CASES or len({repr(case.expected) for case in found.values()}) < 2:
        add(family.inputs(random, constants))
    cases = list(found.values())
    return tuple(cases[: NUM_CASES - 1] + cases[-1:])


def pick(random: np.random.Generator, among: Sequence) -> Any:
    """One of a sequence, each as likely; not numpy's own kind of value."""
    return among[int(random.integers(len(among)))]
