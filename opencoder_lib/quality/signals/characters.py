"""Signals over characters: which kinds, and how many."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.kernels import ALPHA, DIGIT, SPACE
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views

EMPTY = "empty file"


def _visible(views: Views) -> np.ndarray:
    """Characters that are not white space."""
    return views.chars.lengths - views.chars.count_class(SPACE)


@signal("num_chars", "text", "code", views=("files",))
def num_chars(views: Views) -> np.ndarray:
    """Characters (code points, not bytes), before any conversion."""
    return views.num_chars_found


@signal("size_file_byte", "code", views=("files",), null_when="size unknown")
def size_file_byte(views: Views) -> np.ndarray:
    """Bytes of the file as found."""
    return views.files["n_bytes"].cast(float).fill_null(np.nan).to_numpy()


@signal("frac_chars_replacement_symbols", "text", "code", views=("chars",), null_when=EMPTY)
def frac_chars_replacement_symbols(views: Views) -> np.ndarray:
    """U+FFFD, the mark of a failed decoding, / characters."""
    return ratio(views.chars.count("\ufffd"), views.chars.lengths)


@signal("frac_chars_alphabet", "code", views=("chars",))
def frac_chars_alphabet(views: Views) -> np.ndarray:
    """Letters / visible characters; 0 if none is visible."""
    return ratio(views.chars.count_class(ALPHA), _visible(views), empty=0.0)


@signal("frac_chars_alphabet", "text", views=("chars",), null_when="not English")
def frac_chars_alphabet_of_english(views: Views) -> np.ndarray:
    """Letters / visible characters; 0 if none is visible, null where something is and the language is not English."""
    english = (views.files["natural_language"] == "en").to_numpy()
    return np.where(english | (_visible(views) == 0), frac_chars_alphabet(views), np.nan)


@signal("frac_chars_digital", "text", "code", views=("chars",))
def frac_chars_digital(views: Views) -> np.ndarray:
    """Digits / visible characters; 1 if none is visible."""
    return ratio(views.chars.count_class(DIGIT), _visible(views), empty=1.0)


@signal("frac_chars_whitespace", "text", "code", views=("chars",))
def frac_chars_whitespace(views: Views) -> np.ndarray:
    """White space / characters; 1 if the file is empty."""
    return ratio(views.chars.count_class(SPACE), views.chars.lengths, empty=1.0)


@signal("frac_chars_curly_bracket", "text", views=("chars",))
def frac_chars_curly_bracket(views: Views) -> np.ndarray:
    """Curly brackets / characters; 0 if empty."""
    return ratio(views.chars.count("{", "}"), views.chars.lengths, empty=0.0)
