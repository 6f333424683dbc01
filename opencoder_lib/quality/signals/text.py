"""Signals of natural-language files."""

import re
import tomllib
from functools import cache
from importlib.resources import files as package_files

import numpy as np
import polars as pl

from opencoder_lib.quality import encoded, kernels
from opencoder_lib.quality.codepoints import WHITE_SPACE, ratio
from opencoder_lib.quality.kernels import LOWER, UPPER, WORD
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views
from opencoder_lib.quality.words import Words

EMPTY, NO_LINES, NO_WORDS = "empty file", "empty file", "no words"
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
# White space within a line, as str.strip takes it.
_BLANK = "[" + re.escape(WHITE_SPACE.replace("\n", "")) + "]"
_FULL_BRACKETS = (ord("【"), ord("】"))
SENTENCE_ENDS = np.array([ord(char) for char in ".!?。！？؟"], np.uint32)


@signal("num_sentences", "text", views=("chars",))
def num_sentences(views: Views) -> np.ndarray:
    """Runs up to `.`, `!`, `?` or their full-width and Arabic forms that hold a word."""
    chars = views.chars
    return kernels.sentences(chars.codes, chars.offsets, chars.table, WORD, SENTENCE_ENDS)


@signal("num_chars_sentence_length_mean", "text", views=("chars",))
def num_chars_sentence_length_mean(views: Views) -> np.ndarray:
    """Mean length of the pieces between `.`, `?`, `!` and line feeds, empty ones too; 0 if empty."""
    cuts = views.chars.count(".", "?") + views.chars.count("!", "\n")
    return (views.chars.lengths - cuts) / (cuts + 1)


@signal("frac_words_full_bracket", "text", views=("raw_words",), null_when=NO_WORDS)
def frac_words_full_bracket(views: Views) -> np.ndarray:
    """Words that are exactly one lenticular bracket / words as found."""
    words = views.raw_words
    single = (words.lengths == 1) & np.isin(words.chars.codes[words.starts], _FULL_BRACKETS)
    return ratio(words.total(single), words.count)


@signal("frac_words_all_caps", "text", views=("raw_words",), null_when=NO_WORDS)
def frac_words_all_caps(views: Views) -> np.ndarray:
    """Words with upper-case and no lower-case letters / words as found."""
    words = views.raw_words
    return ratio(words.total((words.classes & (UPPER | LOWER)) == UPPER), words.count)


@signal("frac_lines_end_with_readmore", "text", views=("text", "chars"), null_when=NO_LINES)
def frac_lines_end_with_readmore(views: Views) -> np.ndarray:
    """Lines that end, closing brackets aside, with an ellipsis or a phrase such as 更多 (read more) / lines."""
    phrases = "|".join(map(re.escape, READ_MORE))
    ends = rf"(?m)(?:{phrases})[\]】)>》]*{_BLANK}*$"
    return ratio(views.text.str.count_matches(ends), views.chars.lines[0])


@signal("frac_lines_start_with_bullet", "text", views=("text", "chars"), null_when=NO_LINES)
def frac_lines_start_with_bullet(views: Views) -> np.ndarray:
    """Lines that start with a typographic bullet / lines. Hyphens and asterisks are no bullets."""
    return ratio(views.text.str.count_matches(rf"(?m)^{_BLANK}*[{_BULLETS}]"), views.chars.lines[0])


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
    chars = views.chars
    return ratio(encoded.hex_words(chars.codes, chars.offsets, chars.table, WORD), chars.lengths)


@signal("frac_words_redpajama_stop", "text", views=("raw_words",), null_when="no stop words for the language")
def frac_words_redpajama_stop(views: Views) -> np.ndarray:
    """Stop words, case as found, / words, for English, French, Italian, Spanish and German; 0 without words."""
    words, languages = views.raw_words, views.files["natural_language"]
    found = np.full(len(views), np.nan)
    for language, hashes in stop_words().items():
        here = (languages == language).to_numpy()
        if here.any():
            found[here] = ratio(words.total(words.among(hashes)), words.count, empty=0.0)[here]
    return found


@cache
def stop_words() -> dict[str, np.ndarray]:
    """Hashes of the stop words of each language."""
    table = tomllib.loads((package_files("opencoder_lib.quality") / "stop_words.toml").read_text(encoding="utf-8"))
    return {language: Words.given([listed.split()]).hashes for language, listed in table.items()}
