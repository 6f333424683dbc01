import numpy as np
import pytest
import torch

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.windows import as_source, batch, document_positions, num_windows

TOKENS = np.arange(1_001, dtype=np.uint16)


def test_a_batch_is_the_inputs_and_the_token_after_each():
    tokens = np.arange(9, dtype=np.uint16)  # two windows of four: 0..4 and 4..8
    ids = batch(tokens, seed=0, step=0, batch_size=2, length=4)
    assert sorted(ids.tolist()) == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]]
    assert ids.dtype == np.int64


def test_the_order_is_a_pure_function_of_seed_and_step():
    backwards = {step: batch(TOKENS, 7, step, 3, 10) for step in reversed(range(50))}
    for step in range(50):
        assert np.array_equal(batch(TOKENS, 7, step, 3, 10), backwards[step])
    assert not np.array_equal(batch(TOKENS, 8, 0, 3, 10), backwards[0])


def test_a_pass_reads_every_window_once_whatever_the_batch_size():
    for batch_size in (1, 4, 7):
        firsts = np.concatenate([batch(TOKENS, 0, step, batch_size, 10)[:, 0] for step in range(120)])
        assert sorted(firsts[:100].tolist()) == list(range(0, 1_000, 10))
        assert sorted(firsts[100:120].tolist()) != sorted(firsts[:20].tolist())


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 6, 12])
def test_all_processes_together_read_what_one_would(world_size):
    for step in (0, 8, 9):  # step 8 crosses from the first pass into the second
        parts = [batch(TOKENS, 3, step, 12, 10, rank, world_size) for rank in range(world_size)]
        assert {len(part) for part in parts} == {12 // world_size}
        assert np.array_equal(np.concatenate(parts), batch(TOKENS, 3, step, 12, 10))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 10, "world_size": 4}, "batch_size=10 does not divide into 4 equal parts.*e.g. 12"),
        ({"batch_size": 0}, "batch_size=0 does not divide"),
        ({"rank": 2, "world_size": 2}, "rank=2 is not in 0 to 1"),
        ({"step": -1}, "step=-1 is before the first step"),
        ({"length": 0}, "length=0 tokens is no window"),
    ],
)
def test_a_batch_that_cannot_be_cut_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        batch(TOKENS, **({"seed": 0, "step": 0, "batch_size": 4, "length": 10} | settings))


def test_too_few_tokens_for_one_window_are_refused():
    assert num_windows(TOKENS[:11], 10) == 1
    with pytest.raises(ConfigError, match="10 tokens do not fill one window of 10"):
        num_windows(TOKENS[:10], 10)


@pytest.mark.parametrize("wrong", [np.zeros(30), np.zeros((3, 10), np.int64)])
def test_tokens_that_are_no_row_of_integers_are_refused(wrong):
    with pytest.raises(ConfigError, match="one row of integers"):
        as_source(wrong)


def test_a_fingerprint_changes_with_any_token():
    changed = TOKENS.copy()
    changed[-1] += 1
    assert as_source(TOKENS).fingerprint == as_source(TOKENS.copy()).fingerprint
    assert as_source(TOKENS).fingerprint != as_source(changed).fingerprint


def test_positions_start_again_after_each_end_token():
    end = 0
    ids_BT = torch.tensor([[5, 6, end, 7, end, end, 8, 9], [end, 1, 2, 3, 4, 5, 6, end]])
    by_hand = [[0, 1, 2, 0, 1, 0, 0, 1], [0, 0, 1, 2, 3, 4, 5, 6]]
    assert document_positions(ids_BT, end).tolist() == by_hand


def test_tokens_are_of_one_document_when_index_minus_position_is_equal():
    random = np.random.default_rng(0)
    ids_BT = torch.from_numpy(random.integers(0, 5, (4, 40)))
    start_BT = torch.arange(40) - document_positions(ids_BT, end=0)
    for row, starts in zip(ids_BT.tolist(), start_BT.tolist(), strict=True):
        for early in range(40):
            for late in range(early, 40):
                assert (starts[early] == starts[late]) == (0 not in row[early:late])
