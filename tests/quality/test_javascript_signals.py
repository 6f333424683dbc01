"""Hand-computed values, one line a signal."""

import pytest

from opencoder_lib.files import new_files
from opencoder_lib.quality import compute_signals

OLD = """\
import b from "b";

function f(x) {
  return x;
}
class Stack {}
var count = 0, _last = f(1);
console.log("count", count);
// console.log
"""
NEW = """\
const a = b?.c;
function f() {
  return -1;
}
"""


def measure(text: str) -> dict:
    row = {"path": "a.js", "origin": "folder", "text": text, "natural_language": "en"}
    return compute_signals(new_files([row])).row(0, named=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cate_ast", 1),
        ("cate_var_zero", 0),
        # Seven code lines.
        ("frac_lines_func_ratio", 1 / 7),
        ("num_statement_line", 5 / 7),
        # f, the import, count, `return x`, Stack.
        ("score_lines_no_logic", 5 / 7),
        ("frac_words_legal_var_name", 1 / 2),
        ("frac_words_legal_func_name", 1),
        ("frac_words_legal_class_name", 1),
        ("frac_lines_print", 1 / 7),
        ("cate_ast_modern", 1),
        ("cate_var_zero_modern", 0),
        ("frac_lines_func_ratio_modern", 1 / 7),
        ("score_lines_no_logic_modern", 5 / 7),
    ],
)
def test_signals_of_a_module(name, value):
    assert measure(OLD)[name] == round(value, 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cate_ast", 0),
        ("cate_var_zero", None),
        ("frac_lines_func_ratio", None),
        ("num_statement_line", None),
        ("score_lines_no_logic", None),
        ("frac_words_legal_var_name", None),
        ("frac_lines_print", 0),
        ("cate_ast_modern", 1),
        ("cate_var_zero_modern", 0),
        ("frac_lines_func_ratio_modern", 1 / 4),
        # f and `return -1`.
        ("score_lines_no_logic_modern", 2 / 4),
    ],
)
def test_newer_syntax_is_null_for_the_release_only(name, value):
    assert measure(NEW)[name] == value


def test_broken_files_have_no_structure():
    found = measure("var a b;\n")
    assert (found["cate_ast"], found["cate_ast_modern"]) == (0, 0)
    assert found["cate_var_zero"] is found["cate_var_zero_modern"] is found["score_lines_no_logic_modern"] is None


def test_a_file_without_code_lines_has_no_shares():
    found = measure("// a\n")
    assert (found["cate_ast"], found["cate_var_zero"]) == (1, 1)
    assert found["frac_lines_func_ratio"] is found["frac_lines_print"] is None


def test_a_file_without_names_has_no_legal_ones():
    found = measure("f();\n")
    assert found["frac_words_legal_var_name"] is None
    assert found["frac_words_legal_func_name"] is found["frac_words_legal_class_name"] is None


def test_too_deep_a_file_is_null():
    found = measure("(" * 100_000)
    assert found["cate_ast"] is found["cate_ast_modern"] is found["frac_lines_func_ratio"] is None
