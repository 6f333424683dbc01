"""Signals over lines: how many, how long, how often the same."""

from functools import cache

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Lines, Views

NO_CODE_LINES = "no code lines"
PROMPTS = ("your code here", "fixme", "todo")


@signal("num_lines", "text", "code", views=("chars",))
def num_lines(views: Views) -> np.ndarray:
    """Lines, blank ones too; only LF ends a line."""
    return views.chars.lines[0]


@signal("num_chars_line_max", "code", views=("chars",))
def num_chars_line_max(views: Views) -> np.ndarray:
    """Characters of the longest line, its line feed included; 0 if empty."""
    return views.chars.lines[1]


@signal("num_chars_line_mean", "code", views=("chars",))
def num_chars_line_mean(views: Views) -> np.ndarray:
    """Characters, line feeds included, / lines; 0 if empty."""
    return ratio(views.chars.lengths, views.chars.lines[0], empty=0.0)


@cache
def _closing_bracket() -> np.uint64:
    """The hash of a line `},`. Not a constant: importing this module must compile nothing."""
    return Lines(["},"]).bare.hashes[0]


@signal("frac_lines_dupe_lines", "code", views=("code_lines",), null_when=NO_CODE_LINES)
def frac_lines_dupe_lines(views: Views) -> np.ndarray:
    """Code lines that occur more than once, white space aside, / code lines; one-character lines and `},` left out."""
    lines = views.code_lines.bare
    counted = lines.repeats & (lines.lengths != 1) & (lines.hashes != _closing_bracket())
    return ratio(np.bincount(lines.documents[counted], minlength=len(views)), views.code_lines.count)


@signal("frac_lines_dupe_lines", "text", views=("raw_lines",), null_when="no visible line")
def frac_lines_dupe_lines_of_text(views: Views) -> np.ndarray:
    """Non-blank lines whose text occurs more than once, all copies, / non-blank lines."""
    lines = views.raw_lines.stripped
    return ratio(np.bincount(lines.documents[lines.repeats], minlength=len(views)), views.raw_lines.count)


@signal("frac_chars_dupe_lines", "text", views=("raw_lines",), null_when="no visible line")
def frac_chars_dupe_lines(views: Views) -> np.ndarray:
    """The same, weighted by the length of the stripped line."""
    lines = views.raw_lines.stripped
    total = np.bincount(lines.documents, lines.lengths, len(views))
    return ratio(np.bincount(lines.documents, lines.lengths * lines.repeats, len(views)), total)


@signal("frac_lines_assert", "code", views=("code_lines",), null_when=NO_CODE_LINES)
def frac_lines_assert(views: Views) -> np.ndarray:
    """Code lines that contain `assert`, in any case, / code lines."""
    return ratio(views.code_lines.containing("assert"), views.code_lines.count)


@signal("frac_lines_prompt_comments", "code", views=("comment_lines", "chars"), null_when="empty file")
def frac_lines_prompt_comments(views: Views) -> np.ndarray:
    """Comment lines that contain `your code here`, `fixme` or `todo` / all lines."""
    return ratio(views.comment_lines.containing(*PROMPTS), views.chars.lines[0])


@signal(
    "frac_lines_prompt_comments_each",
    "code",
    views=("separate_comment_lines", "chars"),
    null_when="empty file",
    mends="Successive line comments of Python, JavaScript, Java or Go are glued to one line and count once.",
)
def frac_lines_prompt_comments_each(views: Views) -> np.ndarray:
    """Comment lines, each on its own, that contain `your code here`, `fixme` or `todo` / all lines."""
    found = views.separate_comment_lines.containing(*PROMPTS)
    return ratio(found, views.chars.lines[0])


@signal("frac_lines_string_concat", "code", views=("code_lines",), null_when=NO_CODE_LINES)
def frac_lines_string_concat(views: Views) -> np.ndarray:
    """Code lines that assign one quoted string plus another / code lines."""
    # White space other than line feeds: an expression over the whole code must not leave the line.
    found = r"""=[^\S\n]*["'].+?["'][^\S\n]*\+[^\S\n]*["'].+?["'].*"""
    return ratio(views.code_lines.matches(found), views.code_lines.count)
