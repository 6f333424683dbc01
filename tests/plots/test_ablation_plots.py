import polars as pl
import pytest

from opencoder_lib.plots import ablation

PAIRED = pl.DataFrame(
    {
        "arm": ["few", "mix"],
        "difference": [0.2, -0.01],
        "low": [0.1, -0.04],
        "high": [0.3, 0.02],
        "differences": [[0.15, 0.25], [-0.03, 0.01]],
    }
)
LOSS = PAIRED.with_columns(differences=pl.Series([[-0.4, -0.2], [0.1, 0.3]]))


def curve_tables():
    rows = [
        {"arm": arm, "seed": seed, "tokens": 1_000 * at, "loss": 5.0 - at - seed / 10, "bits_per_byte": 3.0 + seed - at}
        for arm in ("all", "few")
        for seed in (0, 1)
        for at in (1, 2)
    ]
    frame = pl.DataFrame(rows)
    return frame.select("arm", "seed", "tokens", "loss"), frame.select(
        "arm", "seed", "tokens", "bits_per_byte", set=pl.lit("code")
    )


def test_curves_show_the_mean_over_seeds_and_a_band_from_lowest_to_highest():
    losses, evaluations = curve_tables()
    figure, alt = ablation.curves(losses, evaluations, "code", ("all", "few"))
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == pytest.approx([3.95, 2.95])
    assert right.lines[1].get_ydata().tolist() == pytest.approx([2.5, 1.5])
    band = right.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1.0, 3.0)
    assert "all ends at 1.500; few ends at 1.500" in alt


def test_curves_may_begin_later():
    losses, evaluations = curve_tables()
    figure, _ = ablation.curves(losses, evaluations, "code", ("all",), since=2_000)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [2.0]


def test_differences_have_a_panel_a_metric_with_its_unit_and_a_dot_a_seed():
    figure, alt = ablation.differences({"code": PAIRED, "loss": LOSS}, units={"loss": "nats a token"})
    assert [ax.get_xlabel() for ax in figure.axes] == ["difference (bits per byte)", "difference (nats a token)"]
    seeds_of_few = figure.axes[0].collections[0].get_offsets()[:, 0].tolist()
    assert seeds_of_few == pytest.approx([0.15, 0.25])
    assert "code, few: +0.200 (+0.100 to +0.300) bits per byte" in alt


def test_without_an_interval_only_the_points_are_drawn():
    alone = PAIRED.with_columns(low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64))
    figure, alt = ablation.differences({"code": alone})
    assert len(figure.axes[0].lines) == 1  # zero
    assert "(" not in alt


def test_units_in_the_middle_are_left_out_and_said_to_be():
    many = pl.DataFrame({"unit": [f"r{at:02}" for at in range(50)], "difference": [at / 100 - 0.1 for at in range(50)]})
    figure, alt = ablation.by_unit(many, "repositories", "few", "all", most=10)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["r00", "r01", "r02", "r03", "r04", "r45", "r46", "r47", "r48", "r49"]
    assert "40 repositories in the middle are not drawn" in figure.axes[0].get_xlabel()
    assert "50 repositories; 39 cost more in few" in alt


def test_the_signature_has_a_point_an_arm_and_seed():
    figure, alt = ablation.signature(LOSS, PAIRED, "code")
    ax = figure.axes[0]
    assert ax.collections[0].get_offsets().tolist() == [[-0.4, 0.15], [-0.2, 0.25]]
    assert "few: -0.300 nats, +0.200 bits; mix: +0.200 nats, -0.010 bits" in alt


def test_every_arm_has_a_look_of_its_own():
    looks = ablation.looks(["a", "b", "c", "d", "e", "f"])
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == 6
