"""Figures of scale: drawn from small frames, with an alternative text that states the numbers."""

import io

import polars as pl
import pytest
from matplotlib.colors import to_hex

from opencoder_lib.plots import scale
from opencoder_lib.plots.style import BLUE, RED

RUNS = pl.DataFrame(
    {
        "files": [1_000, 100_000, 200_000],
        "seconds": [3.0, 5.0, 8.0],
        "cpu_seconds": [2.0, 4.0, 6.0],
        "peak_bytes": [400_000_000, 600_000_000, 800_000_000],
        **{f"cpu_{name}": [0.1, 1.0, 2.0] for name in scale.PASS_COLOUR},
    }
)
LINES = {"cpu_seconds": (2.0, 2e-5, 1_000), "peak_bytes": (400e6, 2000, 100_000)}


def as_png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60, transparent=True, bbox_inches="tight")
    return buffer.getvalue()


def test_growth_draws_what_was_measured_and_the_line_from_where_it_holds():
    figure, alt = scale.growth(RUNS, LINES)
    seconds, memory = figure.axes
    line, points, clock = seconds.lines
    assert points.get_xydata().tolist() == [[1_000, 2], [100_000, 4], [200_000, 6]]
    assert clock.get_ydata().tolist() == [3, 5, 8]
    assert line.get_xydata()[0] == pytest.approx([1_000, 2.02])
    assert memory.lines[0].get_xydata()[0] == pytest.approx([100_000, 600])
    assert memory.lines[0].get_xydata()[-1] == pytest.approx([200_000, 800])
    assert memory.lines[1].get_ydata().tolist() == [400, 600, 800]
    assert "processor seconds rise from 2.0 to 6.0, peak memory from 400 to 800 MB" in alt
    assert as_png(figure).startswith(b"\x89PNG")


def test_growth_has_round_numbers_and_more_of_them_on_a_short_range():
    figure, _ = scale.growth(RUNS, LINES)
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["400", "500", "600", "800", "1,000"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["2", "5", "10"]


def test_a_file_of_a_run_costs_what_exceeds_the_fixed_cost():
    figure, alt = scale.per_file(RUNS[1:], fixed=2.0, per_file=2e-5)
    points = figure.axes[0].lines[1]
    assert points.get_ydata() == pytest.approx([20, 20])
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([20, 20])
    assert "100,000 files 20; 200,000 files 20" in alt
    as_png(figure)


def test_bars_of_the_passes_stand_on_each_other():
    figure, alt = scale.per_file(RUNS[1:], fixed=2.0, per_file=2e-5)
    bars = [bar for bar in figure.axes[1].patches if bar.get_x() < 0]
    assert [bar.get_height() for bar in bars] == pytest.approx([10] * 6)
    assert [bar.get_y() for bar in bars] == pytest.approx([0, 10, 20, 30, 40, 50])
    assert "digests, exact 10, keys, candidates 10" in alt


def test_no_run_that_is_large_enough_gives_a_figure_that_says_so():
    assert scale.per_file(RUNS[:0], 2.0, 2e-5)[1] == "No run is large enough to say what one file costs."


BROKEN = pl.DataFrame(
    {"resource": ["memory", "disk"], "limit": ["64 GB", "1 TB"], "files": [20e6, 13e9], "frac_of_load": [0.04, 27.0]}
)


def test_limits_end_at_the_files_that_use_them_up():
    figure, alt = scale.limits(BROKEN, {"Python": 485_000_000, "all": 16_700_000_000})
    axes = figure.axes[0]
    assert [bar.get_x() + bar.get_width() for bar in axes.patches] == pytest.approx([20e6, 13e9])
    assert [text.get_text() for text in axes.texts] == ["20 million", "13 billion"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["memory\n(64 GB)", "disk\n(1 TB)"]
    assert [line.get_xdata()[0] for line in axes.lines] == [485_000_000, 16_700_000_000]
    assert alt.endswith("memory (64 GB) at 20 million; disk (1 TB) at 13 billion.")
    as_png(figure)


def test_what_ends_before_the_smallest_corpus_is_red():
    axes = scale.limits(BROKEN, {"Python": 485_000_000})[0].axes[0]
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [RED, BLUE]


def test_nothing_that_grows_gives_a_figure_that_says_so():
    assert scale.limits(BROKEN[:0], {"Python": 1})[1] == "Nothing grows with the number of files."


@pytest.mark.parametrize(
    ("value", "words"), [(300_000, "300 k"), (28.4e6, "28.4 million"), (1.2e9, "1.2 billion"), (12, "12")]
)
def test_counts_in_words(value, words):
    assert scale._count(value) == words
