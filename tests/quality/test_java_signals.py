"""Java: hand-computed values, one line a signal, and the definitions run by a backtracking engine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.languages_by_definition import disagreements, measured

PIECES = ["public ", "private", "protected", "static ", "final ", "abstract ", "else", "if", "iffy", "publicX", "void",
          "<T>", "<", "x", "Foo", "import ", "a.b.*", "é", "é1", "\xa0", "class ", "class Aé", "class public", "int",
          "String", "List<X>", "return", "new", "\x1c", "\x85", "_", '"', "\\", "=", "throws", "E, F", ",", "0", "T",
          "pub", "els", "i", "\r", "System.out.print"]  # fmt: skip
codes = st.lists(st.sampled_from(PIECES) | st.sampled_from([" ", "(", ")", "\n", ";"]), max_size=40).map("".join)


def java(code: str, signal: str) -> float | None:
    return measured("java", [code])[signal][0]


@pytest.mark.parametrize(
    ("line", "official", "defined"),
    [
        ("public static void main(String[] args) {", 1, 1),
        ("  int f() throws A, B {", 1, 1),
        ("int f();", 1, 0),
        ("return f(x);", 1, 0),
        ("new Foo(x) {", 1, 0),
        ("return new Foo(x) {", 0, 0),
        ("else f(x);", 0, 0),
        ("else if (x) {", 0, 0),
        ("iffy f(x) {", 0, 1),
        ("public publicist f(x) {", 0, 1),
        ("public Foo(int x) {", 0, 1),
        ("static Foo(int x) {", 1, 1),
        ("final Foo f() {", 0, 1),
        ("<T> T f() {", 1, 1),
        ("public <T extends A> T f() {", 0, 1),
        ("<T> if f(x) {", 1, 0),
        ("List<A> f() {", 0, 1),
        ("@Override public int f() {", 0, 1),
        ("synchronized (x) {", 0, 0),
        ("x = f(y);", 0, 0),
    ],
)
def test_functions_and_function_definitions(line, official, defined):
    assert java(line, "frac_lines_func_ratio") == official
    assert java(line, "frac_lines_func_ratio_defined") == defined


def test_a_throws_clause_takes_the_start_of_the_next_line_along():
    assert java("int f() throws\nint g()", "frac_lines_func_ratio") == 0.5


@pytest.mark.parametrize(
    ("line", "official", "defined"),
    [
        ("import a.b.*;", 1, 1),
        ("import static a.b;", 0, 0),
        ("import a; int x", 0, 0),
        ("private static final String x;", 1, 1),
        ("int x = 1;", 0, 0),
        ("long x;", 0, 0),
        ("List<X> x;", 1, 1),
        ("List<X, Y> x;", 0, 0),
        ("return;", 1, 1),
        ("return ;", 1, 1),
        ("return x ;", 1, 1),
        (r'return "a\";b";', 1, 1),
        ("return 'x';", 0, 0),
        ("return x; y", 0, 0),
        ("public final class A {", 1, 1),
        ("static class A {", 0, 0),
        ("return f(x);", 1, 0),
        ("x = y;", 0, 0),
    ],
)
def test_lines_without_logic(line, official, defined):
    assert java(line, "score_lines_no_logic") == official
    assert java(line, "score_lines_no_logic_defined") == defined


@pytest.mark.parametrize(
    ("code", "none", "none_of_any_type"),
    [
        ("int x;", 0, 0),
        ("  private final Foo x = f(\n1);", 0, 0),
        ("for (int i = 0;", 1, 0),
        ("long x;", 1, 0),
        ("int[] x;", 1, 0),
        ("int x[] = y;", 1, 0),
        ("Map<A, B> x = y;", 1, 0),
        ("a.b.C x;", 1, 0),
        ("for (var x : y)", 1, 0),
        ("int x, y;", 1, 0),
        ("return x;", 1, 1),
        ("package a;", 1, 1),
        ("import a;", 1, 1),
        ("x = 1;", 1, 1),
        ("void f(int a, int b);", 1, 1),
        ("enum A { B, C }", 1, 1),
    ],
)
def test_more_types_are_variables_once_mended(code, none, none_of_any_type):
    assert java(code, "cate_var_zero") == none
    assert java(code, "cate_var_zero_any") == none_of_any_type


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("public int f()\nint g()\nclass A {", round(1 / 3, 8)),
        ("int f(public x)", 1),
        ("int f() throws A, publicB {", 1),
        ("public class A {", 0),
        ("class public {", 1),
        ("class publicity {", 0),
        ("x;", None),
    ],
)
def test_modifiers_count_in_the_heads_of_functions_and_as_names_of_classes(code, expected):
    assert java(code, "frac_words_no_modifier") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("int X;", 1), ("T x;", 0), ("A1 x;", 0), ("ABC x;", 0), ("\n\n  Foo x;\nT x;", 0.5), ("long x;", None)],
)
def test_a_variable_is_legal_by_the_second_character_of_its_declaration(code, expected):
    assert java(code, "frac_words_legal_var_name") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("int 1f()", 1), ("A f()", 0), ("AB f()", 1), ("<T> A f()", 1), ("éx f()", 1), ("xé f()", 0), ("f();", None)],
)
def test_a_function_is_legal_by_the_second_character_of_its_head(code, expected):
    assert java(code, "frac_words_legal_func_name") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("class A1b {", 1), ("class a {", 0), ("class A_b {", 0), ("class A<T> {", 0), ("class Aé {", 0), ("A", None)],
)
def test_a_class_is_legal_by_its_whole_name(code, expected):
    assert java(code, "frac_words_legal_class_name") == expected


def test_a_line_that_prints_counts_once():
    code = "System.out.println(1); System.out.print(2);\n\nSystem.err.print(3);\n"
    assert java(code, "frac_lines_print") == 0.5


@settings(deadline=None, max_examples=150)
@given(st.lists(codes, min_size=1, max_size=6))
def test_signals_are_those_of_the_definitions(documents):
    assert disagreements("java", documents) == []


@pytest.mark.parametrize(
    "unit", ["a ", "(", "a f(", "A<b ", "@a ", "return ", "a b,", "A b = ", "throws a ", "a.b", "<"]
)
def test_a_megabyte_of_anything_is_searched_in_linear_time(unit):
    found = measured("java", [unit * (1_000_000 // len(unit))])
    assert found["frac_lines_print"] == [0]
