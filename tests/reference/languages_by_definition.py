r"""The signals of C, C++, C#, Java and Go as the specification words them, run by the `regex` module: slow, to hold the
fast ones against. The functions of a program take the code of a file (its text without comments) and its path."""

from collections.abc import Callable

import polars as pl
import regex

from opencoder_lib.quality.registry import SIGNALS
from opencoder_lib.quality.signals import c as _c  # noqa: F401
from opencoder_lib.quality.signals import csharp as _csharp  # noqa: F401
from opencoder_lib.quality.signals import go as _go  # noqa: F401
from opencoder_lib.quality.signals import java as _java  # noqa: F401
from opencoder_lib.quality.views import Views

TYPE = r"(?:(?!\s*(?:public|private|protected|if|else)\s*)(?:<\w+>)?\s*\w+\s+)"
C_FUNCTION = r"\b((?:[a-zA-Z_]\w*\s*(?:\*+)?\s+)+(?:\*?\s*[a-zA-Z_]\w*)\((?:[^)]*)\)\s*)"
C_MAIN = r"\bmain\s*\([^)]*\)\s*\{"
C_VARIABLE = (
    r"\b((?:\w+(?:\s+\w+)?)\s+(?:(?:\*+)?\s*[\w\[\]]+\s*(?:=\s*[^;]*)?"
    r"(?:,\s*(?:\*+)?\s*[\w\[\]]+\s*(?:=\s*[^;]*)?)*)\s*;)"
)
C_NO_LOGIC = (
    r"""^\s*#\s*include\s+["<][^">]+[">]""",
    r"^\s*(?:unsigned\s+)?(?:int|float|double|char|bool|std::string|auto)\s+\w+\s*;",
    r"""^\s*return\s*(?:(\w+|\d+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|true|false|nullptr)\s*)?;\s*$""",
    r"^\s*class\s+\w+\s*(:[^{]*)?\{",
)
C_DIRECTIVE = r"#\s*(?:include|define|if|else|elif|endif|error|pragma|warning|undef|line)|struct|using"
CSHARP_FUNCTION = (
    r"^\s*((?:(?:public|protected|private|internal)\s+)?(?:(?:static|virtual|override|abstract|async)\s+)?"
    rf"{TYPE}(?:\w+\s*)(?:\((?:[^\)]*)\)))"
)
CSHARP_NO_LOGIC = (
    r"^\s*using\s+[a-zA-Z0-9_.]+\s*;",
    r"\b(?:int|float|double|char|string|bool|byte|sbyte|short|ushort|uint|long|ulong|decimal)\s+\w+\s*;",
    r"^\s*return\b(?:\s+[^;\n]+)?\s*;",
    r"\b(?:public|private|protected|internal|static|abstract|sealed)?\s*class\s+\w+",
)
JAVA_FUNCTION = (
    rf"^\s*((?:(?:public|protected|private|static)\s+)*{TYPE}(?:\w+\s*)(?:\((?:[^\)]*)\))"
    r"(?:\s*throws\s+[\w\, ]+)?)"
)
_JAVA_DECLARED = (
    r"(?:(?:public|protected|private|final|static)\s+)*"
    r"(?:int|float|boolean|char|double|String|(?:[A-Z][\w<>]*))\s+"
)
JAVA_VARIABLE = rf"^\s*({_JAVA_DECLARED}(?:\w+)\s*(?:\s*=\s*[^;]+)?;)"
JAVA_CLASS = r"^\s*((?:public\s+|protected\s+|private\s+)?(?:final\s+|abstract\s+)?class\s+([\w<>]+))"
JAVA_NO_LOGIC = (
    r"^\s*import\s+([\w\.\*]+)\s*;\s*$",
    rf"^\s*({_JAVA_DECLARED}(\w+)\s*;)",
    r"""^\s*(return(?:;|\s+(?:\w*|"(?:[^"\\]*(?:\\.[^"\\]*)*)")\s*;\s*))$""",
    JAVA_CLASS,
)
GO_FUNCTION = r"(^func\s+(?:\(\s*\w+\s+\*?\w+\s*\))?\s*(?:\w+)\s*\((?:[^)]*)\)\s*(?:\([^)]+\)|[\w\[\]]+)?\s*)"
GO_NO_LOGIC = (
    r"^\s*var\s+(\w+)\s+(\w+)\s*;?\s*$",
    r"^\s*return(?:\s+[^;\n]+)?\s*;?\s*$",
    r"^\s*type\s+\w+\s+(struct|interface)\s*\{[^}]*\}",
)
MODIFIERS = ("public", "protected", "private")


def findall(pattern: str, code: str) -> list:
    return regex.findall(pattern, code, regex.MULTILINE | regex.V0)


def count(code: str, *patterns: str) -> int:
    return sum(len(findall(pattern, code)) for pattern in patterns)


def code_lines(code: str) -> list[str]:
    return [line for line in code.split("\n") if line.strip()]


def share(part: float, whole: float) -> float | None:
    return round(part / whole, 8) if whole else None


def per_line(code: str, found: float) -> float | None:
    return share(found, len(code_lines(code)))


def lines_with(code: str, *needles: str) -> float | None:
    return per_line(code, sum(any(needle in line for needle in needles) for line in code_lines(code)))


def c(code: str, path: str, cpp: bool = False) -> dict[str, float | None]:
    header = path.rsplit(".", 1)[-1] in ("h", "hpp", "hxx", "hh", "h++")
    directives = sum(bool(regex.search(C_DIRECTIVE, line)) for line in code_lines(code))
    return {
        "frac_lines_func_ratio": per_line(code, count(code, C_FUNCTION)),
        "cate_bitsstdc": float("bits/stdc++.h" in code.strip().lower()[:200]),
        "nums_lines_main": float(count(code, C_MAIN)),
        "frac_lines_goto": lines_with(code, "goto"),
        "cate_var_zero": float(regex.search(C_VARIABLE, code) is None),
        "score_lines_no_logic": per_line(code, count(code, C_FUNCTION, *C_NO_LOGIC)),
        "frac_lines_print": lines_with(code, "cout", "printf") if cpp else lines_with(code, "printf"),
        "frac_lines_preprocessor_directives": None if header else per_line(code, directives),
    }


def cpp(code: str, path: str) -> dict[str, float | None]:
    return c(code, path, cpp=True)


def csharp(code: str, path: str) -> dict[str, float | None]:
    return {
        "frac_lines_func_ratio": per_line(code, count(code, CSHARP_FUNCTION)),
        "cate_var_zero": 0.0,
        "score_lines_no_logic": per_line(code, count(code, CSHARP_FUNCTION, *CSHARP_NO_LOGIC)),
        "frac_lines_print": lines_with(code, "Console.WriteLine"),
    }


def java(code: str, path: str) -> dict[str, float | None]:
    functions, variables = findall(JAVA_FUNCTION, code), findall(JAVA_VARIABLE, code)
    classes = findall(JAVA_CLASS, code)
    modified = sum(any(word in function for word in MODIFIERS) for function in functions)
    modified += sum(any(word in whole_and_name for word in MODIFIERS) for whole_and_name in classes)
    legal_variables = sum(bool(regex.match(r"^[a-z][a-zA-Z0-9]*$", found[1])) for found in variables)
    legal_functions = sum(bool(regex.match(r"^[a-zA-Z][a-zA-Z0-9]*$", found[1])) for found in functions)
    legal_classes = sum(bool(regex.match(r"^[A-Z][a-zA-Z0-9]*$", name)) for _, name in classes)
    return {
        "cate_var_zero": float(not variables),
        "frac_lines_func_ratio": per_line(code, len(functions)),
        "score_lines_no_logic": per_line(code, len(functions) + count(code, *JAVA_NO_LOGIC)),
        "frac_words_no_modifier": share(modified, len(functions) + len(classes)),
        "frac_words_legal_var_name": share(legal_variables, len(variables)),
        "frac_words_legal_func_name": share(legal_functions, len(functions)),
        "frac_words_legal_class_name": share(legal_classes, len(classes)),
        "frac_lines_print": lines_with(code, "System.out.print"),
    }


def go(code: str, path: str) -> dict[str, float | None]:
    lines = [line.strip() for line in code.split("\n")]
    imports = sum(line == "import (" or bool(regex.match(r'^import\s+"[^"]+"$', line)) for line in lines)
    return {
        "cate_testfile": float(path.rsplit("/", 1)[-1].lower().endswith("_test.go")),
        "frac_lines_func_ratio": per_line(code, count(code, GO_FUNCTION)),
        "cate_var_zero": 0.0,
        "score_lines_no_logic": per_line(code, imports + count(code, GO_FUNCTION, *GO_NO_LOGIC)),
        "frac_lines_print": lines_with(code, "fmt.Print"),
    }


BY_PROGRAM: dict[str, Callable[[str, str], dict[str, float | None]]] = {
    "c": c,
    "cpp": cpp,
    "csharp": csharp,
    "java": java,
    "go": go,
}


def disagreements(program: str, codes: list[str], path: str = "a/b.x") -> list[tuple]:
    """Where the library says something else than the definitions: code, signal, its value, the defined value."""
    found = measured(program, codes, path)
    expected = [BY_PROGRAM[program](code, path) for code in codes]
    assert set(expected[0]) == {name for name in found if not SIGNALS[program, name].mends}
    return [
        (code, name, found[name][row], value)
        for row, code in enumerate(codes)
        for name, value in expected[row].items()
        if found[name][row] != value
    ]


def measured(program: str, codes: list[str], path: str = "a/b.x") -> dict[str, list[float | None]]:
    """The library's signals of files with this code; the code is given, so that finding comments plays no part."""
    views = Views(pl.DataFrame({"text": codes, "path": path, "language": program, "natural_language": "en"}))
    views.code = codes
    return {name: entry.values(views) for (scope, name), entry in SIGNALS.items() if scope == program}
