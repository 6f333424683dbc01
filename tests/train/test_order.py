from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from opencoder_lib.train.order import permute, window_at

SIZES = [1, 2, 3, 4, 5, 6, 7, 9, 10, 16, 17, 97, 100, 101, 1_000, 1_023, 1_024, 1_025, 4_099]


@pytest.mark.parametrize("size", SIZES)
def test_every_number_is_met_exactly_once(size):
    for key in range(3):
        assert np.array_equal(np.sort(permute(np.arange(size), size, key)), np.arange(size))


def test_every_window_is_read_once_before_any_is_read_again_and_passes_differ():
    seen = window_at(np.arange(300), 100, seed=0).reshape(3, 100)
    assert np.array_equal(np.sort(seen, 1), np.tile(np.arange(100), (3, 1)))
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_another_seed_gives_another_order_and_places_may_be_asked_for_in_any_order():
    places = np.array([7, 250, 3, 7, 120])
    whole = window_at(np.arange(300), 100, seed=5)
    assert np.array_equal(window_at(places, 100, seed=5), whole[places])
    assert not np.array_equal(window_at(np.arange(100), 100, seed=6), whole[:100])


def test_all_orders_of_four_windows_are_equally_likely():
    found = [tuple(permute(np.arange(4), 4, key)) for key in range(4_800)]
    counts = [found.count(order) for order in permutations(range(4))]
    assert chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("size", [7, 37, 64])
def test_each_window_is_equally_likely_at_each_place(size):
    counts = np.zeros((size, size))
    for key in range(100 * size):
        counts[np.arange(size), permute(np.arange(size), size, 1_000 + key)] += 1
    # Rows and columns of the table have fixed sums, which costs 2 * size - 1 degrees of freedom.
    assert chisquare(counts.ravel(), ddof=2 * size - 2).pvalue > 0.001


def test_neighbours_do_not_stay_together():
    size = 100_000
    jumps = np.diff(permute(np.arange(size), size, 1)) % size
    # As many neighbours stay neighbours as in a random order: 1 on average, more than 10 once in a million times.
    assert (jumps == 1).sum() <= 10
    counts, _ = np.histogram(jumps, bins=100, range=(1, size))
    assert chisquare(counts).pvalue > 0.001


def test_a_run_over_more_windows_than_memory_holds_reads_its_last_place_as_quickly_as_its_first():
    huge = 10**15
    found = window_at(np.array([0, 1, huge - 1, huge]), huge, seed=0)
    assert len(set(found.tolist())) == 4
    assert ((found >= 0) & (found < huge)).all()
