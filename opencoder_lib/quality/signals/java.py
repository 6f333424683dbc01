"""Signals of Java files: regular expressions over the code."""

import numpy as np
import polars as pl

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.patterns import BLANK, CodeSearch, lines_with, per_line, word_except
from opencoder_lib.quality.registry import signal
from opencoder_lib.quality.signals.c import PARAMETERS
from opencoder_lib.quality.signals.csharp import TYPE
from opencoder_lib.quality.views import Views

NO_LINES = "no code lines"
FUNCTION = rf"^\s*(?:(?:public|protected|private|static)\s+)*{TYPE}\w+\s*\([^)]*\)(?:\s*throws\s+[\w, ]+)?"
_DECLARED = (
    r"^\s*(?:(?:public|protected|private|final|static)\s+)*"
    r"(?:int|float|boolean|char|double|String|[A-Z][\w<>]*)\s+\w+\s*"
)
VARIABLE = rf"{_DECLARED}(?:=\s*[^;]+)?;"
SIMPLE_VARIABLE = rf"{_DECLARED};"
IMPORT = r"^\s*import\s+[\w.*]+\s*;\s*$"
SIMPLE_RETURN = r"""^\s*return(?:;|\s+(?:\w*|"[^"\\]*(?:\\.[^"\\]*)*")\s*;\s*)$"""
CLASS = r"^\s*(?:public\s+|protected\s+|private\s+)?(?:final\s+|abstract\s+)?class\s+[\w<>]+"
NO_LOGIC = (IMPORT, SIMPLE_VARIABLE, SIMPLE_RETURN, CLASS)

_WORD = word_except(
    "assert break case catch continue do else extends for goto if implements import instanceof new package return "
    "super switch synchronized this throw throws try while yield"
)
# A definition: at the start of a line modifiers and a type (or none, for a constructor), a name, parameters, `{`.
_BEFORE = rf"(?:<[\w\s<>,.?&]+>\s*)?(?:@?{_WORD}[\s<.\[][\w\s<>,.?&@\[\]]*[\s>\]]|{_WORD}\s+)?"
DEFINITION = rf"^{BLANK}*{_BEFORE}{_WORD}\s*{PARAMETERS}\s*(?:throws\s[\w\s,.@]+)?\{{"
# A declaration: a type, a name, then a value, the end, another name, or the colon of a loop.
_GENERIC = r"(?:\s*<[\w\s<>,.?&@\[\]]*>)?"
_ENDS = r"(?:\s*\[\s*\])*\s*(?:=[^=]|;|:|,[^(){};]*[=;])"
ANY_VARIABLE = rf"\b{_WORD}(?:\.\w+)*{_GENERIC}(?:\s*\[\s*\])*\s+\w+{_ENDS}"

_MODIFIED = pl.element().str.contains("public|protected|private")
_NAMED_LIKE_A_MODIFIER = pl.element().str.contains(r"\s(?:public|protected|private)$")
_LEGAL_CLASS = pl.element().str.contains(r"\s[A-Z][a-zA-Z0-9]*$")


def _second_letter(found: CodeSearch, pattern: str, legal: str) -> np.ndarray:
    """The share of the matches whose second character, white space before them left out, matches `legal`."""
    second = pl.element().str.strip_chars_start("\t\n\x0b\x0c\r ").str.slice(1, 1)
    return ratio(found.count_where(pattern, second.str.contains(f"^{legal}$")), found.count(pattern))


@signal("cate_var_zero", "java", views=("code",))
def cate_var_zero(views: Views) -> np.ndarray:
    """1 if no line starts with a variable of type int, float, boolean, char, double, String or a capitalised name,
    else 0."""
    return views.code_search.lacks(VARIABLE)


@signal("frac_lines_func_ratio", "java", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_func_ratio(views: Views) -> np.ndarray:
    """Lines that start like `modifiers type name(…)` / code lines: definitions, but also prototypes, `return f(x)` and
    `new F(x)`; no type that begins like public, private, protected, if or else."""
    return per_line(views, FUNCTION)


@signal("score_lines_no_logic", "java", views=("code", "code_lines"), null_when=NO_LINES)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """What looks like a function, imports (not static ones), variables without a value, returns of nothing, a name or
    a string, and classes / code lines. May exceed 1."""
    return per_line(views, FUNCTION, *NO_LOGIC)


@signal("frac_words_no_modifier", "java", views=("code",), null_when="no function and no class")
def frac_words_no_modifier(views: Views) -> np.ndarray:
    """Functions with public, protected or private anywhere in their head, and classes so named, / functions and
    classes: the share with a modifier, in spite of the name."""
    found = views.code_search
    modified = found.count_where(FUNCTION, _MODIFIED) + found.count_where(CLASS, _NAMED_LIKE_A_MODIFIER)
    return ratio(modified, found.count(FUNCTION) + found.count(CLASS))


@signal("frac_words_legal_var_name", "java", views=("code",), null_when="no variable")
def frac_words_legal_var_name(views: Views) -> np.ndarray:
    """Variables whose declaration has a small ASCII letter second (the release looks there) / variables."""
    return _second_letter(views.code_search, VARIABLE, "[a-z]")


@signal("frac_words_legal_func_name", "java", views=("code",), null_when="no function")
def frac_words_legal_func_name(views: Views) -> np.ndarray:
    """Functions whose head has an ASCII letter second (the release looks there) / functions."""
    return _second_letter(views.code_search, FUNCTION, "[a-zA-Z]")


@signal("frac_words_legal_class_name", "java", views=("code",), null_when="no class")
def frac_words_legal_class_name(views: Views) -> np.ndarray:
    """Classes named by a capital ASCII letter, then ASCII letters and digits only, / classes."""
    # In the code itself: the search's text does not tell other letters from digits.
    classes = views.code_series.str.extract_all(f"(?m){CLASS}")
    return ratio(classes.list.eval(_LEGAL_CLASS).list.sum(), classes.list.len())


@signal("frac_lines_print", "java", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `System.out.print` / code lines."""
    return per_line(views, lines_with(r"System\.out\.print"))


@signal(
    "cate_var_zero_any",
    "java",
    views=("code",),
    mends="`long`, `byte`, arrays and generic types with blanks are no variables.",
)
def cate_var_zero_any(views: Views) -> np.ndarray:
    """1 if there is no variable or field of any type, else 0."""
    return views.code_search.lacks(ANY_VARIABLE)


@signal(
    "frac_lines_func_ratio_defined",
    "java",
    views=("code", "code_lines"),
    null_when=NO_LINES,
    mends="Prototypes, `return f(x)` and `new F(x)` count as functions.",
)
def frac_lines_func_ratio_defined(views: Views) -> np.ndarray:
    """Definitions of methods and constructors, with name, parameters and body, / code lines."""
    return per_line(views, DEFINITION)


@signal(
    "score_lines_no_logic_defined",
    "java",
    views=("code", "code_lines"),
    null_when=NO_LINES,
    mends="Prototypes, `return f(x)` and `new F(x)` count as functions.",
)
def score_lines_no_logic_defined(views: Views) -> np.ndarray:
    """Definitions of methods and constructors, imports, variables without a value, returns of nothing, a name or a
    string, and classes / code lines. May exceed 1."""
    return per_line(views, DEFINITION, *NO_LOGIC)
