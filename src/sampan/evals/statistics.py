"""How sure a figure is, and whether two checkpoints differ.

Items about one passage go together, so the unit that counts is the cluster (Miller, arXiv:2411.00640, section 2.2): the
residuals are summed within each. Two checkpoints that were asked the same items are compared item by item (section
4.2), which takes out how hard the items are. With few clusters the normal distribution is too sure of itself:
intervals and p-values use Student's t with clusters - 1 degrees of freedom.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def clustered_error(
    values: Sequence[float], clusters: Sequence[str], weights: Sequence[float] | None = None
) -> float | None:
    """Standard error of the (weighted) mean; None with fewer than two clusters.

    sqrt(G/(G-1) · Σ_g (Σ_{i in g} w_i (x_i - mean))²) / Σw over G clusters. One item to a cluster gives the sample's
    standard error s/√n; unequal clusters and weights give the linearised error of a ratio (Cochran 1977, section 6.3).
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values but {len(clusters)} clusters")
    weights = weights or [1.0] * len(values)
    total = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, values, strict=True)) / total
    sums: dict[str, float] = {}
    for x, w, cluster in zip(values, weights, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + w * (x - mean)
    count = len(sums)
    if count < 2:
        return None
    return math.sqrt(count / (count - 1) * math.fsum(s * s for s in sums.values())) / total


def interval(value: float, error: float, clusters: int, level: float = 0.95) -> tuple[float, float]:
    """The two-sided confidence interval of a mean by Student's t."""
    reach = t_quantile((1 + level) / 2, clusters - 1) * error
    return value - reach, value + reach


def jackknife(rows: Sequence[Sequence[float]], figure: Callable[[Sequence[float]], float]) -> tuple[float, list[float]]:
    """A figure of the summed rows, and its pseudo-values n·θ - (n-1)·θ(without row i), whose mean has θ's error."""
    sums = [math.fsum(column) for column in zip(*rows, strict=True)]
    whole, count = figure(sums), len(rows)
    if count == 1:
        return whole, [whole]
    without = (figure([s - x for s, x in zip(sums, row, strict=True)]) for row in rows)
    return whole, [count * whole - (count - 1) * value for value in without]


@dataclass(frozen=True, slots=True)
class Difference:
    """Child minus parent over the same items; `low` and `high` bound it with 95 % confidence."""

    delta: float
    stderr: float
    low: float
    high: float
    p_value: float
    n: int
    clusters: int


def paired(
    parent: Sequence[float | None],
    child: Sequence[float | None],
    clusters: Sequence[str],
    weights: Sequence[float] = (),
    *,
    level: float = 0.95,
) -> Difference | None:
    """The difference of two checkpoints on the items that both gave a value for; None with fewer than two clusters."""
    return paired_mean([(parent, child, clusters, weights)], level=level)


Part = tuple[Sequence[float | None], Sequence[float | None], Sequence[str], Sequence[float]]
"""One test's values of the parent and of the child, and its clusters and weights (empty: all alike)."""


def paired_mean(parts: Sequence[Part], *, level: float = 0.95) -> Difference | None:
    """The mean of the differences in several tests, such as one in several languages, each test counting alike.

    None with fewer than two clusters. The tests are a fixed choice, so items are compared with their own test's mean.
    Clusters of one name go together over all tests: translations of a question are as good as one draw of it, and
    where equal names are chance the error is as right, with fewer clusters.
    """
    deltas: list[float] = []
    rest: list[float] = []
    shares: list[float] = []
    names: list[str] = []
    for parent, child, clusters, weights in parts:
        if not len(parent) == len(child) == len(clusters):
            raise ValueError("parent, child and clusters must name the same items")
        both = [n for n in range(len(parent)) if parent[n] is not None and child[n] is not None]
        if not both:
            return None
        used = [weights[n] for n in both] if weights else [1.0] * len(both)
        gaps = [child[n] - parent[n] for n in both]
        total = math.fsum(used)
        deltas.append(math.fsum(w * g for w, g in zip(used, gaps, strict=True)) / total)
        rest += [gap - deltas[-1] for gap in gaps]
        shares += [w / total for w in used]
        names += [clusters[n] for n in both]
    delta, count = math.fsum(deltas) / len(deltas), len(set(names))
    error = clustered_error(rest, names, shares)
    if error is None:
        return None
    low, high = interval(delta, error, count, level)
    p_value = 2 * t_tail(abs(delta) / error, count - 1) if error > 0 else float(delta == 0)
    return Difference(delta, error, low, high, p_value, len(names), count)


def over_runs(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean of repeated runs of one evaluation and its standard error over runs; None for one run.

    This is how much decoding and seeds matter; it says nothing about the choice of items.
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    spread = math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1)
    return mean, math.sqrt(spread / len(values))


@dataclass(frozen=True, slots=True)
class Repeated:
    """The mean of a figure over runs that differ by chance; `low` and `high` bound it with 95 % confidence."""

    mean: float
    of_runs: float | None
    """Standard error over the runs; None for one run, whose interval is of its items alone."""
    of_items: float
    """Standard error that each run's own error leaves in the mean."""
    stderr: float
    low: float
    high: float


def repeated(values: Sequence[float], errors: Sequence[float], clusters: Sequence[int]) -> Repeated:
    """The mean of runs, each with its error over so many clusters of its own items.

    Both errors are put together as the root of the sum of their squares, which is too large rather than too small where
    runs have items of their own, since their spread holds the items' chance already. Degrees of freedom are
    Welch's and Satterthwaite's, so that few runs make the interval wide where the runs differ.
    """
    mean, of_runs = over_runs(values)
    if of_runs is None:
        return Repeated(mean, None, errors[0], errors[0], *interval(mean, errors[0], clusters[0]))
    count = len(values)
    of_items = math.hypot(*errors) / count
    parts = [
        (of_runs, count - 1),
        *((error / count, number - 1) for error, number in zip(errors, clusters, strict=True)),
    ]
    stderr = math.hypot(of_runs, of_items)
    spread = math.fsum(error**4 / freedom for error, freedom in parts)
    freedom = int(stderr**4 / spread + 1e-9) if spread > 0 else count - 1
    low, high = interval(mean, stderr, max(1, freedom) + 1)
    return Repeated(mean, of_runs, of_items, stderr, low, high)


def item_means(runs: Sequence[Sequence[float]]) -> list[float]:
    """Each item's mean over runs: their clustered error covers items and decoding both (Miller, section 3.1)."""
    return [math.fsum(column) / len(column) for column in zip(*runs, strict=True)]


def t_tail(t: float, freedom: int) -> float:
    """P(T > t) of Student's t for t ≥ 0."""
    return 0.5 * _beta_share(freedom / (freedom + t * t), freedom / 2, 0.5)


@functools.lru_cache(maxsize=1024)
def t_quantile(share: float, freedom: int) -> float:
    """The t that leaves 1 - `share` above it, for 0.5 < share < 1, by bisection."""
    low, high = 0.0, 1.0
    while t_tail(high, freedom) > 1 - share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, freedom) > 1 - share else (low, middle)
    return (low + high) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    out = d
    for m in range(1, 300):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + step * d
            c = 1 + step / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            out *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * out / a
