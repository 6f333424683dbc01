import sys

import pytest

from opencoder_lib.syntax import PythonFacts, python_facts
from opencoder_lib.syntax.tree import tokenizes


def test_counts_of_a_small_module():
    text = '''"""Module."""
class A:
    """Class."""
    x = y = 1
    z: int = 2
    a.b = 3
    class Inner:
        w = 1
    def f(self, a, /, b, *c, d, **e):
        """  Function."""
        return a
    def one(self):
        return 1
async def g(p):
    q = 1
    for i in (): pass
    for j, k in (): pass
def h():
    class Local:
        v = 1
'''
    assert python_facts(text) == PythonFacts(
        functions=3,
        single_return_functions=1,
        classes=3,
        # x, y, w, b, self, q, i, v: not z (annotated), f's self and a (positional only), p (async), j and k (a tuple).
        variables=8,
        # x, y, z of A and v of Local; Inner lies in a class body.
        class_variables=4,
        docstrings="Module.\nClass.\nFunction.",
    )


@pytest.mark.parametrize(
    "text", ["print 'x'", "x = (", "\x00", "if x:\n\tx\n        y", "(" * 5000, "-" * 100_000 + "1"]
)
def test_what_python_cannot_parse_has_no_facts(text):
    assert python_facts(text) is None


def test_a_sum_of_two_thousand_terms_parses_as_in_the_release():
    assert python_facts("x = 1" + " + 1" * 2_000) is not None


def test_the_recursion_limit_is_put_back():
    before = sys.getrecursionlimit()
    python_facts("x = 1")
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize(("text", "reads"), [("print 'x'", True), ("(", False), ("'''", False), ("  x\n y", False)])
def test_the_tokenizer_raises_on_open_brackets_strings_and_bad_dedents(text, reads):
    assert tokenizes(text) is reads


@pytest.mark.parametrize("text", ["(" * 501, "x = (\n" * 100_000])
def test_the_tokenizer_is_not_asked_about_long_texts_and_long_lines(text):
    assert tokenizes(text) is None
