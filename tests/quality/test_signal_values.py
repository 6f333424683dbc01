"""Hand-computed values, one line a signal."""

import csv
from pathlib import Path

import pytest

from opencoder_lib.files import new_files
from opencoder_lib.quality import compute_signals, null_report
from opencoder_lib.quality.registry import SIGNALS, Signal
from opencoder_lib.quality.views import Views

PYTHON = '''\
import os

class A:
    """Doc."""
    x = 1
    y: int

    def f(self, a):
        return a

    async def g(self):
        pass


def h(*, k):
    # count me
    print("password")
    return
'''


def measure(text: str, path: str, **known) -> dict:
    row = {"path": path, "origin": "folder", "text": text, "natural_language": "en", **known}
    return compute_signals(new_files([row])).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "signal", "expected"),
    [
        ("ab cd\n", "num_chars", 6),
        ("ab cd\nef", "num_lines", 2),
        ("", "num_lines", 0),
        ("\n\n", "num_lines", 2),
        ("a\rb", "num_lines", 1),
        ("Foo_bar: 12", "num_words", 3),
        ("Foo_bar: 12", "mean_word_length", round(8 / 3, 8)),
        ("", "mean_word_length", None),
        ("to be or not to be", "frac_words_unique", round(4 / 6, 8)),
        ("to be or not to be", "frac_chars_top_2grams", round(8 / 13, 8)),
        ("a a a", "frac_chars_top_2grams", round(4 / 3, 8)),
        ("ab cd xy ab cd xy", "frac_chars_top_3grams", 1.0),
        ("a b c d", "frac_chars_top_2grams", 0.0),
        ("1 2 3 4 5 6 1 2 3 4 5", "frac_chars_dupe_5grams", round(10 / 11, 8)),
        ("1 2 3 4", "frac_chars_dupe_5grams", 0.0),
        ("One. Two! Three?", "num_sentences", 3),
        ("no end", "num_sentences", 1),
        ("...", "num_sentences", 0),
        ("OK ok Ok 12", "frac_words_all_caps", 0.25),
        ("【 a 】。", "frac_words_full_bracket", round(1 / 3, 8)),
        ("x\ny...\n", "frac_lines_end_with_readmore", 0.5),
        ("read on …)]  \nx", "frac_lines_end_with_readmore", 0.5),
        ("  • a\n- b\n", "frac_lines_start_with_bullet", 0.5),
        ("a\n a \n\nb\n", "frac_lines_dupe_lines", round(2 / 3, 8)),
        ("aa\naa\nb\n", "frac_chars_dupe_lines", 0.8),
        ("\n", "frac_lines_dupe_lines", None),
        ("<b>x</b>(http://a.b)", "frac_chars_hyperlink_html_tag", round(19 / 20, 8)),
        ("0x1F and 0xZZ", "frac_chars_hex_words", round(4 / 13, 8)),
        ("a1 ", "frac_chars_digital", 0.5),
        ("²x", "frac_chars_digital", 0.5),
        (" ", "frac_chars_digital", 1.0),
        (" ", "frac_chars_alphabet", 0.0),
        ("a b\n", "frac_chars_whitespace", 0.5),
        ("", "frac_chars_whitespace", 1.0),
        ("x\ufffd", "frac_chars_replacement_symbols", 0.5),
        ("a{}b", "frac_chars_curly_bracket", 0.5),
        ("ab.c\n", "num_chars_sentence_length_mean", 1.0),
    ],
)
def test_signal_of_a_text(text, signal, expected):
    assert measure(text, "a.txt")[signal] == expected


@pytest.mark.parametrize(
    ("text", "signal", "expected"),
    [
        ("ab\nc\n", "num_chars_line_max", 3),
        ("ab\nlonger", "num_chars_line_max", 6),
        ("", "num_chars_line_max", 0),
        ("ab\nc\n", "num_chars_line_mean", 2.5),
        ("", "num_chars_line_mean", 0),
        ("é", "size_file_byte", 2),
        ("x = 1 # two\n", "frac_chars_comments", round(5 / 12, 8)),
        ("y\nx\ny\n y\n", "frac_lines_dupe_lines", 0.0),
        ("yy\nx\nyy\n y y\n", "frac_lines_dupe_lines", 0.75),
        ("},\n},\nx\n", "frac_lines_dupe_lines", 0.0),
        ("# only a comment\n", "frac_lines_dupe_lines", None),
        ('-<?xml version="1.0"?>', "cate_xml_start", 1),
        ("x" * 87 + "<?xml version=", "cate_xml_start", 0),
        ("x" * 86 + "<?xml version=", "cate_xml_start", 1),
        ("def GENERATE_key\nend\n", "cate_autogen", 1),
        ("x" * 200 + "do not edit", "cate_autogen", 0),
        ("s = 'abc'\n", "frac_chars_string_length", 0.3),
        ("s = 'ab\nc'\n", "frac_chars_string_length", 0.0),
        ("s = '" + "k" * 21 + "'\n", "frac_chars_long_word_length", round(21 / 28, 8)),
        ("s = '" + "k" * 20 + "'\n", "frac_chars_long_word_length", 0.0),
        ("s = 'http://" + "k" * 21 + "'\n", "frac_chars_long_word_length", 0.0),
        ("s = '" + "w " * 21 + "'\nt\n", "frac_lines_long_string", 0.5),
        ("s = '" + "w " * 20 + "'\nt\n", "frac_lines_long_string", 0.0),
        ("s = 'a' + 'b'\nt = 1\n", "frac_lines_string_concat", 0.5),
        ("A" * 1025, "cate_encoded_data", 1),
        (("A" * 63 + " ") * 20, "cate_encoded_data", 0),
        ("A" * 64 + " " * 63, "cate_encoded_data", 1),
        ("A" * 64 + " " * 64, "cate_encoded_data", 0),
        (", ".join(["0x1f"] * 8), "cate_encoded_data", 0),
        (",".join(["0x1f"] * 8), "cate_encoded_data", 1),
        ("\\u00e9" * 8, "cate_encoded_data", 1),
        ("\\u00e9" * 7, "cate_encoded_data", 0),
        ("x = 0xff\n", "frac_chars_hex_words", round(4 / 9, 8)),
        ("x = 1 # TODO\ny\n", "frac_lines_prompt_comments", 0.5),
        ("todo = 1\n", "frac_lines_prompt_comments", 0.0),
        ("Assert x\ny\n", "frac_lines_assert", 0.5),
    ],
)
def test_signal_of_a_ruby_file(text, signal, expected):
    assert measure(text, "a.rb")[signal] == expected


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        # Ten code lines: import, class, x, y, def f, return, async def, pass, def h, print, return are eleven.
        ("frac_lines_func_ratio", round(2 / 11, 8)),
        ("frac_lines_pass", round(2 / 11, 8)),
        ("frac_lines_import", round(1 / 11, 8)),
        ("frac_lines_print", round(1 / 11, 8)),
        ("frac_lines_simplefunc", 1 / 11),
        # 2 functions, 1 import, 1 class, 2 returns, x and y.
        ("score_lines_no_logic", round(8 / 11, 8)),
        ("cate_ast", 1),
        ("cate_var_zero", 0),
        ("frac_chars_comments", round(len("Doc.\n count me") / len(PYTHON), 8)),
    ],
)
def test_signal_of_a_python_file(signal, expected):
    assert measure(PYTHON, "a.py")[signal] == expected


def test_python_that_does_not_parse_has_no_structure_but_all_other_signals():
    found = measure("print 'x'\n# note\n", "a.py")
    assert (found["cate_ast"], found["cate_var_zero"], found["frac_lines_func_ratio"]) == (0, None, None)
    assert found["frac_lines_print"] == 1
    # The tokenizer reads it, so its comment counts; an open bracket would make it zero.
    assert found["frac_chars_comments"] == round(4 / 17, 8)
    assert measure("(\n# note\n", "a.py")["frac_chars_comments"] == 0


def test_keyword_only_arguments_and_annotations_are_no_variables():
    assert measure("def f(*, a): ...\nx: int = 1\n", "a.py")["cate_var_zero"] == 1
    assert measure("for i in (): ...\n", "a.py")["cate_var_zero"] == 0


def test_chinese_and_japanese_words_are_those_of_their_own_tokenizers():
    # 灯塔 | 的 | 透镜: the word-punct tokenizer would see one word.
    chinese = measure("灯塔的透镜\n", "a.txt", natural_language="zh")
    assert (chinese["num_words"], chinese["mean_word_length"]) == (3, round(5 / 3, 8))
    # 灯台 | の | レンズ
    japanese = measure("灯台のレンズ\n", "a.txt", natural_language="ja")
    assert (japanese["num_words"], japanese["mean_word_length"]) == (3, 2.0)


def test_long_lines_in_the_strings_of_a_chinese_file_are_cut_by_the_chinese_tokenizer():
    # 11 times three words make 33; the word-punct tokenizer would see one.
    text = f"s = '{'灯塔的透镜' * 11}'\nt = 1\n"
    assert measure(text, "a.rb", natural_language="zh")["frac_lines_long_string"] == 0.5
    assert measure(text, "a.rb", natural_language="en")["frac_lines_long_string"] == 0


def test_stop_words_are_counted_as_found_in_five_languages():
    assert measure("the lamp and The light\n", "a.txt")["frac_words_redpajama_stop"] == 0.4
    assert measure("le phare et la lampe\n", "a.txt", natural_language="fr")["frac_words_redpajama_stop"] == 0.6
    assert measure("fyret og lampen\n", "a.txt", natural_language="da")["frac_words_redpajama_stop"] is None
    assert measure("", "a.txt")["frac_words_redpajama_stop"] == 0


def test_a_signal_that_cannot_be_computed_is_null_and_reported_with_its_number():
    files = new_files([{"path": "a.txt", "origin": "folder", "text": "灯塔的透镜怎样工作\n", "natural_language": "zh"}])
    signals = compute_signals(files)
    assert signals["frac_chars_alphabet"][0] is None
    report = {row["signal"]: row for row in null_report(files, signals).iter_rows(named=True)}
    assert (report["frac_chars_alphabet"]["nulls"], report["frac_chars_alphabet"]["because"]) == (1, "not English")


def test_only_the_signals_asked_for_are_computed():
    files = new_files([{"path": "a.txt", "origin": "folder", "text": "ab cd\n", "natural_language": "en"}])
    assert compute_signals(files, names={"num_chars", "num_words"}).columns == ["doc_id", "num_chars", "num_words"]


def test_all_118_official_signals_are_registered_and_no_other_name_is_claimed():
    with open(Path(__file__).with_name("released_thresholds.csv"), encoding="utf-8") as stream:
        listed = {row["signal"] for row in csv.DictReader(stream)}
    # This one is computed by the release but stands in no table of thresholds.
    listed.add("qsc_doc_num_chars_sentence_length_mean")
    assert {entry.official for entry in SIGNALS.values()} - {""} == listed
    assert len(listed) == 118


def test_every_signal_is_defined_in_a_sentence_and_reads_views_that_exist():
    for entry in SIGNALS.values():
        assert isinstance(entry, Signal)
        assert entry.definition.endswith("."), entry.name
        assert all(view in ("files", "texts") or hasattr(Views, view) for view in entry.views), entry.name
