"""Hold a grown vocabulary to its promises: every piece reachable, protected ids unchanged, text not damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import StageError
from .growth import Growth

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MAX_ROUNDS = 50


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Ids of each text, without added BOS or EOS."""
    return [list(item.ids) for item in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def settle(growth: Growth, protected: Sequence[str], protected_ids: Sequence[Sequence[int]]) -> Counter[str]:
    """Drop new pieces until every one is reachable and the protected texts keep their ids; drops by reason."""
    dropped: Counter[str] = Counter()
    for _ in range(_MAX_ROUNDS):
        tokenizer = growth.build()
        dead = [piece for piece in growth.pieces if not growth.reachable(tokenizer, piece)]
        if dead:
            growth.drop(dead)
            dropped["unreachable"] += len(dead)
            continue
        offenders = _offenders(growth, tokenizer, protected, protected_ids)
        if not offenders:
            return dropped
        growth.drop(offenders)
        dropped["changes_protected_text"] += len(offenders)
    raise StageError(f"the vocabulary did not settle in {_MAX_ROUNDS} rounds of dropping pieces")


def _offenders(
    growth: Growth, tokenizer: Tokenizer, protected: Sequence[str], expected: Sequence[Sequence[int]]
) -> list[str]:
    """New pieces in the protected texts that are cut differently; StageError if such a text has none."""
    found: set[str] = set()
    for text, old, new in zip(protected, expected, encode(tokenizer, protected), strict=True):
        if list(old) == new:
            continue
        used = {number - growth.first_id for number in new if number >= growth.first_id}
        here = {growth.pieces[number] for number in used if number < len(growth.pieces)}
        if not here:  # an old piece newly built over new ones that are no longer visible
            raw = text.encode("utf-8")
            here = {piece for piece in growth.pieces if growth.raw(piece).strip() in raw}
        if not here:
            raise StageError(
                f"protected text is cut differently although no new piece occurs in it ({text[:60]!r})",
                how="If its language needs the repaired word expression, take it out of `keep_languages`; "
                "else set `pretokenizer: keep`.",
            )
        found |= here
    return [piece for piece in growth.pieces if piece in found]


def check_reachable(growth: Growth, tokenizer: Tokenizer) -> None:
    """StageError unless every new piece encodes to its own single id, and old tokens kept their ids."""
    vocabulary = tokenizer.get_vocab()
    moved = [token for token, number in growth.vocab.items() if vocabulary.get(token) != number]
    if moved:
        raise StageError(f"{len(moved)} old tokens changed their id, {moved[0]!r} first")
    for piece in growth.pieces:
        if not growth.reachable(tokenizer, piece):
            raise StageError(f"the new piece {piece!r} is never built")
    for name in growth.reserved:
        if tokenizer.encode(name, add_special_tokens=False).ids[-1:] != [growth.new_ids()[name]]:
            raise StageError(f"the reserved token {name!r} is not matched whole")


def check_round_trip(before: Tokenizer, after: Tokenizer, texts: Sequence[str]) -> None:
    """StageError unless each text survives encoding and decoding, or comes out as it did from the base."""
    for text, ids in zip(texts, encode(after, texts), strict=True):
        now = after.decode(ids, skip_special_tokens=False)
        if now != text and now != before.decode(
            before.encode(text, add_special_tokens=False).ids, skip_special_tokens=False
        ):
            raise StageError(f"encoding and decoding changes the text {text[:60]!r} into {now[:60]!r}")
