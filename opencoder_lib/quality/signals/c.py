"""Signals of C and C++ files: regular expressions over the code. Headers named `.h` are C files."""

import numpy as np

from opencoder_lib.quality.patterns import BLANK, lines_with, per_line, per_separate_line, word_except
from opencoder_lib.quality.registry import add, signal
from opencoder_lib.quality.views import Views

NO_LINES = "no code lines"
HEADER = "a header by its extension, or no code lines"
HEADER_EXTENSIONS = ("h", "hpp", "hxx", "hh", "h++")
DIRECTIVE = r"(?:include|define|if|else|elif|endif|error|pragma|warning|undef|line)"

FUNCTION = r"\b(?:[a-zA-Z_]\w*\s*\**\s+)+\*?\s*[a-zA-Z_]\w*\([^)]*\)\s*"
MAIN = r"\bmain\s*\([^)]*\)\s*\{"
_DECLARED = r"\**\s*[\w\[\]]+\s*(?:=\s*[^;]*)?"
VARIABLE = rf"\b\w+(?:\s+\w+)?\s+{_DECLARED}(?:,\s*{_DECLARED})*\s*;"
INCLUDE = r"""^\s*#\s*include\s+["<][^">]+[">]"""
SIMPLE_VARIABLE = r"^\s*(?:unsigned\s+)?(?:int|float|double|char|bool|std::string|auto)\s+\w+\s*;"
SIMPLE_RETURN = r"""^\s*return\s*(?:(?:\w+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*)?;\s*$"""
CLASS = r"^\s*class\s+\w+\s*(?::[^{]*)?\{"
NO_LOGIC = (INCLUDE, SIMPLE_VARIABLE, SIMPLE_RETURN, CLASS)

# A definition: at the start of a line a type, a name, parameters, `{`. In C++ the type may be missing (constructors);
# in C that would be the call of a macro. C headers may well hold C++.
_WORD = word_except(
    "asm case catch co_return co_await co_yield default delete do else for goto if new return sizeof switch throw try "
    "typedef using while"
)
PARAMETERS = r"\([^(){};]*(?:\([^(){};]*\)[^(){};]*)*\)"
_TYPE = rf"(?:extern\s*\"C\"\s*)?{_WORD}(?:[\s*&<:][\w\s*&<>:,~]*)?[\s*&>:]"
_NAME = rf"(?:~?{_WORD}|operator[^\w(;{{}}]+|operator\s*\(\s*\))"
_QUALIFIED = r"(?:\s*(?:const|volatile|noexcept|override|final|try|&|->[^{};=]+))*\s*(?::[^;{}]*)?"
DEFINITION_C = rf"^{BLANK}*{_TYPE}{_NAME}\s*{PARAMETERS}{_QUALIFIED}\{{"
DEFINITION_CPP = rf"^{BLANK}*(?:{_TYPE})?{_NAME}\s*{PARAMETERS}{_QUALIFIED}\{{"


def _is_header(views: Views) -> np.ndarray:
    names = [path.rsplit("/", 1)[-1] for path in views.files["path"]]
    return np.array(["." in name and name.rsplit(".", 1)[1] in HEADER_EXTENSIONS for name in names], bool)


@signal("frac_lines_func_ratio", "c", "cpp", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_func_ratio(views: Views) -> np.ndarray:
    """Places that look like `word name(…)` / code lines: definitions, but also prototypes, macros, `return f(x)`,
    `else if(x)` and `new T(x)`."""
    return per_line(views, FUNCTION)


@signal("cate_bitsstdc", "c", "cpp", views=("code",))
def cate_bitsstdc(views: Views) -> np.ndarray:
    """1 if the first 200 characters of the code, white space before them left out, contain `bits/stdc++.h`."""
    return np.array(["bits/stdc++.h" in code.lstrip()[:200].lower()[:200] for code in views.code], np.float64)


@signal("nums_lines_main", "c", "cpp", views=("code",))
def nums_lines_main(views: Views) -> np.ndarray:
    """Functions named main, with a body."""
    return views.code_search.count(MAIN)


@signal("frac_lines_goto", "c", "cpp", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_goto(views: Views) -> np.ndarray:
    """Code lines that contain `goto` / code lines."""
    return per_line(views, lines_with("goto"))


@signal("cate_var_zero", "c", "cpp", views=("code",))
def cate_var_zero(views: Views) -> np.ndarray:
    """1 if nothing looks like a variable (one or two words, then names with or without values, then `;`), else 0."""
    return views.code_search.lacks(VARIABLE)


@signal("score_lines_no_logic", "c", "cpp", views=("code", "code_lines"), null_when=NO_LINES)
def score_lines_no_logic(views: Views) -> np.ndarray:
    """What looks like a function, includes, variables without a value, returns of nothing, a name or a literal, and
    classes / code lines. May exceed 1."""
    return per_line(views, FUNCTION, *NO_LOGIC)


@signal("frac_lines_print", "c", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_print(views: Views) -> np.ndarray:
    """Code lines that contain `printf` / code lines."""
    return per_line(views, lines_with("printf"))


@signal("frac_lines_print", "cpp", views=("code", "code_lines"), null_when=NO_LINES)
def frac_lines_print_cpp(views: Views) -> np.ndarray:
    """Code lines that contain `cout` or `printf` / code lines."""
    return per_line(views, lines_with("cout|printf"))


@signal("frac_lines_preprocessor_directives", "c", "cpp", views=("code", "code_lines", "files"), null_when=HEADER)
def frac_lines_preprocessor_directives(views: Views) -> np.ndarray:
    """Code lines with a preprocessor directive, or with `struct` or `using` anywhere, / code lines. Null for headers
    (h, hpp, hxx, hh, h++)."""
    lines = lines_with(rf"#{BLANK}*{DIRECTIVE}|struct|using")
    return np.where(_is_header(views), np.nan, per_line(views, lines))


@signal(
    "frac_lines_preprocessor_only",
    "c",
    "cpp",
    views=("code", "code_lines", "files"),
    null_when=HEADER,
    mends="Every line that mentions struct or using counts as a preprocessor directive.",
)
def frac_lines_preprocessor_only(views: Views) -> np.ndarray:
    """Code lines that start with a preprocessor directive / code lines. Null for headers (h, hpp, hxx, hh, h++)."""
    return np.where(_is_header(views), np.nan, per_line(views, rf"^{BLANK}*#{BLANK}*{DIRECTIVE}"))


def _add_defined(scope: str, definition: str) -> None:
    """Register the two signals that count function definitions only."""

    def frac_lines_func_ratio_defined(views: Views) -> np.ndarray:
        """Function definitions, with type, name, parameters and body, / code lines."""
        return per_separate_line(views, definition)

    def score_lines_no_logic_defined(views: Views) -> np.ndarray:
        """Function definitions, includes, variables without a value, returns of nothing, a name or a literal, and
        classes / code lines. May exceed 1."""
        return per_separate_line(views, definition, *NO_LOGIC)

    quirk = (
        "Prototypes, macros, `return f(x)`, `else if(x)` and `new T(x)` count as functions, and a comment at the end "
        "of a line glues the next line to it."
    )
    for measure in (frac_lines_func_ratio_defined, score_lines_no_logic_defined):
        add(measure.__name__, scope, views=("separate_code_lines",), measure=measure, null_when=NO_LINES, mends=quirk)


_add_defined("c", DEFINITION_C)
_add_defined("cpp", DEFINITION_CPP)
