"""Another size by arithmetic: costs found again in made-up runs, and every line worked out by hand."""

import polars as pl
import pytest

from opencoder_lib.clean.extrapolation import GB, TB, Costs, Load, breaks_first, costs_of, extrapolate, in_words
from opencoder_lib.errors import ConfigError
from opencoder_lib.paper import fact

COSTS = Costs(
    cpu_per_file=1e-3,
    cpu_per_byte=1e-6,
    driver_per_row=1e-4,
    memory_fixed=1 * GB,
    memory_per_file=1000,
    memory_per_file_fewer=2000,
    memory_per_row=500,
    links_per_file=100,
    task_memory=0.5 * GB,
    shuffled_per_file=50,
    shuffled_per_left=200,
    work_per_byte=0.5,
    output_per_byte=0.25,
    power_high=1.5,
    largest=1_000_000,
)
# 100 million files of 5,000 bytes; 75 % are copies, so that all hashes may repeat and 25 million files stay.
LOAD = Load("corpus", 100_000_000, 0.5 * TB, 0.75, 0.04)


def values(frame):
    return dict(frame.select("quantity", "value").iter_rows())


def test_each_quantity_by_hand():
    found = values(extrapolate(COSTS, LOAD, cores=8, memory_bytes=44 * GB))
    # 10^8 x 1 ms + 5 x 10^11 x 1 µs = 600,000 s.
    assert found["processor time"] == pytest.approx(600_000 / 3600)
    # A hundred times the largest run, to the power of a half.
    assert found["processor time, if it grows with the highest power not ruled out"] == pytest.approx(6_000_000 / 3600)
    # 600,000 s / (86,400 s x 8) = 0.87.
    assert found["nodes of 8 cores, for a day"] == 1
    # 100 GB in nodes that have 44 - 8 x 0.5 = 40 GB left.
    assert found["nodes of 44 GB, for what is grouped"] == 3
    assert found["memory of a node, of the larger number"] == pytest.approx(4 * GB + 100 * GB / 3)
    # Ranges hold 2 million rows.
    assert found["memory of the driver for hashes, at most"] == pytest.approx(1 * GB + 500 * 2e6)
    # 4 % of 25 million files.
    assert found["memory of the driver for links, at least"] == pytest.approx(100 * 1e6)
    assert found["the driver's own hours for hashes, at most"] == pytest.approx(1e-4 * 1e8 / 3600)
    assert found["shuffled"] == pytest.approx(50 * 1e8 + 200 * 25e6)
    assert found["text on disk meanwhile"] == pytest.approx(0.25 * TB)
    assert found["output on disk"] == pytest.approx(0.125 * TB)
    # 0.5 TB in units of 256 MB are 1,954.
    assert found["tasks"] == 5 * 1954


def test_each_amount_is_in_words_with_its_formula():
    rows = {row["quantity"]: row for row in extrapolate(COSTS, LOAD, 8, 44 * GB).iter_rows(named=True)}
    assert rows["processor time"]["amount"] == "167 core-hours"
    assert rows["processor time"]["formula"] == "1 ms x files + 1 µs x bytes"
    assert rows["shuffled"]["amount"] == "10 GB"
    assert rows["shuffled"]["formula"] == "50 B x files + 200 B x files that exact leaves"
    assert rows["tasks"]["amount"] == "9,770"


def test_a_power_below_one_does_not_make_a_large_corpus_cheaper():
    costs = Costs(**{**vars(COSTS), "power_high": 0.9})
    found = values(extrapolate(costs, LOAD, 8, 44 * GB))
    assert len({value for name, value in found.items() if name.startswith("processor time")}) == 1


def test_tasks_that_fill_a_node_are_refused():
    with pytest.raises(ConfigError, match="8 tasks of 500 MB leave no room"):
        extrapolate(COSTS, LOAD, 8, 4 * GB)


def test_beyond_all_ranges_the_driver_holds_a_256th_of_the_rows():
    assert Load("huge", 10**10, 1.0, 0.75, 0).range_rows == 10**10 / 256
    assert Load("small", 10**6, 1.0, 0.75, 0).range_rows == 10**6
    # Every copy brings one file that stays, at most.
    assert Load("few copies", 10**6, 1.0, 0.1, 0).repeated == 2 * 10**5


def test_what_breaks_first_comes_first_with_the_files_it_holds():
    found = breaks_first(COSTS, LOAD, cores=8, memory_bytes=44 * GB, disk_bytes=1 * TB)
    files = dict(found.select("resource", "files").iter_rows())
    # 43 GB above the fixed one.
    assert files["memory of one machine, such copies"] == pytest.approx(43e6)
    assert files["memory of one machine, fewer copies"] == pytest.approx(21.5e6)
    # A 256th of 500 bytes, and 100 bytes for 4 % of a quarter of the files.
    assert files["memory of a cluster's driver, hashes"] == pytest.approx(43 * GB * 256 / 500)
    assert files["memory of a cluster's driver, links"] == pytest.approx(43 * GB / (100 * 0.01))
    # 5,000 bytes x 0.75, 50 bytes and a quarter of 200.
    assert files["disk of one machine"] == pytest.approx(1 * TB / 3850)
    # 1 ms and 5,000 µs.
    assert files["a day of 8 cores"] == pytest.approx(8 * 86_400 / 6e-3)
    assert files["a day of the driver's own work"] == pytest.approx(86_400 / 1e-4)
    assert found["files"].is_sorted()
    assert found["resource"][0] == "memory of one machine, fewer copies"
    assert found["frac_of_load"][0] == pytest.approx(0.215)
    assert found["limit"][0] == "44 GB"


def test_what_does_not_grow_never_breaks():
    flat = Costs(**{**vars(COSTS), "memory_per_file": 0.0, "memory_per_file_fewer": 0.0})
    resources = breaks_first(flat, LOAD, 8, 44 * GB, 1 * TB)["resource"].to_list()
    assert not [name for name in resources if name.startswith("memory of one machine")]


def run(files, n_bytes, repeated, per_file):
    """A row of `measure_clean` of a machine where a file costs 20 µs, a byte 10 ns and the start 2 s."""
    peak = int(400e6 + per_file * files)
    names = ("start", "read", "digests")
    return {
        **{"files": files, "bytes": n_bytes, "exact": files // 2, "fuzzy": files // 100, "repeated": repeated},
        **{"jobs": 2, "cpu_seconds": 2 + 20e-6 * files + 1e-8 * n_bytes, "cpu_digests": 3e-6 * repeated},
        **{"peak_bytes": peak} | {f"peak_{name}": peak - 100_000_000 * (name != "digests") for name in names},
        **{"stored_ids": 70 * files, "stored_digests": 50 * files, "stored_keys": 20 * files},
        **{"stored_bands": 80 * files, "stored_text": n_bytes // 2, "output_bytes": n_bytes // 4},
        "stored_links": 3 * files,
    }


def test_costs_are_found_again_in_runs_made_of_them():
    sizes = pl.DataFrame([run(n, 300 * n, n * 9 // 10, 600) for n in (1_000, 30_000, 100_000, 200_000, 300_000)])
    longer = pl.DataFrame([run(20_000, 100_000_000, 18_000, 10_000)])
    fewer = pl.DataFrame([run(n, 300 * n, n // 10, 2500) for n in (100_000, 300_000)])
    costs = costs_of(sizes, longer, fewer)
    assert (costs.cpu_per_file, costs.cpu_per_byte) == pytest.approx((20e-6, 1e-8))
    assert (costs.memory_per_file, costs.memory_per_file_fewer) == pytest.approx((600, 2500))
    assert costs.memory_fixed == 400e6 + 600_000
    # All that the largest run holds above the smallest: 600 x 299,000 bytes, for 270,000 rows.
    assert costs.memory_per_row == pytest.approx(600 * 299_000 / 270_000)
    # 600 MB of the long run over 400.6 MB, by two tasks.
    assert costs.task_memory == pytest.approx((600e6 - 400.6e6) / 2)
    assert costs.driver_per_row == pytest.approx(3e-6)
    assert costs.links_per_file == pytest.approx(300)
    assert costs.shuffled_per_file == pytest.approx(120)
    # Half of the files are left.
    assert costs.shuffled_per_left == pytest.approx(200)
    assert (costs.work_per_byte, costs.output_per_byte) == pytest.approx((0.5, 0.25))
    assert (costs.power_high, costs.largest) == (pytest.approx(1, abs=1e-6), 300_000)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2.82e11, "B", "282 GB"),
        (64e9, "B", "64 GB"),
        (1e12, "B", "1 TB"),
        (585.03, "B", "585 B"),
        (4.04e-6, "s", "4.04 µs"),
        (21.1e-9, "s", "21.1 ns"),
        (0.545, "hours", "0.545 hours"),
        (962.4, "core-hours", "962 core-hours"),
        (11_523.0, "core-hours", "11,500 core-hours"),
        (3_085_940, "", "3,085,940"),
        (0.0, "B", "0 B"),
    ],
)
def test_amounts_in_words_have_three_digits_and_a_fitting_unit(value, unit, words):
    assert in_words(value, unit) == words


def test_the_derived_sizes_of_the_corpus_follow_from_the_papers_numbers():
    value = {name: fact(f"scale.{name}").value for name in ("python_bytes", "mean_bytes", "corpus_terabytes")}
    assert fact("scale.python_terabytes").value == pytest.approx(
        fact("dedup_level.file_total").value * value["python_bytes"] / TB, rel=0.002
    )
    left = (1 - fact("exact.frac_removed").value) * (1 - fact("fuzzy.frac_removed").value)
    assert fact("scale.raw_terabytes").value == pytest.approx(value["corpus_terabytes"] / left, rel=0.002)
    raw = fact("scale.raw_terabytes").value * TB / value["mean_bytes"]
    assert fact("scale.raw_files").value == pytest.approx(raw / 1e9, rel=0.002)
