import numpy as np
import pytest

from opencoder_lib.intervals import percentile_interval, resamples, wilson


@pytest.mark.parametrize(
    ("hits", "count", "interval"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_intervals_are_those_of_newcombe_1998_table_i(hits, count, interval):
    low, high = wilson(hits, count)
    assert (low, high) == pytest.approx(interval, abs=6e-5)
    assert wilson(count - hits, count) == pytest.approx((1 - high, 1 - low))


def test_a_resample_draws_as_many_units_as_there_are_with_replacement():
    draws = resamples(5, 4_000, seed=0, stream="test")
    assert draws.shape == (4_000, 5)
    assert (draws.sum(axis=1) == 5).all()
    # A unit is left out of a resample with probability (4/5)^5 = 0.328; four standard errors are 0.013 here.
    assert (draws == 0).mean() == pytest.approx(0.8**5, abs=0.015)


def test_resamples_depend_on_seed_and_stream():
    first = resamples(9, 50, seed=1, stream="one")
    assert (first == resamples(9, 50, seed=1, stream="one")).all()
    assert (first != resamples(9, 50, seed=2, stream="one")).any()
    assert (first != resamples(9, 50, seed=1, stream="other")).any()


def test_the_percentile_interval_leaves_a_fortieth_at_each_end():
    assert percentile_interval(np.arange(1001.0)) == (25.0, 975.0)
