import numpy as np
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.windows import as_source, batch

# The annealing mixture of the paper, in billions of tokens.
WEIGHTS = {"original": 83.94, "algorithmic": 12.44, "snippets": 2.71, "textbooks": 0.91}
# Each source says which it is: tokens 0 to 999, 1,000 to 1,999 and so on.
SOURCES = {name: np.arange(i * 1_000, (i + 1) * 1_000, dtype=np.uint16) for i, name in enumerate(WEIGHTS)}


def test_every_beginning_of_a_run_holds_the_weights_to_within_two_windows():
    mixture = Mixture(SOURCES, WEIGHTS)
    source_N, _ = mixture.assign(np.arange(200_000))
    places = np.arange(1, 200_001)
    for index, weight in enumerate(WEIGHTS.values()):
        off = np.abs((source_N == index).cumsum() - places * weight / 100)
        assert off.max() < 2, index


@pytest.mark.parametrize("weights", [[1, 1], [0.3, 0.3, 0.4], [5, 1e-6], [1, 2, 3, 4, 5, 6, 7], [2**-0.5, 0.5]])
def test_each_source_gives_its_windows_in_turn_and_none_twice(weights):
    names = [str(i) for i in range(len(weights))]
    mixture = Mixture({name: SOURCES["original"] for name in names}, dict(zip(names, weights, strict=True)))
    for first in (0, 10**9, 10**12):
        source_N, number_N = mixture.assign(first + np.arange(5_000))
        before = mixture.counts(first)
        for index, name in enumerate(names):
            mine = number_N[source_N == index]
            assert np.array_equal(mine, before[name] + np.arange(len(mine)))


def test_what_a_place_reads_does_not_depend_on_what_is_asked_with_it():
    mixture = Mixture(SOURCES, WEIGHTS)
    source_N, number_N = mixture.assign(np.arange(1_000))
    for place in (0, 1, 63, 999):
        alone = mixture.assign(np.array([place]))
        assert (alone[0][0], alone[1][0]) == (source_N[place], number_N[place])
    far = np.array([10**9, 10**9 + 1])
    assert mixture.assign(far)[1].sum() > 10**8


def test_windows_come_from_the_source_that_the_place_is_assigned_to():
    mixture = Mixture(SOURCES, WEIGHTS)
    ids = mixture.windows(np.arange(400), seed=0, length=10)
    assert ids.shape == (400, 11)
    assert np.array_equal(ids // 1_000, np.tile(mixture.assign(np.arange(400))[0][:, None], 11))
    snippets = ids[ids[:, 0] // 1_000 == 2]
    assert len(set(snippets[:, 0])) == len(snippets) == mixture.counts(400)["snippets"]


def test_all_processes_together_read_what_one_would():
    mixture = Mixture(SOURCES, WEIGHTS)
    parts = [batch(mixture, 0, 17, 12, 10, rank, 3) for rank in range(3)]
    assert np.array_equal(np.concatenate(parts), batch(mixture, 0, 17, 12, 10))


def test_shares_and_passes_count_what_a_run_reads():
    mixture = Mixture(SOURCES, WEIGHTS)
    source_N, _ = mixture.assign(np.arange(1_000))
    counts = mixture.counts(1_000)
    assert counts == {name: int((source_N == i).sum()) for i, name in enumerate(WEIGHTS)}
    assert sum(counts.values()) == 1_000
    assert mixture.shares(1_000) == {name: count / 1_000 for name, count in counts.items()}
    # 1,000 tokens hold 99 windows of 10 with the token after each.
    assert mixture.passes(1_000, length=10) == {name: pytest.approx(count / 99) for name, count in counts.items()}
    assert mixture.counts(0) == dict.fromkeys(WEIGHTS, 0)


def test_a_mixture_of_one_source_reads_like_the_source():
    places = np.arange(250)
    alone = as_source(SOURCES["original"]).windows(places, 3, 10)
    mixed = Mixture({"original": SOURCES["original"]}, {"original": 7}).windows(places, 3, 10)
    assert np.array_equal(mixed, alone)


def test_a_mixture_that_takes_over_a_run_reads_on_where_the_run_stopped():
    trunk = as_source(SOURCES["original"]).windows(np.arange(60), 0, 10)
    branch = Mixture(SOURCES, WEIGHTS, start=60, already={"original": 60})
    went_on = branch.windows(np.arange(60, 100), 0, 10)
    original = went_on[went_on[:, 0] < 1_000]
    # 99 windows in a pass: what is left of it, and nothing that the trunk has read.
    assert len(original) == branch.counts(40)["original"]
    assert not set(original[:, 0]) & set(trunk[:, 0])
    assert branch.fingerprint != Mixture(SOURCES, WEIGHTS).fingerprint
    with pytest.raises(ConfigError, match="Place 59 is before this mixture's first, 60"):
        branch.windows(np.array([59]), 0, 10)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_that_is_not_positive_is_refused_by_name(weight):
    with pytest.raises(ConfigError, match="weight of source 'snippets' is"):
        Mixture(SOURCES, WEIGHTS | {"snippets": weight})


def test_a_source_without_a_weight_and_a_negative_start_are_refused():
    with pytest.raises(ConfigError, match="one weight for each source"):
        Mixture(SOURCES, {"original": 1})
    with pytest.raises(ConfigError, match="one weight for each source"):
        Mixture({}, {})
    with pytest.raises(ConfigError, match="none may be negative"):
        Mixture(SOURCES, WEIGHTS, start=-1)
    with pytest.raises(ConfigError, match="none may be negative"):
        Mixture(SOURCES, WEIGHTS, already={"original": -1})


def test_a_source_of_less_than_one_window_is_refused_by_name():
    mixture = Mixture(SOURCES | {"snippets": np.arange(10, dtype=np.uint16)}, WEIGHTS)
    with pytest.raises(ConfigError, match="Source 'snippets' of the mixture: 10 tokens do not fill one window of 10"):
        mixture.windows(np.arange(1), 0, 10)


def test_the_fingerprint_depends_on_weights_and_tokens():
    first = Mixture(SOURCES, WEIGHTS).fingerprint
    assert first == Mixture(SOURCES, {name: 2 * weight for name, weight in WEIGHTS.items()}).fingerprint
    assert first != Mixture(SOURCES, WEIGHTS | {"snippets": 3}).fingerprint
    assert first != Mixture(SOURCES | {"snippets": SOURCES["original"]}, WEIGHTS).fingerprint
