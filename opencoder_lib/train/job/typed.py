"""Tables of TOML as typed dataclasses: nothing unknown, nothing of another type, nothing missing."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from opencoder_lib.errors import ConfigError, did_you_mean


def apply_change(table: dict[str, Any], change: str) -> None:
    """Set what 'section.key=value' names in a table read from TOML; value in TOML, or else plain text."""
    name, found, text = change.partition("=")
    *sections, key = name.strip().split(".")
    if not found or not key:
        raise ConfigError(f"--set {change!r} must read section.key=value, e.g. --set plan.peak=0.01.")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {change!r}: {section} is no section.")
    try:
        table[key] = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        table[key] = text.strip()


def read_table(kind: type, table: Any, name: str = "") -> Any:
    """`table` as the dataclass `kind`. Raises ConfigError that names the key, its value and what it should be."""
    here = f"[{name}]" if name else "The configuration"
    if not isinstance(table, Mapping):
        raise ConfigError(f"{name} = {table!r} must be a section: [{name}].")
    known = get_type_hints(kind)
    values = {}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{here} has no key {key!r}.{did_you_mean(key, known)}")
        values[key] = _value(known[key], value, f"{name}.{key}" if name else key)
    needed = [part.name for part in fields(kind) if part.default is MISSING and part.default_factory is MISSING]
    if missing := [key for key in needed if key not in values]:
        raise ConfigError(f"{here} lacks {', '.join(missing)}.")
    return kind(**values)


def _value(kind: Any, value: Any, name: str) -> Any:
    if isinstance(kind, UnionType):
        kind = next(inner for inner in get_args(kind) if inner is not NoneType)
    if hasattr(kind, "__dataclass_fields__"):
        return read_table(kind, value, name)
    inner = get_args(kind)
    if get_origin(kind) is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} = {value!r} must be sections: [{name}.NAME].")
        return {key: _value(inner[1], part, f"{name}.{key}") for key, part in value.items()}
    if get_origin(kind) is tuple:
        several = inner[-1] is Ellipsis
        if not isinstance(value, list) or (not several and len(value) != len(inner)):
            what = "a list of" if several else f"a list of {len(inner)}"
            raise ConfigError(f"{name} = {value!r} must be {what} {_word(inner[0])}s.")
        return tuple(_value(inner[0], part, f"{name}[{place}]") for place, part in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # In Python a truth value is an integer too; here it is a mistake.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name} = {value!r} must be {_word(kind, article=True)}, not {_word(type(value), True)}.")
    return value


def _word(kind: type, article: bool = False) -> str:
    words = {int: "an integer", float: "a number", str: "a text", bool: "a truth value (true or false)"}
    word = words.get(kind, f"a {kind.__name__}")
    return word if article else word.partition(" ")[2]
