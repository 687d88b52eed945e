"""Merge methods: hand-worked vectors, properties, and plain formulas written a second time with torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sampan.merge.draws import STEPS, draws, stream_key
from sampan.merge.method import GRAINS, Settings
from sampan.merge.methods import METHODS
from sampan.merge.sparsify import keep_steps, magprune, trim_threshold
from sampan.merge.stream import merge_arrays

T1, T2, T3 = [1, -2, 0, 3, -1], [2, 1, 0, -1, -1], [1, 0.5, -1, -1, -1]


def merge(name, models, *, base=None, seed=0, block_size=1 << 17, **knobs):
    models = [np.array(model, np.float32) for model in models]
    base = np.zeros_like(models[0]) if base is None else base
    method = METHODS.load(name)
    models = models[: method.models[1]]
    density, gamma = knobs.pop("density", 1.0), knobs.pop("gamma", 0.05)
    knobs["weights"] = knobs.get("weights", [1.0] * len(models))[: len(models)]
    filled = Settings(
        weights=tuple(knobs.pop("weights")),
        gamma=(gamma,) * len(models),
        density=tuple(density if isinstance(density, list) else [density] * len(models)),
        **knobs,
    )
    return merge_arrays(method, base if method.needs_base else None, models, filled, seed=seed, block_size=block_size)


# SEA-LION v3 merges with weight = density = 1, worked by hand from the definitions: methods, k, models, sum, mean
GOLDEN = [
    (
        ("task_arithmetic", "della_linear", "dare_linear", "breadcrumbs"),
        1,
        (T1, T2),
        [3, -1, 0, 2, -2],
        [1.5, -0.5, 0, 1, -1],
    ),
    (("dare_ties", "ties", "della", "breadcrumbs_ties"), 1, (T1, T2), [3, -2, 0, 3, -2], [1.5, -2, 0, 3, -1]),
    (("consensus_ta",), 1, (T1, T2), [3, -1, 0, 2, 0], [1.5, -0.5, 0, 1, -1]),
    (
        ("task_arithmetic", "della_linear", "dare_linear", "breadcrumbs"),
        1,
        (T1, T2, T3),
        [4, -0.5, -1, 1, -3],
        [4 / 3, -1 / 6, -1 / 3, 1 / 3, -1],
    ),
    (("dare_ties", "ties", "della", "breadcrumbs_ties"), 1, (T1, T2, T3), [4, -2, -1, 3, -3], [4 / 3, -2, -1, 3, -1]),
    (("consensus_ta",), 1, (T1, T2, T3), [0, -0.5, -1, 1, 0], [4 / 3, -1 / 6, -1 / 3, 1 / 3, -1]),
    (("consensus_ta",), 2, (T1, T2, T3), [0, 0, 0, 0, 0], [4 / 3, 0, 0, 0, -1]),
]


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("names", "k", "models", "total", "mean"), GOLDEN)
def test_golden_vectors(names, k, models, total, mean, normalize):
    for name in names:
        got = merge(name, models, k=k, normalize=normalize)
        # float32 thirds and sixths: one rounding of numbers up to 4
        np.testing.assert_allclose(got, mean if normalize else total, rtol=0, atol=5e-7, err_msg=name)


def test_every_method_is_registered_in_full():
    assert set(METHODS) >= {"linear", "task_arithmetic", "ties", "dare_ties", "della_linear", "consensus_ta"}
    for name in METHODS:
        method = METHODS.load(name)
        assert method.paper.startswith(("arXiv:", "Shoemake")), name
        assert method.paper.partition(",")[0] in method.run.__doc__ or method.paper[6:] in method.run.__doc__, name
        assert method.revision >= 1
        assert method.grain in GRAINS
        assert method.run.__name__ == name


DELTA_METHODS = [name for name in METHODS if METHODS.load(name).needs_base]
SYMMETRIC = ["linear", "task_arithmetic", "ties", "consensus_ta"]
RANDOM = ["dare_linear", "dare_ties", "della", "della_linear"]
# integers and halves add up without rounding, so that any order of the models must give equal bits
exact = hnp.arrays(np.float32, (3, 24), elements=st.integers(-8, 8).map(lambda i: i / 2))


@given(models=exact, order=st.permutations(range(3)), normalize=st.booleans(), density=st.sampled_from([1.0, 0.4]))
@settings(max_examples=40, deadline=None)
def test_order_of_models_does_not_matter(models, order, normalize, density):
    weights = [1.0, 2.0, 0.5]
    for name in SYMMETRIC:
        knobs = {"density": density} if name == "ties" else {}
        first = merge(name, models, weights=weights, normalize=normalize, **knobs)
        again = merge(name, models[order], weights=[weights[i] for i in order], normalize=normalize, **knobs)
        assert np.array_equal(first, again), name


@given(
    base=hnp.arrays(np.float32, 20, elements=st.floats(-4, 4, width=32, allow_subnormal=False)),
    normalize=st.booleans(),
    seed=st.integers(),
)
@settings(max_examples=25, deadline=None)
def test_merging_the_base_with_itself_returns_it(base, normalize, seed):
    for name in DELTA_METHODS:
        density = 0.5 if "density" in METHODS.load(name).knobs else 1.0
        got = merge(name, [base, base], base=base, normalize=normalize, seed=seed, density=density)
        assert np.array_equal(got, base), name
    assert np.array_equal(merge("linear", [base, base], normalize=True), base)  # halves are exact


@pytest.mark.parametrize("name", RANDOM)
def test_density_one_draws_nothing_and_less_depends_on_the_seed(name):
    models = np.random.default_rng(0).standard_normal((2, 8, 32), np.float32)
    assert np.array_equal(merge(name, models, seed=1), merge(name, models, seed=2))
    drawn = [merge(name, models, density=0.5, seed=seed) for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_blocks_of_any_size_give_the_same_bits(name):
    models = np.random.default_rng(1).standard_normal((3, 17, 23), np.float32)
    base = np.random.default_rng(2).standard_normal((17, 23), np.float32)
    knobs = {"density": 0.4, "epsilon": 0.1} if "density" in METHODS.load(name).knobs else {}
    whole = merge(name, models, base=base, normalize=True, **knobs)
    for block_size in (1, 7, 64, 100):
        assert np.array_equal(whole, merge(name, models, base=base, normalize=True, block_size=block_size, **knobs))


def test_draws_do_not_depend_on_where_a_block_starts():
    key = stream_key(1, "model.layers.0.weight", 2)
    whole = draws(key, 0, 1000)
    for start, count in [(0, 1), (1, 4), (3, 990), (511, 2), (999, 1), (4, 0)]:
        assert np.array_equal(draws(key, start, count), whole[start : start + count])
    assert len({stream_key(s, t, m) for s in (0, 1) for t in ("a", "b") for m in (0, 1)}) == 8


def test_draws_follow_splitmix64():
    """The published SplitMix64 outputs for seed 1234567 (Rosetta Code's list), low 16 bits first."""
    words = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    expected = [word >> shift & 0xFFFF for word in words for shift in (0, 16, 32, 48)]
    assert draws(1234567, 0, 20).tolist() == expected


def test_draws_are_uniform_and_independent_between_models():
    n = 1 << 18
    a, b = (draws(stream_key(0, "w", model), 0, n).astype(np.float64) / STEPS for model in (0, 1))
    # the mean of n uniforms has standard deviation 1/sqrt(12 n); five of them
    assert abs(a.mean() - 0.5) < 5 / np.sqrt(12 * n)
    # correlation of independent samples and of neighbours: standard deviation 1/sqrt(n)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 5 / np.sqrt(n)
    counts = np.bincount((a * 256).astype(int), minlength=256)
    # chi-squared with 255 degrees of freedom: mean 255, deviation sqrt(510)
    assert ((counts - n / 256) ** 2 / (n / 256)).sum() < 255 + 5 * np.sqrt(510)


@pytest.mark.parametrize("name", ["dare_linear", "della_linear"])
def test_random_drops_are_unbiased(name):
    rng = np.random.default_rng(5)
    deltas = np.sign(rng.standard_normal((2, 16, 32))) * rng.uniform(0.5, 1.5, (2, 16, 32))
    expected = merge("task_arithmetic", deltas)
    seeds, density, epsilon = 400, 0.6, 0.2
    mean = np.mean([merge(name, deltas, density=density, epsilon=epsilon, seed=s) for s in range(seeds)], axis=0)
    # projecting on the expectation averages seeds × 1024 elements of at most variance d² (1/p - 1), p ≥ d - ε = 0.4
    slope = (mean * expected).sum() / (expected**2).sum()
    spread = np.sqrt((1 / 0.4 - 1) * (expected**2 * (deltas**2).sum(0)).sum() / seeds) / (expected**2).sum()
    assert spread < 0.004, "so that five deviations are within 2 %"
    assert abs(slope - 1) < 5 * spread
    # and each element by itself, six deviations for 512 of them
    assert (abs(mean - expected) < 6 * np.sqrt((1 / 0.4 - 1) * (deltas**2).sum(0) / seeds)).all()


def test_dare_keeps_the_density_and_rescales_by_it():
    ones = np.ones((1, 1 << 18), np.float32)
    got = merge("dare_linear", ones, density=0.3)
    steps = round(0.3 * STEPS)
    assert set(np.unique(got)) == {0, np.float32(STEPS / steps)}
    share = np.count_nonzero(got) / got.size
    assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / got.size)  # binomial


def test_della_keeps_each_rank_at_its_rate_in_every_row():
    rows, columns, density, epsilon = 20000, 8, 0.5, 0.3
    rng = np.random.default_rng(0)
    ranks = np.argsort(rng.random((rows, columns)), axis=1)
    signs = rng.choice([-1, 1], (rows, columns))
    deltas = (signs * (1 + ranks) * 10.0 ** rng.integers(-3, 3, (rows, 1))).astype(np.float32)  # ranks are within rows
    kept = merge("della_linear", [deltas], density=density, epsilon=epsilon) / deltas
    for rank in range(columns):
        p = density - epsilon + 2 * epsilon * rank / (columns - 1)
        factors = kept[ranks == rank]
        assert abs((factors != 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / rows), rank
        # probabilities are multiples of 1/65536, hence within 1/(2·65536·0.2) of p, and division rounds
        np.testing.assert_allclose(factors[factors != 0], 1 / p, rtol=5e-5)


def test_della_orders_equal_magnitudes_by_column_and_takes_single_columns():
    assert keep_steps(1, 0.25, 0.1).tolist() == [STEPS // 4]
    all_draws = np.full(6, keep_steps(3, 0.5, 0.2)[1], np.uint16)  # keeps only the ranks above the middle one
    got = magprune(np.array([1, -1, 1, 2, 0, 1], np.float32), 0.5, 0.2, lambda: all_draws, 3)
    assert (np.flatnonzero(got) == [2, 3]).all()


@given(
    delta=hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e3, 1e3, width=32)),
    density=st.floats(0.01, 1),
    block=st.integers(1, 60),
)
@settings(deadline=None)
def test_trim_threshold_is_the_kth_largest_magnitude(delta, density, block):
    def blocks():
        return (delta[i : i + block] for i in range(0, delta.size, block))

    keep = max(1, round(density * delta.size))
    assert trim_threshold(blocks, delta.size, density) == np.sort(np.abs(delta))[::-1][keep - 1]


def plain(name, base, models, weights, density, normalize, lambda_, k):
    """The methods' formulas as one would write them with torch, on whole tensors."""
    import torch

    taus = [torch.from_numpy(model) - torch.from_numpy(base) for model in models]
    w = torch.tensor(weights)
    if name == "ties":
        kept = []
        for tau in taus:
            top = tau.abs().flatten().topk(round(density * tau.numel())).values[-1]
            kept.append(torch.where(tau.abs() >= top, tau, torch.zeros(())))
        taus = kept
    stack = torch.stack([wi * tau for wi, tau in zip(w, taus, strict=True)])
    total = stack.sum(0)
    if name == "task_arithmetic":
        mixed = lambda_ * total / (w.sum() if normalize else 1)
    elif name == "ties":
        elected = torch.where(total >= 0, 1.0, -1.0)
        mask = (torch.sign(stack) == elected).float()
        divisor = (mask * w[:, None, None]).sum(0) if normalize else torch.ones(())
        mixed = lambda_ * (stack * mask).sum(0) / torch.where(divisor.abs() < 1e-8, 1.0, divisor)
    else:
        mixed = total / (w.sum() if normalize else 1)
        votes = sum((tau.abs() > lambda_ * (mixed - tau).abs()).int() for tau in taus)
        mixed = mixed * (votes >= k)
    return base + mixed.numpy()


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", ["task_arithmetic", "ties", "consensus_ta"])
def test_equals_plain_torch_formulas(name, normalize):
    pytest.importorskip("torch")
    rng = np.random.default_rng(11)
    base = rng.standard_normal((40, 30), np.float32)
    models = [base + 0.1 * rng.standard_normal((40, 30), np.float32) for _ in range(3)]
    weights, density, lambda_, k = [0.5, 1.25, 0.75], 0.3, 0.7, 2
    got = merge(
        name,
        models,
        base=base,
        weights=weights,
        normalize=normalize,
        lambda_=lambda_,
        k=k,
        **({"density": density} if name == "ties" else {}),
    )
    expected = plain(name, base, models, weights, density, normalize, lambda_, k)
    # a handful of float32 roundings of numbers below 5; random values make near-ties of votes improbable
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6)


def test_linear_mixes_the_models_themselves():
    models = [[1, 2], [3, 6]]
    assert merge("linear", models, weights=[0.25, 0.75]).tolist() == [2.5, 5]
    assert merge("linear", models, weights=[1, 3], normalize=True).tolist() == [2.5, 5]
    assert merge("linear", models, weights=[1, -1], normalize=True).tolist() == [-2, -4]  # a zero sum divides by 1
