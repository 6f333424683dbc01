"""The book's chapters: which notebooks there are, what each needs, with which parameters it runs.

A chapter describes itself: its id is the notebook's file name, `metadata.cookbook.needs` names the chapters it
reads, its parameters cell holds the toy profile. profiles.toml and -p only override; a name that is no
parameter is an error before anything runs, because papermill itself would ignore it.
"""

import ast
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from opencoder_lib.chapter import read_parameters
from opencoder_lib.errors import ConfigError, InputError, did_you_mean
from opencoder_lib.store import Store

PACKAGE = Path(__file__).resolve().parent.parent
RUNNER_SETTINGS = ("what", "jobs", "timeout_minutes", "chapters")


@dataclass(frozen=True)
class Project:
    """A checkout seen through one profile. `library` is the package the notebooks import."""

    root: Path
    profile: str
    library: Path = PACKAGE

    @property
    def build(self) -> Path:
        """build/<profile>, the only folder the tools write to."""
        return self.root / "build" / self.profile

    @property
    def store(self) -> Store:
        """The artifacts of this profile."""
        return Store(self.root, self.profile)

    def settings(self) -> dict[str, Any]:
        """The profile's table in profiles.toml. Raises ConfigError on an unknown profile or setting."""
        table = read_profiles(self.library)
        if self.profile not in table:
            raise ConfigError(f"There is no profile {self.profile!r}.{did_you_mean(self.profile, table)}")
        found = table[self.profile]
        for name in found:
            if name not in RUNNER_SETTINGS:
                raise ConfigError(
                    f"profiles.toml: [{self.profile}] has no setting {name!r}.{did_you_mean(name, RUNNER_SETTINGS)}"
                )
        return found


@dataclass(frozen=True)
class Card:
    """One chapter as its notebook describes itself; `defaults` are the literals of its parameters cell."""

    name: str
    path: Path
    needs: tuple[str, ...]
    notebook: dict
    defaults: dict[str, Any]

    @property
    def title(self) -> str:
        """The notebook's first heading."""
        for cell in self.notebook["cells"]:
            for line in source_of(cell).splitlines():
                if cell["cell_type"] == "markdown" and line.startswith("# "):
                    return line[2:].strip()
        return self.name


def source_of(cell: dict) -> str:
    """A cell's text; notebooks store it as one string or as a list of lines."""
    return "".join(cell["source"])


def read_profiles(library: Path = PACKAGE) -> dict[str, dict]:
    """All profiles by name."""
    return tomllib.loads((library / "profiles.toml").read_text(encoding="utf-8"))


def read_card(path: Path) -> Card:
    """The chapter in one notebook. Raises InputError if it is no notebook, ConfigError if it is no chapter."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = notebook["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"notebooks/{path.name} is not a notebook: {error!r}. Restore it from git.") from None
    needs = notebook.get("metadata", {}).get("cookbook", {}).get("needs")
    if not isinstance(needs, list):
        raise ConfigError(
            f'notebooks/{path.name} lacks metadata "cookbook": {{"needs": [...]}}; an empty list is fine.'
        )
    ids = [cell.get("id") for cell in cells]
    if None in ids or len(set(ids)) != len(ids):
        raise ConfigError(f"notebooks/{path.name}: every cell needs an id of its own (nbformat 4.5).")
    try:
        defaults = read_parameters(notebook)
    except ConfigError as error:
        raise ConfigError(f"notebooks/{path.name}: {error}") from None
    return Card(path.stem, path, tuple(needs), notebook, defaults)


def read_cards(root: Path) -> list[Card]:
    """All chapters in an order in which each comes after what it needs. Raises ConfigError on a cycle or unknown
    need."""
    cards = {path.stem: read_card(path) for path in sorted((root / "notebooks").glob("*.ipynb"))}
    if not cards:
        raise ConfigError(f"{root / 'notebooks'} holds no chapter (*.ipynb).")
    for card in cards.values():
        for need in card.needs:
            if need not in cards:
                raise ConfigError(f"{card.name} needs {need!r}, which is no chapter.{did_you_mean(need, cards)}")
    sorter = TopologicalSorter({card.name: card.needs for card in cards.values()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ConfigError(f"Chapters need each other in a circle: {' -> '.join(error.args[1])}.") from None
    order = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return [cards[name] for name in order]


def find_card(cards: Iterable[Card], wanted: str) -> Card:
    """The chapter called `wanted`: its full name or its two digits. Raises ConfigError with near names."""
    cards = list(cards)
    found = [card for card in cards if wanted == card.name or (wanted.isdigit() and card.name[:2] == wanted.zfill(2))]
    if len(found) != 1:
        names = [card.name for card in cards]
        raise ConfigError(f"There is no chapter {wanted!r}.{did_you_mean(wanted, names)}")
    return found[0]


def with_needs(cards: list[Card], wanted: Iterable[Card]) -> list[Card]:
    """The wanted chapters and everything they need, in the order of `cards`."""
    by_name = {card.name: card for card in cards}
    keep: set[str] = set()
    todo = [card.name for card in wanted]
    while todo:
        name = todo.pop()
        if name not in keep:
            keep.add(name)
            todo += by_name[name].needs
    return [card for card in cards if card.name in keep]


def resolve_parameters(
    project: Project, cards: list[Card], assignments: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """The parameters of each chapter: notebook, then profile, then NAME=VALUE assignments.

    An assignment reaches every chapter that has the parameter; 03.NAME=VALUE only chapter 03.
    Raises ConfigError on an unknown chapter or name and on a value of another type than the notebook's.
    """
    overrides: dict[str, dict[str, Any]] = {card.name: {} for card in cards}
    by_name = {card.name: card for card in cards}
    for name, values in project.settings().get("chapters", {}).items():
        place = f'profiles.toml [{project.profile}.chapters."{name}"]'
        if name not in by_name:
            raise ConfigError(f"{place}: there is no such chapter.{did_you_mean(name, by_name)}")
        for key, value in values.items():
            overrides[name][key] = _checked(place, by_name[name], key, value)
    for assignment in assignments:
        for card, key, value in _assigned(assignment, cards):
            overrides[card.name][key] = value
    for card in cards:
        if "profile" in card.defaults:
            overrides[card.name]["profile"] = project.profile
    return {card.name: card.defaults | overrides[card.name] for card in cards}


def _checked(place: str, card: Card, key: str, value: Any) -> Any:
    if key not in card.defaults:
        raise ConfigError(f"{place}: {card.name} has no parameter {key!r}.{did_you_mean(key, card.defaults)}")
    default = card.defaults[key]
    # bool is an int to Python, but seed = true is a slip of the pen.
    fits = default is None or (type(value) is type(default)) or (type(default) is float and type(value) is int)
    if not fits:
        raise ConfigError(
            f"{place}: {key} of {card.name} is {type(default).__name__} (such as {default!r}), "
            f"not {type(value).__name__} {value!r}."
        )
    return value


def _assigned(assignment: str, cards: list[Card]) -> list[tuple[Card, str, Any]]:
    name, equals, text = assignment.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"-p {assignment!r}: write NAME=VALUE, such as -p seed=1.")
    chapter, dot, key = name.strip().rpartition(".")
    chosen = [find_card(cards, chapter)] if dot else [card for card in cards if key in card.defaults]
    if not chosen:
        known = {parameter for card in cards for parameter in card.defaults}
        raise ConfigError(f"-p {assignment}: no chapter has a parameter {key!r}.{did_you_mean(key, known)}")
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        value = text.strip()
    place = f"-p {assignment}"
    if key == "profile":
        raise ConfigError(f"{place}: choose the profile with --profile {text.strip()}.")
    return [(card, key, _checked(place, card, key, value)) for card in chosen]
