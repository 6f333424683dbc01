"""Signals of Go files: regular expressions over the code."""

import numpy as np
import polars as pl

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.patterns import BLANK, STRIPPED, lines_with, per_line
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views

NO_LINES = "no code lines"
FUNCTION = r"^func\s+(?:\(\s*\w+\s+\*?\w+\s*\))?\s*\w+\s*\([^)]*\)\s*(?:\([^)]+\)|[\w\[\]]+)?\s*"
# The line an import block opens with counts, the lines inside do not.
IMPORT = rf"""^{STRIPPED}*import(?:{BLANK}+"[^"\n]+"| \(){STRIPPED}*$"""
SIMPLE_VARIABLE = r"^\s*var\s+\w+\s+\w+\s*;?\s*$"
RETURN = r"^\s*return(?:\s+[^;\n]+)?\s*;?\s*$"
TYPE = r"^\s*type\s+\w+\s+(?:struct|interface)\s*\{[^}]*\}"
NO_LOGIC = (FUNCTION, IMPORT, SIMPLE_VARIABLE, RETURN, TYPE)
IMPORT_BLOCK = r"^import\s*\([^)]*\)"
ANY_VARIABLE = r":=|\b(?:var|const)\s+[\w(]|\bstruct\s*\{\s*\w"


@signal("cate_testfile", "go", views=("files",))
def cate_testfile(views: Views) -> np.ndarray:
    """1 if the name of the file, in lower case, ends with `_test.go`, else 0."""
    return np.array([path.lower().endswith("_test.go") for path in views.files["path"]], np.float64)


@signal("frac_lines_func_ratio", "go", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_func_ratio(views: Views) -> np.ndarray:
    """Functions and methods that start a line / code lines."""
    return per_line(views, FUNCTION)


@signal("cate_var_zero", "go", views=())
def cate_var_zero(views: Views) -> np.ndarray:
    """Always 0: the release compares a list with a number."""
    return np.zeros(len(views))


@signal(
    "cate_var_zero_any",
    "go",
    views=("code",),
    mends="A list is compared with 0, so no file ever counts as one without variables.",
)
def cate_var_zero_any(views: Views) -> np.ndarray:
    """1 if there is no `:=`, `var`, `const` or struct with a field, else 0."""
    return views.code_search.lacks(ANY_VARIABLE)


@signal("score_lines_no_logic", "go", views=("code", "code_lines"), null_when=NO_LINES)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """Functions, single imports and openings of import blocks, variables without a value, returns on one line, and
    types / code lines. May exceed 1."""
    return per_line(views, *NO_LOGIC)


@signal(
    "score_lines_no_logic_imports",
    "go",
    views=("code", "code_lines"),
    null_when=NO_LINES,
    mends="The lines inside an import block never count as imports.",
)
def score_lines_no_logic_imports(views: Views) -> np.ndarray:
    """Functions, imports inside blocks too, variables without a value, returns on one line, and types / code lines."""
    inside = views.code_search.count_where(IMPORT_BLOCK, pl.element().str.count_matches(r'"[^"\n]*"'))
    return per_line(views, *NO_LOGIC) + ratio(inside, views.code_lines.count)


@signal("frac_lines_print", "go", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `fmt.Print` / code lines."""
    return per_line(views, lines_with(r"fmt\.Print"))
