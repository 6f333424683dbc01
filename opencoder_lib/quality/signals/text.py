"""Signals of natural-language files."""

import re

import numpy as np
import polars as pl

from opencoder_lib.quality.codepoints import LOWER, UPPER, WHITE_SPACE, ratio
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.signals.code import HEX_WORD
from opencoder_lib.quality.views import Views

EMPTY, NO_LINES, NO_WORDS = "empty file", "empty file", "no words"
_SENTENCE = re.compile(r"\b[^.!?。！？؟]+[.!?。！？؟]*")
READ_MORE = (
    "...",
    "…",
    "全文",
    "详情",
    "详细",
    "更多",
    "المزيد",
    "تفاصيل",
    "اقرأ المزيد",
    "もっと",
    "詳細",
    "もっと読む",
)
_BULLETS = (
    "\u2022\u2023\u2043\u204c\u204d\u2219\u25a0-\u25af\u25cb\u25cf\u25e6\u25c6-\u25ca\u25d0-\u25d6\u25d8\u25d9"
    "\u25e2-\u25e5\u25ef\u2611\u2612\u2b1b\u2b1c\u2b24\u2b1e\u2b1f\u29be"
)
_FULL_BRACKETS = (ord("【"), ord("】"))
_SENTENCE_ENDS = [ord(char) for char in ".?!\n"]


@signal("num_sentences", "text", views=("texts",))
def num_sentences(views: Views) -> np.ndarray:
    """Runs up to `.`, `!`, `?` or their full-width and Arabic forms that hold a word."""
    return np.array([len(_SENTENCE.findall(text)) for text in views.texts])


@signal("num_chars_sentence_length_mean", "text", views=("chars",))
def num_chars_sentence_length_mean(views: Views) -> np.ndarray:
    """Mean length of the pieces between `.`, `?`, `!` and line feeds, empty ones too; 0 if empty."""
    cuts = views.chars.count(np.isin(views.chars.codes, _SENTENCE_ENDS))
    return (views.chars.lengths - cuts) / (cuts + 1)


@signal("frac_words_full_bracket", "text", views=("raw_words",), null_when=NO_WORDS)
def frac_words_full_bracket(views: Views) -> np.ndarray:
    """Words that are exactly one lenticular bracket / words as found."""
    words = views.raw_words
    single = (words.lengths == 1) & np.isin(views.chars.codes[words.starts], _FULL_BRACKETS)
    return ratio(words.per_document(single), words.per_document())


@signal("frac_words_all_caps", "text", views=("raw_words",), null_when=NO_WORDS)
def frac_words_all_caps(views: Views) -> np.ndarray:
    """Words with upper-case and no lower-case letters / words as found."""
    words = views.raw_words
    return ratio(words.per_document(words.any_class(UPPER) & ~words.any_class(LOWER)), words.per_document())


@signal("frac_lines_end_with_readmore", "text", views=("raw_lines",), null_when=NO_LINES)
def frac_lines_end_with_readmore(views: Views) -> np.ndarray:
    """Lines that end, closing brackets aside, with an ellipsis or a phrase such as 更多 (read more) / lines."""
    ends = views.raw_lines.frame["line"].str.strip_chars_end(WHITE_SPACE).str.strip_chars_end("]】)>》")
    phrases = "|".join(map(re.escape, READ_MORE))
    return ratio(views.raw_lines.total(ends.str.contains(rf"(?:{phrases})\z")), views.raw_lines.count)


@signal("frac_lines_start_with_bullet", "text", views=("raw_lines",), null_when=NO_LINES)
def frac_lines_start_with_bullet(views: Views) -> np.ndarray:
    """Lines that start with a typographic bullet / lines. Hyphens and asterisks are no bullets."""
    starts = views.raw_lines.frame["line"].str.strip_chars_start(WHITE_SPACE)
    return ratio(views.raw_lines.total(starts.str.contains(rf"\A[{_BULLETS}]")), views.raw_lines.count)


@signal("cate_code_related_file_name", "text", views=("files",))
def cate_code_related_file_name(views: Views) -> np.ndarray:
    """Whether the file name up to its first dot is readme, notes, todo, description, cmakelists or *requirement*."""
    stem = views.files["path"].str.split("/").list.last().str.split(".").list.first().str.to_lowercase()
    listed = stem.is_in(["readme", "notes", "todo", "description", "cmakelists"])
    return (listed | stem.str.contains("requirement", literal=True)).to_numpy()


@signal("frac_chars_hyperlink_html_tag", "text", views=("text", "chars"), null_when=EMPTY)
def frac_chars_hyperlink_html_tag(views: Views) -> np.ndarray:
    """Characters of `(http…)` links and of `<…>` tags / characters. Overlaps count twice; bare URLs do not count."""
    # Polars' expressions take linear time; Python's would be quadratic on a line of many opening brackets.
    links = _matched_chars(views.text, r"\(https?://[^\s\x1c-\x1f]+\)")
    return ratio(links + _matched_chars(views.text, r"<.*?>"), views.chars.lengths)


def _matched_chars(texts: pl.Series, pattern: str) -> np.ndarray:
    """Total length of all matches in each text."""
    return texts.str.extract_all(pattern).list.join("").str.len_chars().to_numpy()


@signal("frac_chars_hex_words", "text", views=("texts", "chars"), null_when=EMPTY)
def frac_chars_hex_words(views: Views) -> np.ndarray:
    """Characters of words such as 0x1F / characters."""
    return ratio([sum(map(len, HEX_WORD.findall(text))) for text in views.texts], views.chars.lengths)
