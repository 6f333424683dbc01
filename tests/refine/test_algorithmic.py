"""The algorithmic corpus: what the paper's keywords find, and the rule that stands in where they find nothing."""

import builtins
import re
from _sitebuiltins import Quitter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files
from opencoder_lib.refine.algorithmic import (
    BUILTINS,
    KEYWORDS,
    builtin_names,
    count_keywords,
    documented_functions,
    functions_of,
    keyword_hits,
)

CLIP = '''def clip(value, low=0, high=10):
    """The nearest number within the limits."""
    if value < low:
        return low
    return min(value, high)
'''


def files_of(*texts: str, language: str = "python", **common) -> pl.DataFrame:
    rows = [{"path": f"{at}.x", "text": text, "language": language} for at, text in enumerate(texts)]
    return new_files([{"origin": "folder", "repo": "r"} | common | row for row in rows])


def found_in(*texts: str, **options) -> list[list[str]]:
    return keyword_hits(files_of(*texts), **options)["keywords"].to_list()


def names_in(text: str, **options) -> list[str]:
    return [name for name, _ in functions_of(text, **options)]


def test_the_keywords_are_the_paper_s():
    assert KEYWORDS == ("leetcode", "def solution", "class solution")


def test_a_file_is_found_by_each_keyword_it_has_and_one_without_is_left_out():
    texts = ("# leetcode 1\ndef solution(n):", "class solution { }", "def resolution(n):")
    assert found_in(*texts) == [["leetcode", "def solution"], ["class solution"]]


def test_case_does_not_matter_unless_it_is_asked_for():
    template = "class Solution:\n    # LeetCode"
    assert found_in(template) == [["leetcode", "class solution"]]
    assert found_in(template, ignore_case=False) == []


def test_a_keyword_counts_within_a_longer_word_but_not_across_another_space():
    assert found_in("def solutions(n):", "def  solution(n):", "my_leetcode_answers") == [["def solution"], ["leetcode"]]


def test_a_removed_file_is_not_in_the_corpus_and_a_removed_one_without_text_does_no_harm():
    files = files_of("leetcode", "leetcode").with_columns(removed_by=pl.Series(["exact.duplicate", None]))
    assert keyword_hits(files)["path"].to_list() == ["1.x"]


@given(st.lists(st.text(alphabet="leEtcodLdf solution\n", max_size=40), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_finds_are_those_of_a_regular_expression(texts):
    expected = [
        [word for word in KEYWORDS if re.search(re.escape(word), text, re.IGNORECASE)]
        for text in texts
        if re.search("leetcode|def solution|class solution", text, re.IGNORECASE)
    ]
    assert found_in(*texts) == expected


def test_finds_are_counted_by_keyword_and_language_and_an_absent_keyword_has_a_row_of_zeros():
    python = files_of("leetcode def solution", "leetcode")
    java = files_of("// leetcode é", language="java", origin="git")
    assert count_keywords(pl.concat([python, java])).rows() == [
        ("leetcode", "python", 2, 29, 1),
        ("leetcode", "java", 1, 14, 1),
        ("def solution", "python", 1, 21, 0),
        ("class solution", None, 0, 0, 0),
    ]


@pytest.mark.parametrize("keywords", [(), ("",), ("a", ""), "leetcode"])
def test_no_keyword_or_an_empty_one_is_refused(keywords):
    with pytest.raises(ConfigError, match="give at least one"):
        keyword_hits(files_of("x"), keywords)


def test_a_documented_function_that_needs_nothing_else_is_taken_out_whole():
    found = documented_functions(files_of(f"import os\n\n{CLIP}\nprint(clip(3))\n", license="MIT"))
    row = {"repo": "r", "path": "0.x", "license": "MIT", "name": "clip", "text": CLIP, "n_bytes": len(CLIP)}
    assert found.drop("doc_id").rows(named=True) == [row]


@pytest.mark.parametrize(
    ("why", "changed"),
    [
        ("no docstring", CLIP.replace('    """The nearest number within the limits."""\n', "")),
        ("decorated", "@cache\n" + CLIP),
        ("asynchronous", "async " + CLIP),
        ("a method", "class A:\n" + CLIP.replace("def", "  def").replace("\n    ", "\n      ")),
        ("no loop, condition or comprehension", 'def f(x):\n    """Twice."""\n    return 2 * x\n'),
        ("gives nothing back", 'def f(x):\n    """Say."""\n    for y in x:\n        print(y)\n'),
        ("gives nothing back either", 'def f(x):\n    """Say."""\n    for y in x:\n        return\n'),
        ("a name of its module", CLIP.replace("min", "least")),
        ("a name of its module as default", CLIP.replace("low=0", "low=LOW")),
        ("a name of its module as annotation", CLIP.replace("(value, low", "(value: Number, low")),
        ("an imported module", CLIP.replace("min(", "math.fmin(")),
        ("a global that it sets", CLIP.replace("    if", "    global calls\n    calls += 1\n    if")),
        ("does not parse", CLIP + "print 'x'\n"),
    ],
)
def test_a_function_that_breaks_one_part_of_the_rule_is_not_taken(why, changed):
    assert names_in(CLIP) == ["clip"]
    assert names_in(changed) == [], why


@pytest.mark.parametrize(
    ("why", "changed"),
    [
        ("calls itself", CLIP.replace("min(value, high)", "clip(low)")),
        ("imports what it needs", CLIP.replace("    if", "    from math import inf\n    if").replace("high)", "inf)")),
        ("names within names", CLIP.replace("min(value, high)", "[x for x in [value] if (lambda y: y)(x)]")),
        ("yields", CLIP.replace("return", "yield")),
        ("built-in annotations", CLIP.replace("(value, low", "(value: int, low")),
    ],
)
def test_a_function_that_has_all_it_needs_inside_is_taken(why, changed):
    assert names_in(changed) == ["clip"], why


def test_a_function_that_leans_on_its_module_is_taken_when_that_is_asked_for():
    assert names_in(CLIP.replace("min", "least"), self_contained=False) == ["clip"]
    assert names_in("@cache\n" + CLIP, self_contained=False) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_parser_whatever_ends_them(end):
    text = f'x = "a\u2028b"\n\x0c\n{CLIP}'.replace("\n", end)
    assert [source for _, source in functions_of(text)] == [CLIP]


def test_equal_functions_count_once_and_long_ones_not_at_all():
    files = files_of(CLIP, "import os\n" + CLIP)
    assert documented_functions(files)["path"].to_list() == ["0.x"]
    assert documented_functions(files, max_bytes=len(CLIP) - 1).is_empty()
    with pytest.raises(ConfigError, match="max_bytes=0"):
        documented_functions(files, max_bytes=0)


def test_only_python_files_that_are_still_in_are_read():
    assert documented_functions(files_of(CLIP, language="cython")).is_empty()
    assert documented_functions(files_of(CLIP).with_columns(removed_by=pl.lit("exact.duplicate"))).is_empty()


@pytest.mark.parametrize("quotes", ['"""', "'''", '"', "'", 'r"', "r'"])
def test_the_first_look_at_a_file_misses_no_docstring(quotes):
    end = quotes.removeprefix("r")
    text = CLIP.replace('"""The', f"{quotes}The").replace('limits."""', f"limits.{end}")
    assert documented_functions(files_of(text))["text"].to_list() == [text]


def test_what_a_shell_puts_beside_the_builtins_does_not_count(monkeypatch):
    # As IPython, site and gettext do.
    for name, value in {
        "display": clip_of_a_shell,
        "__IPYTHON__": True,
        "leave": Quitter("leave", ""),
        "_": str,
    }.items():
        monkeypatch.setattr(builtins, name, value, raising=False)
    assert builtin_names() == BUILTINS
    assert {"len", "open", "ValueError", "sorted", "NotImplemented"} <= BUILTINS
    assert not {"display", "exit", "_", "__name__"} & BUILTINS


def clip_of_a_shell():
    """A function of another module than builtins."""
