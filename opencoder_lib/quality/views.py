"""What signals look at: each view of a shard is computed once, when the first signal asks for it."""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import polars as pl

from opencoder_lib.quality.codepoints import WHITE_SPACE, CodePoints
from opencoder_lib.quality.ngrams import Words
from opencoder_lib.quality.normalise import normalise_all
from opencoder_lib.syntax import PythonFacts, Split, python_facts, split

# The release pairs quotes blindly: no escapes, no comments, an apostrophe opens a string.
_STRINGS = re.compile(r"""'''(.*?)'''|\"\"\"(.*?)\"\"\"|'(.*?)'|"(.*?)\"""", re.DOTALL)
_STRINGS_IN_LINES = re.compile(r"""'''(.*?)'''|\"\"\"(.*?)\"\"\"|'([^\n]*?)'|"([^\n]*?)\"""", re.DOTALL)
# CPython needs up to 500 bytes a character for a syntax tree; longer files have none (and are dropped for their size).
PARSE_LIMIT = 4_000_000


@dataclass(frozen=True)
class Lines:
    """Lines of a shard: documents (index, ascending) and text; `lower` is the text in lower case."""

    frame: pl.DataFrame
    num_documents: int

    @classmethod
    def of(cls, texts: list[str], keep_blank: bool) -> "Lines":
        """Lines without their line feeds. Only LF splits; a last line without LF counts, an empty text has none."""
        frame = pl.DataFrame({"document": np.arange(len(texts)), "line": pl.Series(texts, dtype=pl.String)})
        # Inclusive: "a\n" is one line, not two, and an empty text leaves a piece without a line feed or a character.
        frame = frame.with_columns(pl.col("line").str.split("\n", inclusive=True)).explode("line")
        frame = frame.filter(pl.col("line").is_not_null() & (pl.col("line") != ""))
        frame = frame.with_columns(pl.col("line").str.strip_suffix("\n"))
        if not keep_blank:
            frame = frame.filter(pl.col("line").str.strip_chars(WHITE_SPACE) != "")
        return cls(frame, len(texts))

    @cached_property
    def documents(self) -> np.ndarray:
        """The text each line belongs to."""
        return self.frame["document"].to_numpy()

    @cached_property
    def lower(self) -> pl.Series:
        """The lines in lower case."""
        return self.frame["line"].str.to_lowercase()

    @cached_property
    def count(self) -> np.ndarray:
        """Lines of each text."""
        return self.total()

    def total(self, values: pl.Series | np.ndarray | None = None) -> np.ndarray:
        """The sum of `values` (one a line; booleans count) in each text."""
        weights = None if values is None else np.asarray(values, np.float64)
        return np.bincount(self.documents, weights, self.num_documents)

    def containing(self, *needles: str, lower: bool = True) -> np.ndarray:
        """How many lines of each text contain one of `needles`, compared in lower case unless told otherwise."""
        lines = self.lower if lower else self.frame["line"]
        return self.total(lines.str.contains("|".join(map(re.escape, needles))))


class Views:
    """The views of one shard, whose files all have the same scope.

    files: rows with text, path, language, natural_language and n_bytes.
    """

    def __init__(self, files: pl.DataFrame):
        self.files = files
        self.texts: list[str] = files["text"].to_list()

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def text(self) -> pl.Series:
        """The texts as found."""
        return self.files["text"]

    @cached_property
    def chars(self) -> CodePoints:
        """The characters as found."""
        return CodePoints.of(self.texts)

    @cached_property
    def words(self) -> Words:
        """The words of the normalised text."""
        return Words.of(CodePoints.of(normalise_all(self.texts)))

    @cached_property
    def raw_words(self) -> Words:
        """The words of the text as found."""
        return Words.of(self.chars)

    @cached_property
    def raw_lines(self) -> Lines:
        """All lines, blank ones too."""
        return Lines.of(self.texts, keep_blank=True)

    @cached_property
    def num_lines(self) -> np.ndarray:
        """Raw lines of each text, without building them."""
        ends = self.chars.count(self.chars.codes == 10)
        last = self.chars.offsets[1:] - 1
        open_end = self.chars.lengths > 0
        open_end[open_end] = self.chars.codes[last[open_end]] != 10
        return ends + open_end

    @cached_property
    def _splits(self) -> list[Split]:
        return [split(text, language) for text, language in zip(self.texts, self.files["language"], strict=True)]

    @cached_property
    def code(self) -> list[str]:
        """Each text without its comments."""
        return [part.code for part in self._splits]

    @cached_property
    def code_length(self) -> np.ndarray:
        """Characters of the code."""
        return _lengths(self.code)

    @cached_property
    def code_lines(self) -> Lines:
        """The lines of the code that are not blank."""
        return Lines.of(self.code, keep_blank=False)

    @cached_property
    def comments(self) -> list[str]:
        """The comments of each text, joined."""
        return [part.comments for part in self._splits]

    @cached_property
    def hash_comments(self) -> list[str]:
        """The `#` comments of each text, joined."""
        return [part.hash_comments for part in self._splits]

    @cached_property
    def comment_lines(self) -> Lines:
        """The lines of the comments that are not blank."""
        return Lines.of(self.comments, keep_blank=False)

    @cached_property
    def strings(self) -> list[str]:
        """What stands between quotes in the code, across lines too; the strings of a text joined by line feeds."""
        return ["\n".join(filter(None, chain.from_iterable(_STRINGS.findall(code)))) for code in self.code]

    @cached_property
    def line_strings(self) -> list[list[str]]:
        """What stands between quotes in the code, where only triple quotes may cross lines."""
        return [list(filter(None, chain.from_iterable(_STRINGS_IN_LINES.findall(code)))) for code in self.code]

    def count_in_code(self, pattern: str) -> np.ndarray:
        """Non-overlapping matches of `pattern` in the code of each text; `^` and `$` stand for line borders.

        The expression is Rust's (through Polars), which takes linear time on any input; its matches are those of a
        backtracking engine, leftmost alternative first.
        """
        return self.code_series.str.count_matches(f"(?m){pattern}").to_numpy()

    @cached_property
    def code_series(self) -> pl.Series:
        """The code as a Polars column."""
        return pl.Series(self.code, dtype=pl.String)

    @cached_property
    def may_parse(self) -> np.ndarray:
        """Whether a text is short enough to be parsed."""
        return self.chars.lengths <= PARSE_LIMIT

    @cached_property
    def python(self) -> list[PythonFacts | None]:
        """The structure of each Python file; null where it does not parse or is too long."""
        return [python_facts(text) if may else None for text, may in zip(self.texts, self.may_parse, strict=True)]


def _lengths(texts: list[str]) -> np.ndarray:
    return np.fromiter(map(len, texts), np.int64, len(texts))
