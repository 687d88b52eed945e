"""The search finds known optima: of a law of losses with noise, and of toy languages that tell it by their symmetry."""

import itertools
import json

import numpy as np
import pytest

from sampan.artifacts.mixture import read_mixture
from sampan.core.errors import InputError, RecipeError, StageError
from sampan.core.identity import digest_tree
from sampan.core.params import parse_params
from sampan.train.causal_lm import STAGE as CAUSAL_LM
from sampan.train.causal_lm import Phase
from sampan.train.mixture_optimum import Objective, Region, find_optimum, sample
from sampan.train.mixture_regression import Process, Ridge, fit, rank_correlation
from sampan.train.mixture_search import STAGE
from sampan.train.searching import make_space, proposals, target_weights

GRID_STEP = 0.05
PROXIES = 64
NOISE = 0.002
"""Relative noise of a loss. Runs share their seed and start, so they differ by less than runs from other seeds do."""


def law(count, rng):
    """Data mixing laws (arXiv:2403.16952): every loss falls exponentially with its own language's share, and a little
    with the others'."""
    floor, height = rng.uniform(1.5, 2.5, count), rng.uniform(1, 3, count)
    slopes = np.diag(rng.uniform(3, 8, count)) + rng.uniform(0, 1, (count, count))
    return lambda shares: floor + height * np.exp(-shares @ slopes.T)


def grid(count):
    """All mixtures in steps of GRID_STEP."""
    steps = round(1 / GRID_STEP)
    bars = itertools.combinations(range(steps + count - 1), count - 1)
    return np.array([np.diff([-1, *cuts, steps + count - 1]) - 1 for cuts in bars]) / steps


@pytest.fixture
def known(request):
    """A law, the weights of its losses, and runs with noise."""
    count, seed = request.param
    rng = np.random.default_rng(seed)
    losses, weights = law(count, rng), rng.dirichlet(np.full(count, 5.0))
    region, prior = Region(np.zeros(count), np.ones(count)), np.full(count, 1 / count)
    tried = sample(prior, region, PROXIES, strengths=(0.5, 5), rng=rng)
    seen = losses(tried) * np.exp(NOISE * rng.normal(size=(PROXIES, count)))
    objective = Objective([fit(tried, column) for column in seen.T], weights)
    return losses, weights, region, prior, objective, rng


@pytest.mark.parametrize("known", [(count, seed) for count in (2, 3, 4, 5) for seed in range(3)], indirect=True)
def test_a_known_optimum_is_found_within_one_grid_step(known):
    losses, weights, region, prior, objective, rng = known
    points = grid(len(prior))
    best = points[(losses(points) @ weights).argmin()]
    found = find_optimum(objective, region, prior, prior, strengths=(0.5, 5), redraws=50, rng=rng)
    assert np.abs(found.shares_K - best).max() <= GRID_STEP
    assert found.shares_K.sum() == pytest.approx(1, abs=1e-9)
    assert found.losses_T @ weights == pytest.approx(found.value, abs=1e-12)
    assert (found.interval_2K[0] <= found.shares_K).all()
    assert (found.shares_K <= found.interval_2K[1]).all()
    # against mixtures that no run has seen
    others = sample(prior, region, 200, strengths=(0.5, 5), rng=rng)
    assert rank_correlation(objective.value(others), losses(others) @ weights) > 0.97


@pytest.mark.parametrize("known", [(3, 1)], indirect=True)
def test_limits_are_kept_and_the_best_of_what_is_allowed_is_found(known):
    losses, weights, _, prior, objective, rng = known
    region = Region(np.array([0.0, 0.0, 0.5]), np.array([0.2, 1.0, 1.0]))
    points = grid(3)[(region.low <= grid(3)).all(1) & (grid(3) <= region.high).all(1)]
    best = points[(losses(points) @ weights).argmin()]
    found = find_optimum(objective, region, prior, prior, strengths=(0.5, 5), redraws=50, rng=rng)
    assert np.abs(found.shares_K - best).max() <= GRID_STEP
    assert (found.interval_2K >= region.low - 1e-9).all()
    assert (found.interval_2K <= region.high + 1e-9).all()


def test_intervals_widen_with_noise():
    widths = []
    for noise in (0.0005, 0.02):
        rng = np.random.default_rng(0)
        losses, region, prior = law(3, rng), Region(np.zeros(3), np.ones(3)), np.full(3, 1 / 3)
        tried = sample(prior, region, 32, strengths=(0.5, 5), rng=rng)
        seen = losses(tried) * np.exp(noise * rng.normal(size=(32, 3)))
        objective = Objective([fit(tried, column) for column in seen.T], prior)
        found = find_optimum(objective, region, prior, prior, strengths=(0.5, 5), redraws=100, rng=rng)
        widths.append((found.interval_2K[1] - found.interval_2K[0]).mean())
    assert widths[1] > 3 * widths[0]


@pytest.mark.parametrize("kind", [Ridge, Process])
def test_leaving_one_out_in_closed_form_is_leaving_it_out(kind):
    """With the settings kept: the prediction for a run from all others, by solving again without it."""
    rng = np.random.default_rng(0)
    shares, losses = rng.dirichlet(np.ones(3), 20), rng.normal(size=20)
    smoother = kind(shares, losses)
    if kind is Ridge:
        design = (smoother.basis(shares)[:, :-1], np.ones((20, 1)))
        design, penalty = np.concatenate(design, axis=1), np.diag([smoother._penalty] * 9 + [0.0])
        for left in (0, 7):
            others = np.delete(np.arange(20), left)
            a, b = design[others], losses[others]
            expected = design[left] @ np.linalg.solve(a.T @ a + penalty, a.T @ b)
            assert smoother.loo_P[left] == pytest.approx(expected, abs=1e-9)
    else:
        whole, mean = np.linalg.inv(smoother._inverse), losses.mean()
        for left in (0, 7):
            others = np.delete(np.arange(20), left)
            inner, row = whole[np.ix_(others, others)], whole[left, others]
            expected = mean + row @ np.linalg.solve(inner, losses[others] - mean)
            assert smoother.loo_P[left] == pytest.approx(expected, abs=1e-6)


def test_rank_correlation_is_spearmans():
    assert rank_correlation(np.array([1, 2, 3, 4.0]), np.array([1, 3, 2, 9.0])) == pytest.approx(0.8)
    assert rank_correlation(np.array([1, 1, 2.0]), np.array([3, 3, 9.0])) == pytest.approx(1)
    assert rank_correlation(np.ones(3), np.arange(3.0)) == 0


def test_the_nearest_allowed_mixture_is_allowed_and_leaves_allowed_ones_alone():
    rng = np.random.default_rng(0)
    region = Region(np.array([0.1, 0, 0, 0.2]), np.array([0.3, 0.5, 1, 1]))
    near = region.nearest(rng.normal(size=(100, 4)))
    assert np.allclose(near.sum(1), 1, atol=1e-9)
    assert (near >= region.low).all()
    assert (near <= region.high).all()
    assert np.allclose(region.nearest(near), near, atol=1e-9)


TOKENS = {"0/tha_Thai": 900, "0/lao_Laoo": 100, "1/eng_Latn": 1000}


def space(**values):
    return make_space(parse_params(STAGE.params, {"global_batch_tokens": 1000, **values}, where="test"), TOKENS)


def test_the_space_knows_tokens_limits_and_floors():
    found = space(streams=["0/*", "eng_Latn"], budget=4000, max_epochs=3, min_shares={"eng_Latn": 0.3})
    assert found.tokens_K.tolist() == [1000, 1000]
    assert found.region.high.tolist() == [0.75, 0.75]
    assert found.region.low.tolist() == [0, 0.3]
    # a tenth of the first key's share is Lao's, which needs two tokens of a step
    assert found.visible_K == pytest.approx([0.02, 0.002])
    params = STAGE.params(num_proxies=50, global_batch_tokens=1000)
    tried = proposals(params, space(), np.random.default_rng(0))
    assert tried[0] == pytest.approx([0.45, 0.05, 0.5])
    assert ((tried == 0) | (tried >= 0.002)).all()
    assert np.allclose(tried.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"streams": ["tha_Tha"]}, "Did you mean 'tha_Thai'"),
        ({"streams": ["0/*", "tha_Thai"]}, "0/tha_Thai is in both"),
        ({"budget": 10_000, "max_epochs": 4}, "between 0 and 0.8, so never to 1"),
        ({"min_shares": {"0/tha_Thai": 0.6, "1/eng_Latn": 0.6}}, "between 1.2 and 3"),
        ({"min_shares": {"0/lao_Laoo": 0.2}, "max_shares": {"0/lao_Laoo": 0.1}}, "at least 0.2 and at most 0.1"),
        ({"min_shares": {"0/lao": 0.2}}, "Did you mean '0/lao_Laoo'"),
        ({"num_proxies": 3}, "num_proxies must be at least 4"),
        ({"min_strength": 9}, "at most max_strength"),
        ({"targets": {"x": -1}}, "targets must be 0 or more"),
    ],
)
def test_a_search_that_cannot_be_is_refused(values, says):
    with pytest.raises(RecipeError, match=says):
        space(**values)


def test_targets_are_weighed_by_key():
    names = ["0/tha_Thai", "0/lao_Laoo", "1/eng_Latn"]
    assert target_weights({}, names) == pytest.approx(dict.fromkeys(names, 1 / 3))
    assert target_weights({"0/*": 3, "eng_Latn": 1}, names) == pytest.approx(
        dict(zip(names, (0.375, 0.375, 0.25), strict=True))
    )
    assert target_weights({"lao_Laoo": 1}, names) == {"0/lao_Laoo": 1}
    with pytest.raises(RecipeError, match="Did you mean 'lao_Laoo'"):
        target_weights({"lao_Lao": 1}, names)
    with pytest.raises(RecipeError, match="weight 0"):
        target_weights({"lao_Laoo": 0}, names)


@pytest.fixture(scope="module")
def languages(make_shards, tmp_path_factory):
    """Two languages that are one but for their letters, and noise that no target asks for."""
    rng = np.random.default_rng(0)
    follows = rng.permutation(40)

    def text(low):
        walk = [int(rng.integers(40))]
        while len(walk) < 24:
            walk.append(int(follows[walk[-1]] if rng.random() < 0.8 else rng.integers(40)))
        return [1, *(low + letter for letter in walk)]

    base = tmp_path_factory.mktemp("toy")
    train = {"tha_Thai": [text(100) for _ in range(200)], "lao_Laoo": [text(200) for _ in range(200)]}
    train["zxx_Zyyy"] = [[1, *rng.integers(300, 355, 24).tolist()] for _ in range(200)]
    held_out = {"tha_Thai": [text(100) for _ in range(40)], "lao_Laoo": [text(200) for _ in range(40)]}
    return make_shards(base / "train", train), make_shards(base / "held-out", held_out)


SMALL = {"context_len": 32, "micro_batch_tokens": 512, "lr": 1e-2, "eps": 1e-8, "global_batch_tokens": 512}


@pytest.fixture
def search(tiny, languages, run_stage):
    def run(name="run", **values):
        train, held_out = languages
        given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [train]), "held_out": ("tokens", [held_out])}
        return run_stage(STAGE, given, name, **{**SMALL, "num_proxies": 16, "num_tokens": 8192, **values})

    return run


def test_toy_languages_get_their_shares(search, tiny, languages, run_stage):
    """By symmetry the two languages share alike, and noise that no target holds gets nothing."""
    metrics, out = search()
    found = read_mixture(out)
    expected = {"0/tha_Thai": 0.5, "0/lao_Laoo": 0.5, "0/zxx_Zyyy": 0.0}
    assert found == pytest.approx(expected, abs=GRID_STEP)
    assert metrics["loo_rank_correlation"] > 0.9
    table = json.loads((out / "mixture.json").read_text())
    assert len(table["runs"]) == 16
    assert all(row["low"] <= row["share"] <= row["high"] for row in table["weights"].values())
    # an even three-way split is what the tokens would give: better than that, and than every run
    assert metrics["predicted_difference"]["high"] < 0
    assert table["objective"]["predicted"] < table["objective"]["best_run"] + 0.02
    assert (out / "mixture.svg").read_text().count("<rect") == 3

    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [languages[0]]), "mixture": ("mixture", [out])}
    trained, _ = run_stage(CAUSAL_LM, given, "follow", **{**SMALL, "num_tokens": 1024})
    # a stream is off by less than a token of 1024, and shares are printed to four digits
    total = sum(found.values())
    shares = {name: share / total for name, share in found.items() if share}
    assert trained["mixture"] == pytest.approx(shares, abs=2e-3)
    with pytest.raises(RecipeError, match="given twice"):
        run_stage(CAUSAL_LM, given, "twice", **SMALL, mixture=(Phase(until=1.0, weights={"tha_Thai": 1}),))


def test_a_search_broken_off_goes_on_within_its_run_and_ends_with_the_same_bytes(search, monkeypatch, tmp_path):
    from sampan.train import stepping

    small = {"num_proxies": 5, "num_tokens": 2048, "redraws": 10}
    expected = digest_tree(search("whole", **small)[1])
    steps = []
    step = stepping.Stepper.step

    def counted(self, *rest):
        steps.append(0)
        if len(steps) == 11:  # in the third step of the third run
            raise KeyboardInterrupt
        step(self, *rest)

    monkeypatch.setattr(stepping.Stepper, "step", counted)
    with pytest.raises(KeyboardInterrupt):
        search("broken", **small, checkpoint_seconds=0)
    assert len(list((tmp_path / "broken-state" / "proxies").glob("*/facts.json"))) == 2
    _, out = search("broken", fresh_out=False, **small, checkpoint_seconds=0)
    assert digest_tree(out) == expected
    # five runs of four steps, and the one that broke off is done again
    assert len(steps) == 21
    assert not list((tmp_path / "broken-state" / "runs").iterdir())


def test_foreign_inputs_and_names_are_refused_before_any_run(search, make_shards, tiny, languages, run_stage, tmp_path):
    with pytest.raises(RecipeError, match="no stream 'tha_Tha'"):
        search("names", streams=("tha_Tha",))
    with pytest.raises(RecipeError, match="no held-out stream 'zxx_Zyyy'"):
        search("targets", targets={"zxx_Zyyy": 1})
    other = make_shards(tmp_path / "other", {"tha_Thai": [[1, 2, 3]]}, digest="f" * 64)
    given = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [languages[0]]), "held_out": ("tokens", [other])}
    with pytest.raises(StageError, match="another tokenizer"):
        run_stage(STAGE, given, "other", **SMALL)
    assert not (tmp_path / "other-state" / "proxies").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "not a mixture"),
        ('{"weights": {"a": "x"}}', "not a mixture"),
        ('{"weights": {"a": -1}}', "'a' is not a number of 0 or more"),
        ('{"weights": {"a": NaN}}', "'a' is not a number"),
        ('{"weights": {}}', "no weight"),
    ],
)
def test_a_file_that_is_no_mixture_is_refused(tmp_path, text, says):
    (tmp_path / "mixture.json").write_text(text)
    for path in (tmp_path, tmp_path / "mixture.json"):
        with pytest.raises(InputError, match=says):
            read_mixture(path)


def test_a_mixture_written_by_hand_is_read(tmp_path):
    (tmp_path / "ours.json").write_text('{"weights": {"tha_Thai": 3, "0/*": 1}}')
    assert read_mixture(tmp_path / "ours.json") == {"tha_Thai": 3, "0/*": 1}


def test_the_forecast_counts_every_run():
    facts = {"model": [{"parameters": 1e6}], "tokens": [{"tokens": 1e9}], "held_out": [{"tokens": 1e6}]}
    forecast = STAGE.estimate(STAGE.params(num_proxies=100, num_tokens=1e7, held_out_tokens=1), facts)
    one = CAUSAL_LM.estimate(CAUSAL_LM.params(num_tokens=1e7), facts)
    assert forecast["flops"] == pytest.approx(100 * one["flops"], rel=1e-6)
    assert forecast["memory_bytes"] == one["memory_bytes"]
