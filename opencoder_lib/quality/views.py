"""What signals look at: each view of a shard is computed once, when the first signal asks for it."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from opencoder_lib.quality import encoded, kernels, quotes
from opencoder_lib.quality.codepoints import CodePoints, running_total
from opencoder_lib.quality.kernels import CODE_SPACE, SPACE, WORD
from opencoder_lib.quality.ngrams import repeated
from opencoder_lib.quality.normalise import normalised, normalised_lines
from opencoder_lib.quality.patterns import CodeSearch
from opencoder_lib.quality.tokenizers import JIEBA, WORD_PUNCT, to_simplified, tokens
from opencoder_lib.quality.words import Words
from opencoder_lib.syntax import PythonFacts, Split, python_facts, split
from opencoder_lib.syntax.html import html_text_lengths
from opencoder_lib.syntax.javascript import JavaScriptFacts, javascript_facts

# CPython needs up to 500 bytes a character for a syntax tree; longer files have none (and are dropped for their size).
PARSE_LIMIT = 4_000_000
# The worst input takes our JavaScript parser about ten seconds for as much; longer files go for their size, too.
JAVASCRIPT_LIMIT = 3_000_000


class Lines:
    """The visible lines of each text: those that are not blank. Only LF ends a line."""

    def __init__(self, texts: list[str]):
        self.texts = texts

    @cached_property
    def series(self) -> pl.Series:
        """The texts as a Polars column."""
        return pl.Series(self.texts, dtype=pl.String)

    @cached_property
    def chars(self) -> CodePoints:
        """The characters of the texts."""
        return CodePoints.of(self.texts)

    @cached_property
    def count(self) -> np.ndarray:
        """Visible lines of each text."""
        chars = self.chars
        return kernels.visible_lines(chars.codes, chars.offsets, chars.table, SPACE)

    def containing(self, *needles: str, lower: bool = True) -> np.ndarray:
        """How many lines of each text contain one of `needles` (ASCII), in any case unless told otherwise."""
        # One match takes the rest of its line along, so matches count lines.
        found = f"(?{'i' if lower else ''}-u:{'|'.join(map(re.escape, needles))})[^\n]*"
        return self.series.str.count_matches(found).to_numpy()

    def matches(self, pattern: str) -> np.ndarray:
        """Non-overlapping matches of `pattern` in each text; `^` and `$` stand for line borders.

        The expression is Rust's (through Polars), which takes linear time on any input; its matches are those of a
        backtracking engine, leftmost alternative first.
        """
        return self.series.str.count_matches(f"(?m){pattern}").to_numpy()

    @cached_property
    def stripped(self) -> "Repetition":
        """Which lines repeat, white space at their ends aside."""
        chars = self.chars
        return Repetition.of(
            *kernels.stripped_line_keys(chars.codes, chars.offsets, chars.table, SPACE, int(self.count.sum()))
        )

    @cached_property
    def bare(self) -> "Repetition":
        """Which lines repeat, all white space aside."""
        chars = self.chars
        return Repetition.of(
            *kernels.bare_line_keys(chars.codes, chars.offsets, chars.table, SPACE, CODE_SPACE, int(self.count.sum()))
        )


class Repetition(NamedTuple):
    """Of each visible line: its text, a hash, its length, and whether its text has the same line once more."""

    documents: np.ndarray
    hashes: np.ndarray
    lengths: np.ndarray
    repeats: np.ndarray

    @classmethod
    def of(cls, hashes: np.ndarray, lengths: np.ndarray, offsets: np.ndarray) -> "Repetition":
        """offsets: where the lines of each text begin."""
        documents = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        return cls(documents, hashes, lengths, repeated(hashes, offsets))


class Quoted:
    """What stands between quotes in each text, paired blindly. across_lines: whether one quote's may cross lines."""

    def __init__(self, chars: CodePoints, across_lines: bool):
        self.chars, self.table = chars, chars.table
        self.begins, self.ends, self.bounds = quotes.spans(chars.codes, chars.offsets, across_lines)

    @property
    def num_chars(self) -> np.ndarray:
        """Characters between quotes in each text."""
        return np.diff(running_total(self.ends - self.begins)[self.bounds])

    def chars_in_long_words(self, longest: int) -> np.ndarray:
        """Characters of the words with more than `longest` that hold no web address."""
        return quotes.long_words(self.chars.codes, self.begins, self.ends, self.bounds, self.table, SPACE, longest)

    def num_long_pieces(self, most_words: int, tokenizer: str) -> np.ndarray:
        """Lines between quotes with more than `most_words` words, as the tokenizer cuts them."""
        if tokenizer == WORD_PUNCT:
            return quotes.long_pieces(
                self.chars.codes, self.begins, self.ends, self.bounds, self.table, WORD, SPACE, most_words
            )
        counts = np.zeros(len(self.bounds) - 1, np.int64)
        for index in range(len(counts)):
            text, start = self.chars.text(index), self.chars.offsets[index]
            inside = range(self.bounds[index], self.bounds[index + 1])
            pieces = [text[self.begins[s] - start : self.ends[s] - start] for s in inside]
            cut = tokens([line for piece in pieces for line in piece.split("\n")], tokenizer)
            counts[index] = sum(len(words) > most_words for words in cut)
        return counts


class Views:
    """The views of one shard, whose files all have the same scope.

    files: rows with text, path, language, natural_language and n_bytes. tokenizer: what cuts all of them into words.
    texts: as found; Chinese ones in simplified characters, where the extra `zh` is installed. num_chars_found: their
    characters before that conversion.
    """

    def __init__(self, files: pl.DataFrame, tokenizer: str = WORD_PUNCT):
        self.files, self.tokenizer = files, tokenizer
        self.texts: list[str] = files["text"].to_list()
        self.num_chars_found = np.fromiter(map(len, self.texts), np.int64, len(self.texts))
        if tokenizer == JIEBA:
            self.texts = [to_simplified(text) for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def text(self) -> pl.Series:
        """The texts as a Polars column."""
        return pl.Series(self.texts, dtype=pl.String)

    @cached_property
    def chars(self) -> CodePoints:
        """The characters."""
        return CodePoints.of(self.texts)

    @cached_property
    def encoded_runs(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Total and longest length of the runs of hexadecimal pairs, and of those of \\u escapes, in each text."""
        codes, offsets, table = self.chars.codes, self.chars.offsets, self.chars.table
        backslashes = np.flatnonzero(codes == ord("\\"))
        pairs = encoded.hex_pair_runs(codes, offsets, table, WORD, CODE_SPACE)
        return pairs, encoded.escape_runs(codes, offsets, backslashes)

    @cached_property
    def words(self) -> Words:
        """The words of the normalised text."""
        if self.tokenizer == WORD_PUNCT:
            return Words.of(normalised(self.chars))
        return self._cut(map(normalised_lines, self.texts))

    @cached_property
    def raw_words(self) -> Words:
        """The words of the text as found."""
        if self.tokenizer == WORD_PUNCT:
            return Words.of(self.chars)
        return self._cut(text.split("\n") for text in self.texts)

    def _cut(self, texts: Iterable[list[str]]) -> Words:
        return Words.given([[word for line in tokens(lines, self.tokenizer) for word in line] for lines in texts])

    @cached_property
    def raw_lines(self) -> Lines:
        """The lines of the text as found."""
        return Lines(self.texts)

    @cached_property
    def _splits(self) -> list[Split]:
        return [split(text, language) for text, language in zip(self.texts, self.files["language"], strict=True)]

    @cached_property
    def code(self) -> list[str]:
        """Each text without its comments."""
        return [part.code for part in self._splits]

    @cached_property
    def code_lines(self) -> Lines:
        """The lines of the code that are not blank."""
        return Lines(self.code)

    @property
    def code_chars(self) -> CodePoints:
        """The characters of the code."""
        return self.code_lines.chars

    @cached_property
    def separate_code_lines(self) -> Lines:
        """The lines of the code that are not blank, where no comment takes a line end along."""
        return Lines([part.separate_code for part in self._splits])

    @cached_property
    def separate_code_search(self) -> CodeSearch:
        """Searches in that code."""
        return CodeSearch(self.separate_code_lines.series)

    @cached_property
    def comments(self) -> list[str]:
        """The comments of each text, joined."""
        return [part.comments for part in self._splits]

    @cached_property
    def comment_lines(self) -> Lines:
        """The lines of the comments that are not blank."""
        return Lines(self.comments)

    @cached_property
    def separate_comment_lines(self) -> Lines:
        """The lines of the comments that are not blank, none glued to the next."""
        return Lines([part.separate_comments for part in self._splits])

    @cached_property
    def strings(self) -> Quoted:
        """What stands between quotes in the code, across lines too."""
        return Quoted(self.code_chars, across_lines=True)

    @cached_property
    def line_strings(self) -> Quoted:
        """What stands between quotes in the code, where only triple quotes may cross lines."""
        return Quoted(self.code_chars, across_lines=False)

    @cached_property
    def code_search(self) -> CodeSearch:
        """Searches in the code for patterns with word borders; each pattern runs once."""
        return CodeSearch(self.code_series)

    @property
    def code_series(self) -> pl.Series:
        """The code as a Polars column."""
        return self.code_lines.series

    @cached_property
    def may_parse(self) -> np.ndarray:
        """Whether a text is short enough to be parsed."""
        return self.chars.lengths <= PARSE_LIMIT

    @cached_property
    def python(self) -> list[PythonFacts | None]:
        """The structure of each Python file; null where it does not parse or is too long."""
        return [python_facts(text) if may else None for text, may in zip(self.texts, self.may_parse, strict=True)]

    @cached_property
    def javascript(self) -> list[JavaScriptFacts | None]:
        """The structure of each JavaScript file; null where it is too long or nests too deeply."""
        short = self.chars.lengths <= JAVASCRIPT_LIMIT
        return [javascript_facts(text) if may else None for text, may in zip(self.texts, short, strict=True)]

    @cached_property
    def html_text_lengths(self) -> np.ndarray:
        """Characters of visible text of each HTML file; NaN where its parser refuses it."""
        return html_text_lengths(self.chars.codes, self.chars.offsets)
