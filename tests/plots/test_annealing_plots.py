import polars as pl
import pytest

from opencoder_lib.plots.annealing import changes

TABLE = pl.DataFrame(
    {
        "set": ["code", "code", "exercises", "exercises"],
        "arm": ["mixture", "constant", "mixture", "constant"],
        "difference": [0.01, 0.05, -0.4, 0.1],
        "low": [-0.02, 0.04, -0.5, 0.0],
        "high": [0.03, 0.06, -0.3, 0.2],
    }
)


def test_each_set_has_a_row_from_the_top_and_each_arm_a_mark_with_its_interval():
    figure, alt = changes(TABLE, "original")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["code", "exercises"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    bars, dots, *_ = ax.collections
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [[-0.02, 0.03], [-0.5, -0.3]]
    assert dots.get_offsets()[:, 0].tolist() == [0.01, -0.4]
    assert "mixture, exercises: -0.400" in alt


def test_arms_lie_side_by_side_and_look_different():
    figure, _ = changes(TABLE, "original")
    dots = figure.axes[0].collections[1::2]
    assert [list(some.get_offsets()[:, 1]) for some in dots] == [pytest.approx([-0.125, 0.875]), [0.125, 1.125]]
    assert dots[0].get_facecolor().tolist() != dots[1].get_facecolor().tolist()
    assert dots[0].get_paths()[0].vertices.tolist() != dots[1].get_paths()[0].vertices.tolist()
