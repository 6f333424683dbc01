import gc
import importlib.util
import io
import sys
import time
import tokenize
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import python_by_definition as slow

from opencoder_lib.syntax.python import PythonFacts, _facts_of_tokens, comments, parse, python_facts
from opencoder_lib.syntax.python_tokens import tokens

SECONDS = 20


def expected(text: str) -> dict | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return None if parse(text) is None else {**slow.facts(text), "comments": slow.comments(text)}


def found(text: str) -> dict | None:
    facts = python_facts(text)
    return facts and asdict(facts)


def test_counts_of_a_small_module():
    text = '''"""Module."""
import os, sys  # two
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
        return -1
async def g(p):
    q = 1
    for i in (): pass
    for j, k in (): pass
def h():
    class Local:
        v = 1
    return f()
'''
    assert python_facts(text) == PythonFacts(
        functions=3,
        single_return_functions=1,
        classes=3,
        # x, y, w, b, self, q, i, v: not z (annotated), f's self and a (positional only), p (async), j and k (a tuple).
        variables=8,
        # x, y, z of A and v of Local; Inner lies in a class body.
        class_variables=4,
        # x = y, z, a.b, w, the parameters of f, one and g, q, two loops, v.
        bindings=11,
        passes=2,
        imports=1,
        # a and -1, but not f().
        simple_returns=2,
        # Classes first, then functions, the module last.
        docstrings="Class.\nFunction.\nModule.",
        comments="# two",
    )


EXPRESSIONS = ["x", "match", "1", "0xFf", "1.", "...", "'a'", "b'a'", "'a' 'b'", "f'{x}'",
               "f'''{x['a']}'''", "None", "()", "($e)", "-$e", "($e, $e)", "lambda a=$e, *b: $e",
               "lambda: 0", "$e + $e", "x[$e:$e]", "f(x=$e)", "not $e", "[x for y in $e]",
               "$e if $e else $e", "{$e: $e}", "(x := $e)", "$e == $e", "$e in $e", "x.y", "1..real",
               "0xe.real", "1if $e else 0xfor x", "(\n$e # ' (\n)", "$e \\\n + 1", "(yield)", "*x, $e"]  # fmt: skip
TARGETS = ["x", "type", "(x)", "((case))", "x.y", "x[$e]", "x, y", "(x,)", "[x]", "x().y", "(x in $e).y",
           "f(x in y).z"]  # fmt: skip
PARAMETERS = ["", "a", "a, b=$e", "a, /, b", "a, *, b", "*a, b, **c", "a=lambda x, y: 1, b=2",
              "a: lambda x, y: 0 = 1, b=3", "a, b, /", "a: x[1, 2] = f(3, 4), c=1, ", "\n a, # (,\n b,\n"]  # fmt: skip
SIMPLE = ["$t = $e", "$t = $t = $e", "$t=$e;", "$t: $e", "$t: $e = $e", "x += $e", "x >>= 1", "pass",
          "pass; pass", "return", "return $e", "return ; x", "import a.b as c", "from . import (a, b)",
          "$e", "'''doc'''", "('doc')", "('a')('b')", "'a' ('b')", "(\n'a' # c\n'b')", "r'''a\\\n b'''",
          "'a\\\nb'", "'''  x\n      y\n   '''", "'é\\x41'", "type X = int", "assert $e, $e", "# 'c",
          "\\\nx = 1", "x = yield $e"]  # fmt: skip
HEADERS = ["def f($p):", "def f($p) -> $e:", "async def f($p):", "class A:", "class A(x, y=$e):",
           "for $t in $e:", "async for $t in $e:", "while $e:", "if $e:", "elif $e:", "else:",
           "with $e as $t:", "with ($e): import a as b;", "try:", "except A as b:", "finally:",
           "match x:", "match (x, y):", "case 1:", "case [a, *b] if $e:", "@x\ndef g($p):",
           "@x($e)\nclass B:"]  # fmt: skip


@st.composite
def filled(draw, templates):
    text = draw(st.sampled_from(templates))
    for sign, choices, plain in (("$p", PARAMETERS, "a"), ("$t", TARGETS, "x"), ("$e", EXPRESSIONS, "x")):
        for _ in range(8):
            text = text.replace(sign, draw(st.sampled_from(choices)), 1) if sign in text else text
        text = text.replace(sign, plain)
    return text


@st.composite
def blocks(draw, depth=0):
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        if depth == 4 or draw(st.booleans()):
            lines.append(draw(filled(SIMPLE)))
            continue
        header = draw(filled(HEADERS))
        body = draw(blocks(depth + 1)) if draw(st.booleans()) else None
        lines.append(header + " " + draw(filled(SIMPLE)) if body is None else header)
        lines += [] if body is None else [f"  {line}" for line in body.split("\n")]
    return "\n".join(lines)


@settings(deadline=None, max_examples=600)
@given(blocks(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_facts_are_those_of_the_definitions(text, newline):
    text = text.replace("\n", newline)
    assert found(text) == expected(text)


@pytest.mark.parametrize(
    "module", ["ast", "dataclasses", "textwrap", "typing", "inspect", "symtable", "tokenize", "this"]
)
def test_facts_of_a_standard_module_are_those_of_the_definitions_and_need_no_tree(module):
    text = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    assert asdict(_facts_of_tokens(text)) == expected(text)


@pytest.mark.parametrize(
    "text",
    [
        "for f(() in x).b in y: pass",
        "with x: import a as b",
        "def f(a=lambda x=lambda: 1, y=2: 3, b=1): pass",
        "match = 1\nmatch[x]: int\nmatch (x)\nmatch; x = 1",
        "match x:\n case a: b = 1\n case _:\n  def f(): return 1",
        "if x: pass\nelif y:\n def b(): 'B.'\nelse:\n def b(): 'C.'\ndef b(): 'A.'",
        "try: pass\nexcept A:\n def b():\n  '''B.\n  '''\nfinally:\n class b: 'A.'",
        "class A:\n def f(self):\n  class B: x = 1",
        "class A: x = 1; y: int; 'no'",
        "def f(): 'Doc.'; return 1",
        "def ﬁ(): ' B. '\ndef fj(): ' C. '",
        "'''\n    a\n b\n   '''",
        "('a')('b')",
        "return -(1)\nreturn - - 1\nreturn (x)(y)\nreturn (x,)\nreturn 1 .real\nreturn (yield)\nreturn 1_0e-3J",
        "x = 1\r# c\rdef f(): pass\r",
        "x = 1\n\f\n\f  # c\ny = 2\n\f",
        "if x:\n    y\n    \\\nz",
        "x = 1 # no line feed",
        "",
        " ",
        "\n\n# c",
    ],
)
def test_facts_of_odd_texts_are_those_of_the_definitions(text):
    assert found(text) == expected(text)


@pytest.mark.parametrize(
    "text",
    ["def f(a, a): 1", "nonlocal x", "def f():\n from x import *", "from __future__ import no", "x: int\nglobal x"],
)
def test_what_has_no_symbol_table_may_still_parse(text):
    assert found(text) == expected(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "print 'x'",
        "x = (",
        "\x00",
        "if x:\n\tx\n        y",
        "(" * 5000,
        "-" * 100_000 + "1",
        "\ufeffx = 1",
        "x='\ud800'",
    ],
)
def test_what_python_cannot_parse_has_no_facts(text):
    assert python_facts(text) is None


def test_a_sum_of_two_thousand_terms_parses_as_in_the_release():
    assert python_facts("x = 1" + " + 1" * 2_000) is not None


def test_the_recursion_limit_and_the_garbage_collector_are_put_back():
    before = sys.getrecursionlimit()
    python_facts("x = 1")
    python_facts("x = ")
    assert (sys.getrecursionlimit(), gc.isenabled()) == (before, True)


@pytest.mark.parametrize(
    ("literal", "plain"),
    [
        ("f'{x}'", True),
        ("f'{x!r:>{y}} {{ it\\'s }}'", True),
        ("rf'''{x['a']}'''", True),
        ('f"\\N{DASH}"', True),
        ("'{'", True),
        ("f'{{'", True),
        ('f"{x["', False),
        ("f'{x:\\'^9}'", False),
        ("f\"{'}'}\"", False),
        ("f'''{x # c\n}'''", False),
        ("f'''{\"\"\"a\"\"\"}'''", False),
        ("f'}'", False),
    ],
)
def test_an_f_string_that_may_end_elsewhere_since_python_3_12_leaves_a_doubt(literal, plain):
    *_, odd = tokens(np.frombuffer(literal.encode(), np.uint8), True)
    assert odd is not plain
    assert not tokens(np.frombuffer(literal.encode(), np.uint8), False)[-1]


def stdlib_comments(text: str) -> str | None:
    try:
        read = tokenize.generate_tokens(io.StringIO(text).readline)
        return "".join([token.string for token in read if token.type == tokenize.COMMENT])
    except (tokenize.TokenError, SyntaxError):
        return None


# From Python 3.12 on the standard tokenizer is another one.
REFERENCES = [slow.comments] + [stdlib_comments] * (sys.version_info < (3, 12))
PIECES = ["'", '"', "'''", '"""', "\\", "\\\n", "\\\r\n", "\\'", "\n", "\n", "\r\n", "\r", "#", "#c", " ",
          "  ", "\t", "\f", "(", ")", "[", "}", "a", "rb", "1e5", "é", "€", "$", "\x00", "\ud800",
          "if x:\n", "\n  ", "\n\t"]  # fmt: skip


@settings(deadline=None, max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@example("'\\\n\n'''\n ")
@example("'it (\n# c\n'\\'#")
@example("# a\r b\r\n")
def test_comments_are_those_of_the_tokenizer(text):
    for reference in REFERENCES:
        assert comments(text) == reference(text)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("print 'x'", True),
        ("'it", True),
        ("$ ? !", True),
        ("(", False),
        (")", False),
        (")(", True),
        ("'''", False),
        ("x\\\n", False),
        ("'x\\\n", False),
        ("  x\n y", False),
    ],
)
def test_the_tokenizer_raises_on_open_brackets_strings_and_lines_and_on_bad_dedents(text, reads):
    assert (comments(text) is not None) is reads


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2_000_000,
        "x = (\n" * 400_000,
        "'\"" * 1_000_000,
        "'" + "\\'" * 1_000_000,
        "'''\n" * 500_000,
        "#\n" * 500_000,
        "match;" * 300_000,
        "def f(): return 1\n" * 50_000,
        "".join(" " * i + "x\n" for i in range(2_000)),
    ],
    ids=lambda text: repr(text[:9]),
)
def test_hostile_texts_take_time_in_proportion_to_their_length(text):
    start = time.monotonic()
    python_facts(text)
    comments(text)
    assert time.monotonic() - start < SECONDS
