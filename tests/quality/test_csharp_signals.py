"""C#: hand-computed values, one line a signal, and the definitions run by a backtracking engine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.languages_by_definition import disagreements, measured

PIECES = ["public ", "private", "protected", "internal ", "static ", "async ", "override", "else", "if", "iffy",
          "publicX", "void", "<T>", "<", "x", "Foo", "using ", "a.b", ";", "é", "é.b", "\xa0", "class ", "sealed",
          "int", "char", "return", "return\n", "new", "\x1c", "\x85", "_", "{", "}", "pub", "els", "i", "\r",
          "Console.WriteLine"]  # fmt: skip
codes = st.lists(st.sampled_from(PIECES) | st.sampled_from([" ", "(", ")", "\n", ";"]), max_size=40).map("".join)


def csharp(code: str, signal: str) -> float | None:
    return measured("csharp", [code])[signal][0]


@pytest.mark.parametrize(
    ("line", "official", "defined"),
    [
        ("public static void Main(string[] args) {", 1, 1),
        ("  internal override Task Run() => x;", 1, 1),
        ("void f(int x);", 1, 0),
        ("return Foo(x);", 1, 0),
        ("new Foo(x);", 1, 0),
        ("new Foo(x) {", 1, 0),
        ("else Foo(x);", 0, 0),
        ("else if (x) {", 0, 0),
        ("iffy f(x) {", 0, 1),
        ("public elsewhere f(x) {", 0, 1),
        ("public Foo(int x) : base(x) {", 0, 1),
        ("Foo(int x) {", 0, 1),
        ("~Foo() {", 0, 1),
        ("<T> f g() {", 1, 0),
        ("<T> if f(x) {", 1, 0),
        ("public async Task<int> f() {", 0, 1),
        ("public override async Task f() {", 0, 1),
        ("List<int> f() {", 0, 1),
        ("T f<T>(T x) where T : new() {", 0, 1),
        ("[Test] public void f() {", 0, 1),
        ("void ICollection.CopyTo(int x) {", 0, 1),
        ("foreach (var x in y) {", 0, 0),
        ("using (x) {", 0, 0),
        ("x = f(y);", 0, 0),
        ("type name (", 0, 0),
    ],
)
def test_functions_and_function_definitions(line, official, defined):
    assert csharp(line, "frac_lines_func_ratio") == official
    assert csharp(line, "frac_lines_func_ratio_defined") == defined


def test_a_blank_line_before_a_modifier_lets_the_type_follow_it():
    # `private` may be taken as a modifier only: as a type it is forbidden.
    assert csharp("\n\n private  f g()\n", "frac_lines_func_ratio") == 1
    assert csharp("\n\n private  g()\n", "frac_lines_func_ratio") == 0
    assert csharp("\n\n static  g()\n", "frac_lines_func_ratio") == 1


@pytest.mark.parametrize(
    ("line", "official", "defined"),
    [
        ("using System.IO;", 1, 1),
        ("using static System.Math;", 0, 0),
        ("using é;", 0, 0),
        ("f(out int x); int y;", 1, 1),
        ("object x;", 0, 0),
        ("return;", 1, 1),
        ("return x;", 1, 1),
        ("return 'x';", 1, 1),
        ("return a + b * c;", 1, 0),
        ("public class A", 1, 1),
        ("x class A", 1, 1),
        ("return f(x);", 2, 0),
        ("x = y;", 0, 0),
    ],
)
def test_lines_without_logic(line, official, defined):
    assert csharp(line, "score_lines_no_logic") == official
    assert csharp(line, "score_lines_no_logic_defined") == defined


def test_a_return_ends_on_its_line():
    assert csharp("return a +\nb;\n", "score_lines_no_logic") == 0


@pytest.mark.parametrize(
    ("code", "none"),
    [
        ("int x;", 0),
        ("List<int, string> x = y;", 0),
        ("string[] x, y;", 0),
        ("public int X { get; set; }", 0),
        ("foreach (var x in y)", 0),
        ("Foo? x = null;", 0),
        ("return x;", 1),
        ("using System;", 1),
        ("namespace A;", 1),
        ("x = 1;", 1),
        ("void f(int a, int b);", 1),
        ("class A {}", 1),
    ],
)
def test_any_declaration_is_a_variable_once_the_comparison_is_mended(code, none):
    assert csharp(code, "cate_var_zero") == 0
    assert csharp(code, "cate_var_zero_any") == none


def test_a_line_with_console_writeline_counts_once():
    code = "Console.WriteLine(1); Console.WriteLine(2);\n\nconsole.writeline(3);\n"
    assert csharp(code, "frac_lines_print") == 0.5


def test_without_code_lines_the_shares_are_null():
    found = measured("csharp", ["\n"])
    assert {name for name, (value,) in found.items() if value is not None} == {"cate_var_zero", "cate_var_zero_any"}


@settings(deadline=None, max_examples=150)
@given(st.lists(codes, min_size=1, max_size=6))
def test_signals_are_those_of_the_definitions(documents):
    assert disagreements("csharp", documents) == []


@pytest.mark.parametrize("unit", ["a ", "(", "a f(", "a<b ", "[", "return ", "a b,", "a f() : base(", "\n", "a.b"])
def test_a_megabyte_of_anything_is_searched_in_linear_time(unit):
    found = measured("csharp", [unit * (1_000_000 // len(unit))])
    assert found["frac_lines_print"] == [None if unit == "\n" else 0]
