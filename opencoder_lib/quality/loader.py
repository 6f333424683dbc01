"""Reads rulebooks and refuses whatever is not sound: every message names the file, the rule and near matches."""

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from opencoder_lib.errors import did_you_mean
from opencoder_lib.quality import signals as _registered  # noqa: F401
from opencoder_lib.quality.registry import signals_of
from opencoder_lib.quality.rules import CODE_SETS, SETS, THRESHOLDS, Rule, Rulebook, RulebookError, Threshold, scope_of

SHORTHAND = {"code": CODE_SETS, "text": ("text_en", "text_zh")}
FILE_KEYS = ("extends", "scope", "documents", "rule")
OPTIONAL = ("drop_share", "drops_file", "override", "never_fires", "example_set", "replaces", "off", *THRESHOLDS)
NEEDED = ("id", "signal", "sets", "source", "why", "keeps")
RULE_KEYS = (*NEEDED, "official", "drops", *OPTIONAL)


def load_rules(name: str | Path = "released") -> Rulebook:
    """The rulebook called `name` (shipped with the library), or the TOML file or folder at that path.

    Raises RulebookError that names the file, the rule and what was probably meant.
    """
    return _read(str(name), seen=())


def shipped() -> dict[str, Path]:
    """The rulebooks that come with the library, by name."""
    folder = Path(str(package_files("opencoder_lib.quality"))) / "rulebook"
    return {path.stem: path for path in sorted(folder.iterdir()) if path.is_dir() or path.suffix == ".toml"}


@dataclass
class _Draft:
    """Entries read so far, in order, and the named documents their examples may use."""

    entries: dict[str, dict] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)


def _read(name: str, seen: tuple[str, ...]) -> Rulebook:
    draft = _draft(name, seen)
    rules = [_rule(entry, draft.documents) for entry in draft.entries.values()]
    return Rulebook(Path(name).stem, tuple(rule for rule in rules if rule.thresholds))


def _draft(name: str, seen: tuple[str, ...]) -> _Draft:
    path = shipped().get(name) or Path(name)
    if str(path) in seen:
        raise RulebookError(f"{path.name}: rulebooks extend each other in a circle: {' -> '.join(seen)} -> {path}.")
    if not path.exists():
        raise RulebookError(f"There is no rulebook {name!r}: no such file or folder.{did_you_mean(name, shipped())}")
    draft = _Draft()
    parts = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    for part in parts:
        table = _toml(part)
        if "extends" in table:
            base = _draft(table["extends"], (*seen, str(path)))
            _merge(draft, base.entries.values(), base.documents, part.name)
        _merge(draft, _entries(part, table), table.get("documents", {}), part.name)
    return draft


def _toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulebookError(f"{path.name} is not TOML: {error}") from None
    if strange := [key for key in table if key not in FILE_KEYS]:
        raise RulebookError(f"{path.name}: unknown key {strange[0]!r}.{did_you_mean(strange[0], FILE_KEYS)}")
    return table


def _entries(path: Path, table: dict) -> list[dict]:
    scope = table.get("scope", path.stem)
    return [{"_file": path.name, "_scope": scope, **entry} for entry in table.get("rule", [])]


def _merge(draft: _Draft, entries, documents: dict[str, str], file: str) -> None:
    """Append entries; one with `replaces = true` takes the place of its namesake and inherits what it leaves out."""
    draft.documents |= documents
    for entry in entries:
        identity = entry.get("id")
        if not isinstance(identity, str) or not identity:
            raise RulebookError(f"{file}: a rule has no id (signal {entry.get('signal')!r}).")
        known = draft.entries.get(identity)
        if entry.get("replaces"):
            if known is None:
                raise RulebookError(f"{file}: {identity} replaces nothing.{did_you_mean(identity, draft.entries)}")
            entry = _inherit(known, entry)
        elif known is not None:
            raise RulebookError(
                f"{file}: the id {identity!r} is already used in {known['_file']}. "
                "Choose another, or say replaces = true."
            )
        draft.entries[identity] = entry


def _inherit(base: dict, entry: dict) -> dict:
    """`base` with the keys of `entry`; a new threshold replaces the old one and its overrides."""
    if any(key in entry for key in THRESHOLDS):
        base = {key: value for key, value in base.items() if key not in (*THRESHOLDS, "override")}
    if "drops" in entry or "never_fires" in entry:
        base = {key: value for key, value in base.items() if key not in ("drops", "drops_file", "never_fires")}
    return {**base, **entry, "_scope": base["_scope"]}


def _rule(entry: dict, documents: dict[str, str]) -> Rule:
    """A checked rule. Raises RulebookError."""
    where = f"{entry['_file']}: {entry['id']}"
    for key in entry:
        if not key.startswith("_") and key not in RULE_KEYS:
            raise RulebookError(f"{where} has an unknown key {key!r}.{did_you_mean(key, RULE_KEYS)}")
    for key in NEEDED:
        if not entry.get(key):
            raise RulebookError(f"{where} lacks {key!r}." + (" Give a near miss it keeps." if key == "keeps" else ""))
    if ("drops" in entry) == ("never_fires" in entry):
        raise RulebookError(f"{where} needs either 'drops', a document it removes, or 'never_fires', why none exists.")
    sets = _sets(entry, where)
    for check in (_check_signal, _check_official):
        for name in sets:
            check(entry, name, where)
    share = entry.get("drop_share", 1.0)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise RulebookError(f"{where}: drop_share must be above 0 and at most 1, not {share!r}.")
    example_set = entry.get("example_set", sets[0])
    if example_set not in sets:
        raise RulebookError(
            f"{where}: example_set {example_set!r} is not among its sets.{did_you_mean(example_set, sets)}"
        )
    return Rule(
        thresholds=_thresholds(entry, sets, where),
        sets=sets,
        drops=_example(entry["drops"], documents, where) if "drops" in entry else None,
        keeps=_example(entry["keeps"], documents, where),
        never_fires=entry.get("never_fires", ""),
        drop_share=float(share),
        group=entry["_scope"],
        example_set=example_set,
        drops_file=entry.get("drops_file", ""),
        official=entry.get("official", ""),
        replaces=bool(entry.get("replaces")),
        **{key: entry[key] for key in ("id", "signal", "source", "why")},
    )


def _sets(entry: dict, where: str) -> tuple[str, ...]:
    """The sets named by a rule, `code` and `text` spelt out."""
    found = []
    for name in entry["sets"]:
        if name not in SETS and name not in SHORTHAND:
            raise RulebookError(f"{where} names an unknown set {name!r}.{did_you_mean(name, (*SETS, *SHORTHAND))}")
        found.extend(SHORTHAND.get(name, (name,)))
    return tuple(dict.fromkeys(found))


def _check_signal(entry: dict, rule_set: str, where: str) -> None:
    known = signals_of(scope_of(rule_set))
    if entry["signal"] not in known:
        near = did_you_mean(entry["signal"], known)
        raise RulebookError(f"{where}: files of set {rule_set!r} have no signal {entry['signal']!r}.{near}")


def _check_official(entry: dict, rule_set: str, where: str) -> None:
    """`official` is the signal's name in the release, `{set}` standing for the set.

    A signal of our own has no such name; a rule on it that replaces another keeps the other's.
    """
    official = signals_of(scope_of(rule_set))[entry["signal"]].official
    if official and entry.get("official", "").replace("{set}", rule_set) != official:
        raise RulebookError(
            f"{where}: in the set {rule_set!r} the signal is officially {official}, not {entry.get('official')!r}."
        )


def _thresholds(entry: dict, sets: tuple[str, ...], where: str) -> dict[str, Threshold]:
    """The live threshold of each set, overrides applied."""
    overrides = entry.get("override", {})
    if strange := [name for name in overrides if name not in sets]:
        raise RulebookError(
            f"{where}: override for {strange[0]!r}, which is none of its sets.{did_you_mean(strange[0], sets)}"
        )
    if entry.get("off"):
        return {}
    common = _threshold(entry, where)
    found = {}
    for name in sets:
        change = overrides.get(name, {})
        if strange := [key for key in change if key not in (*THRESHOLDS, "off")]:
            near = did_you_mean(strange[0], (*THRESHOLDS, "off"))
            raise RulebookError(f"{where}: override for {name!r} has an unknown key {strange[0]!r}.{near}")
        if not change.get("off"):
            found[name] = _threshold(change, f"{where}, override for {name!r},") if change else common
    return found


def _threshold(entry: dict, where: str) -> Threshold:
    given = [key for key in THRESHOLDS if key in entry]
    if len(given) != 1:
        raise RulebookError(
            f"{where} needs exactly one of {', '.join(THRESHOLDS)}; it has {', '.join(given) or 'none'}."
        )
    kind, value = given[0], entry[given[0]]
    numbers = value if kind == "drop_outside" and isinstance(value, list) else [value]
    if not all(isinstance(n, (int, float)) and (kind == "drop_if" or not isinstance(n, bool)) for n in numbers):
        raise RulebookError(f"{where}: {kind} must be a number, not {value!r}.")
    if kind == "drop_outside":
        if len(numbers) != 2 or not isinstance(value, list) or numbers[0] >= numbers[1]:
            raise RulebookError(f"{where}: drop_outside must be [low, high] with low < high, not {value!r}.")
        return Threshold(kind, (float(numbers[0]), float(numbers[1])))
    return Threshold(kind, float(value))


def _example(given: Any, documents: dict[str, str], where: str) -> str:
    """The text of an example: a string, {repeat, times}, {document}, or a list of these, joined."""
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return "".join(_example(part, documents, where) for part in given)
    if isinstance(given, dict) and set(given) == {"repeat", "times"}:
        return given["repeat"] * given["times"]
    if isinstance(given, dict) and set(given) == {"document"}:
        name = given["document"]
        if name not in documents:
            raise RulebookError(f"{where} uses an unknown document {name!r}.{did_you_mean(name, documents)}")
        return documents[name]
    raise RulebookError(
        f"{where}: an example is text, {{repeat, times}}, {{document}} or a list of these, not {given!r}."
    )
