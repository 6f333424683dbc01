"""Signals of Python files. Structure is what CPython's parser says; the rest is a search in the code lines."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.patterns import STRIPPED
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views
from opencoder_lib.syntax.python import PythonFacts, comments

NO_TREE = "does not parse, is too long to parse, or has no code lines"
NO_VARIABLES_KNOWN = "does not parse or is too long to parse"
# White space as Python's `re` has it.
_SPACE = r"[\t-\r\x1c- ]"
RETURN = rf"^{STRIPPED}*return(?:{_SPACE}+.+)?{_SPACE}*$"


def _tree_counts(views: Views, *names: str) -> np.ndarray:
    """The sum of the named counts of each file's tree; NaN without a tree."""
    return np.array([np.nan if facts is None else sum(getattr(facts, n) for n in names) for facts in views.python])


def _length_documented(text: str, facts: PythonFacts | None) -> int:
    """Characters of docstrings and comments; a comment counts only if the tokenizer reads the whole text."""
    docstrings, remarks = (facts.docstrings, facts.comments) if facts else ("", comments(text))
    return len(f"{docstrings}\n{(remarks or '').replace('#', '')}".strip())


@signal(
    "frac_chars_comments",
    "python",
    views=("texts", "python", "may_parse", "chars"),
    null_when="empty file or too long to parse",
    official="qsc_code_frac_chars_comments",
)
def frac_chars_comments(views: Views) -> np.ndarray:
    """Characters of docstrings and of `#` comments, the # signs left out, / characters. Docstrings count only if the
    file parses, comments only if the standard tokenizer of Python 3.11 reads all of it."""
    read = zip(views.texts, views.python, views.may_parse, strict=True)
    found = [_length_documented(text, facts) if may else np.nan for text, facts, may in read]
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


@signal("cate_var_zero", "python", views=("python",), null_when=NO_VARIABLES_KNOWN)
def cate_var_zero(views: Views) -> np.ndarray:
    """1 if no plain name is assigned, looped over or an ordinary parameter, else 0."""
    return _is_zero(_tree_counts(views, "variables"))


@signal(
    "cate_var_zero_any",
    "python",
    views=("python",),
    null_when=NO_VARIABLES_KNOWN,
    mends="Fields with annotations, targets other than plain names, and the parameters of async functions are none.",
)
def cate_var_zero_any(views: Views) -> np.ndarray:
    """1 if there is no assignment or annotation of any kind, no loop, no `with … as` and no function with parameters,
    else 0."""
    return _is_zero(_tree_counts(views, "bindings"))


def _is_zero(counts: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(counts), np.nan, counts == 0)


@signal("frac_lines_pass", "python", views=("code_lines",))
def frac_lines_pass(views: Views) -> np.ndarray:
    """Code lines that contain `pass`, also inside a word such as password, / code lines; 0 if there are none."""
    return ratio(views.code_lines.containing("pass"), views.code_lines.count, empty=0.0)


@signal(
    "frac_lines_pass_statements",
    "python",
    views=("python", "code_lines"),
    null_when=NO_TREE,
    mends="Any line with `password`, `bypass` or `passed` counts as one with a pass.",
)
def frac_lines_pass_statements(views: Views) -> np.ndarray:
    """Pass statements / code lines."""
    return ratio(_tree_counts(views, "passes"), views.code_lines.count)


@signal("frac_lines_import", "python", views=("code_lines",))
def frac_lines_import(views: Views) -> np.ndarray:
    """Code lines that contain `import`, also inside a word such as important, / code lines; 0 if there are none."""
    return ratio(views.code_lines.containing("import"), views.code_lines.count, empty=0.0)


@signal(
    "frac_lines_import_statements",
    "python",
    views=("python", "code_lines"),
    null_when=NO_TREE,
    mends="Any line with `important` or `import_module` counts as an import.",
)
def frac_lines_import_statements(views: Views) -> np.ndarray:
    """Import statements / code lines."""
    return ratio(_tree_counts(views, "imports"), views.code_lines.count)


@signal("frac_lines_simplefunc", "python", views=("python", "code_lines"), null_when=NO_TREE, rounded=False)
def frac_lines_simplefunc(views: Views) -> np.ndarray:
    """Functions whose body is a single return statement / code lines."""
    return ratio(_tree_counts(views, "single_return_functions"), views.code_lines.count)


@signal("score_lines_no_logic", "python", views=("python", "code_lines", "code"), null_when=NO_TREE)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """Functions, import lines, classes, return statements and plain class variables / code lines. May exceed 1."""
    counts = _tree_counts(views, "functions", "classes", "class_variables")
    return ratio(
        counts + views.code_lines.containing("import") + views.code_search.count(RETURN), views.code_lines.count
    )


@signal(
    "score_lines_no_logic_statements",
    "python",
    views=("python", "code_lines"),
    null_when=NO_TREE,
    mends="A return of any expression counts as one without logic, and any line with `important` as an import.",
)
def score_lines_no_logic_statements(views: Views) -> np.ndarray:
    """Functions, import statements, classes, returns of nothing, a name or a literal, and plain class variables / code
    lines. May exceed 1."""
    counts = _tree_counts(views, "functions", "imports", "classes", "simple_returns", "class_variables")
    return ratio(counts, views.code_lines.count)


@signal("frac_lines_print", "python", views=("code_lines",), null_when="no code lines")
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `print` / code lines."""
    return ratio(views.code_lines.containing("print", lower=False), views.code_lines.count)
