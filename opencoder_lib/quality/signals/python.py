"""Signals of Python files. Structure is what CPython's parser says; the rest is a search in the code lines."""

import re

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views
from opencoder_lib.syntax.tree import tokenizes

NO_TREE = "does not parse, is too long to parse, or has no code lines"
# The release starts with \s*, which is quadratic over blank lines; matching from the line of `return` counts the same.
_RETURN = re.compile(r"^[^\S\n]*return(?:\s+.+)?\s*$", re.MULTILINE)


def _tree_counts(views: Views, *names: str) -> np.ndarray:
    """The sum of the named counts of each file's tree; NaN without a tree."""
    return np.array([np.nan if facts is None else sum(getattr(facts, n) for n in names) for facts in views.python])


@signal(
    "frac_chars_comments",
    "python",
    views=("hash_comments", "python", "chars"),
    null_when="empty file, or does not parse and is too long to tokenize",
    official="qsc_code_frac_chars_comments",
)
def frac_chars_comments(views: Views) -> np.ndarray:
    """Characters of docstrings and of `#` comments, the # signs left out, / characters. Docstrings count only if the
    file parses, comments only if the standard tokenizer reads all of it."""
    found = []
    for text, comments, facts in zip(views.texts, views.hash_comments, views.python, strict=True):
        reads = facts is not None or tokenizes(text)
        documented = f"{facts.docstrings if facts else ''}\n{comments.replace('#', '') if reads else ''}"
        found.append(np.nan if reads is None else len(documented.strip()))
    return ratio(found, views.chars.lengths)


@signal("cate_ast", "python", views=("python", "may_parse"), null_when="too long to parse")
def cate_ast(views: Views) -> np.ndarray:
    """1 if this Python's own parser accepts the file, else 0."""
    parsed = np.array([facts is not None for facts in views.python], np.float64)
    return np.where(views.may_parse, parsed, np.nan)


@signal("frac_lines_func_ratio", "python", views=("python", "code_lines"), null_when=NO_TREE)
def frac_lines_func_ratio(views: Views) -> np.ndarray:
    """Functions, nested ones and methods too, async ones not, / code lines."""
    return ratio(_tree_counts(views, "functions"), views.code_lines.count)


@signal("cate_var_zero", "python", views=("python",), null_when="does not parse or is too long to parse")
def cate_var_zero(views: Views) -> np.ndarray:
    """1 if no plain name is assigned, looped over or an ordinary parameter, else 0."""
    counts = _tree_counts(views, "variables")
    return np.where(np.isnan(counts), np.nan, counts == 0)


@signal("frac_lines_pass", "python", views=("code_lines",))
def frac_lines_pass(views: Views) -> np.ndarray:
    """Code lines that contain `pass`, also inside a word such as password, / code lines; 0 if there are none."""
    return ratio(views.code_lines.containing("pass"), views.code_lines.count, empty=0.0)


@signal("frac_lines_import", "python", views=("code_lines",))
def frac_lines_import(views: Views) -> np.ndarray:
    """Code lines that contain `import`, also inside a word such as important, / code lines; 0 if there are none."""
    return ratio(views.code_lines.containing("import"), views.code_lines.count, empty=0.0)


@signal("frac_lines_simplefunc", "python", views=("python", "code_lines"), null_when=NO_TREE, rounded=False)
def frac_lines_simplefunc(views: Views) -> np.ndarray:
    """Functions whose body is a single return statement / code lines."""
    return ratio(_tree_counts(views, "single_return_functions"), views.code_lines.count)


@signal("score_lines_no_logic", "python", views=("python", "code_lines", "code"), null_when=NO_TREE)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """Functions, import lines, classes, return statements and plain class variables / code lines. May exceed 1."""
    returns = np.array([len(_RETURN.findall(code)) for code in views.code])
    counts = _tree_counts(views, "functions", "classes", "class_variables")
    return ratio(counts + views.code_lines.containing("import") + returns, views.code_lines.count)


@signal("frac_lines_print", "python", views=("code_lines",), null_when="no code lines")
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `print` / code lines."""
    return ratio(views.code_lines.containing("print", lower=False), views.code_lines.count)
