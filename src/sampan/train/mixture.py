"""Which stream every token of a run comes from: exact shares in whole steps, changing by phase, as pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from ..core.errors import RecipeError, did_you_mean

MIN_TOKENS_PER_STEP = 2
"""A stream with any weight must get this many tokens in a step, or its span could not be told exactly."""


@dataclass(frozen=True)
class _Phase:
    first: int
    """First step."""
    base: tuple[int, ...]
    """Tokens of each stream before it."""
    edges: tuple[Fraction, ...]
    """Cumulative shares, from 0 to 1."""


class Mixture:
    """How many tokens of each stream are used before step t, for every t."""

    def __init__(self, phases: Sequence[tuple[int, Sequence[float]]], tokens_per_step: int) -> None:
        """`phases`: (first step, weight of each stream), in order, the first at step 0; weights need not sum to 1."""
        self.tokens_per_step = tokens_per_step
        self._phases: list[_Phase] = []
        for first, weights in phases:
            base = self.before(first) if self._phases else tuple(0 for _ in weights)
            exact = [Fraction(weight) for weight in weights]
            edges = [Fraction(0), *accumulate(weight / sum(exact) for weight in exact)]
            self._phases.append(_Phase(first, base, tuple(edges)))

    def before(self, step: int, *, short: int = 0) -> tuple[int, ...]:
        """Tokens of each stream in steps 0 … step - 1; they sum to step × tokens_per_step, less `short`, the tokens
        that the last of these steps does without."""
        phase = [p for p in self._phases if p.first <= (step - 1 if short else step)][-1]
        used = (step - phase.first) * self.tokens_per_step - short
        cuts = [(edge.numerator * used) // edge.denominator for edge in phase.edges]
        return tuple(base + high - low for base, (low, high) in zip(phase.base, pairwise(cuts), strict=True))


def check_phases(phases: Sequence[tuple[float, Mapping[str, float]]]) -> None:
    """RecipeError unless these (until, weights) follow each other to the end of the run, each with a weight above 0."""
    last = 0.0
    for number, (until, weights) in enumerate(phases, 1):
        where = f"mixture, phase {number}"
        if not last < until <= 1:
            raise RecipeError(f"`until` = {until} must be above {last} and at most 1", where=where)
        for key, weight in weights.items():
            if not weight >= 0:
                raise RecipeError(f"the weight of '{key}' is negative", where=where)
        if not sum(weights.values()) > 0:
            raise RecipeError("every weight is 0", where=where)
        last = until
    if phases and last != 1:
        raise RecipeError(f"the last phase ends at {last}, not at 1", where="mixture", how="Let its `until` be 1.")


def make_mixture(
    phases: Sequence[tuple[float, Mapping[str, float]]],
    tokens: Mapping[str, int],
    *,
    steps: int,
    tokens_per_step: int,
) -> Mixture:
    """The mixture of a run of `steps`.

    `tokens` gives every stream's size, under its full name `N/LANGUAGE` or `N/LANGUAGE/QUALITY` (N counts the `tokens`
    inputs from 0). `phases` are (until, weights), `until` a share of the run; a weight's key is a full name, `N/*`, a
    language, `LANGUAGE/QUALITY` or `*/QUALITY`, the last three with or without `N/`, and is shared out among the
    streams that match by their tokens. No phases means in proportion to tokens.
    RecipeError for an unknown key, two keys for one stream, or a weight too small to be seen in a step.
    """
    names = list(tokens)
    if not phases:
        return Mixture([(0, [tokens[name] for name in names])], tokens_per_step)
    check_phases(phases)
    out, start = [], 0
    for number, (until, weights) in enumerate(phases):
        where = f"mixture, phase {number + 1}"
        shares = _spread(weights, tokens, where)
        _check_visible(shares, names, tokens_per_step, where)
        if round(until * steps) > start:
            out.append((start, shares))
        start = round(until * steps)
    return Mixture(out, tokens_per_step)


def _spread(weights: Mapping[str, float], tokens: Mapping[str, int], where: str) -> list[float]:
    shares = dict.fromkeys(tokens, 0.0)
    owner: dict[str, str] = {}
    for key, weight in weights.items():
        found = [name for name in tokens if matches(key, name) and tokens[name]]
        if not found:
            streams = {name.partition("/")[2] for name in tokens}
            known = {*tokens, *streams, *(f"*/{stream.partition('/')[2]}" for stream in streams if "/" in stream)}
            raise RecipeError(f"no stream '{key}' in the tokens", where=where, how=did_you_mean(key, known))
        for name in found:
            if name in owner:
                raise RecipeError(f"stream {name} is weighted by both '{owner[name]}' and '{key}'", where=where)
            owner[name] = key
            shares[name] = weight * tokens[name] / sum(tokens[other] for other in found)
    return list(shares.values())


def matches(key: str, name: str) -> bool:
    """Whether a weight's key (see `make_mixture`) means the stream of this full name."""
    number, _, stream = name.partition("/")
    language, _, quality = stream.partition("/")
    if key == f"{number}/*":
        return True
    return key.removeprefix(f"{number}/") in (stream, language, f"*/{quality}" if quality else stream)


def _check_visible(shares: Sequence[float], names: Sequence[str], tokens_per_step: int, where: str) -> None:
    for share, name in zip(shares, names, strict=True):
        if 0 < share / sum(shares) * tokens_per_step < MIN_TOKENS_PER_STEP:
            raise RecipeError(
                f"stream {name} would get less than {MIN_TOKENS_PER_STEP} tokens in a step",
                where=where,
                how="Raise its weight or global_batch_tokens, or set its weight to 0.",
            )
