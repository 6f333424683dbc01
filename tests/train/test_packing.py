import numpy as np
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.packing import batch, num_windows, pack, unpack, windows_of_step
from opencoder_lib.train.tokenizer import END, train_tokenizer

TEXTS = ["def f():\n    pass\n", "", f"end = '{END}'\n", "größe = 'é'\n"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS * 3, 262)


def test_packed_documents_come_back_unchanged_even_empty_ones_and_ones_that_spell_the_end_token(tokenizer):
    tokens = pack(TEXTS, tokenizer)
    assert unpack(tokens, tokenizer) == TEXTS
    assert int((tokens == tokenizer.token_to_id(END)).sum()) == len(TEXTS)


def test_tokens_take_two_bytes_when_the_vocabulary_allows(tokenizer):
    assert pack(TEXTS, tokenizer).dtype == np.uint16


def test_packing_nothing_gives_no_tokens(tokenizer):
    assert len(pack([], tokenizer)) == 0


def test_a_batch_is_the_inputs_and_the_token_after_each():
    tokens = np.arange(9, dtype=np.uint16)  # two windows of four: 0..4 and 4..8
    ids = batch(tokens, seed=0, step=0, batch_size=2, length=4)
    assert sorted(ids.tolist()) == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]]
    assert ids.dtype == np.int64


def test_the_order_is_a_pure_function_of_seed_and_step():
    tokens = np.arange(1_001, dtype=np.uint16)
    backwards = {step: batch(tokens, 7, step, 3, 10) for step in reversed(range(50))}
    for step in range(50):
        assert np.array_equal(batch(tokens, 7, step, 3, 10), backwards[step])
    assert not np.array_equal(batch(tokens, 8, 0, 3, 10), backwards[0])


def test_every_window_is_read_once_before_any_is_read_again_and_passes_differ():
    seen = [row for step in range(20) for row in windows_of_step(windows=10, seed=0, step=step, batch_size=3)]
    first, second = seen[:10], seen[10:20]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_too_few_tokens_for_one_window_are_refused():
    assert num_windows(np.zeros(11), 10) == 1
    with pytest.raises(ConfigError, match="10 tokens do not fill one window of 10"):
        num_windows(np.zeros(10), 10)
