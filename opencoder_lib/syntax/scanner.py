"""Comments and strings of a file, found by one compiled regular expression per family of languages.

languages.toml says what each family's comments and strings look like. The expression tries, at each place, a comment,
then a string (so that a marker inside quotes starts nothing); `Pattern.split` walks the text in C. Every alternative
either gives up early or runs to the end of the file, so the time is linear on any input.

Differences to the official pipeline (Pygments 2.18), all rare: no nested block comments, no here-documents,
no `#if 0` blocks, raw strings as plain ones, scripts inside HTML are code, an unclosed comment or string runs to the
end of the file.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files as package_files
from typing import NamedTuple

from opencoder_lib.errors import ConfigError, did_you_mean

FLAGS = ("takes_newline", "word_start", "docstrings", "regex_literals")
KEYS = {"languages", "line", "block", "one_line", "many_lines", "raw", *FLAGS}

DOCSTRING = r"""(?:"{3}(?s:.*?)"{3}|'{3}(?s:.*?)'{3})"""
# The place before a docstring: indentation and letters such as r or b, which stay code.
BEFORE_DOCSTRING = r"""^[ \t\f]*+[rRuUbB]{0,2}(?="{3}|'{3})"""
# A quoted character, so that '"' opens no string; `'a` alone is a lifetime, a prime or a quote.
CHARACTER = r"'(?:[^'\\\n]|\\[^\n][^'\n]{0,9})'"
# Where an operator, a keyword or a line start comes before, `/` starts a literal. The bound on `[…]` keeps it linear.
REGEX_LITERAL = (
    r"(?:(?:[=(,:\[!&|?{};~^%*+<>-]|\b(?:return|typeof|case|of|in|throw|do|else)\b)\s*+|^[^\S\n]*+)"
    r"/(?![*/])(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n]){0,60}+\])++/"
)


class Split(NamedTuple):
    """A file's code and its comments, each joined with nothing between; `hash_comments` are those that start with #."""

    code: str
    comments: str
    hash_comments: str = ""


def split(text: str, language: str | None) -> Split:
    """The code and the comments of `text`, as the program `language` writes them.

    As the official pipeline does, the text is first stripped of a byte order mark and of line feeds at both ends, gets
    LF line ends and one LF at its end. Perl, and programs without an entry in languages.toml, are split line by line.
    """
    if language == "perl":
        return _perl(text)
    scanner = _scanners().get(language)
    if scanner is None:
        return by_line(text)
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Four entries a match: the code before it, then the three groups, the comment among them second.
    parts = scanner.split(text.strip("\n") + "\n")
    comments = [part for part in parts[2::4] if part]
    parts[2::4] = [None] * len(parts[2::4])
    hashes = "".join(comment for comment in comments if comment[0] == "#")
    return Split("".join(filter(None, parts)), "".join(comments), hashes)


@cache
def _scanners() -> dict[str, re.Pattern]:
    """One compiled expression per program. Raises ConfigError on an unknown key or a program listed twice."""
    table = tomllib.loads((package_files("opencoder_lib.syntax") / "languages.toml").read_text(encoding="utf-8"))
    scanners: dict[str, re.Pattern] = {}
    for family in table["family"]:
        if strange := set(family) - KEYS:
            raise ConfigError(f"languages.toml: unknown key {min(strange)!r}.{did_you_mean(min(strange), KEYS)}")
        scanner = re.compile(pattern(family), re.MULTILINE)
        for language in family["languages"]:
            if language in scanners:
                raise ConfigError(f"languages.toml: {language!r} stands in two families; keep one.")
            scanners[language] = scanner
    return scanners


def pattern(family: dict) -> str:
    """The expression of a family: groups 1 (kept, before a docstring), 2 (comment) and 3 (string, kept)."""
    comments = [rf"{re.escape(start)}(?s:.*?)(?:{re.escape(end)}|\Z)" for start, end in family.get("block", [])]
    at_word = r"(?<![^\s;&|(){}`])" if family.get("word_start") else ""
    newline = r"\n?" if family.get("takes_newline") else ""
    comments += [rf"{at_word}{re.escape(marker)}[^\n]*{newline}" for marker in family.get("line", [])]
    comment = "|".join(comments) or "(?!)"
    string = "|".join(_strings(family)) or "(?!)"
    if family.get("docstrings"):
        return f"({BEFORE_DOCSTRING})?((?(1){DOCSTRING}|{comment}))|({string})"
    return f"()({comment})|({string})"


def _strings(family: dict) -> Iterator[str]:
    """One alternative per string delimiter, the longest first."""
    one_line, many_lines, raw = (family.get(key, []) for key in ("one_line", "many_lines", "raw"))
    if family.get("regex_literals"):
        yield REGEX_LITERAL
    if family.get("docstrings"):
        for q in "\"'":
            yield rf"{q * 3}[^{q}\\]*+(?:(?:\\(?s:.)|{q}(?!{q * 2}))[^{q}\\]*+)*+(?:{q * 3}|\Z)"
    for q in one_line:
        yield rf"{q}[^{q}\\\n]*+(?:\\(?s:.)[^{q}\\\n]*+)*+{q}?"
    for q in many_lines:
        yield rf"{q}[^{q}\\]*+(?:\\(?s:.)[^{q}\\]*+)*+(?:{q}|\Z)"
    for q in raw:
        yield rf"{q}[^{q}]*+(?:{q}|\Z)"
    if "'" not in [*one_line, *many_lines, *raw, *family.get("line", [])]:
        yield CHARACTER


def by_line(text: str) -> Split:
    """The release's scan for programs without a lexer: a flag that comment markers at line starts and ends set.

    A line that starts with three double quotes or `/*`, or ends with three double quotes or `*/`, flips the flag; one
    that starts with `#`, `//` or `--` sets it; all of these are comments, and so is what follows while it is set.
    """
    code, comments, inside = [], [], False
    for line in _lines(text):
        stripped = line.strip()
        if stripped.startswith(('"""', "/*")) or stripped.endswith(('"""', "*/")):
            inside = not inside
            comments.append(line)
        elif stripped.startswith(("#", "//", "--")):
            inside = True
            comments.append(line)
        else:
            (comments if inside else code).append(line)
    return Split("".join(code), "".join(comments))


def _perl(text: str) -> Split:
    """Perl: a line that starts with `=` opens documentation, `=cut` ends it, `#` starts a comment line."""
    code, comments, inside = [], [], False
    for line in _lines(text):
        stripped = line.strip()
        if stripped.startswith("="):
            inside = not stripped.startswith("=cut")
            comments.append(line)
        else:
            (comments if inside or stripped.startswith("#") else code).append(line)
    return Split("".join(code), "".join(comments))


def _lines(text: str) -> list[str]:
    """The lines with their line feeds; only LF ends a line."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
