"""Standard errors, paired tests and intervals: by hand, by identities, and by how often intervals hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.evals.marks import mean, of_sums, share
from sampan.evals.statistics import (
    clustered_error,
    interval,
    item_means,
    jackknife,
    over_runs,
    paired,
    t_quantile,
    t_tail,
)

TRIALS = 3000
"""Simulated experiments: their share of hits has a standard error of sqrt(0.95·0.05/3000) = 0.40 %, so a true 95 %
lies within 94 to 96 % with 98.8 %; the seeds are fixed."""


def singles(values):
    return [str(n) for n in range(len(values))]


def covers(value, error, clusters, truth):
    low, high = interval(value, error, clusters)
    return low <= truth <= high


def test_evals_coverage_of_independent_items():
    draw = np.random.default_rng(11)
    hits = 0
    for _ in range(TRIALS):
        right = (draw.random(200) < 0.6).tolist()
        mark = share("acc", right)
        hits += covers(mark.value, mark.stderr, 200, 0.6)
    assert 0.94 <= hits / TRIALS <= 0.96


def test_evals_coverage_of_clustered_items():
    """60 passages of 1 to 8 questions of shared difficulty: the clustered interval holds, the plain one fails."""
    draw = np.random.default_rng(12)
    hits = plain_hits = 0
    for _ in range(TRIALS):
        sizes = draw.integers(1, 9, 60)
        names = np.repeat(np.arange(60), sizes).astype(str).tolist()
        ease = np.repeat(draw.normal(0, 1, 60), sizes)
        values = (ease + draw.normal(0, 1, sizes.sum()) > 0).astype(float).tolist()
        value = sum(values) / len(values)
        hits += covers(value, clustered_error(values, names), 60, 0.5)
        plain_hits += covers(value, clustered_error(values, singles(values)), len(values), 0.5)
    assert 0.94 <= hits / TRIALS <= 0.96
    assert plain_hits / TRIALS < 0.85


def test_evals_coverage_of_paired_differences():
    draw = np.random.default_rng(13)
    hits = false_alarms = 0
    for _ in range(TRIALS):
        ease = np.repeat(draw.normal(0, 1, 80), 3)
        names = np.repeat(np.arange(80), 3).astype(str).tolist()
        before, after = (ease + draw.normal(0, 0.5, 240) for _ in "ab")
        found = paired(before.tolist(), after.tolist(), names)
        hits += found.low <= 0 <= found.high
        false_alarms += found.p_value < 0.05
    assert 0.94 <= hits / TRIALS <= 0.96
    assert 0.04 <= false_alarms / TRIALS <= 0.06


def test_evals_coverage_of_a_ratio_by_jackknife():
    """A figure of sums (as chrF is one): pseudo-values give intervals that hold."""
    draw = np.random.default_rng(14)
    hits = 0
    for _ in range(1500):  # its standard error is 0.56 %: the bounds below are three of them
        base = draw.gamma(4, 1, 80)
        rows = np.stack([base * draw.uniform(0.2, 0.8, 80), base], 1).tolist()
        mark = of_sums("ratio", rows, lambda sums: sums[0] / sums[1])
        hits += covers(mark.value, mark.stderr, 80, 0.5)
    assert 0.933 <= hits / 1500 <= 0.967


def test_evals_share_equals_the_clustered_error_of_single_items():
    right = [True, False, True, True, False, True, True]
    assert share("acc", right).stderr == pytest.approx(clustered_error(right, singles(right)), rel=1e-12)
    assert share("acc", right, singles(right)).stderr == share("acc", right).stderr


def test_evals_clustered_error_by_hand():
    # mean 0.5; residual sums +1 and -1 over two clusters: sqrt(2/1 · 2) / 4.
    assert clustered_error([1, 1, 0, 0], ["a", "a", "b", "b"]) == pytest.approx(math.sqrt(2 * 2) / 4)
    assert clustered_error([1, 0], ["a", "a"]) is None
    # Weighted, one to a cluster: the ratio estimator's error. R = 4/3; residuals ±2/3.
    assert clustered_error([2, 1], ["a", "b"], [1, 2]) == pytest.approx(math.sqrt(2 * (8 / 9)) / 3)
    with pytest.raises(ValueError, match="2 values but 1 clusters"):
        clustered_error([1, 2], ["a"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=30), st.integers(2, 4))
def test_evals_copying_items_inside_clusters_changes_nothing(values, times):
    """An answer counted `times` times within its cluster is no new evidence."""
    once = clustered_error(values, singles(values))
    many = clustered_error(values * times, singles(values) * times)
    assert many == pytest.approx(once, rel=1e-9, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_evals_jackknife_of_a_mean_is_the_values(values):
    whole, pseudo = jackknife([[value, 1.0] for value in values], lambda sums: sums[0] / sums[1])
    assert whole == pytest.approx(sum(values) / len(values), abs=1e-9)
    assert pseudo == pytest.approx(values, abs=1e-7)


def test_evals_student_t_by_table():
    # Tables of Student's t: two-sided 95 %.
    for freedom, value in ((1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (30, 2.0423), (1000, 1.9623)):
        assert t_quantile(0.975, freedom) == pytest.approx(value, abs=5e-5)
        assert t_tail(value, freedom) == pytest.approx(0.025, abs=1e-5)


def test_evals_paired_by_hand():
    found = paired([0, 0, 1, None], [1, 0, 1, 1], ["a", "b", "c", "d"])
    assert (found.n, found.clusters) == (3, 3)
    assert found.delta == pytest.approx(1 / 3)
    assert found.stderr == pytest.approx(1 / 3)  # sd of (1, 0, 0) over √3
    assert found.low < 0 < found.high
    assert paired([None], [1.0], ["a"]) is None
    assert paired([1, 0], [1, 0], ["a", "b"]).p_value == 1
    assert paired([0, 0], [1, 1], ["a", "b"]).p_value == 0
    with pytest.raises(ValueError, match="same items"):
        paired([1], [1, 2], ["a"])


def test_evals_pairing_removes_what_items_share():
    draw = np.random.default_rng(3)
    ease = draw.normal(0, 5, 300)
    before, after = ease + draw.normal(0, 0.1, 300), ease + 0.1 + draw.normal(0, 0.1, 300)
    found = paired(before.tolist(), after.tolist(), singles(ease))
    alone = math.hypot(*(clustered_error(x.tolist(), singles(ease)) for x in (before, after)))
    assert found.low > 0
    assert alone > 20 * found.stderr


def test_evals_runs():
    assert over_runs([1, 2, 3]) == (2, pytest.approx(1 / math.sqrt(3)))
    assert over_runs([0.5]) == (0.5, None)
    assert item_means([[1, 0], [0, 0]]) == [0.5, 0]


def test_evals_mean_has_values_and_error():
    mark = mean("f1", [0.5, 1.0, 0.0])
    assert mark.value == 0.5
    assert mark.stderr == pytest.approx(0.5 / math.sqrt(3))
    assert mark.values == (0.5, 1.0, 0.0)
