"""Signals of code and data files that look at comments, strings and encoded blobs."""

import re

import numpy as np

from opencoder_lib.quality.codepoints import CodePoints, ratio, running_total
from opencoder_lib.quality.ngrams import Words
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views

EMPTY, NO_CODE = "empty file", "no code"
LONG_STRING_WORDS, LONG_WORD_CHARS, LONGEST_BLOB = 20, 20, 1024
_LONG_WORD = re.compile(rf"\S{{{LONG_WORD_CHARS + 1},}}")
_URL = re.compile(r"https?://\S")
HEX_WORD = re.compile(r"\b0[xX][0-9a-fA-F]+\b")
_HEX_RUN = re.compile(r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}")
_UNICODE_RUN = re.compile(r"(?:\\u[0-9a-fA-F]{4}){8,}")
_BASE64 = np.zeros(128, bool)
_BASE64[[ord(c) for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/\n="]] = True


def _sum_lengths(found: list[list[str]]) -> np.ndarray:
    return np.array([sum(map(len, matches)) for matches in found], np.int64)


@signal("frac_chars_comments", "code", views=("comments", "chars"), null_when=EMPTY)
def frac_chars_comments(views: Views) -> np.ndarray:
    """Characters in comments / characters."""
    return ratio([len(text) for text in views.comments], views.chars.lengths)


@signal("cate_xml_start", "code", views=("text",))
def cate_xml_start(views: Views) -> np.ndarray:
    """Whether `<?xml version=` lies within the first 100 characters."""
    return views.text.str.head(100).str.contains("<?xml version=", literal=True).to_numpy()


@signal("cate_autogen", "code", views=("text",))
def cate_autogen(views: Views) -> np.ndarray:
    """Whether the first 200 characters mention `generate`, `autogen` or `do not edit`, in any case."""
    return views.text.str.head(200).str.to_lowercase().str.contains("generate|autogen|do not edit").to_numpy()


@signal("frac_lines_long_string", "code", views=("strings", "code_lines"), null_when="no code lines")
def frac_lines_long_string(views: Views) -> np.ndarray:
    """Lines inside strings with more than 20 words / code lines. Quotes are paired blindly, so it may exceed 1."""
    words = Words.of(CodePoints.of(views.strings))
    feeds = running_total(words.chars.codes == 10)
    # A line's number, different in each file.
    line = feeds[words.starts] + words.documents
    first = np.flatnonzero(np.diff(line, prepend=-1))
    long_lines = np.diff(np.append(first, len(line))) > LONG_STRING_WORDS
    return ratio(np.bincount(words.documents[first][long_lines], minlength=len(views)), views.code_lines.count)


@signal("frac_chars_string_length", "code", views=("line_strings", "code_length"), null_when=NO_CODE)
def frac_chars_string_length(views: Views) -> np.ndarray:
    """Characters inside quotes / characters of the code."""
    return ratio(_sum_lengths(views.line_strings), views.code_length)


@signal("frac_chars_long_word_length", "code", views=("line_strings", "code_length"), null_when=NO_CODE)
def frac_chars_long_word_length(views: Views) -> np.ndarray:
    """Characters of the words inside quotes that have more than 20 and hold no URL / characters of the code."""
    words = (_LONG_WORD.findall("\n".join(strings)) for strings in views.line_strings)
    return ratio(
        _sum_lengths([[word for word in found if not _URL.search(word)] for found in words]), views.code_length
    )


@signal("frac_chars_hex_words", "code", views=("code", "code_length"), null_when=NO_CODE)
def frac_chars_hex_words(views: Views) -> np.ndarray:
    """Characters of words such as 0x1F / characters of the code."""
    return ratio(_sum_lengths([HEX_WORD.findall(code) for code in views.code]), views.code_length)


@signal("cate_encoded_data", "code", views=("chars", "texts"))
def cate_encoded_data(views: Views) -> np.ndarray:
    """Whether a run of base64 signs (64 or more), hexadecimal pairs (8 or more) or \\u escapes (8 or more) is longer
    than 1,024 characters, or all of them together make up more than half of the file."""
    total, longest = _base64_runs(views.chars)
    for index, text in enumerate(views.texts):
        runs = [len(found) for found in _HEX_RUN.findall(text)]
        if "\\u" in text:
            runs += [len(found) for found in _UNICODE_RUN.findall(text)]
        total[index] += sum(runs)
        longest[index] = max(longest[index], *runs, 0)
    return (longest > LONGEST_BLOB) | (total > 0.5 * views.chars.lengths)


def _base64_runs(chars: CodePoints) -> tuple[np.ndarray, np.ndarray]:
    """Total and longest length of the runs of at least 64 base64 signs in each text."""
    inside = np.zeros(len(chars.codes) + 1, bool)
    ascii_codes = chars.codes < 128
    inside[:-1][ascii_codes] = _BASE64[chars.codes[ascii_codes]]
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    # A run stops at the end of its text.
    edges = np.sort(np.concatenate([edges, np.repeat(_inner_borders(chars, inside), 2)]))
    start, length = edges[::2], edges[1::2] - edges[::2]
    start, length = start[length >= 64], length[length >= 64]
    documents = np.searchsorted(chars.offsets, start, side="right") - 1
    num = len(chars.offsets) - 1
    longest = np.zeros(num, np.int64)
    np.maximum.at(longest, documents, length)
    return np.bincount(documents, length, num).astype(np.int64), longest


def _inner_borders(chars: CodePoints, inside: np.ndarray) -> np.ndarray:
    """Borders between two texts that a run of base64 signs would cross."""
    borders = np.unique(chars.offsets[1:-1])
    borders = borders[(borders > 0) & (borders < len(chars.codes))]
    return borders[inside[borders - 1] & inside[borders]]
