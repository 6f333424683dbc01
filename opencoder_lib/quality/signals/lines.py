"""Signals over lines: how many, how long, how often the same."""

import numpy as np
import polars as pl

from opencoder_lib.quality.codepoints import WHITE_SPACE, ratio
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views

NO_CODE_LINES = "no code lines"


@signal("num_lines", "text", "code", views=("num_lines",))
def num_lines(views: Views) -> np.ndarray:
    """Lines, blank ones too; only LF ends a line."""
    return views.num_lines


@signal("num_chars_line_max", "code", views=("chars",))
def num_chars_line_max(views: Views) -> np.ndarray:
    """Characters of the longest line, its line feed included; 0 if empty."""
    chars = views.chars
    after_feed = np.flatnonzero(chars.codes == 10) + 1
    starts = np.union1d(after_feed, chars.offsets[:-1])
    starts = starts[starts < len(chars.codes)]
    longest = np.zeros(len(views), np.int64)
    length = np.diff(np.append(starts, len(chars.codes)))
    np.maximum.at(longest, np.searchsorted(chars.offsets, starts, side="right") - 1, length)
    return longest


@signal("num_chars_line_mean", "code", views=("chars", "num_lines"))
def num_chars_line_mean(views: Views) -> np.ndarray:
    """Characters, line feeds included, / lines; 0 if empty."""
    return ratio(views.chars.lengths, views.num_lines, empty=0.0)


@signal("frac_lines_dupe_lines", "code", views=("code_lines",), null_when=NO_CODE_LINES)
def frac_lines_dupe_lines(views: Views) -> np.ndarray:
    """Code lines that occur more than once, white space aside, / code lines; one-character lines and `},` left out."""
    lines = views.code_lines
    bare = lines.frame.select("document", pl.col("line").str.replace_all(r"\s+", ""))
    repeated = bare.select(pl.struct("document", "line").is_duplicated()).to_series()
    counted = (bare["line"].str.len_chars() != 1) & (bare["line"] != "},")
    return ratio(lines.total(repeated & counted), lines.count)


def _dupe_lines(views: Views, weight: pl.Expr) -> np.ndarray:
    """The share of the weight of non-blank lines, stripped, whose text occurs more than once."""
    stripped = views.raw_lines.frame.with_columns(pl.col("line").str.strip_chars(WHITE_SPACE)).filter(
        pl.col("line") != ""
    )
    repeated = pl.struct("document", "line").is_duplicated()
    found = stripped.select("document", weight=weight, repeated=repeated)
    documents, weights = found["document"].to_numpy(), found["weight"].to_numpy().astype(np.float64)
    part = np.bincount(documents, weights * found["repeated"].to_numpy(), len(views))
    return ratio(part, np.bincount(documents, weights, len(views)))


@signal("frac_lines_dupe_lines", "text", views=("raw_lines",), null_when="no visible line")
def frac_lines_dupe_lines_of_text(views: Views) -> np.ndarray:
    """Non-blank lines whose text occurs more than once, all copies, / non-blank lines."""
    return _dupe_lines(views, pl.col("line").is_not_null())


@signal("frac_chars_dupe_lines", "text", views=("raw_lines",), null_when="no visible line")
def frac_chars_dupe_lines(views: Views) -> np.ndarray:
    """The same, weighted by the length of the stripped line."""
    return _dupe_lines(views, pl.col("line").str.len_chars())


@signal("frac_lines_assert", "code", views=("code_lines",), null_when=NO_CODE_LINES)
def frac_lines_assert(views: Views) -> np.ndarray:
    """Code lines that contain `assert`, in any case, / code lines."""
    return ratio(views.code_lines.containing("assert"), views.code_lines.count)


@signal("frac_lines_prompt_comments", "code", views=("comment_lines", "num_lines"), null_when="empty file")
def frac_lines_prompt_comments(views: Views) -> np.ndarray:
    """Comment lines that contain `your code here`, `fixme` or `todo` / all lines."""
    return ratio(views.comment_lines.containing("your code here", "fixme", "todo"), views.num_lines)


@signal("frac_lines_string_concat", "code", views=("code_lines",), null_when=NO_CODE_LINES)
def frac_lines_string_concat(views: Views) -> np.ndarray:
    """Code lines that assign one quoted string plus another / code lines."""
    found = views.code_lines.frame["line"].str.contains(r"""=\s*["'].+?["']\s*\+\s*["'].+?["']""")
    return ratio(views.code_lines.total(found), views.code_lines.count)
