"""Python: hand-computed values of signals, official ones and those that mend them."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import python_by_definition as slow

from opencoder_lib.files import new_files
from opencoder_lib.quality import compute_signals
from opencoder_lib.quality.patterns import CodeSearch
from opencoder_lib.quality.registry import SIGNALS
from opencoder_lib.quality.signals.python import RETURN
from opencoder_lib.quality.views import PARSE_LIMIT


def measure(text: str) -> dict[str, float | None]:
    return compute_signals(new_files([{"path": "a.py", "origin": "folder", "text": text}])).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "official", "mended"),
    [
        ("pass\npassword = 1\n", 1, 0.5),
        ("if x: pass; pass\nbypass()\n", 1, 1),
        ("x = 'pass'\n", 1, 0),
        ("x = 1\n", 0, 0),
    ],
)
def test_only_a_pass_statement_passes_when_mended(text, official, mended):
    found = measure(text)
    assert (found["frac_lines_pass"], found["frac_lines_pass_statements"]) == (official, mended)


@pytest.mark.parametrize(
    ("text", "official", "mended"),
    [
        ("import a, b\nfrom c import (\n    d,\n)\n", 0.5, 0.5),
        ("important = 1\nimportlib.import_module(x)\n", 1, 0),
        ("import a; import b\n", 1, 2),
    ],
)
def test_only_an_import_statement_imports_when_mended(text, official, mended):
    found = measure(text)
    assert (found["frac_lines_import"], found["frac_lines_import_statements"]) == (official, mended)


@pytest.mark.parametrize(
    ("text", "official", "mended"),
    [
        # The function and its return, of two lines.
        ("def f(x):\n    return x\n", 1, 1),
        ("def f(x):\n    return -1\n", 1, 1),
        ("def f(x):\n    return g(x)\n", 1, 0.5),
        # A return behind a colon starts no line.
        ("def f(): return 1\n", 1, 2),
        ("import a\nimportant(a)\n", 1, 0.5),
        ("class A:\n    x = 1\n    y: int\n    def f(self): pass\n", 1, 1),
        ("class A:\n    class B:\n        x = 1\n", round(2 / 3, 8), round(2 / 3, 8)),
        ("while x: x = f(x)\n", 0, 0),
    ],
)
def test_lines_without_logic_are_counted_by_statement_when_mended(text, official, mended):
    found = measure(text)
    assert (found["score_lines_no_logic"], found["score_lines_no_logic_statements"]) == (official, mended)


@pytest.mark.parametrize(
    ("text", "official", "mended"),
    [
        ("x = 1\n", 0, 0),
        ("def f(a): pass\n", 0, 0),
        ("f(1)\nclass A:\n    def g(): return lambda x: x\n", 1, 1),
        ("class A:\n    x: int\n", 1, 0),
        ("x.y = 1\n", 1, 0),
        ("x, y = 1, 2\n", 1, 0),
        ("x += 1\n", 1, 0),
        ("with f() as x: pass\n", 1, 0),
        ("with f(): import x as y\n", 1, 1),
        ("for x, y in z: pass\n", 1, 0),
        ("async def f(*a): pass\n", 1, 0),
        ("f(x == 1)\n", 1, 1),
    ],
)
def test_there_are_more_ways_to_set_a_variable_when_mended(text, official, mended):
    found = measure(text)
    assert (found["cate_var_zero"], found["cate_var_zero_any"]) == (official, mended)


@pytest.mark.parametrize(
    ("text", "documented"),
    [
        ("x = 1 # two\n", "two"),
        ("# one\n## two\n", "one two"),
        ("'''Doc.\n   '''\nx = 1\n", "Doc."),
        # Classes come first, so what is stripped is the start of theirs and the end of the module's.
        ("'''Doc.\n   '''\nclass A:\n    '''\n      Deep.\n    No.\n    '''\n", "Deep.\nNo.\nDoc."),
        ("'''Doc.'''\n# one\n", "Doc.\n one"),
        ("async def f():\n    '''Doc.'''\n", ""),
        # It does not parse: only comments count, and none if the tokenizer fails.
        ("'''Doc.'''\nprint 'x' # one\n", "one"),
        ("print '$ # one\n", "one"),
        ("print (\n# one\n", ""),
    ],
)
def test_docstrings_and_comments_are_characters_of_comments(text, documented):
    assert measure(text)["frac_chars_comments"] == round(len(documented) / len(text), 8)


def test_what_does_not_parse_has_no_structure_and_what_is_too_long_is_not_asked():
    structural = [entry.name for entry in SIGNALS.values() if entry.scope == "python" and "python" in entry.views]
    structural = set(structural) - {"cate_ast", "frac_chars_comments"}
    unparsable, long = measure("x = (\n"), measure("#" * (PARSE_LIMIT + 1))
    assert len(structural) == 8
    assert {unparsable[name] for name in structural} == {long[name] for name in structural} == {None}
    assert (unparsable["cate_ast"], unparsable["frac_chars_comments"]) == (0, 0)
    assert (long["cate_ast"], long["frac_chars_comments"]) == (None, None)


PIECES = [
    "return",
    "return x",
    " ",
    "\n",
    "\n\n",
    "x",
    "return\n",
    "returned",
    "\t",
    "\x1c",
    "\x85",
    "\u2028",
    "\r",
    "é",
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_the_linear_return_pattern_counts_what_the_released_one_counts(code):
    assert CodeSearch(pl.Series([code])).count(RETURN)[0] == slow.num_returns(code)
