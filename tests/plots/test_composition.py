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


def sampled(*rows: tuple[str, int, int, int, int | None]) -> pl.DataFrame:
    columns = ["language", "bytes_before", "bytes_after", "files_before", "files_after"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_before_and_after_draws_both_bars_from_zero_and_marks_the_budget():
    rows = sampled(("java", 9_000_000, 4_000_000, 90, 41), ("c", 5_000_000, 5_000_000, 7, 7))
    figure, alt = composition.before_and_after(rows, {"java": 4_500_000}, logarithmic=False)
    left, right = figure.axes
    assert bars(left)[:4] == pytest.approx([9, 4, 5, 5])
    assert bars(right)[:4] == [90, 41, 7, 7]
    assert list(left.lines[0].get_xdata()) == [4.5, 4.5]
    assert [text.get_text() for text in left.texts] == ["9 → 4", "5"]
    assert left.get_xlim()[0] == 0
    assert "linear" in left.get_xlabel()
    assert "java falls from 9 to 4 MB; all others stay as they were." in alt


def test_a_language_with_a_budget_is_shown_however_small_and_the_rest_is_summed():
    rows = sampled(("c", 9000, 9000, 9, 9), ("go", 800, 800, 8, 8), ("r", 70, 70, 7, 7), ("html", 50, 20, 5, 2))
    figure, _ = composition.before_and_after(rows, {"html": 30}, top=1)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["c", "html", "other (2)"]
    assert right.texts[2].get_text() == "15"
    assert left.get_xscale() == "log"
    assert "logarithmic" in left.get_xlabel()


def test_a_number_of_files_that_is_not_known_is_said_and_not_drawn():
    figure, _ = composition.before_and_after(sampled(("html", 10**9, 10**8, 45_100_000, None)), logarithmic=False)
    assert figure.axes[1].texts[0].get_text() == "45.1 M → not given"
    assert bars(figure.axes[1])[:2] == [45_100_000, 0]


@pytest.mark.parametrize("rows", [[], [("c", 0, 0, 2, 2)]], ids=["no file", "only empty files"])
def test_a_sampling_of_nothing_says_so(rows):
    figure, alt = composition.before_and_after(sampled(*rows) if rows else sampled(("c", 1, 1, 1, 1)).clear())
    figure.canvas.draw()
    assert alt == "No file reached the sampling."


def test_the_cut_off_figure_fills_what_is_kept():
    places = pl.DataFrame({"place": [0.6, 0.2, 0.4], "n_bytes": [2_000, 3_000, 4_000]})
    figure, alt = composition.cut_off(places, 8_000, 0.6, "html")
    assert list(figure.axes[0].lines[0].get_ydata()) == [0, 3, 7, 9, 9]
    assert "kB" in figure.axes[0].get_ylabel()
    assert "to 9 kB in 3 files. The budget of 8 kB is reached at place 0.600; the 2 files before it are kept." in alt
    _, none = composition.cut_off(places.clear(), 1, 1.0, "java")
    assert none == "There is no java file."


def test_a_budget_that_all_files_fit_is_not_said_to_be_reached():
    places = pl.DataFrame({"place": [0.5], "n_bytes": [1_000]})
    _, alt = composition.cut_off(places, 2_000, 1.0, "html")
    assert "All of them fit the budget of 2 kB." in alt


def test_choices_are_dots_with_the_range_of_other_keys_and_leave_out_no_cut():
    table = pl.DataFrame(
        {
            "choice": ["no cut", "hash", "stars", "none fits"],
            "files": [9, 4, 3, 0],
            "repos": [3, 2, 1, 0],
            "frac_mixture_moved": [0.0, 0.1, 0.5, None],
            "frac_mixture_moved_lowest": [None, 0.05, None, None],
            "frac_mixture_moved_highest": [None, 0.2, None, None],
        }
    )
    figure, alt = composition.choices(table, "python")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["hash", "stars"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[5, 20], [10], [50]]
    assert axes.get_xlim()[0] == 0
    assert "hash 10% (5% to 20% under other keys); stars 50%." in alt
    assert composition.choices(table.head(1), "python")[1] == "No choice keeps a byte."
