import numpy as np
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.packing import pack
from opencoder_lib.train.token_stats import borders, describe, longest_tokens, spell
from opencoder_lib.train.tokenizer import END, encode, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    # The merges in order: 'a' + 'b', 'ab' + 'ab'.
    return train_tokenizer(["abab abab abab"], 261)


def test_white_space_and_parts_of_characters_are_shown(tokenizer):
    assert spell("ab \t\r\n", tokenizer) == ["ab", "·", "⇥", "␍", "⏎"]
    assert spell("é", tokenizer) == ["\\xc3", "\\xa9"]
    assert "".join(spell(END, tokenizer)) == END


def test_every_byte_is_shown_as_itself(tokenizer):
    shown = spell("".join(map(chr, range(0x400))), tokenizer)
    written = b"".join(bytes.fromhex(token[2:]) for token in shown if token.startswith("\\x"))
    assert written == "".join(map(chr, range(0x80, 0x400))).encode()


def test_the_longest_tokens_are_merges_and_never_control_tokens(tokenizer):
    assert longest_tokens(tokenizer, 2) == ["abab", "ab"]


def test_a_spelling_in_numbers(tokenizer):
    assert [tokenizer.id_to_token(i) for i in encode(["abab ab12"], tokenizer)[0]] == ["abab", "Ġ", "ab", "1", "2"]
    found = describe(["abab ab12"], tokenizer)
    assert found.bytes_per_token == 9 / 5
    assert found.tokens_per_piece == 5 / 4  # 'abab', ' ab', '1', '2'
    assert found.frac_pieces_whole == 3 / 4
    assert found.frac_vocabulary_used == 5 / 258
    assert found.bits_per_token == pytest.approx(np.log2(5))
    with pytest.raises(ConfigError, match="nothing to count: 1 texts"):
        describe([""], tokenizer)


def test_windows_and_documents_by_hand():
    # Documents of 3, 5, 2 and 3 tokens; windows of four: [0, 4), [4, 8), [8, 12). The last token is only a target.
    #   aaab | bbbb | ccdd | d
    found = borders(np.array([0, 3, 8, 10]), num_tokens=13, length=4)
    assert found.num_windows == 3
    assert found.frac_windows_with_border == 2 / 3
    assert found.frac_documents_cut == 2 / 4  # b and d
    assert found.frac_tokens_mixed == 3 / 12  # one b and two d come after another document
    # Pairs within documents: 6 + 1, 10, 3 + 3 of 10 a window.
    assert found.frac_pairs_across == pytest.approx(1 - 23 / 30)


def test_borders_agree_with_comparing_all_pairs_of_tokens():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 40, 60)
    starts, num_tokens, length = lengths.cumsum() - lengths, int(lengths.sum()), 16
    owner = np.repeat(np.arange(60), lengths)
    windows = (num_tokens - 1) // length
    owner_WT = owner[: windows * length].reshape(windows, length)
    causal_TT = np.tril(np.ones((length, length), bool))
    across_WTT = (owner_WT[:, :, None] != owner_WT[:, None, :]) & causal_TT
    found = borders(starts, num_tokens, length)
    assert found.frac_pairs_across == pytest.approx(across_WTT.sum() / (windows * causal_TT.sum()))
    assert found.frac_tokens_mixed == pytest.approx(across_WTT.any(2).mean())
    assert found.frac_windows_with_border == pytest.approx(across_WTT.any((1, 2)).mean())


def test_starts_are_where_packing_puts_them(tokenizer):
    tokens = pack(["ab", "", "abab"], tokenizer)
    ends = np.flatnonzero(tokens == tokenizer.token_to_id(END))
    assert borders(np.array([0, 2, 3]), len(tokens), 4).frac_windows_with_border == 1
    assert ends.tolist() == [1, 2, 4]


def test_a_corpus_shorter_than_a_window_is_refused():
    with pytest.raises(ConfigError, match="4 tokens do not fill one window of 4"):
        borders(np.array([0]), 4, 4)
