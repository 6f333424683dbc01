import json

import pytest
import torch
from safetensors.torch import save_file

from opencoder_lib.errors import ConfigError, CorruptArtifact
from opencoder_lib.train.model import (
    SHAPES,
    Shape,
    build_model,
    complete,
    count_parameters,
    empty_model,
    find_shape,
    load_model,
    shape_of,
)
from opencoder_lib.train.model import save_model as save
from opencoder_lib.train.tokenizer import train_tokenizer

TINY = Shape(vocab=262, hidden=16, layers=2, heads=2, kv_heads=1, ffn=24, context=8, tied=True)


@pytest.mark.parametrize(
    ("name", "total", "inside"),
    [("opencoder-1.5b", 1_905_650_880, 1_472_703_680), ("opencoder-8b", 7_771_262_976, 6_979_588_096)],
)
def test_the_papers_shapes_have_the_released_numbers_of_parameters(name, total, inside):
    assert count_parameters(SHAPES[name]) == total
    assert count_parameters(SHAPES[name], embeddings=False) == inside


def test_the_shapes_between_grow_from_half_a_million_parameters_to_the_papers():
    millions = {name: count_parameters(shape) / 1e6 for name, shape in SHAPES.items()}
    assert list(millions.values()) == sorted(millions.values())
    by_hand = {"micro-1k": 0.557, "micro": 0.689, "tasks": 1.118, "small": 33.7, "base": 260.1}
    assert {name: millions[name] for name in by_hand} == pytest.approx(by_hand, rel=2e-3)
    assert (SHAPES["base"].hidden // SHAPES["base"].heads, SHAPES["base"].context) == (64, 2_048)


def test_a_model_without_memory_tells_the_shape_it_has():
    for shape in SHAPES.values():
        model = empty_model(shape)
        assert shape_of(model) == shape
        assert {p.device.type for p in model.parameters()} == {"meta"}


def test_fresh_matrices_have_the_released_spread_and_norms_are_one():
    weights = build_model(Shape(512, 64, 1, 2, 2, 96, 8), seed=0).state_dict()
    assert weights["model.norm.weight"].tolist() == [1.0] * 64
    assert float(weights["lm_head.weight"].std()) == pytest.approx(0.02, rel=0.02)
    assert abs(float(weights["lm_head.weight"].mean())) < 3 * 0.02 / 512**0.5 / 64**0.5
    same_size = [weights[f"model.layers.0.self_attn.{part}_proj.weight"] for part in "qk"]
    assert not torch.equal(*same_size), "each matrix draws from a stream of its own"


def test_tied_matrices_stay_one_parameter():
    model = build_model(TINY, seed=0)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert sum(p.numel() for p in model.parameters()) == count_parameters(TINY)


def test_both_kinds_of_attention_compute_the_same():
    ids = torch.arange(8)[None]
    sdpa, eager = (build_model(TINY, 0, attention=name)(input_ids=ids).logits for name in ("sdpa", "eager"))
    assert torch.allclose(sdpa, eager, atol=1e-6)


def test_an_unknown_or_absent_attention_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"no attention 'spda'\. Did you mean sdpa"):
        build_model(TINY, 0, attention="spda")
    with pytest.raises(ConfigError, match="attention='flash_attention_2' does not work here: "):
        build_model(TINY, 0, attention="flash_attention_2")


def test_parameters_of_a_small_shape_agree_with_a_count_by_hand():
    embedding = 262 * 16
    attention = 16 * 16 + 2 * (16 * 8) + 16 * 16  # queries; keys and values of one head; output
    feed_forward = 3 * 16 * 24
    layer = attention + feed_forward + 2 * 16  # and two norms
    assert count_parameters(TINY) == embedding + 2 * layer + 16
    assert count_parameters(TINY, embeddings=False) == 2 * layer + 16


def test_the_base_of_the_positions_reaches_the_model():
    frequency = build_model(Shape(262, 16, 1, 2, 2, 24, 8, rope_theta=500_000.0), seed=0).model.rotary_emb.inv_freq
    assert frequency.tolist() == pytest.approx([500_000.0 ** (-2 * i / 8) for i in range(4)])


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_model(TINY, seed=0).state_dict()
    torch.manual_seed(2)
    again, other = build_model(TINY, seed=0).state_dict(), build_model(TINY, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_comes_back_with_shape_and_weights(tmp_path, tied):
    shape = Shape(vocab=262, hidden=16, layers=1, heads=2, kv_heads=2, ffn=24, context=8, tied=tied)
    model = build_model(shape, seed=3)
    path = save(model, shape, tmp_path / "weights.safetensors")
    assert path.read_bytes() == save(model, shape, tmp_path / "again.safetensors").read_bytes()
    ids = torch.arange(8)[None]
    loaded = load_model(path)
    assert torch.equal(loaded(input_ids=ids).logits, model(input_ids=ids).logits)
    assert loaded.config.tie_word_embeddings is tied


def test_a_file_of_other_weights_is_refused_by_name(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CorruptArtifact, match=r"other\.safetensors holds no shape"):
        load_model(tmp_path / "other.safetensors")
    about = {"shape": json.dumps({**TINY.__dict__})}
    save_file({"x": torch.zeros(1)}, tmp_path / "wrong.safetensors", metadata=about)
    with pytest.raises(CorruptArtifact, match="does not fit its shape"):
        load_model(tmp_path / "wrong.safetensors")


def test_a_misspelt_shape_is_answered_with_the_near_one():
    with pytest.raises(ConfigError, match=r"Did you mean opencoder-8b"):
        find_shape("opencoder-8B")


@pytest.mark.parametrize(("heads", "kv_heads", "said"), [(3, 3, "split into 3 heads"), (4, 3, "multiple of kv_heads")])
def test_a_shape_whose_heads_do_not_divide_is_refused(heads, kv_heads, said):
    with pytest.raises(ConfigError, match=said):
        Shape(vocab=262, hidden=16, layers=1, heads=heads, kv_heads=kv_heads, ffn=24, context=8)


def test_a_completion_starts_with_the_prompt_and_depends_on_the_seed_alone():
    tokenizer = train_tokenizer(["def f():\n    pass\n"], 262)
    model = build_model(TINY, seed=0).eval()
    torch.manual_seed(1)
    first = complete(model, tokenizer, "def ", num_tokens=12, seed=0)
    torch.manual_seed(2)
    assert complete(model, tokenizer, "def ", num_tokens=12, seed=0) == first
    assert first.startswith("def ")
    greedy = [complete(model, tokenizer, "def ", 12, seed, temperature=0) for seed in (0, 1)]
    assert greedy[0] == greedy[1]
