"""Signals of JavaScript files. Structure is counted where esprima 4.0.1, the release's parser, accepts the file."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.views import Views

TOO_DEEP = "too long or too deeply nested to parse"
NO_TREE = "esprima 4.0.1 does not accept it, too long or too deeply nested to parse, or has no code lines"
NO_NAMES = "esprima 4.0.1 does not accept it, too long or too deeply nested to parse, or has no such name"
NO_MODERN_TREE = "no JavaScript of today, too long or too deeply nested to parse, or has no code lines"
OLD_GRAMMAR = "Structure is null for JavaScript newer than 2017 and for JSX."
LOGICLESS = ("functions", "imports", "simple_variables", "simple_returns", "classes")


def _counts(views: Views, *names: str, by: str = "accepted") -> np.ndarray:
    """The sum of the named counts of each file; NaN unless it is `accepted` (or `modern`)."""
    return np.array(
        [
            np.nan if facts is None or not getattr(facts, by) else sum(getattr(facts, name) for name in names)
            for facts in views.javascript
        ]
    )


def _flags(views: Views, name: str) -> np.ndarray:
    return np.array([np.nan if facts is None else getattr(facts, name) for facts in views.javascript], np.float64)


def _none(counts: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(counts), np.nan, counts == 0)


@signal("cate_ast", "javascript", views=("javascript",), null_when=TOO_DEEP)
def cate_ast(views: Views) -> np.ndarray:
    """1 if esprima 4.0.1 accepts the file, which knows JavaScript of 2017 without JSX, else 0."""
    return _flags(views, "accepted")


@signal("cate_var_zero", "javascript", views=("javascript",), null_when=NO_TREE.rpartition(",")[0])
def cate_var_zero(views: Views) -> np.ndarray:
    """1 if no plain name is declared or exported but for functions, else 0."""
    return _none(_counts(views, "variables"))


@signal("frac_lines_func_ratio", "javascript", views=("javascript", "code_lines"), null_when=NO_TREE)
def frac_lines_func_ratio(views: Views) -> np.ndarray:
    """Function declarations, and functions bound to a plain name or to `module.exports.name`, / code lines."""
    return ratio(_counts(views, "functions"), views.code_lines.count)


@signal("num_statement_line", "javascript", views=("javascript", "code_lines"), null_when=NO_TREE)
def num_statement_line(views: Views) -> np.ndarray:
    """Statements at top level / code lines."""
    return ratio(_counts(views, "statements"), views.code_lines.count)


@signal("score_lines_no_logic", "javascript", views=("javascript", "code_lines"), null_when=NO_TREE)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """Functions, imports, classes, and variables and return statements with a name, a literal, a unary expression or
    nothing, / code lines. May exceed 1."""
    return ratio(_counts(views, *LOGICLESS), views.code_lines.count)


@signal("frac_words_legal_var_name", "javascript", views=("javascript",), null_when=NO_NAMES)
def frac_words_legal_var_name(views: Views) -> np.ndarray:
    """Variables named in lower camel case / variables."""
    return ratio(_counts(views, "legal_variables"), _counts(views, "variables"))


@signal("frac_words_legal_func_name", "javascript", views=("javascript",), null_when=NO_NAMES)
def frac_words_legal_func_name(views: Views) -> np.ndarray:
    """Functions whose name is only letters and digits / functions."""
    return ratio(_counts(views, "legal_functions"), _counts(views, "functions"))


@signal("frac_words_legal_class_name", "javascript", views=("javascript",), null_when=NO_NAMES)
def frac_words_legal_class_name(views: Views) -> np.ndarray:
    """Classes named in upper camel case / classes."""
    return ratio(_counts(views, "legal_classes"), _counts(views, "classes"))


@signal("frac_lines_print", "javascript", views=("code_lines",), null_when="no code lines")
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `console.log` / code lines."""
    return ratio(views.code_lines.containing("console.log", lower=False), views.code_lines.count)


@signal(
    "cate_ast_modern",
    "javascript",
    views=("javascript",),
    null_when=TOO_DEEP,
    mends="The released parser knows JavaScript of 2017: newer syntax and JSX count as broken.",
)
def cate_ast_modern(views: Views) -> np.ndarray:
    """1 if the file is JavaScript of today, JSX included, else 0."""
    return _flags(views, "modern")


@signal(
    "cate_var_zero_modern",
    "javascript",
    views=("javascript",),
    null_when=NO_MODERN_TREE.rpartition(",")[0],
    mends=OLD_GRAMMAR,
)
def cate_var_zero_modern(views: Views) -> np.ndarray:
    """1 if no plain name is declared or exported but for functions, else 0, in JavaScript of today."""
    return _none(_counts(views, "variables", by="modern"))


@signal(
    "frac_lines_func_ratio_modern",
    "javascript",
    views=("javascript", "code_lines"),
    null_when=NO_MODERN_TREE,
    mends=OLD_GRAMMAR,
)
def frac_lines_func_ratio_modern(views: Views) -> np.ndarray:
    """Function declarations, and functions bound to a plain name or to `module.exports.name`, / code lines, in
    JavaScript of today."""
    return ratio(_counts(views, "functions", by="modern"), views.code_lines.count)


@signal(
    "score_lines_no_logic_modern",
    "javascript",
    views=("javascript", "code_lines"),
    null_when=NO_MODERN_TREE,
    mends=OLD_GRAMMAR,
)
def score_lines_no_logic_modern(views: Views) -> np.ndarray:
    """Functions, imports, classes, and variables and return statements with a name, a literal, a unary expression or
    nothing, / code lines, in JavaScript of today. May exceed 1."""
    return ratio(_counts(views, *LOGICLESS, by="modern"), views.code_lines.count)
