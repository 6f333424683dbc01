import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from types import ModuleType

import jieba
import MeCab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.errors import ConfigError
from opencoder_lib.quality import tokenizers
from opencoder_lib.quality.tokenizers import LONGEST, has_conversion, to_simplified, tokenizer_of, tokens

CHINESE = "灯塔的透镜怎样工作"
JAPANESE = "灯台のレンズは光を水平線へ送る。"
# Signs on which the blocks of jieba end or do not, a dictionary word with a sign in it, white space of many kinds.
PIECES = ["灯塔", "的", "透镜", "小明硕士", "龘", "㐀", "a", "B1", "AT&T", "c++", "3.5%", "-", "_", "+#&", "x=", ",",
          "，", "。", "【", " ", "\t", "\r\n", "\u3000", "\x85", "\x00", "\x1c", "あ", "𠀀", "\ud800"]  # fmt: skip
mixed = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def visible(line: str) -> str:
    return "".join(line.split())


@pytest.fixture(scope="module")
def plain_jieba(tmp_path_factory):
    """jieba as it comes, but for the place of its cache: the other implementation."""
    plain = jieba.Tokenizer()
    plain.tmp_dir = tmp_path_factory.mktemp("jieba")
    plain.initialize()
    return plain


@pytest.mark.parametrize(
    ("language", "expected"), [("zh", "jieba"), ("ja", "mecab"), ("en", "word_punct"), ("fr", "word_punct")]
)
def test_natural_language_decides_on_the_tokenizer(language, expected):
    assert tokenizer_of(language) == expected


def test_chinese_is_cut_into_dictionary_words():
    assert tokens([CHINESE, "", "def 打印(名字):"], "jieba") == [
        ["灯塔", "的", "透镜", "怎样", "工作"],
        [],
        ["def", "打印", "(", "名字", ")", ":"],
    ]


def test_japanese_is_cut_into_short_units():
    assert tokens([JAPANESE, " "], "mecab") == [
        ["灯台", "の", "レンズ", "は", "光", "を", "水平", "線", "へ", "送る", "。"],
        [],
    ]


def test_other_languages_are_cut_at_signs_and_spaces():
    assert tokens(["x_1 += f(y);"], "word_punct") == [["x_1", "+=", "f", "(", "y", ");"]]


@settings(deadline=None, max_examples=200)
@given(mixed)
def test_chinese_tokens_are_those_of_jieba_without_blanks(plain_jieba, line):
    assert tokens([line], "jieba")[0] == [token for token in plain_jieba.lcut(line) if token.strip()]


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=60))
def test_jieba_loses_no_visible_character(line):
    assert "".join(tokens([line], "jieba")[0]) == visible(line)


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60))
def test_mecab_loses_no_visible_character(line):
    assert "".join(tokens([line], "mecab")[0]) == visible(line)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([*JAPANESE, "print", "(", ")", " ", "\t", "１", "カタカナ"]), max_size=30).map("".join))
def test_one_tagger_for_all_lines_cuts_as_a_new_tagger_for_each(line):
    assert tokens([line], "mecab")[0] == MeCab.Tagger("-Owakati").parse(line).split()


def test_null_characters_and_lone_surrogates_neither_end_a_japanese_line_nor_raise():
    assert tokens(["光を\x00送る", "光を\ud800送る"], "mecab") == [["光", "を", "送る"], ["光", "を", "\ufffd", "送る"]]


def test_long_chinese_line_with_punctuation_has_the_tokens_of_jieba(plain_jieba):
    line = f"{CHINESE}，" * (LONGEST // 5)
    assert tokens([line], "jieba")[0] == plain_jieba.lcut(line)


def test_long_japanese_line_is_cut_after_a_full_stop_and_keeps_its_tokens():
    line = JAPANESE * (LONGEST // 4)
    assert tokens([line], "mecab")[0] == MeCab.Tagger("-Owakati").parse(line).split()


@pytest.mark.parametrize(("tokenizer", "sign"), [("jieba", "是"), ("mecab", "ア")])
def test_one_line_of_one_sign_takes_linear_time_and_loses_nothing(tokenizer, sign):
    # jieba's own search takes more than a minute for this line, MeCab's half a minute.
    line = sign * 200_000
    start = time.monotonic()
    (found,) = tokens([line], tokenizer)
    assert time.monotonic() - start < 20
    assert "".join(found) == line


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_dictionary_of_jieba_is_loaded_silently_and_without_a_cache_file(folder, tmp_path, monkeypatch, capfd):
    (tmp_path / "empty").mkdir()
    tokenizers._jieba.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / folder))
        assert tokens([CHINESE], "jieba")[0][0] == "灯塔"
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]
    assert capfd.readouterr() == ("", "")


def test_dictionaries_are_loaded_with_the_first_text_that_needs_them():
    code = (
        "import sys; from opencoder_lib.quality.tokenizers import tokens; tokens(['x'], 'word_punct');"
        "print({'jieba', 'MeCab', 'unidic_lite', 'zhconv'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_unknown_tokenizer_is_named_with_near_ones():
    with pytest.raises(ConfigError, match=r"no tokenizer 'meccab'.*mecab"):
        tokens(["x"], "meccab")


def test_without_zhconv_text_stays_and_the_report_can_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "zhconv", None)
    assert not has_conversion()
    assert to_simplified("燈塔") == "燈塔"


def test_zhconv_is_asked_for_the_mainland_variant(monkeypatch):
    fake = ModuleType("zhconv")
    fake.convert = lambda text, locale: f"{text} in {locale}"
    monkeypatch.setitem(sys.modules, "zhconv", fake)
    assert has_conversion()
    assert to_simplified("燈塔") == "燈塔 in zh-cn"


def test_conversion_changes_signs_and_wording_exactly_where_zhconv_is_installed():
    installed = find_spec("zhconv") is not None
    assert has_conversion() == installed
    assert to_simplified("資料庫 x\n") == ("数据库 x\n" if installed else "資料庫 x\n")
