"""Shingles and similarity, counted by hand: the one definition that planting, hashing and measuring share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencoder_lib.errors import ConfigError
from opencoder_lib.shingles import JOINING_BYTES, UNITS, check_unit, jaccard, ngrams, shingles, tokens

WHITE_SPACE = "\t\n\v\f\r "
mixed_text = st.text(
    alphabet=st.one_of(st.sampled_from("aZ9_ -\t\n\v\f\r\0\x1c\x85\xa0é中İ"), st.characters(codec="utf-8"))
)


# What a token is


def test_a_word_is_a_run_of_ascii_letters_digits_and_underscores():
    assert tokens("if größe_2 != 0x1F:  # 注释") == ["if", "gr", "e_2", "0x1F"]


def test_any_script_joins_what_is_above_ascii_to_its_neighbours():
    assert tokens("if größe_2 != 0x1F:  # 注释。", "any_script") == ["if", "größe_2", "0x1F", "注释。"]
    # A no-break space is above ASCII, so it joins like a letter; a control character is not.
    assert tokens("a\xa0b\x1cc", "any_script") == ["a\xa0b", "c"]


def test_space_takes_what_stands_between_ascii_white_space():
    assert tokens("a+b\tc:\nd\ve\ff\rg", "space") == ["a+b", "c:", "d", "e", "f", "g"]
    # Unicode's other white space separates nothing: the compiled loops see bytes.
    assert tokens("a\x1cb\x85c\xa0d\u2003e", "space") == ["a\x1cb\x85c\xa0d\u2003e"]


def test_a_character_is_a_token_with_layout_and_a_line_end_of_two_characters_is_two():
    assert tokens("a b\r\n中\U0001f40d", "character") == ["a", " ", "b", "\r", "\n", "中", "\U0001f40d"]


def test_word_is_the_unit_when_none_is_named():
    assert tokens("a-b é") == tokens("a-b é", "word") == ["a", "b"]


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_without_tokens_has_none(unit):
    assert tokens("", unit) == []
    assert tokens(" \n\t", unit) == ([" ", "\n", "\t"] if unit == "character" else [])


@given(mixed_text)
def test_words_are_what_remains_when_every_other_character_becomes_a_space(text):
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    assert tokens(text) == "".join(char if char in letters else " " for char in text).split()
    above = "".join(char if char in letters or ord(char) > 127 else " " for char in text)
    assert tokens(text, "any_script") == [run for run in above.split(" ") if run]
    blank = "".join(" " if char in WHITE_SPACE else char for char in text)
    assert tokens(text, "space") == [run for run in blank.split(" ") if run]
    assert tokens(text, "character") == list(text)


@pytest.mark.parametrize("unit", UNITS)
def test_the_bytes_that_join_say_the_same_as_the_patterns(unit):
    # A lead byte and a continuation byte of UTF-8 stand for all that is above ASCII.
    for char in [*map(chr, range(128)), "é", "中", "\U0001f40d"]:
        joins = {byte in JOINING_BYTES[unit] for byte in char.encode()}
        assert joins == {tokens(char, unit) == [char]}, repr(char)


def test_folding_turns_ascii_capitals_into_small_letters_and_nothing_else():
    assert tokens("Ab_C DÉ", "any_script", fold_case=True) == ["ab_c", "dÉ"]
    # str.lower would make two characters of the first and a plain k of the second.
    assert tokens("İ\u212a", "character", fold_case=True) == ["İ", "\u212a"]
    assert shingles("RETURN a", fold_case=True) == shingles("return A", fold_case=True) == {"return a"}


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("words", "unit='words' is not a unit of shingles. Did you mean word?"),
        ("line", "unit='line' is not a unit of shingles. Known: any_script, character, space, word."),
        (None, "unit=None is not a unit of shingles."),
    ],
)
def test_an_unknown_unit_names_those_there_are(unit, said):
    for call in (check_unit, lambda name: tokens("a", name), lambda name: shingles("a", unit=name)):
        with pytest.raises(ConfigError) as raised:
            call(unit)
        assert said in str(raised.value)


# What a shingle is


def test_shingles_are_five_tokens_joined_by_one_space():
    assert shingles("def f(a, b):\n    return a") == {"def f a b return", "f a b return a"}


def test_layout_and_punctuation_do_not_count_but_case_and_underscores_do():
    assert shingles("a, b;c\n\td  e") == shingles("a b c d e")
    assert shingles("A b c d e") != shingles("a b c d e")
    assert shingles("a_b c d e f") == {"a_b c d e f"}


def test_a_short_file_is_one_shingle_and_a_file_without_tokens_has_none():
    assert shingles("only three tokens") == {"only three tokens"}
    assert shingles("") == shingles("…") == shingles("中文") == set()
    assert shingles("中文", unit="any_script") == {"中文"}


def test_a_repeated_shingle_counts_once():
    assert shingles("a a a a a a a a") == {"a a a a a"}


def test_length_of_a_shingle_is_a_setting():
    assert shingles("a b c", ngram=1) == {"a", "b", "c"}
    assert shingles("a b c", ngram=2) == {"a b", "b c"}
    assert shingles("a b c", ngram=3) == shingles("a b c", ngram=4) == {"a b c"}


def test_shingles_of_characters_count_every_space():
    assert shingles("ab a", ngram=2, unit="character") == {"a b", "b  ", "  a"}
    assert shingles("ab  a", ngram=2, unit="character") == {"a b", "b  ", "   ", "  a"}


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 6))
def test_ngrams_are_the_windows_of_a_list(words, ngram):
    windows = {" ".join(words[at : at + ngram]) for at in range(max(1, len(words) - ngram + 1))}
    assert ngrams(words, ngram) == windows - {""}


# How alike two sets are


def test_jaccard_of_one_changed_word_counted_by_hand():
    left = shingles("a b c d e f g h i j")  # 6 shingles
    right = shingles("a b c d e f g h i Z")  # the last one differs: 5 in common, 7 in all
    assert jaccard(left, right) == jaccard(right, left) == 5 / 7
    assert jaccard(left, left) == 1
    assert jaccard(left, shingles("v w x y z")) == 0
    assert jaccard(set(), left) == jaccard(set(), set()) == 0
