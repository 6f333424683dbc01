import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import signals_by_definition as slow

from opencoder_lib.files import new_files
from opencoder_lib.quality import compute_signals
from opencoder_lib.quality.compute import SHARD_BYTES

# Few words, so that n-grams repeat; characters on which Python, Unicode classes and NFKC disagree.
PIECES = ["one", "two", "Three", " ", " ", "\n", ".", "_", "x1", "ＡＢ", "。", "”", "½", "ﬁ", "é", "ǅ", "İ", "ß", "Σ",
          "\x00", "\x0b", "\x0c", "\x1b", "\x1c", "\x85", "\xa0", "\u2009", "\u200b", "\u2028", "\r", "\t", "\ufffd",
          "【", "】", "ΟΣ", "𝐀", "´", "کتاب", "हिन्दी", "٣", "²", "•", "◆", "...",
          "更多", "]", ")", "<", ">", "(http://a", "!", "؟"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


def signals_of(texts, name="a.txt", max_shard_bytes=SHARD_BYTES):
    rows = [{"path": name, "origin": "folder", "text": text, "natural_language": "en"} for text in texts]
    return compute_signals(new_files(rows), max_shard_bytes)


@settings(deadline=None, max_examples=60)
@given(st.lists(texts, min_size=1, max_size=4))
def test_text_signals_are_those_of_the_definitions(documents):
    found = signals_of(documents)
    for text, row in zip(documents, found.iter_rows(named=True), strict=True):
        for name, expected in slow.all_of(text).items():
            assert row[name] == pytest.approx(expected, abs=1.1e-8) if expected is not None else row[name] is None, (
                name,
                text,
            )


# Quotes that pair across each other, encoded runs that just fit, lines that repeat.
CODE_PIECES = ["'", '"', "'''", '"""', "\\n", " ", "\n", "\n", "0x1f", "ab", ",", ", ", "\\x", "\\u00e9", "k" * 22,
               "=", "http://", " = 'a' + 'b'", "w " * 7, "QUJD" * 16, "},", "}", "Assert", "\t", "é", "\x1c",
               "0xzz"]  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.sampled_from(CODE_PIECES), max_size=60).map("".join), min_size=1, max_size=3))
def test_code_signals_are_those_of_the_definitions(documents):
    # In a style sheet nothing is a comment, so its code is the text, framed as the lexers frame it.
    found = signals_of(documents, "a.css")
    for text, row in zip(documents, found.iter_rows(named=True), strict=True):
        for name, expected in slow.of_code(text, text.strip("\n") + "\n").items():
            assert row[name] == expected, (name, text)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["a", "b", "c", "d", "aa", "bb"]), min_size=0, max_size=80))
def test_ngrams_that_repeat_and_overlap_are_counted_as_defined(found):
    text = " ".join(found)
    row = signals_of([text]).row(0, named=True)
    for n in (2, 3, 4):
        assert row[f"frac_chars_top_{n}grams"] == slow.frac_chars_top_ngrams(text, n)
    for n in range(5, 11):
        assert row[f"frac_chars_dupe_{n}grams"] == slow.frac_chars_dupe_ngrams(text, n)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["x", "},", "}", "y = 1", " y  = 1", "\ty=1", "", "\xa0x"]), max_size=20))
def test_repeated_code_lines_are_counted_as_defined(code_lines):
    text = "\n".join(code_lines)
    kept = [line for line in text.strip("\n").split("\n") if line.strip()]
    assert signals_of([text], "a.rb")["frac_lines_dupe_lines"][0] == slow.dupe_lines(kept)


@settings(deadline=None, max_examples=30)
@given(st.lists(texts, max_size=8), st.integers(1, 200))
def test_any_sharding_gives_the_same_signals(documents, shard_bytes):
    whole = signals_of(documents, "a.py") if documents else None
    if whole is not None:
        assert signals_of(documents, "a.py", shard_bytes).equals(whole)


def test_entropy_of_four_equally_frequent_words_is_the_logarithm_of_four():
    assert signals_of(["a b c d"])["entropy_unigram"][0] == round(math.log(4), 8)


def test_rows_keep_their_order_and_removed_files_have_no_signals():
    files = new_files(
        [
            {"path": "b.py", "origin": "folder", "text": "x = 1\n", "doc_id": "2"},
            {"path": "gone.py", "origin": "folder", "text": "x = 1\n", "doc_id": "3", "removed_by": "exact.duplicate"},
            {"path": "a.txt", "origin": "folder", "text": "Some words.\n", "doc_id": "1"},
            {"path": "what.unheard_of", "origin": "folder", "text": "?", "doc_id": "4"},
        ]
    )
    signals = compute_signals(files)
    assert signals["doc_id"].to_list() == ["2", "1", "4"]
    assert signals.filter(pl.col("doc_id") == "4").drop("doc_id").row(0) == (None,) * (signals.width - 1)
