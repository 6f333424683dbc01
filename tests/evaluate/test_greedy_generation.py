"""Generation with a cache and padding, against the model run afresh at every step and against transformers."""

import pytest
import torch

from opencoder_lib.errors import ConfigError
from opencoder_lib.evaluate.generate import generate
from opencoder_lib.train.model import Shape, build_model

SHAPE = Shape(vocab=64, hidden=32, layers=2, heads=2, kv_heads=1, ffn=48, context=64, tied=True)
PROMPTS = [[5], [1, 2, 3, 4, 5, 6, 7, 8, 9], [60, 61], [9, 8, 7, 6, 5, 4], [33] * 20]


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    model = build_model(SHAPE, 0)
    # Fresh weights are so small that everything is equally likely; then rounding would decide.
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(12)
    return model.eval()


@torch.inference_mode()
def slowly(model, prompt, num_tokens, stop=()):
    ids = list(prompt)
    for _ in range(num_tokens):
        token = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token in stop:
            break
        ids.append(token)
    return ids[len(prompt) :]


def test_batched_equals_one_by_one_equals_no_cache(model):
    wanted = [slowly(model, prompt, 12) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in wanted}) == len(PROMPTS)
    for batch_size in (1, 2, 3, 64):
        assert generate(model, PROMPTS, 12, batch_size=batch_size) == wanted


def test_it_equals_generate_of_transformers(model):
    for prompt, ids in zip(PROMPTS, generate(model, PROMPTS, 10), strict=True):
        found = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=10, pad_token_id=0, use_cache=True
        )
        assert found[0, len(prompt) :].tolist() == ids


def test_a_row_ends_before_a_stop_token_and_the_others_go_on(model):
    free = generate(model, PROMPTS, 12)
    stop = {free[1][4]}
    assert generate(model, PROMPTS, 12, stop) == [slowly(model, prompt, 12, stop) for prompt in PROMPTS]
    assert len(generate(model, PROMPTS, 12, stop)[1]) <= 4
    assert generate(model, [PROMPTS[1]], 12, {free[1][0]}) == [[]]


def test_the_model_is_left_in_the_mode_it_was_in(model):
    model.train()
    generate(model, PROMPTS[:1], 1)
    assert model.training
    model.eval()
    generate(model, PROMPTS[:1], 1)
    assert not model.training


def test_what_does_not_fit_is_said(model):
    assert generate(model, [], 4) == []
    assert len(generate(model, [[1] * 60], 4)[0]) == 4
    with pytest.raises(ConfigError, match=r"Prompt 1 has 61 tokens\. It needs 1 to 60, so that 4 more fit"):
        generate(model, [[1], [1] * 61], 4)
    with pytest.raises(ConfigError, match="Prompt 0 has 0 tokens"):
        generate(model, [[]], 4)
    with pytest.raises(ConfigError, match="num_tokens=0"):
        generate(model, [[1]], 0)
