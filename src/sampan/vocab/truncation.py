"""A grown vocabulary with fewer of its new pieces, in place of growing it again for every smaller budget.

Continued BPE adds pieces in the order in which it learned them, and a merge needs its parts. So the last pieces can be
taken away with every merge that makes or uses them, and the rest is a working vocabulary. It is a bound from above:
growing for the smaller budget would share it out better between characters, clusters and words, and save no less.
"""

from __future__ import annotations

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Truncation:
    """The new pieces of a grown tokenizer over its base, in order of id, and tokenizers with a part of them."""

    def __init__(self, base: Mapping[str, Any], grown: Mapping[str, Any]) -> None:
        """Both are tokenizer.json documents of type BPE. StageError unless every token of the base has its id in the
        grown vocabulary."""
        self._grown = grown
        old, new = _vocabulary(base), _vocabulary(grown)
        moved = [token for token, number in old.items() if new.get(token) != number]
        if moved:
            raise StageError(
                f"this is no expansion of the base: {len(moved)} of its tokens have another id or none, "
                f"{moved[0]!r} first",
                how="Give the tokenizer that was expanded as `base`.",
            )
        added = {token["content"] for token in grown.get("added_tokens", ())}
        fresh = {token: number for token, number in new.items() if token not in old and token not in added}
        self.pieces: list[str] = sorted(fresh, key=fresh.__getitem__)
        self.base_size = max(old.values()) + 1
        self._fresh = set(self.pieces)
        self._merges = [_pair(item) for item in grown["model"]["merges"]]
        self._parts: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for left, right in self._merges:
            if left + right in self._fresh:
                self._parts[left + right].append((left, right))

    def closed(self, wanted: Collection[str]) -> list[str]:
        """Of the pieces `wanted`, those that merging can still build from the base and each other, in order of id."""
        wanted, kept = set(wanted), set()
        waiting = [piece for piece in self.pieces if piece in wanted]
        while True:  # mostly one round: parts come before what is built of them, but for pieces that were dropped
            left = [piece for piece in waiting if not self._built(piece, kept)]
            if len(left) == len(waiting):
                return [piece for piece in self.pieces if piece in kept]
            waiting = left

    def _built(self, piece: str, kept: set[str]) -> bool:
        """Whether merging can build a piece from the base and `kept`; if so it is put there."""
        parts = self._parts.get(piece, ())
        if parts and not any(self._there(left, kept) and self._there(right, kept) for left, right in parts):
            return False
        kept.add(piece)
        return True

    def _there(self, token: str, kept: Collection[str]) -> bool:
        return token not in self._fresh or token in kept

    def build(self, kept: Collection[str]) -> Tokenizer:
        """The grown tokenizer with no other new pieces than `kept`. Ids may differ from the grown one's."""
        from tokenizers import Tokenizer

        gone = self._fresh - set(kept)
        document = copy.copy(dict(self._grown))
        model = dict(document["model"])
        model["vocab"] = {token: number for token, number in model["vocab"].items() if token not in gone}
        model["merges"] = [[a, b] for a, b in self._merges if a not in gone and b not in gone and a + b not in gone]
        document["model"] = model
        try:
            return Tokenizer.from_str(json.dumps(document, ensure_ascii=False))
        except Exception as error:  # tokenizers raises plain Exception
            raise StageError(f"the shortened tokenizer does not load ({str(error)[:200]})") from None

    def owners(self, used: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
        """The language of each new piece: the one that uses it the most for its number of tokens; '' for none.

        `used` counts pieces by language under the whole vocabulary. A piece that only helps to build others counts as
        used wherever they are.
        """
        best: dict[str, tuple[float, str]] = {}
        for language, counts in used.items():
            total = sum(counts.values()) or 1
            rate = Counter({piece: counts[piece] / total for piece in self._fresh & counts.keys()})
            for piece in reversed(self.pieces):
                if rate[piece] and self._parts.get(piece):
                    for part in self._parts[piece][0]:
                        if part in self._fresh:
                            rate[part] += rate[piece]
            for piece, value in rate.items():
                if value and value > best.get(piece, (0.0, ""))[0]:
                    best[piece] = (value, language)
        return {piece: best.get(piece, (0.0, ""))[1] for piece in self.pieces}


def _vocabulary(spec: Mapping[str, Any]) -> dict[str, int]:
    return dict(spec["model"]["vocab"]) | {token["content"]: token["id"] for token in spec.get("added_tokens", ())}


def _pair(item: Any) -> tuple[str, str]:
    left, right = item.split(" ") if isinstance(item, str) else item
    return left, right
