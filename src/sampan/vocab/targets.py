"""What a language may cost against one that the base knows, measured on translations that were held out.

Languages that grow together bring the geometric mean of their lengths down fastest, which leaves some better off than
they need be and others short of what a team has promised. Targets say what each may cost at most, and a language that
is behind its target counts for more until it is not: the mean under constraints, with no weight chosen by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import StageError
from .growth import Growth
from .selection import Sample
from .verify import encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MARGIN = 0.98
"""The share of a target that is aimed at: what is held out is a sample. Ours, not a paper's."""
_EAGERNESS = 4.0
_STEP, _MOST = 1.5, 8.0
"""A weight grows by at most this at once, and to this in all. Ours, not a paper's."""


@dataclass(frozen=True)
class Target:
    """At most `ratio` tokens for each token that the base makes of the translations: `texts` against `tokens`."""

    language: str
    ratio: float
    texts: Sequence[str]
    tokens: int

    def reached(self, tokenizer: Tokenizer) -> float:
        """Tokens over those of the translations as the base cuts them."""
        return sum(map(len, encode(tokenizer, self.texts))) / self.tokens


def read_targets(
    ratios: Mapping[str, float], found: Mapping[str, Sample], kept: Sequence[str], base: Tokenizer
) -> list[Target]:
    """Targets by full code of language, with the held-out documents whose id a kept language has too.

    StageError for a language that has none."""
    out = []
    for language, ratio in ratios.items():
        texts, others = [], []
        for other in kept:
            known = found.get(other, Sample())
            translations = dict(zip(known.held_ids, known.held_out, strict=True))
            mine = found.get(language, Sample())
            pairs = zip(mine.held_ids, mine.held_out, strict=True)
            both = [(text, translations[id_]) for id_, text in pairs if id_ and id_ in translations]
            texts += [text for text, _ in both]
            others += [text for _, text in both]
        if not texts:
            raise StageError(
                f"nothing to measure the target of {language} on",
                how="Targets need held-out documents with the same id in a kept language: give translations, and set "
                "`hold_out`.",
            )
        out.append(Target(language, ratio, texts, sum(map(len, encode(base, others)))))
    return out


def heavier(weights: Mapping[str, float], targets: Sequence[Target], tokenizer: Tokenizer) -> dict[str, float]:
    """`weights` with those of the languages behind their targets raised; the same where none is, or none can be."""
    out = dict(weights)
    for target in targets:
        behind = target.reached(tokenizer) / (MARGIN * target.ratio)
        weight = out.get(target.language, 1.0)
        if behind > 1 and weight < _MOST:
            out[target.language] = min(weight * min(behind**_EAGERNESS, _STEP), _MOST)
    return out


def against_kept(targets: Sequence[Target], growth: Growth) -> dict[str, float]:
    """What each language with a target costs now, tokens over the kept language's."""
    tokenizer = growth.build() if targets else None
    return {target.language: round(target.reached(tokenizer), 4) for target in targets}
