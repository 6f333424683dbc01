"""Reads the rules of rules.toml and refuses what is not sound, naming the file, the rule and a way out."""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import polars as pl
import re2

from opencoder_lib.errors import CookbookError, did_you_mean
from opencoder_lib.refine.pii import secret_checks as _registered  # noqa: F401
from opencoder_lib.refine.pii.checks import CHECKS, Check, Words

SHIPPED = Path(__file__).with_name("rules.toml")
FILE_KEYS = ("placeholder", "part", "words", "rule")
NEEDED = ("id", "kind", "pattern", "why", "replaces", "keeps")
RULE_KEYS = (*NEEDED, "hints", "hint_pattern", "checks", "languages")
# {+} is nothing: it parts what a scanner of repositories would take for a secret.
JOINT = "{+}"
_PART = re.compile(r"\{\{(\w+)\}\}")


class PiiRuleError(CookbookError):
    """A file of rules for personal data that cannot be used."""

    exit_code = 2


@dataclass(frozen=True)
class Example:
    """A text and what redaction makes of it."""

    before: str
    after: str


@dataclass(frozen=True)
class PiiRule:
    """What to look for, where, and what else must hold.

    hint: an expression for Rust's regex that a file must match to be searched; empty: all are searched.
    languages: those of the file in which the rule holds; none: all. groups, name: numbers of the groups of the pattern
    that may be the value, and of the one that is the name it is assigned to (0: none).
    """

    id: str
    kind: str
    placeholder: str
    why: str
    hint: str
    languages: frozenset[str]
    checks: tuple[Check, ...] = field(repr=False)
    pattern: str = field(repr=False)
    groups: tuple[int, ...] = field(repr=False)
    name: int = field(repr=False)
    replaces: tuple[Example, ...] = field(repr=False)
    keeps: tuple[str, ...] = field(repr=False)

    @property
    def example_language(self) -> str:
        """A language in which the rule holds."""
        return min(self.languages, default="text")


@dataclass(frozen=True)
class PiiRules:
    """Rules in the order in which they claim a place, the word lists of their checks, and the placeholders by kind."""

    rules: tuple[PiiRule, ...]
    words: Words = field(repr=False)
    placeholders: dict[str, str]

    def __iter__(self):
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


@cache
def load_pii_rules(path: Path | str = SHIPPED) -> PiiRules:
    """The rules of a TOML file, those of the library by default. Raises PiiRuleError."""
    path = Path(path)
    table = _table(path)
    words = {name: frozenset(text.split()) for name, text in table.get("words", {}).items()}
    rules = []
    for entry in table.get("rule", []):
        where = f"{path.name}: rule {entry.get('id') or len(rules) + 1}"
        if entry.get("id") in [rule.id for rule in rules]:
            raise PiiRuleError(f"{where}: the id is used twice. Choose another.")
        rules.append(_rule(entry, table, where))
    if not rules:
        raise PiiRuleError(f"{path.name} has no [[rule]].")
    return PiiRules(tuple(rules), words, dict(table["placeholder"]))


def compiled(pattern: str) -> re2._Regexp:
    """The pattern for RE2. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    # Beyond its limit of memory RE2 falls back to a slower, still linear engine.
    options.max_mem = 64 << 20
    return re2.compile(pattern.encode(), options)


def unjointed(text: str) -> str:
    """The text without the joints that keep scanners of repositories quiet."""
    return text.replace(JOINT, "")


def _table(path: Path) -> dict:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PiiRuleError(f"{path}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PiiRuleError(f"{path.name} is not TOML: {error}") from None
    if strange := [key for key in table if key not in FILE_KEYS]:
        raise PiiRuleError(f"{path.name}: unknown key {strange[0]!r}.{did_you_mean(strange[0], FILE_KEYS)}")
    if not isinstance(table.get("placeholder"), dict):
        raise PiiRuleError(f"{path.name} lacks [placeholder], a table of kinds and what stands in for each.")
    return table


def _rule(entry: dict, table: dict, where: str) -> PiiRule:
    if strange := [key for key in entry if key not in RULE_KEYS]:
        raise PiiRuleError(f"{where} has an unknown key {strange[0]!r}.{did_you_mean(strange[0], RULE_KEYS)}")
    for key in NEEDED:
        if not entry.get(key):
            example = {"replaces": " Give a text it finds and the result.", "keeps": " Give a near miss it leaves."}
            raise PiiRuleError(f"{where} lacks {key!r}.{example.get(key, '')}")
    if entry["kind"] not in table["placeholder"]:
        near = did_you_mean(entry["kind"], table["placeholder"])
        raise PiiRuleError(f"{where}: no placeholder for the kind {entry['kind']!r}.{near}")
    for name in entry.get("checks", []):
        if name not in CHECKS:
            raise PiiRuleError(f"{where} names an unknown check {name!r}.{did_you_mean(name, CHECKS)}")
    pattern, groups, name = _pattern(entry["pattern"], table.get("part", {}), where)
    return PiiRule(
        **{key: entry[key] for key in ("id", "kind", "why")},
        placeholder=table["placeholder"][entry["kind"]],
        hint=_hint(entry, where),
        languages=frozenset(_strings(entry.get("languages", []), "languages", where)),
        checks=tuple(CHECKS[name] for name in entry.get("checks", [])),
        pattern=pattern,
        groups=groups,
        name=name,
        replaces=tuple(_example(given, where) for given in entry["replaces"]),
        keeps=tuple(map(unjointed, _strings(entry["keeps"], "keeps", where))),
    )


def _pattern(given: str, parts: dict[str, str], where: str) -> tuple[str, tuple[int, ...], int]:
    """The pattern with its parts put in, the numbers of its value groups, and that of its name group (0: none)."""

    def part(match: re.Match) -> str:
        if match[1] not in parts:
            raise PiiRuleError(f"{where} uses an unknown part {match[1]!r}.{did_you_mean(match[1], parts)}")
        return parts[match[1]]

    pattern = _PART.sub(part, given)
    try:
        known = compiled(pattern).groupindex
    except re2.error as error:
        said = str(error.args[0].decode() if isinstance(error.args[0], bytes) else error)
        raise PiiRuleError(
            f"{where}: RE2 refuses its pattern ({said}). It has no look-around and no back-references; use a check."
        ) from None
    groups = {name.decode() if isinstance(name, bytes) else name: number for name, number in known.items()}
    values = tuple(number for name, number in groups.items() if name.startswith("value"))
    if not values:
        raise PiiRuleError(f"{where}: its pattern has no group that is replaced. Name one: (?P<value>...).")
    return pattern, values, groups.get("name", 0)


def _hint(entry: dict, where: str) -> str:
    """The literals of `hints`, one in lower case standing for any case, or `hint_pattern`, as one expression."""
    hints = _strings(entry.get("hints", []), "hints", where)
    if hints and "hint_pattern" in entry:
        raise PiiRuleError(f"{where} has both 'hints' and 'hint_pattern'. Leave one out.")
    literals = "|".join(f"(?i:{re.escape(hint)})" if hint.islower() else re.escape(hint) for hint in hints)
    hint = entry.get("hint_pattern", literals)
    try:
        pl.Series([""]).str.contains(hint)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise PiiRuleError(f"{where}: 'hint_pattern' is no expression for Rust's regex ({error}).") from None
    return f"(?-u){hint}" if hint else ""


def _example(given: object, where: str) -> Example:
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(text, str) for text in given):
        raise PiiRuleError(f"{where}: an entry of 'replaces' is [text, the text redacted].")
    return Example(*map(unjointed, given))


def _strings(given: object, key: str, where: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(text, str) and text for text in given):
        raise PiiRuleError(f"{where}: {key!r} must be a list of texts.")
    return given
