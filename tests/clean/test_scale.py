"""How a run is measured from outside, and lines and powers through made-up numbers whose answer is known."""

import os

import numpy as np
import polars as pl
import pytest
from scipy.stats import linregress
from scipy.stats import t as student

from opencoder_lib.clean import scale
from opencoder_lib.clean.command import TAKES_PART
from opencoder_lib.clean.generated import Composition
from opencoder_lib.clean.scale import cost_of_each, fit_per_file, late_line, least_disturbed, measure_clean
from opencoder_lib.errors import ConfigError, CookbookError
from opencoder_lib.store import library_hash

SIZES = [1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    found = measure_clean(10_000, seed=5, made_of=Composition(exact=50), folder=folder)
    return found | {"left behind": list(folder.iterdir())}


def test_a_run_reports_what_was_generated_and_removed(measured):
    assert (measured["files"], measured["exact"], measured["fuzzy"], measured["jobs"]) == (10_000, 5000, 200, 2)


def test_processor_seconds_are_those_of_the_command_and_of_its_passes(measured):
    by_pass = sum(measured[f"cpu_{step}"] for step in scale.PASSES)
    # What it did between the last look and its end is in no pass.
    assert 0.5 * measured["cpu_seconds"] < by_pass <= measured["cpu_seconds"] + 0.05
    assert measured["cpu_start"] > 0.1
    assert measured["cpu_seconds"] < 2 * measured["seconds"]


def test_the_peak_is_the_highest_of_the_passes_and_more_than_a_bare_interpreter(measured):
    assert measured["peak_bytes"] == max(measured[f"peak_{step}"] for step in scale.PASSES) > 100e6


def test_what_a_run_stores_is_seen_while_it_is_there(measured):
    # A hash has 32 bytes that no compression makes smaller; of equal ones one is stored in full.
    assert measured["stored_digests"] > 32 * 5000
    # A key has 8 bytes, each file that exact deduplication leaves has 16.
    assert 16 * 8 * 4900 < measured["stored_bands"] < 16 * 40 * 5000
    assert 0 < measured["stored_ids"] < measured["stored_text"] < measured["bytes"]
    assert measured["stored_keys"] > 0
    assert measured["stored_links"] > 0
    assert measured["output_bytes"] > 0


def test_a_pass_counts_from_its_first_file_on(tmp_path):
    watch = scale._Watch(os.getpid(), tmp_path)
    seen = []
    for name in ("text", "digests", "exact-decisions", "bands", "sets", "decide", "done/kept"):
        # The folders of later passes may be there already, empty.
        (tmp_path / "order" / "write").mkdir(parents=True, exist_ok=True)
        (tmp_path / "order" / name).mkdir(parents=True)
        (tmp_path / "order" / name / ".000000.parquet.tmp").touch()
        watch._look_at_parts()
        seen.append(watch._pass)
    assert seen == ["read", "digests", "digests", "keys", "sets", "decide", "write"]


def test_nothing_stays_where_it_worked_and_the_code_is_named(measured):
    assert measured["left behind"] == []
    assert measured["library_sha256"] == library_hash(*TAKES_PART)


def test_a_command_that_fails_is_an_error_with_what_it_said(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "STAGES", "exakt")
    with pytest.raises(CookbookError, match=r"ended with 2: (?s:.*)There is no stage 'exakt'"):
        measure_clean(100, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_removes_other_files_than_planted_is_refused(tmp_path, monkeypatch):
    honest = scale.generate_files
    monkeypatch.setattr(scale, "generate_files", lambda *given: honest(*given) | {"exact": 74})
    with pytest.raises(CookbookError, match="Stage exact removed 75 of 100 generated files; 74 were made for it"):
        measure_clean(100, folder=tmp_path)


def test_of_the_runs_of_a_size_the_least_disturbed_one_counts():
    columns = {"files": [300, 100, 100, 300], "cpu_seconds": [7.0, 2.0, 3.0, 9.0], "seconds": [8.0, 5.0, 3.0, 9.0]}
    kept = least_disturbed(pl.DataFrame(columns))
    assert kept.rows() == [(100, 2.0, 5.0), (300, 7.0, 8.0)]


def test_a_line_is_found_again_and_its_power_is_one():
    fit = fit_per_file(SIZES, [3 + 2e-5 * n for n in SIZES])
    assert (fit.fixed, fit.per_file) == pytest.approx((3, 2e-5))
    assert (fit.power, fit.low, fit.high) == pytest.approx((1, 1, 1), abs=1e-6)
    assert fit.worst == pytest.approx(0, abs=1e-9)


def test_a_power_is_found_again():
    fit = fit_per_file(SIZES, [1e-6 * n**1.3 for n in SIZES])
    assert fit.fixed == 0
    assert (fit.power, fit.low, fit.high) == pytest.approx((1.3, 1.3, 1.3))
    # The largest distance from the straight line is not hidden.
    assert fit.worst > 0.5


def test_the_interval_is_that_of_an_ordinary_regression():
    values = [1e-4 * n * off for n, off in zip(SIZES, (1.1, 0.93, 1.05, 0.98, 1.04, 0.9), strict=True)]
    fit = fit_per_file(SIZES, values)
    known = linregress(np.log(SIZES), np.log(np.array(values) - fit.fixed))
    half = student.ppf(0.975, len(SIZES) - 2) * known.stderr
    assert fit.used == len(SIZES)
    assert (fit.power, fit.low, fit.high) == pytest.approx((known.slope, known.slope - half, known.slope + half))


def test_small_runs_count_as_much_as_large_ones():
    # A tenth too slow in the largest run: by absolute distances the line would follow it alone.
    values = [3 + 2e-5 * n for n in SIZES]
    values[-1] *= 1.1
    assert fit_per_file(SIZES, values).fixed == pytest.approx(3, rel=0.03)


def test_runs_that_are_mostly_fixed_cost_say_nothing_about_growth():
    values = [3 + 6e-5 * n for n in SIZES]
    # 0.06, 0.6, 1.8 s above it: only from 30,000 files on is half of 3 s exceeded.
    assert fit_per_file(SIZES, values).used == 4
    with pytest.raises(ConfigError, match=r"Only 1 of 3 runs exceed the fixed cost of 3 by half"):
        fit_per_file([1_000, 10_000, 100_000], [3.02, 3.2, 5])


def test_a_late_line_leaves_out_what_still_fills_up():
    files = [1_000, 10_000, 100_000, 150_000, 300_000]
    assert late_line(files, [100, 400, 650, 700, 850]) == pytest.approx((550, 1e-3))


def test_one_large_run_makes_no_line():
    with pytest.raises(ConfigError, match="Of 2 runs only one has a third of the largest size or more"):
        late_line([333_300, 1_000_000], [1.0, 2.0])


def test_costs_add_up_and_none_is_negative():
    files, size = np.array([1.0, 2.0, 2.0]), np.array([10.0, 10.0, 40.0])
    assert cost_of_each({"files": files, "bytes": size}, 3 * files + 0.5 * size) == pytest.approx((3, 0.5))
    assert cost_of_each({"fixed": np.ones(3), "files": np.array([1.0, 2, 3])}, np.array([5.0, 4, 3]))[1] == 0
