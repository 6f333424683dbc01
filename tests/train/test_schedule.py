import math

import pytest
import torch

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.schedule import WSD, ScheduleError, wsd_lr

# Ten steps: four of warm-up, three constant, three of decay by a factor of 1000, so 10 a step.
PLAN = WSD(num_steps=10, num_warmup=4, num_decay=3, peak=1.0, final=0.001)


def test_warm_up_rises_evenly_then_the_rate_stays_then_falls_by_one_factor_a_step():
    rates = wsd_lr(torch.arange(10), PLAN)
    by_hand = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 0.1, 0.01, 0.001]
    assert rates.tolist() == pytest.approx(by_hand, rel=1e-12)


def test_the_papers_rates_are_met_at_the_ends_of_the_phases():
    plan = WSD(num_steps=1_000, num_warmup=100, num_decay=200, peak=3e-4, final=1e-5)
    assert float(wsd_lr(torch.tensor([99]), plan)) == pytest.approx(3e-4)
    assert float(wsd_lr(torch.tensor([799]), plan)) == pytest.approx(3e-4)
    assert float(wsd_lr(torch.tensor([999]), plan)) == pytest.approx(1e-5)
    halfway = float(wsd_lr(torch.tensor([899]), plan))
    assert halfway == pytest.approx(math.sqrt(3e-4 * 1e-5)), "exponential decay is at the geometric mean half-way"


def test_a_plan_that_ends_at_its_peak_never_decays():
    plan = WSD(num_steps=6, num_warmup=2, num_decay=4, peak=0.5, final=0.5)
    assert wsd_lr(torch.arange(6), plan).tolist() == [0.25, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_without_warm_up_the_first_step_has_the_peak_rate():
    assert float(wsd_lr(torch.tensor([0]), WSD(5, 0, 0, 0.1, 0.01))) == pytest.approx(0.1)


def test_overlapping_phases_are_refused_with_the_sum():
    with pytest.raises(ScheduleError, match=r"\(6 steps\) and decay \(5\) overlap: together 11 of 10"):
        WSD(num_steps=10, num_warmup=6, num_decay=5, peak=1.0, final=0.1)


@pytest.mark.parametrize(
    ("peak", "final"), [(1.0, 2.0), (1.0, 0.0), (-1.0, -2.0), (float("nan"), 0.1), (float("inf"), 0.1)]
)
def test_rates_that_do_not_fall_are_refused(peak, final):
    with pytest.raises(ScheduleError, match="0 < final <= peak"):
        WSD(10, 1, 1, peak, final)


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_the_plan_is_refused(step):
    with pytest.raises(ScheduleError, match="0 to 9"):
        wsd_lr(torch.tensor([step]), PLAN)


def test_a_schedule_error_is_a_wrong_setting():
    assert issubclass(ScheduleError, ConfigError)


# Peak 1, final 0.2, decay of four steps: after each, a quarter, a half, three quarters and all of it are done.
@pytest.mark.parametrize(
    ("shape", "by_hand"),
    [
        ("exponential", [0.2**0.25, 0.2**0.5, 0.2**0.75, 0.2]),
        ("linear", [0.8, 0.6, 0.4, 0.2]),
        ("cosine", [0.2 + 0.4 * (1 + 0.5**0.5), 0.6, 0.2 + 0.4 * (1 - 0.5**0.5), 0.2]),
        ("1-sqrt", [0.6, 1 - 0.8 * 0.5**0.5, 1 - 0.8 * 0.75**0.5, 0.2]),
    ],
)
def test_each_shape_of_decay_goes_from_peak_to_final_along_its_own_curve(shape, by_hand):
    plan = WSD(num_steps=6, num_warmup=1, num_decay=4, peak=1.0, final=0.2, shape=shape)
    assert wsd_lr(torch.arange(6), plan).tolist() == pytest.approx([1.0, 1.0, *by_hand], rel=1e-12)


def test_the_rate_of_a_step_does_not_depend_on_the_steps_asked_for_with_it():
    plan = WSD(num_steps=10, num_warmup=2, num_decay=5, peak=0.3, final=0.01, shape="cosine")
    alone = [float(wsd_lr(torch.tensor([step]), plan)) for step in range(10)]
    assert wsd_lr(torch.arange(10), plan).tolist() == alone


def test_an_unknown_shape_of_decay_is_answered_with_the_near_one():
    with pytest.raises(ScheduleError, match=r"no decay of shape 'cosin'\. Did you mean cosine"):
        WSD(10, 1, 1, 0.1, 0.01, shape="cosin")
