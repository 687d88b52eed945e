"""Learning rates at the published golden steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.core.errors import RecipeError
from sampan.train.schedules import SCHEDULES, Shape, make_schedule, wsd

SEA_LION = Shape(total=47_684, warmup=4_768, decay=4_768, final=0.01)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0), (2384, 5.0e-6), (4768, 1e-5), (20_000, 1e-5), (42_916, 1e-5), (45_300, 5.05e-6), (47_683, 1.0208e-7)],
)
def test_wsd_golden_values(step, rate):
    # derived from the published figures (SEA-LION v3, arXiv:2504.05747); printed to five digits
    assert 1e-5 * wsd(step, SEA_LION) == pytest.approx(rate, rel=5e-5)
    made = make_schedule("wsd", 47_684, warmup_steps=0, warmup_share=0.1, decay_share=0.1, final=0.01)
    assert made(step) == wsd(step, SEA_LION)


def test_wsd_ends_at_the_final_ratio():
    assert wsd(47_684, SEA_LION) == pytest.approx(0.01, rel=1e-12)


def test_cosine_and_linear_are_half_way_in_the_middle():
    shape = Shape(total=110, warmup=10, decay=0, final=0.2)
    for name in ("cosine", "linear"):
        assert SCHEDULES[name](60, shape) == pytest.approx(0.6)
        assert SCHEDULES[name](110, shape) == pytest.approx(0.2)
    assert SCHEDULES["constant"](109, shape) == 1


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 500), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 1))
def test_rates_stay_between_zero_and_the_peak(name, total, warmup, decay, final):
    rate = make_schedule(name, total, warmup_steps=0, warmup_share=warmup, decay_share=decay, final=final)
    values = [rate(step) for step in range(total)]
    # 1 + rounding of final + (1 - final)
    assert all(0 <= value <= 1 + 1e-12 for value in values)
    peak = values.index(max(values))
    assert values[peak:] == sorted(values[peak:], reverse=True)


def test_shares_that_fit_fit_into_the_shortest_run():
    """Half of 3 steps rounds up to 2, twice."""
    rate = make_schedule("wsd", 3, warmup_steps=0, warmup_share=0.5, decay_share=0.5, final=0)
    assert [rate(step) for step in range(3)] == [0, 0.5, 1]


def test_a_run_too_short_for_its_schedule_is_refused():
    with pytest.raises(RecipeError, match="longer than the run"):
        make_schedule("wsd", 10, warmup_steps=9, warmup_share=0, decay_share=0.5, final=0)
    with pytest.raises(RecipeError, match="Did you mean 'cosine'"):
        make_schedule("cosin", 10, warmup_steps=0, warmup_share=0, decay_share=0, final=0)
