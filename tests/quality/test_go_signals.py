"""Go: hand-computed values, one line a signal, and the definitions run by a backtracking engine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.languages_by_definition import disagreements, measured

PIECES = ["func ", "func (r *T) ", "x", "[", "]", "int", "import ", "import (", '"a"', '"', "var ", "return ",
          "type ", "struct", "interface", "{", "}", "\x1c", "\x85", "\xa0", "é", "f", "\x0b", "\r", "\u2028",
          "fmt.Print"]  # fmt: skip
codes = st.lists(st.sampled_from(PIECES) | st.sampled_from([" ", "(", ")", "\n", ";"]), max_size=40).map("".join)


def go(code: str, signal: str, path: str = "a.go") -> float | None:
    return measured("go", [code], path)[signal][0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b_test.go", 1), ("B_Test.GO", 1), ("_test.go", 1), ("test.go", 0), ("b_test.go/c.go", 0), ("a_test.g", 0)],
)
def test_a_test_file_is_told_by_its_name(path, expected):
    assert go("x\n", "cate_testfile", path) == expected


@pytest.mark.parametrize(
    ("line", "functions"),
    [
        ("func f(x int) (int, error) {", 1),
        ("func (s *T) f() []int {", 1),
        ("func (s T) f() {", 1),
        ("func (T) f() {", 0),
        ("func f[T any](x T) {", 0),
        ("  func f() {", 0),
        ("x := func() {", 0),
        ("f(x)", 0),
        ("func f(", 0),
    ],
)
def test_functions_start_a_line(line, functions):
    assert go(line, "frac_lines_func_ratio") == functions


@pytest.mark.parametrize(
    ("line", "without_logic"),
    [
        ('import "fmt"', 1),
        ('\timport  "fmt"\x1c', 1),
        ('import f "fmt"', 0),
        ("import (", 1),
        ("import  (", 0),
        ('import ("fmt")', 0),
        ("var x int", 1),
        ("var x int = 1", 0),
        ("var x []int", 0),
        ("return", 1),
        ("return x + y;", 1),
        ("return func() { return 1; }", 0),
        ("type A struct { x int }", 1),
        ("type A interface {}", 1),
        ("type A int", 0),
        ("func f() {", 1),
        ("x := 1", 0),
    ],
)
def test_lines_without_logic(line, without_logic):
    assert go(line, "score_lines_no_logic") == without_logic


def test_the_lines_of_an_import_block_count_once_mended():
    code = 'import (\n"a"\nb "c/d"\n)\nx := "e"\n'
    assert go(code, "score_lines_no_logic") == round(1 / 5, 8)
    assert go(code, "score_lines_no_logic_imports") == round(3 / 5, 8)


def test_a_single_import_counts_once_in_both_scores():
    assert go('import "a"\nx()\n', "score_lines_no_logic_imports") == 0.5


@pytest.mark.parametrize(
    ("code", "none"),
    [
        ("x := 1", 0),
        ("var x int", 0),
        ("const (\nA = 1)", 0),
        ("type A struct {\n x int\n}", 0),
        ("type A struct {}", 1),
        ("x = 1", 1),
        ("func f(x int) {}", 1),
        ("variable()", 1),
    ],
)
def test_any_declaration_is_a_variable_once_the_comparison_is_mended(code, none):
    assert go(code, "cate_var_zero") == 0
    assert go(code, "cate_var_zero_any") == none


def test_a_line_that_prints_counts_once():
    assert go("fmt.Println(1); fmt.Printf(2)\n\nfmtXPrint(3)\n", "frac_lines_print") == 0.5


@settings(deadline=None, max_examples=150)
@given(st.lists(codes, min_size=1, max_size=6), st.sampled_from(["a.go", "a_test.go"]))
def test_signals_are_those_of_the_definitions(documents, path):
    assert disagreements("go", documents, path) == []


@pytest.mark.parametrize("unit", ["a ", "(", "func f() (\n", "import (\n", "type a struct {\n", "return ", "var ", "a"])
def test_a_megabyte_of_anything_is_searched_in_linear_time(unit):
    found = measured("go", [unit * (1_000_000 // len(unit))])
    assert found["frac_lines_print"] == [0]
