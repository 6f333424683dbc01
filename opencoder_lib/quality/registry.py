"""The register of signals: what each is called, which files have it, what it looks at, when it is null."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.quality.views import Views

# Programs with signals of their own. A text file has the signals of `text`, a code or data file those of `code`, and
# one of these programs also those of its own scope, which win over general ones of the same name.
PROGRAMS = ("python", "c", "cpp", "csharp", "go", "html", "java", "javascript")
SCOPES = ("text", "code", *PROGRAMS)
PREFIX = {"text": "qsc_doc", "code": "qsc_code"} | {name: f"qsc_code{name}" for name in PROGRAMS}
INCLUDES = {"text": ("text",), "code": ("code",)} | {name: ("code", name) for name in PROGRAMS}


@dataclass(frozen=True)
class Signal:
    """A named number per file. `measure` takes the views of a shard and returns one float a file, NaN for null.

    definition: the docstring of `measure`. views: those it reads. null_when: why it may be null. official: its name in
    the release; empty for a signal of our own, which says in `mends` what quirk of an official one it mends. rounded:
    to 8 decimals, as the release does nearly always.
    """

    name: str
    scope: str
    views: tuple[str, ...]
    null_when: str
    official: str
    rounded: bool
    definition: str
    measure: Callable[[Views], np.ndarray]
    mends: str = ""

    def values(self, views: Views) -> list[float | None]:
        """The signal of each file of the shard."""
        found = np.asarray(self.measure(views), np.float64)
        missing = np.isnan(found)
        fractional = self.rounded and (np.floor(found) != found)[~missing].any()
        # Python's round, not numpy's: that multiplies first and misses the last digit.
        digits = [round(value, 8) for value in found.tolist()] if fractional else found.tolist()
        return [None if value != value else value for value in digits] if missing.any() else digits


SIGNALS: dict[tuple[str, str], Signal] = {}


def signal(
    name: str,
    *scopes: str,
    views: tuple[str, ...],
    null_when: str = "",
    official: str | None = None,
    rounded: bool = True,
    mends: str = "",
):
    """Register the decorated function as signal `name` of the files of `scopes`; its docstring is the definition."""

    def register(measure: Callable[[Views], np.ndarray]) -> Callable[[Views], np.ndarray]:
        about = {"null_when": null_when, "official": official, "rounded": rounded, "mends": mends}
        add(name, *scopes, views=views, measure=measure, **about)
        return measure

    return register


def add(name, *scopes, views, measure, null_when="", official=None, rounded=True, definition=None, mends=""):
    """Register `measure` without a decorator, for signals that differ in a number only."""
    for scope in scopes:
        if (scope, name) in SIGNALS:
            raise ConfigError(f"The signal {name!r} of scope {scope!r} is registered twice.")
        text = " ".join((definition or measure.__doc__).split())
        known_as = "" if mends else official or f"{PREFIX[scope]}_{name}"
        SIGNALS[scope, name] = Signal(name, scope, views, null_when, known_as, rounded, text, measure, mends)


def signals_of(scope: str) -> dict[str, Signal]:
    """The signals a file of this scope has, by name, in the order of registration."""
    found: dict[str, Signal] = {}
    for wanted in INCLUDES[scope]:
        found |= {name: entry for (where, name), entry in SIGNALS.items() if where == wanted}
    return found


def signal_names() -> list[str]:
    """All column names of a signal frame, each once."""
    return list(dict.fromkeys(name for _, name in SIGNALS))


def official_signals() -> set[str]:
    """The column names of the signals that the release has; the others mend one of them."""
    return {entry.name for entry in SIGNALS.values() if entry.official}


def find_signal(name: str, scope: str) -> Signal:
    """The signal `name` as files of `scope` have it. Raises ConfigError with near names."""
    known = signals_of(scope)
    if name not in known:
        raise ConfigError(f"Files of scope {scope!r} have no signal {name!r}.{did_you_mean(name, known)}")
    return known[name]
