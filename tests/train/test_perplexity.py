import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from opencoder_lib.errors import ConfigError
from opencoder_lib.train import perplexity as px
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.tokenizer import encode, train_tokenizer

TEXTS = ["def f():\n    pass\n", "größe = 1\n", ""]
VOCAB = 262


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["def f():\n    pass\n"], VOCAB)


class Fixed(nn.Module):
    """Predicts the same distribution after every token."""

    def __init__(self, logits_V):
        super().__init__()
        self.logits_V = nn.Parameter(logits_V)
        self.config = SimpleNamespace(vocab_size=len(logits_V))

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.logits_V.expand(*input_ids.shape, -1))


def test_a_uniform_model_needs_log2_of_the_vocabulary_for_every_token(tokenizer):
    held_out = px.hold_out(TEXTS, tokenizer, context=4)
    num_tokens = sum(len(ids) + 1 for ids in encode(TEXTS, tokenizer))
    by_hand = np.log2(VOCAB) * num_tokens / len("".join(TEXTS).encode())
    assert held_out.num_tokens == num_tokens
    assert px.bits_per_byte(Fixed(torch.zeros(VOCAB)), held_out) == pytest.approx(by_hand, rel=1e-6)
    assert px.uniform_bits_per_byte(held_out, VOCAB) == pytest.approx(by_hand)


def test_bits_of_each_document_are_those_of_its_tokens_and_its_end(tokenizer):
    logits_V = torch.linspace(-3, 3, VOCAB)
    bits_V = -torch.log_softmax(logits_V.double(), -1).numpy() / np.log(2)
    end = tokenizer.token_to_id("<|endoftext|>")
    by_hand = [sum(bits_V[i] for i in [*ids, end]) for ids in encode(TEXTS, tokenizer)]
    found = px.document_bits(Fixed(logits_V), px.hold_out(TEXTS, tokenizer, context=5), batch_size=2)
    assert found.tolist() == pytest.approx(by_hand, rel=1e-5)


def test_windows_agree_with_scoring_token_by_token(tokenizer):
    model = build_model(Shape(VOCAB, 16, 2, 2, 2, 24, context=6, tied=True), seed=0).eval()
    ids = [0, *encode(TEXTS[:1], tokenizer)[0], 0]
    nats = 0.0
    for place in range(1, len(ids)):
        start = (place - 1) // 6 * 6  # a window sees nothing before its own start
        with torch.no_grad():
            logits_V = model(input_ids=torch.tensor([ids[start:place]])).logits[0, -1].double()
        nats -= float(torch.log_softmax(logits_V, -1)[ids[place]])
    by_hand = nats / np.log(2) / len(TEXTS[0].encode())
    held_out = px.hold_out(TEXTS[:1], tokenizer, context=6)
    assert px.bits_per_byte(model, held_out, precision="float32") == pytest.approx(by_hand, rel=1e-5)


def test_a_unigram_model_is_the_smoothed_frequency_of_the_training_tokens(tokenizer):
    held_out = px.hold_out(["a"], tokenizer, context=4)  # 'a' and the end token
    a, end = encode(["a"], tokenizer)[0][0], 0
    training = np.array([a, a, a, end], dtype=np.uint16)
    by_hand = -np.log2(4 / (4 + VOCAB)) - np.log2(2 / (4 + VOCAB))
    assert px.unigram_bits_per_byte(held_out, training, VOCAB) == pytest.approx(by_hand)


def test_deflate_agrees_with_zlib_without_its_frame_and_shorter_pieces_cost_more():
    texts = ["for i in range(10):\n    print(i)\n"] * 20
    data = "".join(texts).encode()
    framed = len(zlib.compress(data, 9)) - 6  # two bytes of header, four of checksum
    assert px.deflate_bits_per_byte(texts) == pytest.approx(8 * framed / len(data))
    assert px.deflate_bits_per_byte(texts, piece_bytes=64) > 2 * px.deflate_bits_per_byte(texts)


def test_held_out_repositories_are_whole_repeatable_and_the_rest_is_not_empty():
    sizes = {f"package-{i}": 10 for i in range(20)}
    first = px.hold_out_repositories(sizes, frac=0.25, seed=0)
    assert len(first) == 5
    assert first == px.hold_out_repositories(dict(reversed(sizes.items())), frac=0.25, seed=0)
    assert first != px.hold_out_repositories(sizes, frac=0.25, seed=1)
    with pytest.raises(ConfigError, match="holds out 0; both sides need at least one"):
        px.hold_out_repositories({"one": 1, "two": 1}, frac=0.1, seed=0)


def test_scoring_no_text_is_refused(tokenizer):
    with pytest.raises(ConfigError, match="no held-out text"):
        px.hold_out([], tokenizer, context=4)


def test_a_change_that_is_the_same_everywhere_has_an_interval_of_no_width():
    n_bytes = np.array([100.0, 200.0, 50.0])
    before = 3.0 * n_bytes
    low, high = px.paired_bootstrap(before - 0.5 * n_bytes, before, n_bytes, seed=0)
    assert (low, high) == pytest.approx((-0.5, -0.5))


def test_the_interval_of_two_unlike_repositories_spans_both():
    # Drawn twice from two: both the first (1 in 4), both the second (1 in 4), or one each.
    low, high = px.paired_bootstrap(np.array([90.0, 80.0]), np.array([100.0, 100.0]), np.array([10.0, 10.0]), seed=0)
    assert (low, high) == pytest.approx((-2.0, -1.0))


def test_a_large_vocabulary_is_scored_fewer_windows_at_a_time_with_the_same_result(monkeypatch):
    model = build_model(Shape(64, 16, 1, 2, 2, 24, 8), 0)
    windows = np.arange(5 * 8).reshape(5, 8)
    held_out = px.HeldOut(windows, windows, np.repeat([0, 0, 1, 1, 2], 8).reshape(5, 8), np.array([9, 9, 9]))
    whole, sizes = px.document_bits(model, held_out, precision="float32"), []
    model.register_forward_pre_hook(lambda _, __, named: sizes.append(len(named["input_ids"])), with_kwargs=True)
    monkeypatch.setattr(px, "LOGITS_AT_ONCE", 2 * 8 * 64)
    assert px.document_bits(model, held_out, precision="float32") == pytest.approx(whole, rel=1e-6)
    assert sizes == [2, 2, 1]
    # One window of the paper's 8B model is more than the limit; it is scored alone.
    monkeypatch.setattr(px, "LOGITS_AT_ONCE", 1)
    assert px.document_bits(model, held_out, precision="float32") == pytest.approx(whole, rel=1e-6)
    assert sizes[3:] == [1] * 5
