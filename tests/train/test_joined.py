import numpy as np
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.job.joined import Joined
from opencoder_lib.train.packing import write_tokens
from opencoder_lib.train.tokenizer import train_tokenizer
from opencoder_lib.train.windows import as_source

TEXTS = [f"def f{i}(x):\n    return x + {i}\n" for i in range(12)]
TOKENIZER = train_tokenizer(TEXTS, 270)


def joined(folder, *groups):
    files = [write_tokens(texts, TOKENIZER, folder / f"{i}.safetensors") for i, texts in enumerate(groups)]
    return Joined(tuple(files))


def test_several_files_read_as_the_one_that_holds_them_all(tmp_path):
    # The middle file is shorter than a window, so some windows lie in three files.
    parts = joined(tmp_path, TEXTS[:5], ["x"], TEXTS[6:])
    whole = as_source(np.concatenate([file.tokens for file in parts.files]))
    assert parts.num_tokens == whole.num_tokens
    assert min(file.num_tokens for file in parts.files) < 7
    for length in (1, 7, 40):
        places = np.arange(2 * (parts.num_tokens - 1) // length)
        assert np.array_equal(parts.windows(places, 3, length), whole.windows(places, 3, length))


def test_the_fingerprint_follows_tokens_and_order(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    one, other = joined(tmp_path / "a", TEXTS[:5], TEXTS[5:]), joined(tmp_path / "b", TEXTS[5:], TEXTS[:5])
    assert one.fingerprint == Joined(one.files).fingerprint
    assert one.fingerprint != other.fingerprint


def test_too_little_for_a_window_is_told(tmp_path):
    with pytest.raises(ConfigError, match="do not fill one window of 9999"):
        joined(tmp_path, ["x"], ["y"]).windows(np.arange(2), 0, 9_999)
