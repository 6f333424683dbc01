"""The dedup-level ablation is sound: paired seeds, equal tokens, projects held out, planted truth told beside it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from opencoder_lib.ablations import experiment
from opencoder_lib.ablations.dedup_level import (
    ARMS,
    DISTINCT,
    FILE,
    HELD_OUT,
    REPO,
    Recipe,
    bytes_per_token,
    design,
    distinct_runs,
    frac_distinct,
    order,
)
from opencoder_lib.ablations.forks import Forks
from opencoder_lib.corpora.generated import python_module
from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.seeds import rng
from opencoder_lib.train.arms import Setting
from opencoder_lib.train.model import Shape
from opencoder_lib.train.tokenizer import encode, train_tokenizer

SHAPE = Shape(vocab=300, hidden=16, layers=1, heads=2, kv_heads=2, ffn=32, context=32, tied=True)
SETTING = Setting(SHAPE, num_steps=40, batch_size=4, evaluate_every=20)
RECIPE = Recipe(minhash=MinHash(num_hashes=256, bands=2, rows=128), chunk_tokens=64)


@pytest.fixture(scope="module")
def files() -> pl.DataFrame:
    return new_files(
        [
            {
                "origin": "installed",
                "repo": "abcdefghijklmnopqrst"[at // 4] * 4,
                "path": f"part{at}.py",
                "text": python_module(rng(5, "file", at), 2),
                "language": "python",
            }
            for at in range(80)
        ]
    )


@pytest.fixture(scope="module")
def bpe(files):
    return train_tokenizer(files["text"], SHAPE.vocab)


@pytest.fixture(scope="module")
def made(files, bpe):
    return design(files, (0, 1), SETTING, tuple(ARMS), RECIPE, tokenizer=bpe)


def test_no_text_of_any_arm_is_of_a_project_that_is_scored(files, made):
    texts, repos = made.held_out[HELD_OUT]
    of_held_out_projects = files.filter(pl.col("repo").is_in(set(repos)))["text"].to_list()
    assert len(set(repos)) == 6
    for by_seed in made.sources.values():
        read = "\0".join(text for some in by_seed.values() for text in some)
        assert not any(text in read for text in of_held_out_projects)
        assert not any(text in read for text in texts)


def test_the_arms_of_a_seed_share_their_originals_and_seeds_differ_in_theirs(files, made):
    known = set(files["text"])
    of_file, of_repo, of_control = (made.sources[arm] for arm in (FILE, REPO, DISTINCT))
    originals = known & set(of_file[0])
    assert originals <= set(of_repo[0])
    assert originals <= set(of_control[0])
    assert originals != known & set(of_file[1])


@pytest.mark.parametrize("passes", [0.5, 1.0, 2.0])
def test_the_originals_hold_the_tokens_that_are_read_over_the_passes(files, bpe, passes):
    recipe = replace(RECIPE, passes=passes, forks=Forks(file=1, repository=0.5))
    few = design(files, (0,), SETTING, (), recipe, tokenizer=bpe)
    originals = sorted(set(files["text"]) & set(few.sources[FILE][0]))
    num_tokens = sum(len(ids) + 1 for ids in encode(originals, bpe))
    largest = max(len(ids) for ids in encode(files["text"].to_list(), bpe))
    assert SETTING.tokens / passes * 0.97 < num_tokens < SETTING.tokens / passes * 1.03 + largest


def test_the_control_is_as_large_as_the_arm_it_stands_beside_and_has_no_text_twice(made):
    for seed in (0, 1):
        sizes = [sum(len(text) for text in made.sources[arm][seed]) for arm in (REPO, DISTINCT)]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
        assert len(set(made.sources[DISTINCT][seed])) == len(made.sources[DISTINCT][seed])


def test_baseline_and_control_are_there_whatever_arms_are_asked_for(files, bpe):
    asked = design(files, (0,), SETTING, (REPO,), RECIPE, tokenizer=bpe)
    assert list(asked.arms) == [FILE, REPO, DISTINCT]
    assert (asked.baseline, asked.control) == (FILE, DISTINCT)


def test_recall_is_told_for_each_seed_and_level(made):
    recall = made.about["recall"]
    assert recall.select("seed", "deduplicated").rows() == [(0, FILE), (0, REPO), (1, FILE), (1, REPO)]
    assert recall["planted"].min() > 0
    assert recall.select(pl.col("recall", "precision").is_between(0, 1).all()).row(0) == (True, True)
    of_files = made.about["judged"].filter(pl.col("deduplicated") == FILE, pl.col("level") == FILE)
    assert of_files.filter(pl.col("edit") == "exact")["frac_found"].to_list() == [1, 1]


def test_the_same_arguments_give_the_same_texts(files, bpe, made):
    again = design(files.reverse(), (1,), SETTING, tuple(ARMS), RECIPE, tokenizer=bpe)
    assert {arm: texts[1] for arm, texts in again.sources.items()} == {a: t[1] for a, t in made.sources.items()}
    assert again.held_out == made.held_out


def test_an_arm_that_does_not_exist_is_refused_before_anything_is_made(files):
    with pytest.raises(ConfigError, match="dedup-level has no arm 'repo'"):
        design(files, (0,), SETTING, ("repo",), RECIPE)


def test_every_arm_is_trained_on_as_many_tokens_and_what_it_read_is_known(made, tmp_path):
    few = replace(made.only([REPO]), setting=replace(SETTING, num_steps=10, evaluate_every=10))
    results = experiment.run(few, (0, 1), tmp_path, workers=1)
    assert results.read.group_by("arm", "seed").agg(pl.col("tokens").sum())["tokens"].to_list() == [10 * 4 * 32] * 6
    assert results.units.group_by("arm", "seed").agg(pl.col("unit").n_unique())["unit"].to_list() == [6] * 6
    told = distinct_runs(experiment.set_up(few, tmp_path), results.arms, results.seeds)
    assert told.select("arm", "seed").rows() == [(arm, seed) for arm in (FILE, REPO, DISTINCT) for seed in (0, 1)]
    assert told["frac_distinct"].is_between(0, 1, closed="right").all()


def test_a_run_of_tokens_counts_once_wherever_it_stands_again():
    # Pairs: (1 1) (1 1) in the first row, (1 1) (1 2) in the second: two are different, of four.
    assert frac_distinct(np.array([[1, 1, 1], [1, 1, 2]]), 2) == 0.5
    assert frac_distinct(np.arange(12).reshape(2, 6), 3) == 1
    # Order matters, and so does a zero.
    assert frac_distinct(np.array([[1, 2], [2, 1], [0, 1], [0, 0]]), 2) == 1


def test_bytes_of_a_token_count_the_end_of_each_file(bpe):
    one = new_files([{"origin": "installed", "path": "a.py", "text": "x"}])
    # One token for x, one for the end.
    assert bytes_per_token(one, bpe) == 0.5


def test_the_command_runs_every_arm_on_the_corpus_that_chapter_06_left(files, monkeypatch):
    class Corpus:
        def after(self, chapter):
            assert chapter == "06-sampling"
            return files

    monkeypatch.setattr("opencoder_lib.ablations.dedup_level.study", lambda: SETTING)
    assert list(order(Corpus(), (0,)).arms) == list(ARMS)
