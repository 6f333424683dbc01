import os
import resource

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from opencoder_lib.durable import CannotWrite
from opencoder_lib.errors import ConfigError
from opencoder_lib.train.causal import load_scorer
from opencoder_lib.train.export import export
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.tokenizer import END, train_tokenizer

TEXT = "def add(left, right):\n    return left + right\n\n\ndef double(x):\n    return add(x, x)\n"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([TEXT], 280)


def model(tied=True, vocab=280):
    return build_model(Shape(vocab, hidden=32, layers=2, heads=2, kv_heads=1, ffn=64, context=16, tied=tied), 0).eval()


@torch.no_grad()
def logits(model):
    return model(input_ids=torch.arange(32).reshape(2, 16)).logits


@pytest.mark.parametrize("tied", [True, False])
def test_the_loaded_model_computes_the_same_logits(tmp_path, tokenizer, tied):
    mine = model(tied)
    loaded = AutoModelForCausalLM.from_pretrained(export(mine, tokenizer, tmp_path / "model")).eval()
    assert loaded.dtype == torch.float32
    assert torch.equal(logits(loaded), logits(mine))
    assert loaded.config.tie_word_embeddings is tied
    assert type(loaded).__name__ == "LlamaForCausalLM"


def test_the_loaded_tokenizer_encodes_alike_and_all_agree_on_the_ends_of_a_text(tmp_path, tokenizer):
    folder = export(model(), tokenizer, tmp_path / "model")
    loaded, theirs = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert theirs(TEXT)["input_ids"] == tokenizer.encode(TEXT).ids
    end = tokenizer.token_to_id(END)
    for about in (theirs, loaded.config, loaded.generation_config):
        assert (about.bos_token_id, about.eos_token_id, about.pad_token_id) == (end, end, end)
    assert theirs.model_max_length == 16
    assert loaded.config.use_cache
    written = loaded.generate(torch.tensor([[end]]), max_new_tokens=4, do_sample=False)
    assert written.shape[1] <= 5


def test_the_books_own_scorer_loads_it(tmp_path, tokenizer):
    scorer = load_scorer(str(export(model(), tokenizer, tmp_path / "model")), "cpu")
    assert scorer.start == tokenizer.token_to_id(END)


def test_a_large_model_becomes_several_files_with_the_same_logits(tmp_path, tokenizer):
    mine = model()
    folder = export(mine, tokenizer, tmp_path / "model", max_file="40KB")
    assert "model.safetensors.index.json" in os.listdir(folder)
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 1
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(folder).eval()), logits(mine))


def test_half_the_bytes_in_bfloat16_and_the_run_keeps_its_own_weights(tmp_path, tokenizer):
    mine = model()
    folder = export(mine, tokenizer, tmp_path / "model", torch.bfloat16)
    with safe_open(folder / "model.safetensors", "pt") as stored:
        assert {stored.get_slice(name).get_dtype() for name in stored.keys()} == {"BF16"}  # noqa: SIM118
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    assert loaded.dtype == torch.bfloat16
    assert mine.dtype == torch.float32
    for name, weight in mine.named_parameters():
        assert torch.equal(loaded.get_parameter(name), weight.bfloat16())


def test_an_export_replaces_the_one_before_whole(tmp_path, tokenizer):
    folder = export(model(), tokenizer, tmp_path / "model", max_file="40KB")
    export(model(tied=False), tokenizer, folder)
    assert not list(folder.glob("model-*"))
    assert os.listdir(tmp_path) == ["model"]


def test_a_file_of_weights_that_the_system_refuses_is_told_with_the_room_that_is_left(tmp_path, tokenizer):
    model = build_model(Shape(tokenizer.get_vocab_size(), 64, 2, 2, 2, 128, 16), 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(CannotWrite, match=r"could not be written: .*File too large.* free there"):
            export(model, tokenizer, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "model").exists()


def test_another_models_tokenizer_and_a_place_that_cannot_be_written_to_are_refused(tmp_path, tokenizer):
    with pytest.raises(ConfigError, match="tokenizer has 280 tokens and the model 260"):
        export(model(vocab=260), tokenizer, tmp_path / "model")
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="could not be written"):
        export(model(), tokenizer, tmp_path / "file" / "model")
