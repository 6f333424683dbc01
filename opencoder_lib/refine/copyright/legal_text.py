"""Which lines of a comment are a copyright or licence notice; phrases.toml has the words.

A line is legal when it names a holder or a licence, or when a sentence of a licence runs over it. From there a notice
spreads within its paragraph: to the rest of a sentence, to addresses and authors next to it, to lines between two legal
ones. Everything else, and every other paragraph, is documentation.
"""

import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.resources import files as package_files
from itertools import pairwise
from typing import NamedTuple

WORD = re.compile(r"[^\W_]+")
LIST_ITEM = re.compile(r"\W*(?:\(?[0-9a-zA-Z]{1,2}[.):]|[-*+o]\s)")
# `@version 1.2`, `Text Domain: x`, `name.js`: such a line says something of its own; no notice spreads over it.
FIELD = re.compile(r"\W*(?:[@\\]\w+|[A-Z][\w-]*(?: [\w-]+)?\s*:\s|[\w./-]+\.\w{1,5}$)")
SENTENCE_END = (".", "!", "?", ":", ";")
# A line shorter than this was ended by its writer, not by the margin.
WRAPPED = 50
# So many paragraphs are remembered, none longer than so many characters.
REMEMBERED, REMEMBERED_CHARS = 4096, 4000
# So many characters of a line are compared with the expressions.
MATCHED = 300
# So many other lines between two legal ones still belong to a sentence of the notice.
PROSE_GAP, HOLDER_GAP = 6, 1


class Phrases(NamedTuple):
    """The table, ready for use; phrases by their first word."""

    words: list[str]
    any_word: re.Pattern
    copyright: re.Pattern
    licence: re.Pattern
    author: re.Pattern
    address: re.Pattern
    heading: re.Pattern
    sentences: dict[str, tuple[str, ...]]
    beside: dict[str, tuple[str, ...]]


@cache
def phrases() -> Phrases:
    """The table of phrases.toml."""
    table = tomllib.loads(
        (package_files("opencoder_lib.refine.copyright") / "phrases.toml").read_text(encoding="utf-8")
    )
    lines = {name: re.compile("|".join(patterns)) for name, patterns in table["lines"].items()}
    sentences = [phrase for group in table["licence"].values() for phrase in group]
    any_word = re.compile("|".join(re.escape(word) for word in table["words"]), re.IGNORECASE)
    return Phrases(
        table["words"], any_word, **lines, sentences=_index(sentences), beside=_index(table["beside"]["phrases"])
    )


def _index(sentences: list[str]) -> dict[str, tuple[str, ...]]:
    index: dict[str, list[str]] = {}
    for sentence in sentences:
        index.setdefault(sentence.split(" ", 1)[0], []).append(sentence)
    return {word: tuple(found) for word, found in index.items()}


def legal_lines(contents: list[str]) -> list[bool]:
    """Whether each line of a comment belongs to a notice.

    contents: the lines without marks and decoration; an empty one, and one that is to stay whatever it says, ends a
    paragraph. Lines outside paragraphs are never legal.
    """
    paragraphs = [_Paragraph(contents, a, b) for a, b in _paragraph_bounds(contents)]
    certain = [bool(paragraph.prose or paragraph.holders) for paragraph in paragraphs]
    legal = [False] * len(contents)
    listed = False
    for at, paragraph in enumerate(paragraphs):
        if any(certain[max(at - 1, 0) : at + 2]):
            paragraph.mark_beside()
        if listed and LIST_ITEM.match(paragraph.lines[0]):
            paragraph.prose.update(range(len(paragraph.lines)))
        found = paragraph.spread()
        listed = bool(found) and (paragraph.lines[-1].endswith(":") or bool(LIST_ITEM.match(paragraph.lines[0])))
        for line in found:
            legal[paragraph.start + line] = True
    return legal


def _paragraph_bounds(contents: list[str]) -> list[tuple[int, int]]:
    bounds, start = [], None
    for at, content in enumerate([*contents, ""]):
        if content and start is None:
            start = at
        elif not content and start is not None:
            bounds.append((start, at))
            start = None
    return bounds


class _Paragraph:
    """The lines of a paragraph, and which of them name a holder or are prose of a licence."""

    def __init__(self, contents: list[str], start: int, end: int):
        self.start, self.lines = start, contents[start:end]
        prose, holders = _remembered(_certain, self.lines)
        self.prose, self.holders = set(prose), holders

    def mark_beside(self) -> None:
        """Take what belongs to a notice only next to one."""
        self.prose |= _remembered(_beside, self.lines)

    def spread(self) -> set[int]:
        """All legal lines: those marked, and those that belong to them."""
        found = self.prose | self.holders
        if not found:
            return found
        for at in self._reached(found):
            if at not in found and not FIELD.match(self.lines[at][:MATCHED]):
                found.add(at)
        for at in range(1, len(self.lines)):
            if at - 1 in found and at not in found and self._goes_on(at):
                found.add(at)
        for at in range(len(self.lines) - 2, -1, -1):
            if at + 1 in found and at not in found and self._leads_to(at):
                found.add(at)
        return found

    def _reached(self, found: set[int]) -> set[int]:
        """The lines between two legal ones, and all below one where most of the paragraph is licence."""
        ordered, between = sorted(found), set()
        for a, b in pairwise(ordered):
            if b - a - 1 <= (PROSE_GAP if a in self.prose and b in self.prose else HOLDER_GAP):
                between.update(range(a + 1, b))
        if self._mostly_licence():
            between.update(range(ordered[0], len(self.lines)))
        return between

    def _mostly_licence(self) -> bool:
        return 2 * len(self.prose) > len(self.lines)

    def _goes_on(self, at: int) -> bool:
        """Whether a line carries on the legal line before it."""
        before, line = self.lines[at - 1], self.lines[at]
        if phrases().author.search(line[:MATCHED]) or phrases().address.search(line[:MATCHED]):
            return True
        if before.endswith(SENTENCE_END) or FIELD.match(line[:MATCHED]):
            return False
        if at - 1 in self.holders:
            return line[0].islower() or before.endswith((",", " and", " by", " of", "&"))
        return line[0].islower() or len(before) >= WRAPPED

    def _leads_to(self, at: int) -> bool:
        """Whether a line begins what the legal line after it carries on."""
        line, after = self.lines[at], self.lines[at + 1]
        if phrases().author.search(line[:MATCHED]):
            return True
        unfinished = len(line) >= WRAPPED and not line.endswith(SENTENCE_END) and not FIELD.match(line[:MATCHED])
        return unfinished and (after[0].islower() or self._mostly_licence())


def _remembered(marks: Callable, lines: list[str]):
    """What `marks` finds in a paragraph; for all but huge ones it is looked up, because notices are repeated."""
    small = sum(map(len, lines)) <= REMEMBERED_CHARS
    return (marks if small else marks.__wrapped__)(tuple(lines))


@lru_cache(maxsize=REMEMBERED)
def _certain(lines: tuple[str, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """The lines that are prose of a licence, and those that name a holder."""
    table = phrases()
    prose, holders = _lines_with(lines, table.sentences), set()
    for at, line in enumerate(lines):
        if not table.any_word.search(line):
            continue
        if table.copyright.search(line[:MATCHED]):
            holders.add(at)
        elif table.licence.search(line[:MATCHED]):
            prose.add(at)
    return frozenset(prose), frozenset(holders)


@lru_cache(maxsize=REMEMBERED)
def _beside(lines: tuple[str, ...]) -> frozenset[int]:
    """The lines that belong to a notice if there is one."""
    heading = phrases().heading
    headings = {at for at, line in enumerate(lines) if heading.search(line[:MATCHED])}
    return frozenset(_lines_with(lines, phrases().beside) | headings)


def _lines_with(lines: Sequence[str], index: dict[str, tuple[str, ...]]) -> set[int]:
    """The lines that a phrase stands on, from its first word to its last; the last may go on (`warrant`)."""
    places = [(word, at) for at, line in enumerate(lines) for word in WORD.findall(line.lower())]
    text, found, offset = " ".join(word for word, _ in places), set(), 0
    for at, (word, line) in enumerate(places):
        for phrase in index.get(word, ()):
            if text.startswith(phrase, offset):
                found.update(range(line, places[at + phrase.count(" ")][1] + 1))
        offset += len(word) + 1
    return found
