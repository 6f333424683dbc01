"""Redaction: where things stand, what becomes of them, and that nothing else changes, whatever the text."""

import ast
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.files import new_files
from opencoder_lib.refine.edits import SPANS
from opencoder_lib.refine.pii import find_personal_data, redact_personal_data
from opencoder_lib.refine.pii.checks import Find
from opencoder_lib.refine.pii.python_syntax import kept_syntax
from opencoder_lib.refine.pii.rules import load_pii_rules

# Pieces that rules look for, in whole and broken, and what may stand between them.
PIECES = [
    *(
        "mira@lamp-works.de",
        "81.169.44.217",
        "2a01:4f8:c17:b0f::2",
        'password = "q9-lamp-44"',
        "token: 'q7Lm2Xw9KpZ4vRt8b'",
    ),
    *("postgres://a:q9-lamp@h/", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "k3Lm9QvX2wT7zRb8" * 5),
    *(
        "ghp" + "_0Q7x2Zk9Lm4Vt8RbYnC3dFgHs1JaU5eKi0oW",
        ";Password=q9-lamp;",
        "Basic bGFtcDpxOS1sYW1wLTQ0",
        "eyJ.",
        "AKIA",
    ),
    *(
        "<email>",
        "<password>",
        "<",
        ">",
        '"',
        "'",
        "\\",
        "\n",
        " ",
        "=",
        ":",
        "@",
        ".",
        "//",
        "é",
        "数据",
        "\x00",
        "\r",
        "a",
        "1",
    ),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=60)
LANGUAGES = st.sampled_from(["python", "yaml", "dotenv", "shell", "text"])


def frame(*texts: str, language: str = "text") -> pl.DataFrame:
    return new_files(
        [{"path": f"{at}", "origin": "folder", "text": text, "language": language} for at, text in enumerate(texts)]
    )


def redacted(text: str, language: str = "text") -> str:
    return redact_personal_data(frame(text, language=language))["text"][0]


def found(text: str, language: str = "text") -> list[tuple]:
    spans = find_personal_data(frame(text, language=language))
    return spans.drop("doc_id").rows()


@given(file_frames())
@settings(max_examples=15, deadline=None)
def test_redaction_keeps_the_stage_contract(files):
    assert_stage_contract(redact_personal_data, files, transforms_text=True)


def test_a_find_says_where_it_stands_in_bytes_what_stands_in_for_it_and_of_which_kind():
    assert found("é mira@lamp-works.de, 81.169.44.217") == [(3, 21, "<email>", "email"), (23, 36, "<ip>", "ipv4")]


def test_finds_are_a_frame_of_spans_even_if_there_are_none():
    assert find_personal_data(frame("nothing")).schema == SPANS
    assert find_personal_data(frame("x").clear()).schema == SPANS


def test_files_that_were_removed_are_not_searched():
    files = frame("mira@lamp-works.de", "lee@lamp-works.de").with_columns(
        removed_by=pl.Series([None, "exact.duplicate"])
    )
    assert redact_personal_data(files)["text"].to_list() == ["<email>", "lee@lamp-works.de"]


def test_quotes_and_everything_around_stay():
    before = """{'password': 'q9-lamp-44', "secret": "b7e1f04c92a34d5f8e6a0c1d2b3f4a59"}  # lee@lamp-works.de\r\n"""
    assert redacted(before) == """{'password': '<password>', "secret": "<secret>"}  # <email>\r\n"""


def test_where_finds_overlap_the_first_rule_has_the_place():
    token = "ghp" + "_0Q7x2Zk9Lm4Vt8RbYnC3dFgHs1JaU5eKi0oW"
    # A token of GitHub before a secret by its name, and the password of a URL before an e-mail address.
    assert found(f'token = "{token}"') == [(9, 49, "<token>", "github_token")]
    assert redacted("https://mira:q9-lamp@lamp-works.de/") == "https://mira:<password>@lamp-works.de/"


def test_what_ends_one_find_may_begin_the_next():
    tokens = [f"{number}:AAQ7x2Zk9Lm4Vt8RbYnC3dFgHs1JaU5eKi0" for number in (1002003004, 1002003005)]
    assert redacted(" ".join(tokens)) == "<token> <token>"


@given(TEXTS, LANGUAGES)
@example("2a01:4f8:c17:b0f::2mira@lamp-works.de", "text")
@settings(max_examples=120, deadline=None)
def test_a_second_redaction_changes_nothing_more(text, language):
    once = redacted(text, language)
    assert redacted(once, language) == once


@given(TEXTS, LANGUAGES)
@settings(max_examples=60, deadline=None)
def test_finds_are_in_order_apart_and_on_characters(text, language):
    data, at = text.encode(), 0
    for start, end, replacement, kind in found(text, language):
        assert at <= start < end <= len(data)
        data[start:end].decode()
        assert replacement == load_pii_rules().placeholders[kind]
        at = end


@given(st.lists(TEXTS, max_size=4))
@settings(max_examples=20, deadline=None)
def test_files_are_judged_alone(texts):
    together = redact_personal_data(frame(*texts, "x"))["text"].to_list()
    assert together == [*(redacted(text) for text in texts), "x"]


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_random_bytes_do_no_harm(data):
    text = data.decode("latin-1")
    assert isinstance(redacted(text, "python"), str)


@pytest.mark.parametrize(
    "part",
    [
        *(
            "-----BEGIN PRIVATE KEY-----",
            "password=",
            'password = "a',
            "a@",
            "a@b.",
            "1.2.3.",
            "2a01:",
            "eyJ",
            "://a:",
            "token",
        ),
        *(
            "_",
            "mira@lamp-works.de ",
            "81.169.44.217 ",
            'password="q9-lamp-44" ',
            "<password>",
            "curl -u a:",
            ";pwd=",
            "bearer ",
        ),
        *("-----BEGIN PRIVATE KEY-----" + "A1b2" * 20 + "-", "'password','", 'secret\\"', "mira@lamp-works.de:"),
    ],
)
def test_a_long_line_of_anything_takes_linear_time(part):
    start = time.perf_counter()
    find_personal_data(frame(part * (200_000 // len(part)), language="yaml"))
    # About a second on a busy machine; with anything quadratic, many minutes.
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = a@b.id\n# mira@lamp-works.de\n", "y = a@b.id\n# <email>\n"),
        ('y = x@h.name, "mira@lamp-works.de"\n', 'y = x@h.name, "<email>"\n'),
        ('s = """\nmira@lamp-works.de"""\ny = x@h.name\n', 's = """\n<email>"""\ny = x@h.name\n'),
        ('s = "\\nmira@lamp-works.de"\n', 's = "\\n<email>"\n'),
        ("s = b'\\xffmira@lamp-works.de'\n", "s = b'\\xff<email>'\n"),
        ("s = '\\U0001F600mira@lamp-works.de \\101lee@lamp-works.de'\n", "s = '\\U0001F600<email> \\101<email>'\n"),
        ("def f(:\n  y = x@h.name\n", "def f(:\n  y = <email>\n"),
    ],
)
def test_python_that_compiled_still_does(before, after):
    assert redacted(before, "python") == after


def test_in_other_languages_code_is_changed_too():
    assert redacted("y = x@h.name", "javascript") == "y = <email>"


def test_where_even_strings_must_not_change_comments_still_do():
    # Between braces of an f-string is code: the address is a product.
    source = b'y = f"{x@h.name}"  # lee@lamp-works.de\n'
    places = [(7, 15, "<email>", "email"), (21, 38, "<email>", "email")]
    assert kept_syntax(source, places) == places[1:]


def test_forty_files_of_the_standard_library_with_planted_values_still_parses():
    paths = sorted(Path(ast.__file__).parent.glob("*.py"))[:40]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    planted = [
        f"{text}\ny = x@h.name\npassword = 'q9-lamp-44'\nhost = '81.169.44.217'  # lee@lamp-works.de\n"
        for text in texts
    ]
    after = redact_personal_data(frame(*planted, language="python"))["text"].to_list()
    for text in after:
        ast.parse(text)
        assert text.endswith("\ny = x@h.name\npassword = '<password>'\nhost = '<ip>'  # <email>\n")


def test_a_find_does_not_tell_its_value():
    assert "q9-lamp" not in repr(Find(b"q9-lamp-44", 0, 10, "q9-lamp"))
    spans = find_personal_data(frame('password = "q9-lamp-44"'))
    assert "q9-lamp" not in str(spans.rows())


def test_an_address_without_end_is_none_and_costs_nothing():
    text = "mail = 'x@" + "a." * 100_000 + "com'\n"
    files = new_files([{"path": "a.py", "origin": "folder", "text": text}])
    assert find_personal_data(files).is_empty()
