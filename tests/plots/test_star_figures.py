import polars as pl

from opencoder_lib.plots import stars


def test_the_map_marks_the_famous_files_left_and_the_random_ones_right():
    points = pl.DataFrame(
        {
            "x": [0.0, 1.0, 2.0, 3.0],
            "y": [0.0, 1.0, 0.0, 1.0],
            "famous": [True, False, False, False],
            "random": [False, True, True, False],
        }
    )
    figure, alt = stars.fame_on_the_map(points, [0.25, 0.125], 0.2)
    assert [ax.get_title() for ax in figure.axes] == [
        "top 20 % of projects: 1 of 4 files",
        "as many at random: 2 of 4 files",
    ]
    assert "as many at random, 2 files, x from 1.00 to 2.00" in alt
    assert figure.axes[1].get_xlabel() == "first component (25.0 % of variance)"


def test_the_spread_has_a_panel_a_measure_and_a_line_for_the_famous_and_for_all():
    row = {"distance_low": 1.0, "distance_high": 1.4, "dimensions_low": 8.0, "dimensions_high": 9.0, "dimensions": 8.5}
    table = pl.DataFrame([{"projects": name, "distance": at} | row for name, at in (("famous", 1.1), ("all", 1.3))])
    draws = pl.DataFrame({"distance": [1.0, 1.2, 1.35], "dimensions": [7.0, 8.0, 9.0]})
    figure, alt = stars.spread(table, draws)
    assert [ax.get_xlabel() for ax in figure.axes] == list(stars.UNITS.values())
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == [1.1, 1.3]
    assert "3 random draws of as many projects (distance 1.00 to 1.35)" in alt
    assert "mean distance from the centroid, famous: 1.10" in alt
