"""The budget curve: tokens of every language at growing shares of the new pieces, with knees and model cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError
from ..core.stage import Runtime
from .inequality import geometric_mean, ratio
from .knee import Point, chord_knee, lowest, saving_knee
from .model_cost import Shape
from .token_counts import count_tokens
from .truncation import Truncation

if TYPE_CHECKING:
    from .budget_curve import Params
    from .measured_text import Texts

ALL = "all"
_GROWN = 0.01
"""A language counts as grown if all new pieces together save at least this share of its tokens."""


def curve(
    params: Params, base_file: Path, truncation: Truncation, texts: Texts, shape: Shape, runtime: Runtime
) -> dict[str, Any]:
    """The report: points from no new piece (the base itself) to all of them. StageError if there is none."""
    from tokenizers import Tokenizer

    if not truncation.pieces:
        raise StageError("the expanded tokenizer has no new piece", how="Check which tokenizer is `base`.")
    samples = {language: list(by_id.values()) for language, by_id in texts.items()}
    used: dict[str, Counter[str]] = {}
    whole = truncation.build(truncation.pieces)
    for language, sample in samples.items():
        by_id = count_tokens(whole, sample).used
        used[language] = Counter({whole.id_to_token(number): count for number, count in by_id.items()})
    owners = truncation.owners(used)
    before = {
        language: count_tokens(Tokenizer.from_file(str(base_file)), sample, used=False).total
        for language, sample in samples.items()
    }
    after = {language: sum(counts.values()) for language, counts in used.items()}
    grown = [language for language in sorted(samples) if after[language] < (1 - _GROWN) * before[language]]
    points = [_point(truncation, [], owners, before, before, grown, shape)]
    for step in range(1, params.points + 1):
        kept = truncation.closed(_first(truncation.pieces, owners, params.order, step, params.points))
        tokenizer = whole if step == params.points else truncation.build(kept)
        tokens = {name: count_tokens(tokenizer, sample, used=False).total for name, sample in samples.items()}
        points.append(_point(truncation, kept, owners, tokens, before, grown, shape))
        runtime.progress(step, params.points, "sizes")
    return {
        "base_size": truncation.base_size,
        "new_pieces": len(truncation.pieces),
        "new_pieces_by_language": dict(sorted(Counter(filter(None, owners.values())).items())),
        "grown": grown,
        "new_pieces_unused": sum(1 for language in owners.values() if not language),
        "order": params.order,
        "bytes": {name: sum(len(text.encode("utf-8")) for text in sample) for name, sample in samples.items()},
        "shape": {**asdict(shape), "body_parameters": shape.body},
        "points": points,
        "knees": {name: _knees(points, name, params.min_saving) for name in [ALL, *grown]},
        "rules": {
            "chord": "the size farthest below the straight line from no new piece to all (Kneedle)",
            "saving": f"the first size from which 1,000 more pieces save less than {params.min_saving:.1%} of tokens",
            "flops": "the size at which a byte of text takes the fewest FLOPs",
        },
    }


def _first(pieces: Sequence[str], owners: Mapping[str, str], order: str, step: int, steps: int) -> list[str]:
    """The first `step / steps` of the pieces: of all, or of each language's and of those of none."""
    groups: dict[str, list[str]] = {}
    for piece in pieces:
        groups.setdefault(owners[piece] if order == "language" else "", []).append(piece)
    return [piece for group in groups.values() for piece in group[: -(-len(group) * step // steps)]]


def _point(
    truncation: Truncation,
    kept: Sequence[str],
    owners: Mapping[str, str],
    tokens: Mapping[str, int],
    before: Mapping[str, int],
    grown: Sequence[str],
    shape: Shape,
) -> dict[str, Any]:
    """One size: tokens by language, and cost for the same bytes of text relative to the base.

    `relative_tokens` over all is the geometric mean of the languages that were grown.
    """
    size, old = truncation.base_size + len(kept), truncation.base_size
    own = Counter(owners[piece] for piece in kept)
    relative = {name: ratio(tokens[name], before[name]) for name in tokens}
    mean = geometric_mean([relative[name] for name in grown])
    return {
        "new_pieces": len(kept),
        "vocab_size": size,
        "relative_tokens": mean,
        "vocabulary_parameters": shape.vocabulary(size),
        "parameters": shape.body + shape.vocabulary(size),
        "flops_per_token": shape.flops(size),
        "relative_flops": ratio(mean * shape.flops(size), shape.flops(old)),
        "by_language": {
            name: {"new_pieces": own[name], "tokens": tokens[name], "relative_tokens": relative[name]}
            for name in tokens
        },
    }


def _knees(points: Sequence[Mapping[str, Any]], name: str, min_saving: float) -> dict[str, Any]:
    """Where the curve of a language (or of all) bends, by each rule; null where the curve does not."""
    rows = points if name == ALL else [point["by_language"][name] for point in points]
    tokens: list[Point] = [(row["new_pieces"], row["relative_tokens"]) for row in rows]
    found = {"chord": chord_knee(tokens), "saving": saving_knee(tokens, least=min_saving)}
    if name == ALL:
        found["flops"] = lowest([(row["new_pieces"], row["relative_flops"]) for row in rows])
    return {
        rule: None if point is None else {"new_pieces": point[0], "value": point[1]} for rule, point in found.items()
    }
