"""Code and comments of a file, as the lexers of the official pipeline (Pygments 2.18) tell them apart.

languages.toml says what each program's comments and strings look like, scan_table.py turns it into arrays, and one
compiled loop, scan_kernel.py, reads them; YAML has a loop of its own. The time is linear on any input.

On real files nearly all splits are those of the lexers. What remains, all rare:
- rules of a lexer about other tokens than comments and strings, where they change these: signatures that C's lexer
  reads as one token with a comment in them, keywords of Python's `match`, Scala's and Kotlin's names after `def`;
- a string that spoils the rest of a file in one of the many small languages (their tables are the lexer's answers to
  made-up pieces of code, not its rules), and their odd comments: Raku's brackets, VBScript's `Rem` in capitals, AWK's
  and Julia's regular expressions, Racket's `#;`;
- comments of languages inside others, but for scripts in HTML: shell lines in makefiles and Dockerfiles, code in
  templates (ERB, Handlebars, Mako, …);
- here-documents, raw strings and attribute values once a file has used up its budget for looking for their ends;
- white space beyond ASCII counts as a letter.
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as package_files
from itertools import pairwise

import numpy as np

from opencoder_lib.errors import ConfigError
from opencoder_lib.syntax.scan_kernel import scan
from opencoder_lib.syntax.scan_table import Table, table_of
from opencoder_lib.syntax.yaml_kernel import scan_yaml


@dataclass(slots=True)
class Split:
    """A file's code and its comments, each joined with nothing between, as the release does.

    source, spans: the text (UTF-8 if it is not ASCII), and the places in it where comments start and end in turn; null
    where whole lines are taken. From them come the properties, which are only computed when asked for.
    """

    code: str
    comments: str
    source: str | bytes | None = field(default=None, repr=False, compare=False)
    spans: list[int] | None = field(default=None, repr=False, compare=False)

    def pieces(self) -> list[str]:
        """The comments one by one."""
        if self.spans is None:
            return [self.comments] if self.comments else []
        ends = iter(self.spans)
        pieces = [self.source[start:end] for start, end in zip(ends, ends, strict=True)]
        return pieces if isinstance(self.source, str) else [_text(piece) for piece in pieces]

    @property
    def separate_comments(self) -> str:
        """The comments, each on lines of its own."""
        return "".join(piece if piece[-1] == "\n" else piece + "\n" for piece in self.pieces())

    @property
    def separate_code(self) -> str:
        """The code, with the line ends that comments took along: a comment never glues two lines of code."""
        if self.spans is None:
            return self.code
        newline = "\n" if isinstance(self.source, str) else b"\n"
        borders = [0, *(end - (self.source[end - 1 : end] == newline) * (k % 2) for k, end in enumerate(self.spans))]
        borders.append(len(self.source))
        code = newline[:0].join(self.source[start:end] for start, end in zip(borders[::2], borders[1::2], strict=True))
        return code if isinstance(code, str) else _text(code)


def split(text: str, language: str | None) -> Split:
    """The code and the comments of `text`, as the program `language` writes them.

    As the official pipeline does, the text is first stripped of a byte order mark and of line feeds at both ends, gets
    LF line ends and one LF at its end. Perl, and programs without an entry in languages.toml, are split line by line.
    """
    if language == "perl":
        return _perl(text)
    table = _scanners().get(language)
    if table is None and language != "yaml":
        return by_line(text)
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.strip("\n") + "\n"
    if table is not None and not len(table.rules):
        return Split(text, "", text, [])
    data = text.encode("utf-8", "surrogatepass")
    places = np.frombuffer(data, np.uint8)
    spans = (scan_yaml(places) if table is None else scan(places, *table)).tolist()
    if not spans:
        return Split(text, "", text, spans)
    source = text if text.isascii() else data
    borders = [0, *spans, len(source)]
    parts = [source[start:end] for start, end in pairwise(borders)]
    nothing = source[:0]
    code, comments = nothing.join(parts[::2]), nothing.join(parts[1::2])
    if source is data:
        code, comments = _text(code), _text(comments)
    return Split(code, comments, source, spans)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


@cache
def _scanners() -> dict[str, Table]:
    """The table of each program. Raises ConfigError on an unknown key or a program listed twice."""
    table = tomllib.loads((package_files("opencoder_lib.syntax") / "languages.toml").read_text(encoding="utf-8"))
    families: dict[str, dict] = {}
    for family in table["family"]:
        for language in family["languages"]:
            if language in families:
                raise ConfigError(f"languages.toml: {language!r} stands in two families; keep one.")
            families[language] = family
    tables = {id(family): table_of(family, families) for family in table["family"]}
    return {language: tables[id(family)] for language, family in families.items()}


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
