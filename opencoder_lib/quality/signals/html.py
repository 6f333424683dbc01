"""Signals of HTML files: whether the release's parser takes them, and how much of them is visible text."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views

REFUSED = "the parser refuses the file"


@signal("cate_ast", "html", views=("html_text_lengths",))
def cate_ast(views: Views) -> np.ndarray:
    """0 if Python's html.parser refuses the file, which it does for marked sections of unknown names such as
    `<![x]>` and for decimal references of more than 4,300 digits, else 1."""
    return ~np.isnan(_text_lengths(views))


@signal("frac_words_text", "html", views=("html_text_lengths", "chars"), null_when=f"empty file, or {REFUSED}")
def frac_words_text(views: Views) -> np.ndarray:
    """Characters, not words, of visible text as in num_chars_text / characters."""
    return ratio(_text_lengths(views), views.chars.lengths)


@signal("num_chars_text", "html", views=("html_text_lengths",), null_when=REFUSED)
def num_chars_text(views: Views) -> np.ndarray:
    """Characters of text that BeautifulSoup finds: references resolved, text nodes of white space alone as one
    character; without tags, comments, declarations and what is in script, style, template, rt and rp elements."""
    return _text_lengths(views)


def _text_lengths(views: Views) -> np.ndarray:
    """Characters of text of each file; NaN where there is no tree."""
    return np.asarray(views.html_text_lengths, np.float64)
