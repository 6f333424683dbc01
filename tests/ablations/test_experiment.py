import re
from dataclasses import replace

import pytest

from opencoder_lib.ablations.experiment import Design, announce, at_once, cost, grid_seconds, run
from opencoder_lib.errors import ConfigError
from opencoder_lib.train.arms import Setting
from opencoder_lib.train.model import Shape
from opencoder_lib.train.tokenizer import train_tokenizer

TEXTS = [f"value_{at} = {at} * {at}\n" for at in range(200)]
SHAPE = Shape(vocab=270, hidden=16, layers=1, heads=2, kv_heads=2, ffn=32, context=16, tied=True)


def try_out(**given):
    known = {
        "name": "try",
        "question": "Does half of the data do?",
        "setting": Setting(SHAPE, num_steps=8, batch_size=2, evaluate_every=4),
        "tokenizer": train_tokenizer(TEXTS, SHAPE.vocab),
        "sources": {"all": TEXTS[:100], "half": TEXTS[:50], "rest": TEXTS[50:100]},
        "arms": {"all": {"all": 1.0}, "half": {"half": 1.0}, "rest": {"rest": 1.0}},
        "baseline": "all",
        "control": "rest",
        "held_out": {"code": (TEXTS[100:104], ["a", "a", "b", "b"])},
        "metric": "code",
        "paired_sd": 0.02,
    }
    return Design(**(known | given))


def test_a_design_is_run_as_it_says(tmp_path):
    results = run(try_out(), seeds=(0, 1), folder=tmp_path, workers=1)
    assert results.arms == ("all", "half", "rest")
    assert results.seeds == (0, 1)
    assert results.units.height == 3 * 2 * 2
    assert set(results.read["tokens"]) == {8 * 2 * 16}


def test_baseline_and_control_cannot_be_left_out(tmp_path):
    assert list(try_out().only(["half"]).arms) == ["all", "half", "rest"]
    assert list(try_out().only([]).arms) == ["all", "rest"]
    with pytest.raises(ConfigError, match=r"try has no arm 'haf'\. Did you mean half"):
        try_out().only(["haf"])


def test_who_asks_for_an_arm_gets_its_controls():
    more = {"arms": {name: {"all": 1.0} for name in ("all", "half", "rest", "third", "other third")}}
    design = try_out(**more, controls={"third": ["other third"]})
    assert list(design.only(["third"]).arms) == ["all", "rest", "third", "other third"]
    assert list(design.only(["half"]).arms) == ["all", "half", "rest"]


@pytest.mark.parametrize("given", [{"baseline": "al"}, {"control": "res"}, {"metric": "cod"}])
def test_names_that_are_not_there_are_refused(given):
    ((what, name),) = given.items()
    with pytest.raises(ConfigError, match=f"the {what} '{name}' is not there. Did you mean"):
        try_out(**given)


def test_cost_and_power_are_told_before_anything_is_trained(tmp_path):
    told = announce(try_out(), seeds=(0, 1, 2, 3), folder=tmp_path, workers=2)
    assert "Does half of the data do?" in told
    assert "12 runs of 256 tokens" in told
    # t(0.975, 3) = 3.182; 3.182 * 0.02 / 2 = 0.032.
    assert "With 4 seeds a mean difference of 0.032 excludes zero" in told
    assert re.search(r"a true one of 0\.04\d is found with 80 % probability", told)
    assert not (tmp_path / "try.parts").exists()


def test_one_seed_is_told_to_show_nothing(tmp_path):
    assert "one seed gives no interval" in announce(try_out(), seeds=(0,), folder=tmp_path)


def test_scores_are_told_to_come_on_top_of_the_cost(tmp_path):
    assert "scores come on top" not in announce(try_out(), seeds=(0,), folder=tmp_path)
    assert "scores come on top" in announce(try_out(score=len), seeds=(0,), folder=tmp_path)


def test_runs_on_one_accelerator_follow_each_other_and_the_cost_counts_so():
    setting = try_out().setting
    assert at_once(setting, workers=2) == 2
    assert at_once(replace(setting, device="cuda"), workers=2) == 1


@pytest.mark.parametrize(
    ("trunk", "seconds"),
    [
        # 2 seeds x 3 arms x (8 steps of 1 s + looks at 4 and 8).
        (None, 2 * 3 * (8 + 2 * 10)),
        # A trunk of 6 steps, looked at at 4 and 6; then 3 arms of 2 steps, looked at at 8.
        ("all", 2 * (6 + 2 * 10 + 3 * (2 + 10))),
    ],
)
def test_a_shared_trunk_is_counted_once_a_seed(trunk, seconds):
    setting = replace(try_out().setting, trunk=trunk, frac_decay=0.25)
    assert grid_seconds(setting, num_arms=3, num_seeds=2, step=1.0, look=10.0) == seconds


def test_the_cost_of_a_grid_with_a_trunk_is_measured_too(tmp_path):
    design = try_out()
    found = cost(replace(design, setting=replace(design.setting, trunk="all", frac_decay=0.25)), (0, 1), tmp_path)
    assert (found.runs, found.tokens_each) == (6, 256)
    assert found.seconds == pytest.approx(6 * found.seconds_each)
