r"""Regular expressions counted over code: those of a backtracking engine, in linear time.

The engine is Rust's (through Polars), leftmost alternative first, without look-around and back-references. Its fast
automaton gives up on Unicode word borders, so the expressions run on the code with every character beyond ASCII
replaced by an ASCII one of the same class, where `\w`, `\s` and `\b` may mean their ASCII selves:

    word characters    ->  0        (never the first letter of a name, never part of a keyword)
    white space        ->  U+000B   (not a line feed, not a blank)
    all others         ->  U+0001
"""

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from opencoder_lib.quality.codepoints import ratio

if TYPE_CHECKING:
    from opencoder_lib.quality.views import Views

_BEYOND_ASCII = ((r"[\w&&[^\x00-\x7F]]", "0"), (r"[\s&&[^\x00-\x7F]]", "\x0b"), (r"[^\x00-\x7F]", "\x01"))
_ASCII_CLASSES = {r"\w": "[0-9A-Za-z_]", r"\s": r"[\t-\r ]", r"\b": r"(?-u:\b)"}
# White space that does not end a line; what str.strip takes from the ends of a line (U+001C to U+001F, too).
BLANK = r"[\t\x0b-\r ]"
STRIPPED = r"[\t\x0b-\r\x1c- ]"


class CodeSearch:
    """Searches in the code of each file of a shard; `^` and `$` stand for line borders. Each pattern runs once."""

    def __init__(self, code: pl.Series):
        self.text = _in_ascii(code)
        self._counted: dict[str, np.ndarray] = {}
        self._matched: dict[str, pl.Series] = {}

    def count(self, pattern: str) -> np.ndarray:
        """How many matches of `pattern`, none overlapping another, each file has."""
        if pattern not in self._counted:
            self._counted[pattern] = self.text.str.count_matches(_compiled(pattern)).to_numpy()
        return self._counted[pattern]

    def lacks(self, pattern: str) -> np.ndarray:
        """1 for a file without any match of `pattern`, else 0. Stops at the first match."""
        return (~self.text.str.contains(_compiled(pattern))).to_numpy().astype(np.float64)

    def count_where(self, pattern: str, condition: pl.Expr) -> np.ndarray:
        """How many matches of `pattern` fulfil `condition`, an expression of pl.element(), their text in ASCII."""
        return self._matches(pattern).list.eval(condition).list.sum().to_numpy()

    def _matches(self, pattern: str) -> pl.Series:
        if pattern not in self._matched:
            self._matched[pattern] = self.text.str.extract_all(_compiled(pattern))
        return self._matched[pattern]


def per_line(views: "Views", *patterns: str) -> np.ndarray:
    """The matches of all the patterns in the code / code lines; NaN without code lines."""
    return ratio(sum(views.code_search.count(pattern) for pattern in patterns), views.code_lines.count)


def per_separate_line(views: "Views", *patterns: str) -> np.ndarray:
    """The same where a comment at the end of a line does not glue the next line to it."""
    found = sum(views.separate_code_search.count(pattern) for pattern in patterns)
    return ratio(found, views.separate_code_lines.count)


def lines_with(needle: str) -> str:
    """A pattern that has one match in each line with a match of `needle`, which must not cross a line end."""
    # The match takes the rest of the line along, so the next one is in another line.
    return rf"(?:{needle})[^\n]*"


def word_without_prefix(prefixes: str) -> str:
    """A pattern of the words that start with none of `prefixes` (parted by blanks), for want of a look-ahead.

    It must begin at the beginning of a word and be followed by something that no word contains.
    """
    return _apart_from(set(prefixes.split()), may_go_on=False)


def word_except(words: str) -> str:
    """A pattern of the words that are none of `words`; the same conditions as for `word_without_prefix`."""
    return _apart_from(set(words.split()), may_go_on=True)


def _apart_from(words: set[str], may_go_on: bool, may_end: bool = False) -> str:
    """A word, or the rest of one, that is none of `words`, or does not start with one unless it may go on."""
    firsts = sorted({word[0] for word in words if word})
    branches = [rf"[\w--[{''.join(firsts)}]]\w*"] if firsts else [r"\w+"]
    for first in firsts:
        rests = {word[1:] for word in words if word.startswith(first)}
        if may_go_on or "" not in rests:
            branches.append(first + _apart_from(rests, may_go_on, may_end="" not in rests))
    return f"(?:{'|'.join(branches)}){'?' * may_end}"


def _compiled(pattern: str) -> str:
    in_ascii = re.sub(r"\\.", lambda escape: _ASCII_CLASSES.get(escape[0], escape[0]), pattern)
    return f"(?m){in_ascii}"


def _in_ascii(code: pl.Series) -> pl.Series:
    beyond = code.str.len_bytes() != code.str.len_chars()
    if not beyond.any():
        return code
    # Few files need it, and a replacement copies the text.
    replaced = code.filter(beyond)
    for pattern, stand_in in _BEYOND_ASCII:
        replaced = replaced.str.replace_all(pattern, stand_in)
    # scatter changes the series it is called on, and this one is the view.
    return code.clone().scatter(beyond.arg_true(), replaced)
