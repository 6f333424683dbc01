import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.tokenizer import END, SPECIAL, encode, save_tokenizer, train_tokenizer

TEXTS = [
    "def area(width, height):\n    return width * height\n",
    "for name in names:\n    if name:\n        print(name, 1234)\n",
    "class Shape:\n    def area(self):\n        return self.width * self.height\n",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 300)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_unchanged(tokenizer, text):
    assert tokenizer.decode(encode([text], tokenizer)[0], skip_special_tokens=False) == text


def test_the_vocabulary_has_the_size_asked_for_and_the_special_tokens_come_first(tokenizer):
    assert tokenizer.get_vocab_size() == 300
    assert [tokenizer.id_to_token(i) for i in range(3)] == list(SPECIAL)


def test_a_text_that_spells_the_end_token_does_not_end_the_document(tokenizer):
    ids = encode([f"stop = '{END}'"], tokenizer)[0]
    assert tokenizer.token_to_id(END) not in ids
    assert tokenizer.decode(ids) == f"stop = '{END}'"


def test_each_digit_is_a_token_of_its_own(tokenizer):
    pieces = [tokenizer.id_to_token(i) for i in encode(["x1234"], tokenizer)[0]]
    assert pieces == ["x", "1", "2", "3", "4"]


def test_a_line_end_and_its_indentation_can_be_one_token():
    tokenizer = train_tokenizer(["a:\n        b\n" * 50], 263)
    assert "Ċ" + "Ġ" * 8 in tokenizer.get_vocab()


def test_the_same_texts_give_the_same_file(tmp_path, tokenizer):
    first = save_tokenizer(tokenizer, tmp_path / "tokenizer.json").read_bytes()
    second = save_tokenizer(train_tokenizer(TEXTS, 300), tmp_path / "again.json").read_bytes()
    assert first == second
    text = "def f(x):\n    return x\n"
    loaded = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert encode([text], loaded) == encode([text], tokenizer)


def test_a_vocabulary_smaller_than_the_bytes_is_refused():
    with pytest.raises(ConfigError, match="258 cannot hold 256 bytes and 3 special tokens; 259 can"):
        train_tokenizer(TEXTS, 258)


def test_too_little_text_for_the_vocabulary_is_refused():
    with pytest.raises(ConfigError, match="not vocab_size=5000"):
        train_tokenizer(TEXTS, 5_000)
