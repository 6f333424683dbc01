"""What the paper reports: every number lives in paper.toml with its section and status.

`fact("fuzzy.frac_removed")` returns one of them; prose, figures and the scoreboard take it from here, so a
reported number is typed exactly once.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files

from opencoder_lib.errors import ConfigError, did_you_mean

STATUSES = ("stated", "derived", "assumed", "released")


@dataclass(frozen=True)
class Fact:
    """One reported value: `status` is stated (in the paper), released (in the official code or cards), derived
    (arithmetic on those) or assumed (ours, where the paper is silent, with the reason in `note`)."""

    key: str
    what: str
    value: float | int | str | list
    unit: str
    section: str
    status: str
    note: str = ""

    @property
    def text(self) -> str:
        """The value as a reader wants it: shares in percent, large numbers with separators, unit behind."""
        return format_value(self.value, self.unit)


def format_value(value, unit: str = "") -> str:
    """A number in words: unit 'share' prints as percent, others with thousands separators and the unit."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value} {unit}".strip()
    if unit == "share":
        return f"{100 * value:.3g} %"
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{number} {unit}".strip()


@cache
def facts() -> dict[str, Fact]:
    """All reported values by key. Raises ConfigError on an entry without section or with an unknown status."""
    table = tomllib.loads((package_files("opencoder_lib") / "paper.toml").read_text(encoding="utf-8"))
    found = {}
    for group, entries in table.items():
        for name, entry in entries.items():
            key = f"{group}.{name}"
            missing = [need for need in ("what", "value", "section", "status") if need not in entry]
            if missing or entry["status"] not in STATUSES:
                raise ConfigError(f"paper.toml: {key} lacks {missing} or has a status other than {STATUSES}.")
            if entry["status"] == "assumed" and not entry.get("note"):
                raise ConfigError(f"paper.toml: {key} is assumed and must say why in its note.")
            found[key] = Fact(
                key=key,
                unit=entry.get("unit", ""),
                note=entry.get("note", ""),
                **{name: entry[name] for name in ("what", "value", "section", "status")},
            )
    return found


def fact(key: str) -> Fact:
    """The reported value called `key`, e.g. 'exact.frac_removed'. Raises ConfigError with near names."""
    if key not in facts():
        raise ConfigError(f"paper.toml has no value {key!r}.{did_you_mean(key, facts())}")
    return facts()[key]
