"""The comments a file starts with, in every syntax of the language table; heads.toml says how they are written.

All positions are in characters. The walk goes from the start of a text to the first thing that is neither a comment nor
allowed to stand before one, so it costs no more than the head is long. What cannot be told apart for certain ends the
head: a block that is never closed, a line comment that a backslash or a bare carriage return might carry on.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files as package_files
from typing import NamedTuple

from opencoder_lib.errors import ConfigError, did_you_mean

KEYS = {"name", "line", "pattern", "block", "nested", "keep", "frames", "indented", "before", "programs"}
# Without the signs at which some programs end a line and others do not, nor a backslash that might carry it on.
LINE = r"(?:[^\r\n\u2028\u2029]*(?<!\\))?(?:\r*\n|\Z)"
SPACE = re.compile(r"\s*")
SHEBANG = re.compile(r"\ufeff?(?:#!(?!\[)[^\r\n]*)?")
INDENTED = re.compile(r"[^\n]*(?:\r*\n(?:[ \t]*\r*\n)*[ \t]+[^\s][^\n]*)*")
DECORATION = re.compile(r"[ \t]*[*#;%/!|+~=:-]*[ \t]*")
TRAILING = " \t\r\n*#;%/!|+~=-"


class Line(NamedTuple):
    """A line of a comment: from `start` to `end` with its line end; what it says, bare, from `text_start`."""

    start: int
    end: int
    text_start: int
    content: str


class Comment(NamedTuple):
    """A block, or line comments on lines that follow each other.

    inner: for a block, where its opening mark ends and its closing mark starts; then the first line starts behind the
    one and the last ends before the other. line_start: where its line starts, if nothing stands before it there.
    """

    start: int
    end: int
    line_start: int | None
    lines: list[Line]
    inner: tuple[int, int] | None


class Block(NamedTuple):
    """A pair of marks; `nesting` finds both, where pairs nest."""

    opener: str
    closer: str
    nesting: re.Pattern | None


class Syntax(NamedTuple):
    """How one program writes what stands at the head of a file."""

    before: re.Pattern | None
    line: re.Pattern | None
    anywhere: re.Pattern | None
    indented: re.Pattern | None
    blocks: tuple[Block, ...]
    keep: tuple[str, ...]
    frames: tuple[str, ...]

    def block_at(self, text: str, at: int) -> tuple[int, int, int] | None:
        """The ends of the opening mark, of what it encloses and of the whole block at a place, if one is there."""
        if self.frames and text.startswith(self.frames, at):
            return None
        for block in self.blocks:
            if text.startswith(block.opener, at):
                inside = at + len(block.opener)
                close = _close(text, inside, block)
                return None if close < 0 else (inside, close, close + len(block.closer))
        return None


def _close(text: str, at: int, block: Block) -> int:
    if block.nesting is None:
        return text.find(block.closer, at)
    depth = 1
    for mark in block.nesting.finditer(text, at):
        depth += 1 if mark[0] == block.opener else -1
        if not depth:
            return mark.start()
    return -1


def head_comments(text: str, syntax: Syntax) -> Iterator[Comment]:
    """The comments before the first code of a text, in order. Directives in blocks (`keep`) are passed over."""
    at = SHEBANG.match(text).end()
    # Where the line at hand starts, while nothing but space stands in it.
    line_start = at if at == text.startswith("\ufeff") else None
    while True:
        space = SPACE.match(text, at).end()
        newline = text.rfind("\n", at, space) + 1
        at, line_start = space, newline or line_start
        if syntax.before and (found := syntax.before.match(text, at)):
            at, line_start = found.end(), None
        elif block := syntax.block_at(text, at):
            inside, close, end = block
            if not (syntax.keep and text.startswith(syntax.keep, at)):
                yield Comment(at, end, line_start, _inner_lines(text, inside, close), (inside, close))
            at, line_start = end, None
        elif comment := _line_comments(text, at, line_start, syntax):
            yield comment
            at = line_start = comment.end
        else:
            return


def _line_comments(text: str, at: int, line_start: int | None, syntax: Syntax) -> Comment | None:
    """The run of line comments, or the indented comment, that begins at `at`."""
    if syntax.indented and (found := syntax.indented.match(text, at)):
        end = INDENTED.match(text, found.end()).end()
        return Comment(at, end, line_start, _inner_lines(text, found.end(), end), (found.end(), end))
    # Behind a block or a `<?php` only marks that need no column count.
    pattern, at = (syntax.anywhere, at) if line_start is None else (syntax.line, line_start)
    lines, start = [], at
    while pattern and at < len(text) and (found := pattern.match(text, at)):
        lines.append(_line(text, at, found.end(), found.end("lead")))
        at, pattern = found.end(), syntax.line
    return Comment(start, at, line_start, lines, None) if lines else None


def _inner_lines(text: str, inside: int, close: int) -> list[Line]:
    lines, at = [], inside
    while True:
        end = text.find("\n", at, close) + 1 or close
        lines.append(_line(text, at, end, at))
        if end == close:
            return lines
        at = end


def _line(text: str, start: int, end: int, lead: int) -> Line:
    text_start = DECORATION.match(text, lead, end).end()
    return Line(start, end, text_start, text[text_start:end].rstrip(TRAILING))


@cache
def _table() -> dict:
    return tomllib.loads((package_files("opencoder_lib.refine.copyright") / "heads.toml").read_text(encoding="utf-8"))


@cache
def is_directive() -> re.Pattern:
    """Matches a line that a program reads, marker and all: a notice must not take it along."""
    return re.compile(r"[^\w\r\n]{0,8}?(?:" + "|".join(_table()["directives"]) + ")")


@cache
def _families() -> dict[str, list[dict]]:
    families: dict[str, list[dict]] = {}
    for family in _table()["family"]:
        if strange := set(family) - KEYS:
            raise ConfigError(f"heads.toml: unknown key {min(strange)!r}.{did_you_mean(min(strange), KEYS)}")
        for program in family["programs"]:
            families.setdefault(program, []).append(family)
    return families


def programs_without_comments() -> list[str]:
    """The programs for which the table says that they have none."""
    return _table()["none"]["programs"]


@cache
def syntax_of(language: str | None) -> Syntax | None:
    """What the families of a program allow, together; None for a program without comments or an unknown one."""
    families = _families().get(language)
    if families is None:
        return None

    def every(key: str) -> list:
        return [value for family in families for value in family.get(key, [])]

    pairs = [(*pair, family.get("nested", False)) for family in families for pair in family.get("block", [])]
    blocks = [Block(opener, closer, _nesting(opener, closer) if nested else None) for opener, closer, nested in pairs]
    marks = [re.escape(mark) for mark in sorted(every("line"), key=len, reverse=True)]
    patterns = [family["pattern"] for family in families if "pattern" in family]
    literal = [rf"[ \t]*(?:{'|'.join(marks)})"] if marks else []
    return Syntax(
        _any_of(every("before")),
        _lines_of([*literal, *patterns], blocks, every("frames")),
        _lines_of(literal, blocks, every("frames")),
        _any_of(every("indented")),
        tuple(sorted(blocks, key=lambda block: -len(block.opener))),
        tuple(every("keep")),
        tuple(every("frames")),
    )


def _nesting(opener: str, closer: str) -> re.Pattern:
    return re.compile(f"{re.escape(opener)}|{re.escape(closer)}")


def _any_of(patterns: list[str]) -> re.Pattern | None:
    return re.compile("|".join(patterns), re.MULTILINE) if patterns else None


def _lines_of(leads: list[str], blocks: list[Block], frames: list[str]) -> re.Pattern | None:
    """One comment line with its line end; a line where a block opens is none."""
    if not leads:
        return None
    openers = "|".join(re.escape(block.opener) for block in blocks)
    unless = "|".join(re.escape(frame) for frame in frames)
    no_block = rf"(?![ \t]*{f'(?!{unless})' if unless else ''}(?:{openers}))" if openers else ""
    return re.compile(rf"{no_block}(?P<lead>{'|'.join(leads)}){LINE}", re.MULTILINE)
