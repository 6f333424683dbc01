"""The annealing ablation is a fair comparison: paper's weights, one trunk, equal tokens, nothing held out is read."""

import math
import pickle
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from opencoder_lib.ablations import annealing, pools
from opencoder_lib.ablations.annealing import (
    ALGORITHMIC,
    ARMS,
    DOCUMENTED,
    FORMAT,
    FULL,
    FUNCTIONS,
    GENERAL,
    HEAVY,
    HEAVY_FORMAT,
    NEVER_SHOWN,
    ONLY,
    ORIGINAL,
    SHOWN,
    SNIPPETS,
    TEXTBOOKS,
    WRONG_SNIPPETS,
    WRONG_TEXTBOOKS,
    answer_bits,
    held_out_exercises,
    held_out_functions,
    with_wrong_bodies,
)
from opencoder_lib.ablations.experiment import run, set_up
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.exercises import FAMILIES, draw, held_out_families, seen_families
from opencoder_lib.exercises.render import completion, page, snippet
from opencoder_lib.files import new_files
from opencoder_lib.sandbox import parse_program
from opencoder_lib.sandbox import run as run_programs
from opencoder_lib.train.model import Shape, build_model
from opencoder_lib.train.tokenizer import encode, train_tokenizer

SHAPE = Shape(vocab=300, hidden=16, layers=1, heads=2, kv_heads=2, ffn=32, context=64, tied=True)
SETTING = annealing.setting(SHAPE, num_trunk=60, num_decay=60, batch_size=2)
PACKAGES = ("boto3", "certifi", "click", "idna", "numpy", "packaging", "requests", "rich", "setuptools", "urllib3")
SEEDS = (0, 1)


def function(name: str, number: int) -> str:
    doc = f'    """Give {name} number {number} if there is none."""\n'
    return f"def {name}_{number}(v):\n{doc}    return {number} if v is None else v\n"


def corpus_files(**added: str) -> pl.DataFrame:
    """Ten repositories with two files of documented functions each; added: repository -> one more file."""
    rows = [(repo, f"{part}.py", "".join(function(f"{repo}_{part}", at) for at in range(40)))
            for repo in PACKAGES for part in "ab"]  # fmt: skip
    rows += [(repo, "added.py", text) for repo, text in added.items()]
    about = {"origin": "installed", "language": "python"}
    return new_files([about | {"repo": repo, "path": path, "text": text} for repo, path, text in rows])


def design_of(files: pl.DataFrame, seeds=SEEDS):
    return annealing.design(pools.divide(files, SHAPE.vocab, num_held_out=3), files, SETTING, seeds)


@pytest.fixture(scope="module")
def design():
    return design_of(corpus_files())


@pytest.fixture(scope="module")
def results(design, tmp_path_factory):
    return run(replace(design, score=None), (0,), tmp_path_factory.mktemp("grid"), workers=1)


def all_texts(source) -> list[str]:
    return [text for some in source.values() for text in some] if isinstance(source, dict) else list(source)


# What the arms read


def test_the_full_mixture_has_the_paper_s_weights_and_every_arm_adds_up_to_one():
    assert ARMS[FULL] == {ORIGINAL: 0.8394, ALGORITHMIC: 0.1244, SNIPPETS: 0.0271, TEXTBOOKS: 0.0091}
    assert [sum(weights.values()) for weights in ARMS.values()] == pytest.approx([1.0] * 6)


def test_the_controls_differ_from_the_full_mixture_in_one_thing():
    renamed = {WRONG_SNIPPETS: SNIPPETS, WRONG_TEXTBOOKS: TEXTBOOKS}
    assert annealing.CONTROLS == {FULL: FORMAT, HEAVY: HEAVY_FORMAT}
    for arm, control in annealing.CONTROLS.items():
        assert {renamed.get(name, name): weight for name, weight in ARMS[control].items()} == ARMS[arm]
    assert ARMS[DOCUMENTED] == pytest.approx({ORIGINAL: 0.8394, ALGORITHMIC: 0.1606})
    assert [ARMS[HEAVY][ORIGINAL], ARMS[HEAVY][ALGORITHMIC]] == [0.6, 0.2]
    assert ARMS[HEAVY][SNIPPETS] / ARMS[HEAVY][TEXTBOOKS] == pytest.approx(2.71 / 0.91)


def test_names_of_arms_can_be_listed_with_commas_between():
    assert not [arm for arm in ARMS if "," in arm]


def test_a_setting_has_the_steps_that_were_asked_for():
    assert SETTING.num_steps == 120
    assert (SETTING.plan().num_warmup, SETTING.plan().decay_start) == (20, 60)
    # Half way down and at the end, so that a curve has a shape.
    assert SETTING.evaluate_every == 30


def test_arms_of_a_seed_share_the_trunk_bit_for_bit_and_then_part(results):
    decay_start = SETTING.plan().decay_start * SETTING.feed(0).tokens_per_step
    by_arm = {
        arm: (rows.filter(pl.col("tokens") <= decay_start)["loss"], rows.filter(pl.col("tokens") > decay_start)["loss"])
        for (arm,), rows in results.losses.group_by("arm")
    }
    trunk, own = by_arm[ONLY]
    assert all(before.equals(trunk) for before, _ in by_arm.values())
    assert not any(after.equals(own) for arm, (_, after) in by_arm.items() if arm != ONLY)
    scores = results.evaluations.filter(pl.col("tokens") == decay_start).group_by("set")
    assert [rows["bits_per_byte"].n_unique() for _, rows in scores] == [1] * 4


def test_every_arm_reads_as_many_tokens_and_each_source_its_weight(results):
    own = SETTING.tokens_after_trunk
    assert own == 60 * 2 * 64
    for (arm,), rows in results.read.group_by("arm"):
        assert rows["tokens"].sum() == own
        for source, tokens in rows.select("source", "tokens").iter_rows():
            # A whole window, and with few sources less than two.
            assert tokens / own == pytest.approx(ARMS[arm][source], abs=2 * SHAPE.context / own)


def test_nothing_is_read_twice_in_any_arm_but_what_the_corpus_holds_too_little_of(results):
    made = results.read.filter(pl.col("source") != ALGORITHMIC)
    assert made["passes"].max() < 1


def test_the_decay_goes_on_in_the_original_text_where_the_trunk_stopped(design, tmp_path):
    bench = set_up(design, tmp_path)
    start = SETTING.plan().decay_start * SETTING.batch_size
    before = bench.source(ORIGINAL, 0).windows(np.arange(start), 0, SHAPE.context)
    after = bench.data(ONLY, 0).windows(np.arange(start, 2 * start), 0, SHAPE.context)
    assert not {row.tobytes() for row in before} & {row.tobytes() for row in after}


def test_seeds_read_other_text_and_another_seed_changes_none_of_it(design):
    assert design_of(corpus_files(), seeds=(1, 5)).sources[SNIPPETS][1] == design.sources[SNIPPETS][1]
    for name in (ORIGINAL, SNIPPETS, TEXTBOOKS, WRONG_SNIPPETS, WRONG_TEXTBOOKS):
        assert design.sources[name][0] != design.sources[name][1]


def test_the_order_of_the_files_changes_nothing(design):
    shuffled = design_of(corpus_files().sample(fraction=1, shuffle=True, seed=3))
    assert {name: shuffled.sources[name] for name in shuffled.sources} == design.sources
    assert shuffled.held_out == design.held_out


# What is held out


def test_held_out_repositories_are_in_no_source(design):
    unseen = {*design.held_out[GENERAL][1], *design.held_out[FUNCTIONS][1]}
    assert len(unseen) == 3
    read = "".join(text for source in design.sources.values() for text in all_texts(source))
    assert [repo for repo in PACKAGES if f"def {repo}_" not in read] == sorted(unseen)


def test_exercises_that_are_scored_compute_nothing_that_is_trained_on():
    asked = draw(72, 0, "test") + draw(40, 0, "test", held_out_families())
    trained = draw(400, 7)
    assert not {exercise.key for exercise in asked} & {exercise.key for exercise in trained}
    assert {exercise.family for exercise in trained} == set(seen_families())
    assert {*held_out_exercises(40, held_out_families())[1]} == set(held_out_families())


def test_the_two_sets_of_exercises_have_no_family_in_common(design):
    assert set(design.held_out[SHOWN][1]) == set(seen_families())
    assert set(design.held_out[NEVER_SHOWN][1]) == set(held_out_families())


def test_a_function_that_a_seen_project_carries_too_is_not_held_out():
    unseen = new_files([{"origin": "git", "path": "x.py", "repo": "u", "language": "python",
                         "text": function("mine", 1) + function("copied", 2)}])  # fmt: skip
    seen = new_files([{"origin": "git", "path": "y.py", "repo": "s", "text": "import os\n\n" + function("copied", 2)}])
    assert held_out_functions(unseen, seen)["name"].to_list() == ["mine_1"]
    with pytest.raises(InputError, match="1 held-out files have no documented function"):
        held_out_functions(unseen.with_columns(text=pl.lit(function("copied", 2))), seen)


def test_of_a_repository_with_many_functions_a_few_are_held_out(design):
    texts, units = design.held_out[FUNCTIONS]
    sizes = {unit: [len(text) for text, of in zip(texts, units, strict=True) if of == unit] for unit in units}
    assert all(sum(found[:-1]) < annealing.FUNCTION_BYTES <= sum(found) for found in sizes.values())


# Where the texts come from


def test_functions_stand_in_where_the_keywords_find_too_little(design):
    assert design.about["stand_in"]
    assert all(text.startswith("def ") for text in design.sources[ALGORITHMIC])


def test_files_with_a_keyword_are_the_algorithmic_corpus_where_there_are_enough():
    answers = "# LeetCode\n" + "".join(f"def solution_{at}(n):\n    return {at} * n\n" for at in range(400))
    files = corpus_files(**dict.fromkeys(PACKAGES, answers))
    corpus = pools.divide(corpus_files(), SHAPE.vocab, num_held_out=3)
    seen = annealing.divided(files, corpus)[0]
    found, stand_in = annealing.algorithmic_corpus(seen, 1_000, corpus.tokenizer)
    assert (found["text"].unique().to_list(), found.height, stand_in) == ([answers], 7, False)
    assert annealing.algorithmic_corpus(seen, 10**9, corpus.tokenizer)[1]


def test_a_corpus_without_either_is_refused():
    files = new_files([{"origin": "git", "path": "x.py", "repo": "u", "language": "python", "text": "x = 1\n" * 50}])
    with pytest.raises(InputError, match="0 of 1 files have a keyword"):
        annealing.algorithmic_corpus(files, 10, train_tokenizer(["x = 1"], 259))


@pytest.mark.parametrize("render", [snippet, page])
def test_a_wrong_body_is_all_that_is_wrong_and_its_tests_find_it(render):
    exercises = draw(60, 3)
    wrong = with_wrong_bodies(exercises, render, 0)
    for exercise, text in zip(exercises, wrong, strict=True):
        right = render(exercise).split(f"return {exercise.body}")
        kept = [text.startswith(right[0]), text.endswith(right[-1]), all(part in text for part in right)]
        assert all(kept)
    assert set(run_programs([parse_program(render(exercise)) for exercise in exercises])) == {"passed"}
    verdicts = run_programs([parse_program(text) for text in wrong])
    assert "passed" not in verdicts
    # Wrong is what they compute, not how they are written.
    assert not [
        verdict for verdict in verdicts if "Syntax" in verdict or "Name" in verdict or verdict.startswith("refused")
    ]


# What trained models are asked


def test_answer_bits_of_a_model_that_knows_nothing_are_those_of_even_guesses(design):
    model = build_model(replace(SHAPE, context=512), 0)
    torch.nn.init.zeros_(model.get_input_embeddings().weight)
    exercises = draw(4, 0, "test")
    answers = [f" {exercise.body}\n" for exercise in exercises]
    tokens, size = sum(map(len, encode(answers, design.tokenizer))), sum(len(text) for text in answers)
    expected = tokens * math.log2(SHAPE.vocab) / size
    assert answer_bits(model, design.tokenizer, exercises) == pytest.approx(expected, rel=1e-5)


def test_answer_bits_are_the_difference_between_the_text_with_and_without_its_body(design):
    model = build_model(replace(SHAPE, context=512), 0).eval()
    exercise = draw(1, 0, "test")[0]
    given = f"{completion(exercise)}\n    return"

    def bits(text: str) -> float:
        ids = torch.tensor([[0, *encode([text], design.tokenizer)[0]]])
        with torch.no_grad():
            chances = model(input_ids=ids[:, :-1]).logits.double().log_softmax(-1)
        return -float(chances.gather(-1, ids[:, 1:, None]).sum()) / math.log(2)

    answer = f" {exercise.body}\n"
    expected = (bits(given + answer) - bits(given)) / len(answer)
    assert answer_bits(model, design.tokenizer, [exercise]) == pytest.approx(expected, rel=1e-5)


def test_a_model_is_asked_for_both_kinds_of_families_and_the_question_can_be_sent_to_another_process(design):
    assert pickle.loads(pickle.dumps(design.score)) == design.score
    found = replace(design.score, num_tasks=3)(build_model(replace(SHAPE, context=512), 0), design.tokenizer)
    names = {"pass_at_1_seen", "pass_at_1_held_out", "answer_bits_seen", "answer_bits_held_out"}
    assert found.keys() == names
    assert found["pass_at_1_seen"] == 0


def test_exercises_are_enough_for_the_tokens_wanted_up_to_a_limit(design, monkeypatch):
    found = annealing.exercises_for(5_000, 0, SNIPPETS, snippet, design.tokenizer)
    assert annealing.count_tokens([snippet(exercise) for exercise in found], design.tokenizer) >= 5_000
    monkeypatch.setattr(annealing, "MOST_EXERCISES", 20)
    assert len(annealing.exercises_for(5_000, 0, SNIPPETS, snippet, design.tokenizer)) == 20


def test_a_wrong_body_is_of_another_family():
    texts = with_wrong_bodies(draw(40, 3, families=["linear"]), snippet, 0)
    assert not [text for text in texts if re.search(r"return \w+ \* \d+ \+ \d+\n", text)]


def test_a_body_that_happens_to_pass_all_tests_is_not_taken_for_wrong(monkeypatch):
    exercise = draw(1, 3, families=["linear"])[0]
    known = {case.args: case.expected for case in exercise.cases}
    twin = replace(FAMILIES["linear"], name="twin", answer=lambda *args, **constants: known[args])
    monkeypatch.setattr(annealing, "FAMILIES", {"linear": FAMILIES["linear"], "twin": twin})
    monkeypatch.setattr(annealing, "seen_families", lambda: ["linear", "twin"])
    with pytest.raises(ConfigError, match="No other family takes number, so 'linear' cannot be given a wrong body"):
        with_wrong_bodies([exercise], snippet, 0)
