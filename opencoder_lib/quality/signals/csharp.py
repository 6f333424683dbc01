"""Signals of C# files: regular expressions over the code."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.patterns import (
    BLANK,
    CodeSearch,
    lines_with,
    per_line,
    per_separate_line,
    word_except,
    word_without_prefix,
)
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.signals.c import PARAMETERS
from opencoder_lib.quality.views import Lines, Views

NO_LINES = "no code lines"
# The release forbids these at the start of a type by a look-ahead without a word border. A `<T>` starts with none.
TYPE = rf"(?:<\w+>\s*\w+|\s*{word_without_prefix('public private protected else if')})\s+"
FUNCTION = (
    r"^\s*(?:(?:public|protected|private|internal)\s+)?(?:(?:static|virtual|override|abstract|async)\s+)?"
    rf"{TYPE}\w+\s*\([^)]*\)"
)
USING = r"^\s*using\s+[a-zA-Z0-9_.]+\s*;"
SIMPLE_VARIABLE = r"\b(?:int|float|double|char|string|bool|byte|sbyte|short|ushort|uint|long|ulong|decimal)\s+\w+\s*;"
RETURN = r"^\s*return\b(?:\s+[^;\n]+)?\s*;"
CLASS = r"\b(?:public|private|protected|internal|static|abstract|sealed)?\s*class\s+\w+"

SIMPLE_RETURN = r"""^\s*return(?:\s+(?:\w+|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))?\s*;"""
_WORD = word_except(
    "as await base break by case catch checked continue default do else equals fixed for foreach goto if in is lock "
    "namespace new return select switch this throw try typeof unchecked using when where while yield"
)
# A definition: at the start of a line attributes, modifiers, a type (not for a constructor), a name, parameters, body.
_BEFORE = rf"(?:{_WORD}[\s<.?\[][\w\s<>,.?\[\]]*[\s>?\].]|{_WORD}\s+)?"
_AFTER = rf"(?::\s*(?:base|this)\s*{PARAMETERS}\s*|where\s[^{{}};=]*)?"
DEFINITION = (
    rf"^{BLANK}*(?:\[[^\[\]{{}}]*\]\s*)*{_BEFORE}~?{_WORD}\s*(?:<[\w\s,]+>\s*)?{PARAMETERS}\s*{_AFTER}(?:\{{|=>)"
)
# A declaration: a type, a name, then a value, the end, another name, a loop's `in`, or the accessors of a property.
_GENERIC = r"(?:\s*<[\w\s<>,.?\[\]]*>)?"
_ENDS = r"(?:=[^=>]|;|,[^(){};]*[=;]|in\s|\{\s*(?:get|set|init)\b)"
ANY_VARIABLE = rf"\b{_WORD}(?:\.\w+)*{_GENERIC}\??(?:\s*\[[\s,]*\])*\s+\w+\s*{_ENDS}"


def _no_logic(search: CodeSearch, lines: Lines, functions: str, returns: str) -> np.ndarray:
    """Of all lines, what has no logic."""
    found = sum(search.count(pattern) for pattern in (functions, SIMPLE_VARIABLE, returns, CLASS))
    # Only ASCII letters may stand in a using, and the search's text does not tell them from others.
    return ratio(found + lines.matches(USING), lines.count)


@signal("frac_lines_func_ratio", "csharp", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_func_ratio(views: Views) -> np.ndarray:
    """Lines that start like `modifiers type name(…)` / code lines: definitions, but also prototypes, `return F(x)` and
    `new F(x)`; no type that begins like public, private, protected, if or else."""
    return per_line(views, FUNCTION)


@signal("cate_var_zero", "csharp", views=())
def cate_var_zero(views: Views) -> np.ndarray:
    """Always 0: the release compares a list with a number."""
    return np.zeros(len(views))


@signal("score_lines_no_logic", "csharp", views=("code", "code_lines"), null_when=NO_LINES)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """What looks like a function, usings, variables without a value, returns on one line, and classes / code lines.
    May exceed 1."""
    return _no_logic(views.code_search, views.code_lines, FUNCTION, RETURN)


@signal("frac_lines_print", "csharp", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `Console.WriteLine` / code lines."""
    return per_line(views, lines_with(r"Console\.WriteLine"))


@signal(
    "cate_var_zero_any",
    "csharp",
    views=("code",),
    mends="A list is compared with 0, so no file ever counts as one without variables.",
)
def cate_var_zero_any(views: Views) -> np.ndarray:
    """1 if there is no variable, field or property of any type, else 0."""
    return views.code_search.lacks(ANY_VARIABLE)


@signal(
    "frac_lines_func_ratio_defined",
    "csharp",
    views=("separate_code_lines",),
    null_when=NO_LINES,
    mends="Prototypes, `return F(x)` and `new F(x)` count as functions; comments glue lines of code together.",
)
def frac_lines_func_ratio_defined(views: Views) -> np.ndarray:
    """Definitions of methods and constructors, with name, parameters and body, / code lines."""
    return per_separate_line(views, DEFINITION)


@signal(
    "score_lines_no_logic_defined",
    "csharp",
    views=("separate_code_lines",),
    null_when=NO_LINES,
    mends="Prototypes and `return F(x)` count as functions, and any return as one without logic; comments glue lines.",
)
def score_lines_no_logic_defined(views: Views) -> np.ndarray:
    """Definitions of methods and constructors, usings, variables without a value, returns of nothing, a name or a
    literal, and classes / code lines. May exceed 1."""
    return _no_logic(views.separate_code_search, views.separate_code_lines, DEFINITION, SIMPLE_RETURN)
