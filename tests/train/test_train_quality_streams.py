"""A mixture's keys reach the streams of a language's quality buckets."""

import pytest

from sampan.core.errors import RecipeError
from sampan.train.mixture import make_mixture

TOKENS = {"0/tha_Thai/high": 300, "0/tha_Thai/low": 100, "0/lao_Laoo/high": 200, "1/eng_Latn": 400}


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ({"tha_Thai/high": 1}, [1, 0, 0, 0]),
        ({"tha_Thai": 1}, [0.75, 0.25, 0, 0]),
        ({"0/tha_Thai": 1}, [0.75, 0.25, 0, 0]),
        ({"*/high": 1}, [0.6, 0, 0.4, 0]),
        ({"0/*/high": 1, "1/*": 1}, [0.3, 0, 0.2, 0.5]),
        ({"0/*": 3, "eng_Latn": 1}, [0.375, 0.125, 0.25, 0.25]),
    ],
)
def test_keys(weights, shares):
    mixture = make_mixture([(1.0, weights)], TOKENS, steps=1, tokens_per_step=1000)
    # A stream may get one token less: shares are floats and cuts are rounded down.
    assert mixture.before(1) == pytest.approx([1000 * share for share in shares], abs=1)


def test_stages_by_quality():
    """High first, low later, high again: the order of SeaLLMs' curriculum."""
    phases = [(0.4, {"*/high": 1}), (0.8, {"*/high": 1, "*/low": 1}), (1.0, {"*/high": 1})]
    mixture = make_mixture(phases, TOKENS, steps=10, tokens_per_step=100)
    low = [mixture.before(step + 1)[1] - mixture.before(step)[1] for step in range(10)]
    assert low == [0, 0, 0, 0, 50, 50, 50, 50, 0, 0]


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"tha_Thai": 1, "*/high": 1}, "weighted by both"),
        ({"tha_Thai/hihg": 1}, "Did you mean 'tha_Thai/high'"),
        ({"*/": 1}, "no stream"),
    ],
)
def test_wrong_keys(weights, says):
    with pytest.raises(RecipeError, match=says):
        make_mixture([(1.0, weights)], TOKENS, steps=1, tokens_per_step=1000)
