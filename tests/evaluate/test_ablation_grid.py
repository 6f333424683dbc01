import math
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from scipy import stats

from opencoder_lib import seeds
from opencoder_lib.errors import ConfigError
from opencoder_lib.evaluate import ablation
from opencoder_lib.evaluate.ablation import differs, in_words, over_units, paired, resolution, run_grid


@dataclass(frozen=True)
class FakeTrain:
    """Bits per byte are 2 + effect of the arm + seed / 10; each call leaves a file behind."""

    calls: Path
    version: str = "1"
    tokens: int = 1_000
    fails: bool = False

    def key(self, seed, arms):
        return f"{self.version} {seed} {arms}"

    def __call__(self, seed, arms):
        if self.fails:
            raise ConfigError("this one does not train")
        (self.calls / f"{self.version}-{seed}-{'+'.join(arms)}").touch()
        return {arm: self.outcome(seed, arm) for arm in arms}

    def outcome(self, seed, arm):
        bits = 2 + {"plain": 0.0, "worse": 0.3, "odd": 0.2 * seed}[arm] + seed / 10
        units = [{"set": "code", "unit": name, "bits": bits * n, "n_bytes": n} for name, n in (("a", 100), ("b", 300))]
        tokens = self.tokens + (arm == "odd") * (self.tokens == 999)
        return {
            "losses": [{"tokens": 100 * at, "loss": 5.0 - at} for at in range(1, 4)],
            "evaluations": [
                {"set": "code", "step": step, "tokens": step * 10, "bits_per_byte": bits + 1 - step / 10}
                for step in (5, 10)
            ],
            "units": units,
            "scores": {"pass@1": 0.25},
            "read": [{"source": arm, "tokens": tokens, "source_tokens": 500, "passes": tokens / 500}],
            "seconds": 1.5,
        }


def grid(tmp_path, arms=("plain", "worse"), grid_seeds=(0, 1, 2), workers=1, together=False, **fake):
    calls = tmp_path / "calls"
    calls.mkdir(exist_ok=True)
    train = FakeTrain(calls, **fake)
    folder = tmp_path / "grid"
    return run_grid("try", train, arms, "plain", grid_seeds, folder, workers=workers, together=together)


def calls(tmp_path):
    return sorted(path.name for path in (tmp_path / "calls").iterdir())


def test_every_arm_is_trained_for_every_seed_and_a_run_holds_its_last_values(tmp_path):
    results = grid(tmp_path)
    assert calls(tmp_path) == [f"1-{seed}-{arm}" for seed in (0, 1, 2) for arm in ("plain", "worse")]
    own = results.runs.filter((pl.col("arm") == "worse") & (pl.col("seed") == 1))
    # The last evaluation, the mean of the last tenth of three losses (one), what it took, and the score.
    assert dict(own.select("metric", "value").iter_rows()) == pytest.approx(
        {"code": 2.4, ablation.TRAIN_LOSS: 2.0, "seconds": 1.5, "pass@1": 0.25}
    )


def test_a_run_that_is_there_is_not_repeated_and_more_seeds_or_arms_only_add(tmp_path):
    first = grid(tmp_path)
    for path in (tmp_path / "calls").iterdir():
        path.unlink()
    assert grid(tmp_path).runs.equals(first.runs)
    assert calls(tmp_path) == []
    grid(tmp_path, grid_seeds=(0, 1, 2, 3))
    assert calls(tmp_path) == ["1-3-plain", "1-3-worse"]
    grid(tmp_path, arms=("plain", "worse", "odd"), grid_seeds=(0,))
    assert calls(tmp_path) == ["1-0-odd", "1-3-plain", "1-3-worse"]


def test_a_run_of_other_data_is_not_taken_over(tmp_path):
    grid(tmp_path, grid_seeds=(0,))
    grid(tmp_path, grid_seeds=(0,), version="2")
    assert calls(tmp_path) == ["1-0-plain", "1-0-worse", "2-0-plain", "2-0-worse"]


def test_runs_of_other_code_are_not_taken_over_and_that_is_said(tmp_path, monkeypatch):
    grid(tmp_path, grid_seeds=(0,))
    monkeypatch.setattr(ablation, "library_hash", lambda *_: "another library")
    said = []
    run_grid("try", FakeTrain(tmp_path / "calls", version="3"), ("plain", "worse"), "plain", (0,), tmp_path / "grid",
             workers=1, say=said.append)  # fmt: skip
    assert said[0] == "try: the code has changed, so the runs of before are not taken over."
    assert "3-0-plain" in calls(tmp_path)


def test_two_processes_give_what_one_gives(tmp_path):
    (tmp_path / "two").mkdir()
    one, two = grid(tmp_path), grid(tmp_path / "two", workers=2)
    for table in ablation.TABLES:
        assert getattr(one, table).equals(getattr(two, table))


def test_arms_that_share_a_trunk_are_trained_in_one_call(tmp_path):
    results = grid(tmp_path, together=True, grid_seeds=(4,))
    assert calls(tmp_path) == ["1-4-plain+worse"]
    assert results.units.height == 4


def test_arms_trained_on_different_numbers_of_tokens_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"seed 0 .* different numbers of tokens: odd 1,000, plain 999"):
        grid(tmp_path, arms=("plain", "odd"), tokens=999)


def test_what_the_training_function_raises_comes_out(tmp_path):
    with pytest.raises(ConfigError, match="this one does not train"):
        grid(tmp_path, workers=2, fails=True)


@pytest.mark.parametrize(
    ("arms", "grid_seeds", "message"),
    [
        (("plain",), (0,), "two or more"),
        (("plain", "plain"), (0,), "different arms"),
        (("worse", "odd"), (0,), "baseline 'plain' is no arm"),
        (("plain", "worse"), (), "at least one"),
        (("plain", "worse"), (1, 1), "different"),
    ],
)
def test_what_is_no_experiment_is_refused(tmp_path, arms, grid_seeds, message):
    with pytest.raises(ConfigError, match=message):
        grid(tmp_path, arms=arms, grid_seeds=grid_seeds)


def test_the_csv_files_hold_the_tables(tmp_path):
    results = grid(tmp_path)
    for path in results.write_csv(tmp_path / "csv"):
        assert pl.read_csv(path).height == getattr(results, path.stem).height > 0


def test_the_paired_difference_is_that_of_each_seed_and_its_interval_is_students():
    # Differences 0.1, 0.2, 0.3: mean 0.2, sd 0.1; t(0.975, 2) = 4.302653.
    table = paired(results_of({"plain": [2.0, 2.5, 1.0], "worse": [2.1, 2.7, 1.3]}), "code")
    row = table.row(0, named=True)
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert row["differences"] == pytest.approx([0.1, 0.2, 0.3])
    assert [row["difference"], row["sd"]] == pytest.approx([0.2, 0.1])
    assert [row["low"], row["high"]] == pytest.approx([0.2 - half, 0.2 + half], abs=1e-6)
    assert row["p"] == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.3], 0).pvalue)
    assert [row["mean"], row["mean_baseline"]] == pytest.approx([6.1 / 3, 5.5 / 3])


def test_what_all_seeds_share_does_not_widen_the_interval():
    # Seeds differ by a whole bit, the arms by 0.2 in each: unpaired, nothing could be said.
    row = paired(results_of({"plain": [1.0, 2.0, 3.0], "worse": [1.2, 2.2001, 3.2]}), "code").row(0, named=True)
    assert row["low"] > 0.19
    assert row["high"] < 0.21


def test_one_seed_has_no_interval():
    row = paired(results_of({"plain": [2.0], "worse": [2.5]}), "code").row(0, named=True)
    assert (row["difference"], row["low"], row["high"], row["p"], row["p_holm"]) == (0.5, None, None, None, None)
    assert in_words(row) == "+0.500 bits per byte (one seed, so no interval)"
    assert not differs(row)


def test_holms_correction_by_hand():
    # Sorted 0.01, 0.03, 0.04 become 3 * 0.01, 2 * 0.03, max(1 * 0.04, 0.06).
    assert ablation._holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert ablation._holm([None, 0.9, 0.8]) == [None, 1.0, 1.0]


def test_an_unknown_metric_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"'cod'.*Did you mean code"):
        paired(grid(tmp_path), "cod")


def test_an_interval_that_holds_zero_is_told_as_no_difference():
    row = {"difference": 0.01, "low": -0.02, "high": 0.04, "n": 3}
    assert in_words(row) == (
        "+0.010 bits per byte (-0.020 to +0.040, 95 % t interval, n = 3 seeds; no difference seen at this size)"
    )
    assert not differs(row)


@pytest.mark.parametrize(("low", "high", "sign", "found"), [(0.1, 0.3, 1, True), (0.1, 0.3, -1, False)])
def test_a_difference_on_the_other_side_does_not_support_a_claim(low, high, sign, found):
    row = {"difference": (low + high) / 2, "low": low, "high": high, "n": 3}
    assert differs(row)
    assert differs(row, sign) is found
    assert differs(row | {"low": -high, "high": -low}, sign) is not found


def test_units_that_all_change_alike_leave_no_doubt_over_units():
    results = results_of({"plain": [2.0], "worse": [2.5]})
    found = over_units(results, "worse", "code")
    assert [found["difference"], found["low"], found["high"]] == pytest.approx([0.5, 0.5, 0.5])
    assert (found["units"], found["frac_worse"]) == (2, 1.0)
    assert found["by_unit"].rows() == [("a", 100, 0.5), ("b", 300, 0.5)]


def test_the_mean_over_units_weighs_by_bytes_and_its_bootstrap_spans_the_units():
    results = results_of({"plain": [2.0], "worse": [2.0]})
    bits = pl.when((pl.col("arm") == "worse") & (pl.col("unit") == "a")).then(300.0).otherwise(pl.col("bits"))
    results = replace(results, units=results.units.with_columns(bits=bits))
    # Unit a (100 bytes) costs 300 bits instead of 200, unit b (300 bytes) the same: 100 / 400 bits per byte.
    found = over_units(results, "worse", "code")
    assert found["difference"] == pytest.approx(0.25)
    # Resamples hold a twice (1.0), each once (0.25) or b twice (0).
    assert [found["low"], found["high"]] == pytest.approx([0.0, 1.0])
    assert found["frac_worse"] == 0.5


def results_of(values):
    """Results with these bits per byte, one value a seed, on two units of 100 and 300 bytes."""
    runs = [
        {"arm": arm, "seed": seed, "metric": "code", "value": value}
        for arm, row in values.items()
        for seed, value in enumerate(row)
    ]
    units = [
        {"arm": row["arm"], "seed": row["seed"], "set": "code", "unit": unit, "bits": row["value"] * n, "n_bytes": n}
        for row in runs
        for unit, n in (("a", 100), ("b", 300))
    ]
    empty = {table: pl.DataFrame(schema=schema) for table, schema in ablation.TABLES.items()}
    frames = empty | {
        "runs": pl.DataFrame(runs, schema=ablation.TABLES["runs"]),
        "units": pl.DataFrame(units, schema=ablation.TABLES["units"]),
    }
    arms = tuple(values)
    return ablation.Results("try", arms[0], arms, tuple(range(len(values[arms[0]]))), **frames)


def test_what_four_seeds_can_see_by_formula_and_by_simulation():
    seen = resolution(sd=0.03, n=4)
    # t(0.975, 3) = 3.182446
    assert seen.visible == pytest.approx(3.182446 * 0.03 / 2, rel=1e-6)
    draws = seeds.rng(0, "power").normal(seen.likely, 0.03, (20_000, 4))
    found = (abs(stats.ttest_1samp(draws, 0, axis=1).statistic) > 3.182446).mean()
    assert found == pytest.approx(0.8, abs=0.01)


def test_more_seeds_see_smaller_effects():
    seen = [resolution(0.03, n).likely for n in (2, 3, 4, 8)]
    assert seen == sorted(seen, reverse=True)
    with pytest.raises(ConfigError, match="two seeds"):
        resolution(0.03, 1)
