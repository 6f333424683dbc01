import polars as pl

from opencoder_lib.plots import embedding, training


def test_the_map_counts_what_lies_outside_in_both_panels():
    points = pl.DataFrame(
        {
            "corpus": ["raw"] * 4 + ["refined"] * 3,
            "x": [0.0, 1.0, 0.5, 9.0, 0.0, 1.0, 0.5],
            "y": [0.0, 0.5, 1.0, 9.0, 0.0, 0.5, 1.0],
            "distance": [0.1, 0.2, 0.3, 3.1, 0.1, 0.2, 0.3],
            "removed_by": [None, None, None, "filter.code.short", None, None, None],
        }
    )
    figure, alt = embedding.raw_beside_refined(points, 3.0, [0.25, 0.125])
    assert "1 of 4 outside" in alt
    assert "0 of 3 outside" in alt
    assert figure.axes[0].get_xlabel() == "first component (25.0 % of variance)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["removed by filter", "kept"]


def test_readings_are_told_in_percentage_points():
    readings = pl.DataFrame({"measure": ["a", "b"], "fall": [0.02, 0.0], "low": [0.01, -0.01], "high": [0.03, 0.01]})
    assert "a 2.0 (1.0 to 3.0); b 0.0 (-1.0 to 1.0)" in embedding.falls(readings)[1]


def test_loss_and_rate_tell_where_they_start_and_end():
    log = pl.DataFrame({"tokens": [1_000, 2_000], "loss": [7.0, 5.0], "learning_rate": [0.01, 0.001]})
    _, alt = training.loss_and_rate(log, {"decay": 1_000}, smooth=1)
    assert "falls from 7.00 to 5.00 nats a token over 2 thousand tokens" in alt
    assert "peaks at 0.01 and ends at 0.001" in alt


def test_held_out_curves_name_arms_and_baselines():
    frame = pl.DataFrame({"tokens": [0, 1_000, 2_000], "held_out_bits_per_byte": [4.0, 3.0, 2.5]})
    figure, alt = training.held_out_curves({"decay": frame}, {"uniform": 4.0}, split=1_000)
    assert "decay ends at 2.500" in alt
    assert "uniform 4.00" in alt
    assert len(figure.axes[1].lines[0].get_xdata()) == 2, "the enlarged panel starts where the arms part"


def test_repositories_below_zero_are_counted():
    _, alt = training.decay_by_repository(pl.DataFrame({"repo": ["a", "b"], "difference": [-0.1, 0.05]}))
    assert "2 held-out repositories; 1 lie below zero, from -0.100 to 0.050" in alt
