"""Differences over several languages: a translation of a question is no new draw, and a harder language no error."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.artifacts.item_values import Asked, ItemValues
from sampan.artifacts.scores import Score
from sampan.evals.language_groups import gaps
from sampan.evals.statistics import paired, paired_mean

BEFORE, AFTER = [0.0, 0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0, 1.0]
IDS = list("abcde")
EXACT = 1e-12
"""Relative; both sides sum ten numbers in double precision, whose rounding is some 1e-16 each."""
bits = st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=9)


def test_a_test_asked_in_two_languages_is_no_surer_than_in_one():
    one, two = paired(BEFORE, AFTER, IDS), paired_mean([(BEFORE, AFTER, IDS, [])] * 2)
    assert (two.delta, two.clusters) == (one.delta, 5)
    assert two.stderr == pytest.approx(one.stderr, rel=EXACT)


def test_independent_items_make_it_surer():
    one = paired(BEFORE, AFTER, IDS)
    two = paired_mean([(BEFORE, AFTER, IDS, []), (BEFORE, AFTER, list("fghij"), [])])
    # the variance of a mean of two is half; the correction for the mean is G/(G-1): 5/4 of one, 10/9 of two
    assert two.stderr == pytest.approx(one.stderr * math.sqrt(10 / 9 / (5 / 4) / 2), rel=EXACT)


@given(bits, bits)
def test_what_a_language_gains_on_all_its_items_is_no_error(first, second):
    """A constant on all of one language's items moves the mean by half of it and leaves the error."""
    parts = [([0.0] * len(row), row, [f"{n}" for n in range(len(row))], []) for row in (first, second)]
    met = paired_mean(parts)
    moved = paired_mean([parts[0], (parts[1][0], [value + 3 for value in second], *parts[1][2:])])
    assert moved.delta == pytest.approx(met.delta + 1.5, rel=EXACT)
    assert moved.stderr == pytest.approx(met.stderr, abs=1e-9)  # differences of numbers near 3: 1e-15, squared sums


def test_weights_are_those_within_a_language():
    parts = [([0.0] * 3, [1.0, 0.0, 0.0], ["a", "b", "c"], [2.0, 1.0, 1.0]), ([0.0] * 2, [1.0, 1.0], ["d", "e"], [])]
    assert paired_mean(parts).delta == (0.5 + 1.0) / 2


def test_items_without_a_value_are_left_out_of_both():
    found = paired_mean([([0.0, None, 0.0], [1.0, 1.0, None], ["a", "b", "c"], []), (BEFORE, AFTER, IDS, [])])
    assert (found.n, found.delta) == (6, (1.0 + 0.2) / 2)
    assert paired_mean([([None], [1.0], ["a"], []), (BEFORE, AFTER, IDS, [])]) is None


def test_one_item_has_no_error_and_no_entry():
    shared = {"model_digest": "", "task": "t", "language": "tha_Thai", "metric": "acc", "prompt_digest": "d"}
    scores = [
        Score(model=m, value=v, stderr=None, n=1, higher_is_better=True, revision=1, **shared)
        for m, v in (("own", 0.0), ("copy", 1.0))
    ]
    values = [ItemValues(model=row.model, values=[row.value], revision=1, **shared) for row in scores]
    groups = {"Region": ["tha_Thai", "lao_Laoo"], "English": ["eng_Latn"]}
    asked = [Asked("t", "tha_Thai", "d", ["a"], [], [])]
    assert gaps(scores, asked, values, {"copy": "own"}, groups) == []
    assert gaps(scores, [], [], {"copy": "own"}, groups) == [], "figures without an error cannot be compared"
