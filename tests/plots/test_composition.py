import polars as pl
import pytest

from opencoder_lib.files import funnel, new_files
from opencoder_lib.plots import composition
from opencoder_lib.plots.funnel import funnel as draw_funnel


def counts(*rows: tuple[str, str, int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["language", "category", "n_files", "n_bytes"], orient="row")


def bars(axes) -> list[float]:
    return [bar.get_width() for bar in axes.patches]


def test_languages_beyond_the_top_are_summed_and_both_axes_say_they_are_logarithmic():
    rows = [
        ("python", "code", 9, 9_000_000),
        ("css", "data", 5, 50_000),
        ("sql", "code", 1, 30_000),
        ("d", "code", 2, 20_000),
    ]
    figure, alt = composition.languages(counts(*rows), top=2)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["python", "css", "other (2)"]
    assert bars(right)[:3] == pytest.approx([9 - 1.5, 5 - 1.5, 3 - 1.5])
    assert left.get_xscale() == right.get_xscale() == "log"
    assert "logarithmic" in left.get_xlabel()
    assert "logarithmic" in right.get_xlabel()
    assert "Of 9.1 MB in 4 languages the largest are python 9.0 MB in 9 files" in alt
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["code", "data"]


@pytest.mark.parametrize("rows", [[], [("python", "code", 3, 0)]], ids=["nothing left", "only empty files"])
def test_corpora_without_bytes_can_still_be_drawn(rows):
    frame = counts(*rows) if rows else counts(("x", "code", 1, 1)).clear()
    figure, alt = composition.languages(frame)
    figure.canvas.draw()
    assert alt


def test_the_funnel_shows_what_is_left_and_what_went_from_zero_up():
    rows = [{"n_bytes": 3_000_000, "removed_by": "exact.duplicate"}, {"n_bytes": 1_000_000}, {"n_bytes": 6_000_000}]
    files = new_files([{"path": str(at), "origin": "folder", "text": "x"} | row for at, row in enumerate(rows)])
    figure, alt = draw_funnel(funnel(files, ["exact", "fuzzy"]))
    left, right = figure.axes
    assert bars(left) == pytest.approx([10, 0, 7, 3, 7, 0])
    assert bars(right) == [3, 0, 2, 1, 2, 0]
    assert left.get_xlim()[0] == 0
    assert alt.startswith(
        "Bars of what is left after each stage. 3 files of 10.0 MB are collected; exact removes 1 files"
    )
    assert alt.endswith("Left: 2 files, 7.0 MB.")
