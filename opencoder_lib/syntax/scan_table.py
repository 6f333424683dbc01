"""The table of a family of languages as arrays, for the loop in scan_kernel.py.

languages.toml explains the notation: short keys (`line`, `block`, …) stand for rules of one mode, `modes` spells the
rules out. Legend of the arrays:
  first    (modes, 256): the first rule to try at a byte in a mode, or -1; nearly all are -1, so plain text is skipped
  rules    (rules, 10): one row per rule, columns in scan_codes.py; a rule that does not apply hands over to its NEXT
  pool     the bytes of all literals; rules, words and regions point into it by start and end
  words    (n, 2): the words after which a slash opens a regular expression
  tags     (n, 2): the names of the tags whose content is in another language
  regions  (modes, 2): for the content of a tag, the mode it is in and the word that names the tag; else -1
"""

from typing import NamedTuple

import numpy as np

from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.syntax.scan_codes import ACTIONS, CHANGES, DELIMITERS, FLAG_NAMES, GUARDS

SHORT_KEYS = ("line", "block", "one_line", "many_lines", "raw", "raw_line")
SHORT_FLAGS = ("takes_newline", "nested", "closed_block", "characters")
KEYS = {"languages", "words", "tags", "uses", "modes", "closed", *SHORT_KEYS, *SHORT_FLAGS}


class Table(NamedTuple):
    """The arrays of one family."""

    first: np.ndarray
    rules: np.ndarray
    pool: np.ndarray
    words: np.ndarray
    tags: np.ndarray
    regions: np.ndarray


def table_of(family: dict, families: dict[str, dict]) -> Table:
    """The arrays of a family; `families`: all of them by language, for one that uses another. Raises ConfigError."""
    if strange := set(family) - KEYS:
        raise ConfigError(f"languages.toml: unknown key {min(strange)!r}.{did_you_mean(min(strange), KEYS)}")
    modes = dict(family.get("modes") or {"code": short_rules(family)})
    used = families[family["uses"]] if "uses" in family else family
    for name, rows in used.get("modes", {}).items():
        modes.setdefault(name, rows)
    names = list(modes)
    pool = bytearray()

    def put(literal: str) -> tuple[int, int]:
        start = len(pool)
        pool.extend(literal.encode())
        return start, len(pool)

    first, rules = np.full((len(names), 256), -1, np.int16), []
    for mode, name in enumerate(names):
        # The longest literal is tried first, else the order of the table counts.
        rows = sorted(_expanded(modes, name), key=lambda row: -len(row[1].encode()))
        for row in reversed(rows):
            # A rule without a literal stands at the end of every chain.
            heads = row[1].encode()[:1] or range(256)
            for head in heads:
                rules.append([*_rule(row, names, put), first[mode, head]])
                first[mode, head] = len(rules) - 1
    words, tags = ([put(word) for word in of.get(key, [])] for of, key in ((used, "words"), (family, "tags")))
    regions = np.full((len(names), 2), -1)
    for mode, name in enumerate(names):
        for row in modes[name]:
            if row[0] == "region":
                regions[mode] = [names.index(row[2]), family["tags"].index(row[1])]
    return Table(
        first,
        np.array(rules, np.int64).reshape(-1, 10),
        np.frombuffer(bytes(pool), np.uint8),
        np.array(words, np.int64).reshape(-1, 2),
        np.array(tags, np.int64).reshape(-1, 2),
        regions,
    )


def _expanded(modes: dict[str, list], name: str) -> list[list]:
    """The rules of a mode, with those of the modes it includes."""
    rows = []
    for row in modes[name]:
        if row[0] == "include":
            rows += _expanded(modes, row[1])
        elif row[0] != "region":
            rows.append(row)
    return rows


def _rule(row: list, names: list[str], put) -> list[int]:
    """The columns of a rule but the last."""
    kind, literal, *rest = row
    close, guard, flags, change, target = (0, 0), 0, 0, 0, -1
    if kind == "until":
        close = put(rest.pop(0))
    elif kind == "tag":
        target = names.index(rest.pop(0))
    elif kind == "delimited":
        target = DELIMITERS.index(rest.pop(0))
    for word in rest:
        name, _, mode = word.partition(":")
        if word in FLAG_NAMES:
            flags |= 1 << FLAG_NAMES.index(word)
        elif word in GUARDS:
            guard = GUARDS.index(word)
        elif name in CHANGES:
            change, target = CHANGES.index(name), names.index(mode) if mode else target
        else:
            known = {*FLAG_NAMES, *GUARDS, *CHANGES}
            raise ConfigError(f"languages.toml: unknown word {word!r} in {row}.{did_you_mean(word, known)}")
    if kind not in ACTIONS:
        raise ConfigError(f"languages.toml: unknown action {kind!r} in {row}.{did_you_mean(kind, set(ACTIONS))}")
    return [*put(literal), guard, ACTIONS.index(kind), *close, flags, change, target]


def short_rules(family: dict) -> list[list]:
    """The rules that the short keys of a family stand for."""
    line, block = family.get("line", []), family.get("block", [])
    newline = ["takes_newline"] if family.get("takes_newline") else []
    block_flags = ["nested"] * bool(family.get("nested")) + ["closed"] * bool(family.get("closed_block"))
    rules = [["until", *pair, "comment", *block_flags] for pair in block]
    rules += [["line", marker, "comment", *newline] for marker in line]
    kinds = {"one_line": ["escapes", "ends_with_line"], "many_lines": ["escapes"], "raw": []}
    kinds["raw_line"] = ["ends_with_line"]
    for key, flags in kinds.items():
        for mark in family.get(key, []):
            rules.append(["until", mark, mark, *flags, *(["closed"] if mark in family.get("closed", []) else [])])
    if rules and family.get("characters"):
        rules.append(["character", "'"])
    return rules
