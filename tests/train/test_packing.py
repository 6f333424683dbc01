import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors

from opencoder_lib.errors import ConfigError, CorruptArtifact, InputError
from opencoder_lib.train import packing
from opencoder_lib.train.packing import batch, open_tokens, pack, unpack, write_tokens
from opencoder_lib.train.tokenizer import END, encode, load_tokenizer, save_tokenizer, train_tokenizer

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
    assert packing.token_dtype(65_536) == np.uint16
    assert packing.token_dtype(65_537) == np.uint32


def test_packing_nothing_gives_no_tokens(tokenizer):
    assert len(pack([], tokenizer)) == 0


def test_a_token_file_holds_what_packing_in_memory_gives(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(packing, "TEXTS_AT_ONCE", 3)  # several pieces
    texts = TEXTS * 5
    written = write_tokens(iter(texts), tokenizer, tmp_path / "x.safetensors")
    assert np.array_equal(written.tokens, pack(texts, tokenizer))
    assert unpack(written.tokens, tokenizer) == texts
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_documents_can_be_taken_out_one_by_one(tmp_path, tokenizer):
    written = write_tokens(TEXTS, tokenizer, tmp_path / "x.safetensors")
    ids = encode(TEXTS, tokenizer)
    assert [written.document(number).tolist() for number in range(4)] == ids
    assert written.lengths_D.tolist() == [len(document) + 1 for document in ids]
    about = written.about
    assert (about.num_documents, about.num_bytes) == (4, sum(len(text.encode()) for text in TEXTS))


@pytest.mark.parametrize("copies", range(1, 5))
def test_other_programs_read_it_whatever_the_number_of_tokens(tmp_path, tokenizer, copies):
    # 'a' and its end take two tokens, so the starts would lie at four different places without padding.
    written = write_tokens(["a"] * copies, tokenizer, tmp_path / "x.safetensors")
    assert np.array_equal(load_file(written.path)["tokens"], written.tokens)
    assert load_file(written.path)["starts"].tolist() == list(range(0, 2 * copies, 2))
    assert load_tensors(written.path)["starts"].tolist() == list(range(0, 2 * copies, 2))


def test_a_file_gives_the_batches_that_its_tokens_in_memory_give(tmp_path, tokenizer):
    written = write_tokens(TEXTS * 20, tokenizer, tmp_path / "x.safetensors")
    for step in range(4):
        assert np.array_equal(
            batch(written, 1, step, 4, 8, 1, 2), batch(pack(TEXTS * 20, tokenizer), 1, step, 4, 8, 1, 2)
        )


def test_the_same_texts_give_the_same_bytes_and_fingerprint(tmp_path, tokenizer):
    first = write_tokens(TEXTS, tokenizer, tmp_path / "a.safetensors")
    second = write_tokens(TEXTS, tokenizer, tmp_path / "b.safetensors")
    other = write_tokens(TEXTS[:2], tokenizer, tmp_path / "c.safetensors")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.fingerprint == packing.as_source(pack(TEXTS, tokenizer)).fingerprint != other.fingerprint


def test_texts_without_a_utf8_form_are_left_out_and_counted(tmp_path, tokenizer):
    written = write_tokens(["a", "x\ud800", "b"], tokenizer, tmp_path / "x.safetensors")
    assert unpack(written.tokens, tokenizer) == ["a", "b"]
    assert (written.about.num_refused, written.about.num_documents, written.about.num_bytes) == (1, 2, 2)


@pytest.mark.parametrize(("texts", "said"), [([], r"0 documents, 0 refused"), (["\udfff"], r"0 documents, 1 refused")])
def test_an_empty_corpus_is_refused_and_leaves_no_file(tmp_path, tokenizer, texts, said):
    with pytest.raises(ConfigError, match=said):
        write_tokens(texts, tokenizer, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_keeps_the_old_file(tmp_path, tokenizer):
    old = write_tokens(["a"], tokenizer, tmp_path / "x.safetensors").path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_tokens((str(1 // (3 - n)) for n in range(5)), tokenizer, tmp_path / "x.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    assert (tmp_path / "x.safetensors").read_bytes() == old


def test_another_tokenizer_than_the_one_that_wrote_the_file_is_refused(tmp_path, tokenizer):
    path = write_tokens(TEXTS, tokenizer, tmp_path / "x.safetensors").path
    again = load_tokenizer(save_tokenizer(tokenizer, tmp_path / "tokenizer.json"))
    assert open_tokens(path, again).about.vocab_size == 262
    with pytest.raises(ConfigError, match=r"another tokenizer \(262 tokens, \w{12}\) than the one given \(263 tokens"):
        open_tokens(path, train_tokenizer(TEXTS * 3, 263))


def test_a_file_that_was_cut_off_or_is_something_else_is_refused(tmp_path, tokenizer):
    path = write_tokens(TEXTS, tokenizer, tmp_path / "x.safetensors").path
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(
        CorruptArtifact, match=f"not whole: it has {len(whole) - 1:,} bytes and should have {len(whole):,}"
    ):
        open_tokens(path)
    for other in (b"", b"PK\3\4", whole[:100], (2).to_bytes(8, "little") + b"{}"):
        path.write_bytes(other)
        with pytest.raises(CorruptArtifact, match=r"x\.safetensors is no token file"):
            open_tokens(path)
    with pytest.raises(InputError, match="There is no token file"):
        open_tokens(tmp_path / "y.safetensors")


def test_a_changed_token_is_found_when_the_file_is_verified(tmp_path, tokenizer):
    written = write_tokens(TEXTS, tokenizer, tmp_path / "x.safetensors")
    assert written.verify() is written
    data = bytearray(written.path.read_bytes())
    data[packing.HEADER_BYTES] ^= 1
    written.path.write_bytes(data)
    with pytest.raises(CorruptArtifact, match="not those that were written"):
        open_tokens(written.path).verify()


def test_the_header_says_in_plain_json_what_made_the_file(tmp_path, tokenizer):
    raw = write_tokens(TEXTS, tokenizer, tmp_path / "x.safetensors").path.read_bytes()
    said = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert said["vocab_size"] == "262"
    assert said["end"] == str(tokenizer.token_to_id(END))
    assert len(said["tokenizer"]) == len(said["fingerprint"]) == 64
