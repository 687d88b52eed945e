"""What a language may cost at most against one that the base knows, and the weights by which it is kept to that.

Languages that grow together bring the geometric mean of their lengths down fastest, which leaves some better off than
they need be and others short of what a team has promised. A target is a bound: the weight of a language is its price
(the multiplier of a constrained minimum), raised while the language is behind and lowered again while it is ahead,
never below what it was given. What a language costs is counted on translations that nothing is learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError
from ..core.stage import Artifact, Runtime
from .growth import Growth
from .plan import by_code
from .selection import documents_in, normalised
from .verify import encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from .expand import Params

MARGIN = 0.985
"""The share of a target that is aimed at, as what is measured on is a sample. Ours, not a paper's."""
_NEAR = 0.005
_EAGERNESS, _STEP, _MOST = 8.0, 1.3, 4.0
"""A weight moves by the distance to its aim to this power, by at most this factor at once, and to this many times what
it was. A tenth more weight makes a language one to three per cent shorter. Ours, not a paper's."""


@dataclass(frozen=True)
class Target:
    """At most `ratio` tokens in `language` for each of the `tokens` that the base makes of what `texts` translate."""

    language: str
    ratio: float
    texts: Sequence[str]
    tokens: int

    def reached(self, tokenizer: Tokenizer) -> float:
        """Tokens of `texts` over those of what they translate."""
        return sum(map(len, encode(tokenizer, self.texts))) / self.tokens


def read_targets(params: Params, translations: Sequence[Artifact], base: Tokenizer, runtime: Runtime) -> list[Target]:
    """The targets of `params`, each with the language's texts whose id a text in a kept language has too.

    StageError for a language without any."""
    if not params.targets:
        return []
    kept = normalised(params.keep_languages)
    texts: dict[str, dict[str, str]] = {}
    for language, document in documents_in(translations, runtime):
        if document.id and document.text.strip():
            texts.setdefault(language, {}).setdefault(document.id, document.text)
    known: dict[str, str] = {}
    for language in reversed(kept):
        known |= texts.get(language, {})
    out = []
    for language, ratio in by_code(params.targets).items():
        pairs = [(text, known[id_]) for id_, text in texts.get(language, {}).items() if id_ in known]
        if not pairs:
            raise StageError(
                f"nothing to measure the target of {language} on",
                how=f"Give `translations`: documents in {language} and in {' or '.join(kept) or 'a kept language'} "
                "that have the same id in both.",
            )
        tokens = sum(map(len, encode(base, [other for _, other in pairs])))
        out.append(Target(language, ratio, [text for text, _ in pairs], tokens))
    return out


def adjusted(
    weights: Mapping[str, float], given: Mapping[str, float], targets: Sequence[Target], tokenizer: Tokenizer
) -> dict[str, float]:
    """`weights` moved towards what the targets ask for, from `given` up; the same where every language is near its
    target or cannot be moved."""
    out = dict(weights)
    for target in targets:
        behind = target.reached(tokenizer) / (MARGIN * target.ratio)
        if abs(behind - 1) < _NEAR:
            continue
        least, weight = given.get(target.language, 1.0), weights.get(target.language, 1.0)
        step = min(max(behind**_EAGERNESS, 1 / _STEP), _STEP)
        if (moved := min(max(weight * step, least), _MOST * least)) != weight:
            out[target.language] = moved
    return out


def against_kept(
    targets: Sequence[Target], weights: Mapping[str, float], growth: Growth, runtime: Runtime
) -> dict[str, dict[str, Any]]:
    """What each language with a target costs, its target, and the weight that it has been given for it; what is still
    behind is logged."""
    tokenizer = growth.build() if targets else None
    rows = {}
    for target in targets:
        reached, weight = round(target.reached(tokenizer), 4), round(weights.get(target.language, 1.0), 4)
        rows[target.language] = {"target": target.ratio, "reached": reached, "weight": weight}
        if reached > target.ratio:
            runtime.log(f"{target.language} costs {reached:.3f} with a weight of {weight:.2f}, over {target.ratio:.3f}")
    return rows
