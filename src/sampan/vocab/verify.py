"""Hold a grown vocabulary to its promises: every piece reachable, old ids in place, text not damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import StageError
from .growth import Growth

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Ids of each text, without added BOS or EOS."""
    return [list(item.ids) for item in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def unreachable(growth: Growth, tokenizer: Tokenizer) -> list[str]:
    """New pieces whose text is not encoded as that one piece."""
    return [piece for piece in growth.pieces if not growth.reachable(tokenizer, piece)]


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
