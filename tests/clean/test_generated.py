"""Generated files: what was planted is there, counted again in plain Python."""

import re
from collections import Counter

import numpy as np
import polars as pl
import pytest

from opencoder_lib.clean import generated
from opencoder_lib.clean.generated import Composition, generate_files
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files
from opencoder_lib.refine.exact import drop_exact_duplicates
from opencoder_lib.refine.fuzzy import drop_near_duplicates


def generate(folder, num_files=2000, seed=0, made_of=None):
    made = generate_files(folder / "files.parquet", num_files, seed, made_of)
    return made, pl.read_parquet(folder / "files.parquet")


def words(text):
    return tuple(re.findall(r"[a-z_]+", text))


def test_as_many_exact_copies_as_planted(tmp_path):
    made, files = generate(tmp_path)
    counts = Counter(files["text"])
    assert made["files"] == files.height == 2000
    assert files.height - len(counts) == made["exact"] == 1500
    assert sum(count for count in counts.values() if count > 1) == made["repeated"]
    assert made["bytes"] == sum(len(text.encode()) for text in files["text"])


def test_a_layout_copy_has_the_words_of_a_file_and_another_text(tmp_path):
    _, files = generate(tmp_path, made_of=Composition(exact=10, layout=7, near=0))
    texts = set(files["text"])
    assert len(texts) - len({words(text) for text in texts}) == 20 * 7


def test_a_near_copy_has_one_word_more_than_a_long_file(tmp_path):
    _, files = generate(tmp_path, made_of=Composition(exact=10, layout=0, near=5))
    texts = {words(text) for text in files["text"]}
    copies = [text for text in texts if text[:-1] in texts]
    assert len(copies) == 20 * 5
    assert min(map(len, copies)) == 301


def test_deduplication_removes_what_was_planted_and_nothing_else(tmp_path):
    made, files = generate(tmp_path, 1000, seed=3)
    judged = drop_exact_duplicates(new_files(files.with_columns(origin=pl.lit("planted"))))
    judged = drop_near_duplicates(judged)
    reasons = Counter(judged["removed_by"].drop_nulls())
    assert reasons == {"exact.duplicate": 750, "fuzzy.same_shingles": 10, "fuzzy.near_duplicate": 10}
    assert (made["exact"], made["fuzzy"]) == (750, 20)


def test_every_hundred_files_have_the_same_shares():
    kinds = Composition(exact=40, layout=3, near=2).kinds(seed=0)
    assert np.bincount(kinds).tolist() == [53, 2, 40, 3, 2]
    assert (kinds != Composition(exact=40, layout=3, near=2).kinds(seed=1)).any()


def test_a_few_texts_have_most_of_the_copies(tmp_path):
    _, files = generate(tmp_path, 10_000)
    counts = sorted(Counter(files["text"]).values(), reverse=True)
    # The square of an evenly drawn number is below 0.01 one time in ten.
    assert sum(counts[: len(counts) // 100]) == pytest.approx(0.1 * 7500, rel=0.15)


def test_lengths_are_log_normal_about_the_median_asked_for(tmp_path):
    _, files = generate(tmp_path, 10_000, made_of=Composition(exact=0, layout=0, near=0, median_words=100))
    lengths = np.array([len(words(text)) for text in files["text"]])
    assert np.median(lengths) == pytest.approx(100, rel=0.05)
    assert np.log(lengths).std() == pytest.approx(0.6, rel=0.05)


def test_the_shortest_text_has_eight_words(tmp_path):
    _, files = generate(tmp_path, 10_000)
    assert min(len(words(text)) for text in files["text"]) == 8


def test_the_same_arguments_give_the_same_bytes_and_another_seed_other_texts(tmp_path):
    stored = []
    for seed in (0, 0, 1):
        generate(tmp_path, seed=seed)
        stored.append((tmp_path / "files.parquet").read_bytes())
    assert stored[0] == stored[1]
    assert not set(generate(tmp_path, seed=0)[1]["text"]) & set(generate(tmp_path, seed=1)[1]["text"])


def test_how_many_files_are_in_memory_changes_no_file(tmp_path, monkeypatch):
    made, files = generate(tmp_path)
    monkeypatch.setattr(generated, "CHUNK", 317)
    again, same = generate(tmp_path)
    assert made == again
    assert files.equals(same)


def test_paths_are_all_different_and_forty_files_share_a_repository(tmp_path):
    _, files = generate(tmp_path)
    assert files["path"].n_unique() == 2000
    assert set(files["repo"].value_counts()["count"]) == {40}
    assert files["stars"].is_between(0, 999).all()
    assert files["stars"].n_unique() > 800


@pytest.mark.parametrize("size", [1, 2, 6, 100, 230, 1001])
def test_a_step_meets_every_number_once(size):
    assert sorted(place * generated._step(size) % size for place in range(size)) == list(range(size))


@pytest.mark.parametrize("num_files", [0, 50, 150, -100])
def test_a_number_that_is_not_in_whole_hundreds_is_refused(tmp_path, num_files):
    with pytest.raises(ConfigError, match=f"whole hundreds, it is {num_files}"):
        generate_files(tmp_path / "files.parquet", num_files)


@pytest.mark.parametrize("shares", [{"exact": 100}, {"exact": 60, "layout": 21}, {"near": 12}, {"layout": -1}])
def test_too_few_originals_are_refused(shares):
    with pytest.raises(ConfigError, match="too few to be copied"):
        Composition(**shares)
