"""What a growth knows about its new tokens, as the initialisations want to hear it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .growth import Growth
from .initialisation import NewTokens
from .verify import encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from .selection import Sample


def spelled_before(growth: Growth) -> dict[int, list[int]]:
    """Each new id to the ids of the base tokenizer's segmentation of its text ([] for reserved tokens)."""
    return {
        number: [token.id for token in growth.base_tokenizer.model.tokenize(name)] if name in growth.language_of else []
        for name, number in growth.new_ids().items()
    }


def describe(
    growth: Growth, after: Tokenizer, found: Mapping[str, Sample], base: Path, *, rows: int, vectors: Path | None = None
) -> NewTokens:
    """The rows from `rows` on (those of the model's matrix), with the documents of all languages in turn.

    A piece at the id of a token given away counts as one after the last: methods find all old rows as they were.
    """
    parts, size = spelled_before(growth), growth.size
    places = sorted(growth.given_away.values())[: len(growth.pieces)]
    moved = {place: size + number for number, place in enumerate(places)}
    turns: Any = chain.from_iterable(zip_longest(*(sample.learn for sample in found.values())))
    return NewTokens(
        base=base,
        first=rows,
        parts=[parts.get(number, []) for number in [*range(rows, size), *places]],
        places=places,
        texts=_texts(growth, size, places),
        documents=[text for text in turns if text],
        encode=lambda texts: [[moved.get(number, number) for number in ids] for ids in encode(after, texts)],
        vectors=vectors,
    )


def _texts(growth: Growth, size: int, places: Sequence[int]) -> list[str]:
    """Texts by id, then those at `places`, where the tokens given away have theirs."""
    texts = [""] * size
    special = {token["content"] for token in growth.base.get("added_tokens", [])}
    for token, number in (growth.vocab | growth.new_ids()).items():
        if token not in special and not token.startswith("<|reserved_"):
            texts[number] = growth.raw(token).decode("utf-8", "ignore")
    taken = [texts[place] for place in places]
    for token, number in growth.given_away.items():
        texts[number] = growth.raw(token).decode("utf-8", "ignore")
    return [*texts, *taken]
