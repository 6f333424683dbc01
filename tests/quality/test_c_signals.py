"""C and C++: hand-computed values, one line a signal, and the definitions run by a backtracking engine."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.languages_by_definition import disagreements, measured

from opencoder_lib.quality import patterns

PIECES = ["int", "x", "y", "*", " ", "\n", "(", ")", "{", "}", ";", "return", "class", "X", ":", "=", ",", "[", "]", 
          "#", "include", "<", "a.h>", '"', "'", "\\", "main", "struct", "using", "unsigned ", "std::string", "auto",
          "1", "_", "\x0b", "\x1c", "\r", "\x85", "\xa0", "é", "\u200d", "٣", "if", "goto", "printf", "cout",
          "bits/stdc++.h"]  # fmt: skip
codes = st.lists(st.sampled_from(PIECES) | st.sampled_from([" ", "(", ")", "\n"]), max_size=40).map("".join)


def c(code: str, signal: str, path: str = "a.c") -> float | None:
    return measured("c", [code], path)[signal][0]


def cpp(code: str, signal: str, path: str = "a.cpp") -> float | None:
    return measured("cpp", [code], path)[signal][0]


@pytest.mark.parametrize(
    ("code", "functions"),
    [
        ("int main(void)\n{", 1),
        ("static int *find(char *s)\n{", 1),
        ("int\nmain()", 1),
        ("int main ()\n{", 0),
        ("int f(int x);\n;", 1),
        ("  return f(x);\n;", 1),
        ("} else if (x) {\n;", 0),
        ("} else if(x) {\n;", 1),
        ("x = new T(y);\n;", 1),
        ("#define f(x) g(x)\n;", 1),
        ("f(x);\n;", 0),
        ("a->b(c)\n;", 0),
        ("int 1f(x)\n;", 0),
        ("int éf(x)\n;", 0),
        ("int fé(x)\n;", 1),
        ("int (*f)(int);\n;", 0),
        ("int f(int (*g)(int)) {\n;", 1),
        ("int f(\n;", 0),
    ],
)
def test_two_words_and_a_parenthesis_are_a_function_of_c_and_of_cpp(code, functions):
    assert c(code, "frac_lines_func_ratio") == cpp(code, "frac_lines_func_ratio") == functions / 2


@pytest.mark.parametrize(
    ("code", "defined"),
    [
        ("int main(void)\n{", 1),
        ("static int *\nfind(char *s)\n{", 1),
        ("static void go(int (*f)(int)) {", 1),
        ("bool holds() const {", 1),
        ("int f(int x);", 0),
        ("return f(x) {", 0),
        ("else if (x) {", 0),
        ("switch (f(x)) {", 0),
        ("#define f(x) {", 0),
        ("x = new T(y) {", 0),
        ("list_for_each(x) {", 0),
        ("DEBUG\nwhile (x) {", 0),
        ("iffy f(x) {", 1),
    ],
)
def test_only_a_body_makes_a_function_definition_of_c(code, defined):
    assert c(code, "frac_lines_func_ratio_defined") == round(defined / len(code.split("\n")), 8)


@pytest.mark.parametrize(
    ("code", "defined"),
    [
        ("Foo::Foo(int x) : x_(x) {", 1),
        ("  ~Foo() override {", 1),
        ("explicit Foo(std::vector<int> v) noexcept {", 1),
        ("template <typename T> T &get(T x) const {", 1),
        ("auto f(int x) -> std::string {", 1),
        ("bool operator==(const Foo &o) const {", 1),
        ("bool operator()(int x) {", 1),
        ('extern "C" int f(int x) {', 1),
        ("while (f(x)) {", 0),
        ("foo([](int x) {", 0),
        ("class A : public B {", 0),
    ],
)
def test_constructors_and_operators_are_function_definitions_of_cpp(code, defined):
    assert cpp(code, "frac_lines_func_ratio_defined") == defined


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("\n \n#include <BITS/stdc++.h>\n", 1),
        ("#include <vector>\n", 0),
        ("x" * 187 + "bits/stdc++.h", 1),
        ("x" * 188 + "bits/stdc++.h", 0),
        (" " * 400 + "bits/stdc++.h", 1),
    ],
)
def test_bits_stdc_counts_in_the_first_200_characters(code, expected):
    assert c(code, "cate_bitsstdc") == cpp(code, "cate_bitsstdc") == expected


@pytest.mark.parametrize(
    ("code", "mains"),
    [
        ("int main() {}\n", 1),
        ("int main (int argc,\n char **argv)\n\n{", 1),
        ("int main();", 0),
        ("int domain() {", 0),
        ("int émain() {", 0),
        ("main() { main(){", 2),
    ],
)
def test_main_counts_with_its_body(code, mains):
    assert c(code, "nums_lines_main") == cpp(code, "nums_lines_main") == mains


@pytest.mark.parametrize(
    ("code", "none"),
    [
        ("int x;", 0),
        ("int *x = 1, y[3];", 0),
        ("unsigned long x;", 0),
        ("return x;", 0),
        ("x = 1;", 1),
        ("x;", 1),
        ("int x", 1),
        ("int x = 1", 1),
        ("int f(void) {}", 1),
        ("", 1),
    ],
)
def test_a_word_a_name_and_a_semicolon_are_a_variable(code, none):
    assert c(code, "cate_var_zero") == cpp(code, "cate_var_zero") == none


@pytest.mark.parametrize(
    ("code", "without_logic"),
    [
        ("#include <a.h>\n", 1),
        ("  # include <a.h> x\n", 1),
        ("#include MACRO\n", 0),
        ("unsigned int x ;\n", 1),
        ("std::string x;\n", 1),
        ("long x;\n", 0),
        ("int x = 1;\n", 0),
        ("return;\n", 1),
        ("return x ;\n", 1),
        (r'return "a\"b;";' + "\n", 1),
        ("return 'x';\n", 1),
        ("return x; y\n", 0),
        ("return -1;\n", 0),
        ("return x + y;\n", 0),
        ("returnx;\n", 1),
        ("class A {\n", 1),
        ("class A : public B {\n", 1),
        ("class A;\n", 0),
        ("int f(x) {\n", 1),
        ("return f(x);\n", 1),
        ("x = y;\n", 0),
    ],
)
def test_lines_without_logic(code, without_logic):
    assert c(code, "score_lines_no_logic") == cpp(code, "score_lines_no_logic") == without_logic


def test_the_mended_score_counts_a_definition_and_no_call():
    code = "#include <a.h>\nint f(int x) {\nreturn g(x);\n}\n"
    assert c(code, "score_lines_no_logic") == cpp(code, "score_lines_no_logic") == 0.75
    assert c(code, "score_lines_no_logic_defined") == cpp(code, "score_lines_no_logic_defined") == 0.5


def test_goto_and_printf_count_a_line_once_and_cout_only_in_cpp():
    code = "goto a; goto b;\n\nfprintf(x); printf(y);\ncout << 1;\ngotox\n"
    assert c(code, "frac_lines_goto") == cpp(code, "frac_lines_goto") == 0.5
    assert c(code, "frac_lines_print") == 0.25
    assert cpp(code, "frac_lines_print") == 0.5


@pytest.mark.parametrize(
    ("line", "official", "only"),
    [
        ("#include <a>", 1, 1),
        ("  #  ifdef A", 1, 1),
        ("x #if", 1, 0),
        ("#foo", 0, 0),
        ("#", 0, 0),
        ("constructor();", 1, 0),
        ("using namespace std;", 1, 0),
        ("x = 1;", 0, 0),
    ],
)
def test_struct_and_using_are_directives_unless_mended(line, official, only):
    for value in (c, cpp):
        assert value(f"{line}\ny\n", "frac_lines_preprocessor_directives") == official / 2
        assert value(f"{line}\ny\n", "frac_lines_preprocessor_only") == only / 2


def test_a_directive_does_not_continue_on_the_next_line():
    assert c("#\ninclude\n", "frac_lines_preprocessor_directives") == 0


@pytest.mark.parametrize(
    ("path", "is_header"),
    [("a.h", 1), ("a/b.hpp", 1), ("a.hxx", 1), ("a.hh", 1), ("a.h++", 1), ("a.H", 0), ("a.c", 0), ("a.h/b", 0)],
)
def test_headers_have_no_share_of_directives(path, is_header):
    for signal in ("frac_lines_preprocessor_directives", "frac_lines_preprocessor_only"):
        assert cpp("#if 1\n", signal, path) == (None if is_header else 1)


def test_without_code_lines_the_shares_are_null():
    nulls = {name for name, (value,) in measured("c", ["\n"], "a.c").items() if value is None}
    assert nulls == set(measured("c", ["\n"], "a.c")) - {"cate_bitsstdc", "nums_lines_main", "cate_var_zero"}


@settings(deadline=None, max_examples=150)
@given(st.lists(codes, min_size=1, max_size=6), st.sampled_from(["a.c", "a.h", "a.H", "b/c.hh"]))
def test_signals_are_those_of_the_definitions(documents, path):
    assert disagreements("c", documents, path) == []
    assert disagreements("cpp", documents, path) == []


@pytest.mark.parametrize(
    "unit", ["a ", "(", "int ", ";", "return ", "a", "a f(", "f(a) :", "#include <a\n", "\n", "a::"]
)
def test_a_megabyte_of_anything_is_searched_in_linear_time(unit):
    found = measured("cpp", [unit * (1_000_000 // len(unit))])
    assert found["nums_lines_main"] == [0]


def test_characters_beyond_ascii_get_stand_ins_of_their_class_in_the_search_only():
    code = pl.Series(["é x\u2003y €٣\n", "plain\n", "\u2028\u0301"])
    assert patterns.CodeSearch(code).text.to_list() == ["0 x\x0by \x010\n", "plain\n", "\x0b0"]
    assert code.to_list() == ["é x\u2003y €٣\n", "plain\n", "\u2028\u0301"]


@pytest.mark.parametrize("word", ["if", "i", "iff", "elsewhere", "else", "x", "pub", "public1", "_"])
def test_words_are_told_apart_without_a_look_ahead(word):
    words, search = "public if else", patterns.CodeSearch(pl.Series([f"{word} "]))
    starts_otherwise, is_another = patterns.word_without_prefix(words), patterns.word_except(words)
    assert search.count(f"^{starts_otherwise} $")[0] == (not word.startswith(tuple(words.split())))
    assert search.count(f"^{is_another} $")[0] == (word not in words.split())
