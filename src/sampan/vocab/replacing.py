"""Which tokens of the base may be given away: those that the documents use least and that no other token is made from.

A token goes only when nothing that stays is merged from it, so every other token is built as before. Text that used it
is cut into the two tokens it was merged from, which are counted from then on as used as often.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .growth import Growth
from .kept import Kept
from .verify import encode

if TYPE_CHECKING:
    import numpy as np

_SHARE = 0.5
"""The share of the tolerance for kept text that giving away may take; the rest is for new pieces."""
_ENCODE = 1000


def give_away(growth: Growth, kept: Sequence[Kept], texts: Sequence[str], number: int, max_change: float) -> None:
    """Give away at most `number` tokens, least used in `texts` first, so that no kept language takes more tokens than
    half of `max_change` allows."""
    size = growth.first_id
    used_V = _tally(_ids(growth, texts), size).tolist()
    used_KV = [_tally(some.before, size).tolist() for some in kept]
    left_K = [_SHARE * max_change * some.tokens for some in kept]
    made_of, uses = _graph(growth)
    heap = [(used_V[growth.vocab[token]], -growth.vocab[token], token) for token in made_of if not uses[token]]
    heapq.heapify(heap)
    gone: list[str] = []
    while heap and len(gone) < number:
        _, _, token = heapq.heappop(heap)
        place = growth.vocab[token]
        if not _whole(growth, token) or any(row_V[place] > left for row_V, left in zip(used_KV, left_K, strict=True)):
            continue
        gone.append(token)
        parts = {side for merge in made_of[token] for side in merge}
        for row_V in [used_V, *used_KV]:
            for side in made_of[token][0]:
                row_V[growth.vocab[side]] += row_V[place]
        left_K = [left - row_V[place] for row_V, left in zip(used_KV, left_K, strict=True)]
        for side in parts:
            uses[side] -= sum(side in merge for merge in made_of[token])
            if not uses[side] and side in made_of:
                heapq.heappush(heap, (used_V[growth.vocab[side]], -growth.vocab[side], side))
    growth.give_away(gone)


def replaced(growth: Growth) -> list[dict[str, Any]]:
    """The ids that new pieces have taken over, with the tokens before and after."""
    old = {number: token for token, number in growth.given_away.items()}
    both = zip(growth.pieces, growth.piece_ids, strict=True)
    return [{"id": number, "old": old[number], "new": piece} for piece, number in both if number in old]


def _graph(growth: Growth) -> tuple[dict[str, list[tuple[str, str]]], defaultdict[str, int]]:
    """The merges that make each token, in order of priority, and in how many merges each token is a part."""
    special = {token["content"] for token in growth.base.get("added_tokens", [])}
    made_of: dict[str, list[tuple[str, str]]] = {}
    uses: defaultdict[str, int] = defaultdict(int)
    for left, right in growth.base_merges:
        if left + right not in special:
            made_of.setdefault(left + right, []).append((left, right))
        for side in {left, right}:
            uses[side] += 1
    return made_of, uses


def _whole(growth: Growth, token: str) -> bool:
    """Whether a token is several whole characters, a blank before them not counted."""
    try:
        return len(growth.raw(token).decode("utf-8").removeprefix(" ")) > 1
    except UnicodeDecodeError:
        return False


def _ids(growth: Growth, texts: Sequence[str]) -> list[np.ndarray]:
    import numpy as np

    found: list[np.ndarray] = []
    for start in range(0, len(texts), _ENCODE):
        found += [np.array(ids, np.int64) for ids in encode(growth.original, texts[start : start + _ENCODE])]
    return found


def _tally(lists: Sequence[np.ndarray], size: int) -> np.ndarray:
    import numpy as np

    total_V = np.zeros(size, np.int64)
    for ids in lists:
        if len(ids):
            total_V += np.bincount(ids.astype(np.int64), minlength=size)
    return total_V
