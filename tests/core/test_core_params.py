"""Params: a typo is an error with a suggestion, only non-defaults enter a key, docs come from the source."""

from __future__ import annotations

from typing import Literal

import pytest

from sampan.core.errors import RecipeError, did_you_mean
from sampan.core.params import describe, non_default, params, parse_params


@params
class Example:
    lr: float = 1e-5
    """Peak learning rate."""
    method: Literal["a", "b"] = "a"
    """Which one."""
    weights: list[float] = None
    """One a model."""
    steps: int
    """How many."""

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError("steps must not be negative")


def parse(**given):
    return parse_params(Example, given, where="x.yaml:7, stage 's'")


def test_typo_names_place_and_nearest_name():
    with pytest.raises(RecipeError, match=r"x\.yaml:7, stage 's'.*no parameter 'metod'.*Did you mean 'method'"):
        parse(metod="a", steps=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [({}, "'steps' is required"), ({"steps": "many"}, "'steps' = 'many'"), ({"steps": 1, "method": "c"}, "'method'"),
     ({"steps": -1}, "must not be negative")],
)  # fmt: skip
def test_wrong_values_are_named(given, says):
    with pytest.raises(RecipeError, match=says):
        parse(**given)


def test_only_non_defaults_enter_the_key():
    assert non_default(parse(steps=3)) == {"steps": 3}
    assert non_default(parse(steps=3, lr=1e-5)) == {"steps": 3}, "writing a default out changes nothing"
    assert non_default(parse(steps=3, lr=2e-5)) == {"steps": 3, "lr": 2e-5}


def test_frozen():
    with pytest.raises(AttributeError):
        parse(steps=1).steps = 2


def test_docs_are_the_strings_below_the_fields():
    rows = {row["name"]: row for row in describe(Example)}
    assert rows["lr"]["doc"] == "Peak learning rate."
    assert rows["steps"]["default"] == "required"


def test_did_you_mean_lists_what_is_known_when_nothing_is_near():
    assert did_you_mean("zzz", ["alpha", "beta"]) == "Known: alpha, beta."
