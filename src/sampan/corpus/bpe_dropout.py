"""Seeded BPE-dropout over a Hugging Face tokenizer (Provilkov et al. 2020, arXiv:1910.13267).

The `tokenizers` library has the same dropout, but draws from an unseeded generator. Here its own normaliser,
pre-tokenizer and vocabulary are used, and only the merging is done again, with chance from a seed.

As in SentencePiece, a pair is drawn once. The paper draws again at every step of a word; in a script without spaces a
"word" is a whole phrase with many steps, so there a left-out pair would always come back and the dropout do nothing.
"""

from __future__ import annotations

import heapq
import json
import random
from typing import TYPE_CHECKING, Any

import regex

from ..core.errors import RecipeError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import PreTokenizer


class DropoutEncoder:
    """Cuts texts into ids, leaving out each candidate merge with probability `dropout`; RecipeError if it is no BPE."""

    def __init__(self, tokenizer: Tokenizer, dropout: float) -> None:
        spec = json.loads(tokenizer.to_str())
        model = spec["model"]
        if model.get("type") != "BPE":
            raise RecipeError(
                f"bpe_dropout needs a BPE tokenizer, this one is {model.get('type')}", how="Set `bpe_dropout: 0`."
            )
        if not 0 <= dropout < 1:
            raise RecipeError(f"bpe_dropout is a probability below 1, not {dropout}")
        self._tokenizer, self._dropout = tokenizer, dropout
        self._vocabulary: dict[str, int] = model["vocab"]
        self._whole_words = bool(model.get("ignore_merges"))
        self._byte_fallback, self._fuse_unk = bool(model.get("byte_fallback")), bool(model.get("fuse_unk"))
        self._unk = self._vocabulary.get(model.get("unk_token") or "")
        self._prefix = model.get("continuing_subword_prefix") or ""
        self._suffix = model.get("end_of_word_suffix") or ""
        if self._prefix or self._suffix:
            raise RecipeError(
                "bpe_dropout does not know this tokenizer's word-part prefixes", how="Set `bpe_dropout: 0`."
            )
        self._merges = self._ranks(model["merges"])
        # By whether the piece is the first of the text: SentencePiece's blank goes before the text only.
        self._cut = {True: tokenizer.pre_tokenizer, False: _without_first_blank(spec)}
        self._added = {token["content"]: token["id"] for token in spec.get("added_tokens") or []}
        words = sorted(map(regex.escape, self._added), key=lambda word: (-len(word), word))
        self._special = regex.compile(f"({'|'.join(words)})") if words else None

    def _ranks(self, merges: list) -> dict[tuple[int, int], tuple[int, int]]:
        """{(left id, right id): (rank, merged id)}; merges come as pairs or as one string."""
        ranks = {}
        for rank, merge in enumerate(merges):
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            ranks[self._vocabulary[left], self._vocabulary[right]] = (rank, self._vocabulary[left + right])
        return ranks

    def encode(self, text: str, seed: str) -> list[int]:
        """Token ids of `text`, no BOS or EOS added; equal for equal seeds. Special tokens in the text stay whole."""
        chance = random.Random(seed)
        ids: list[int] = []
        for number, part in enumerate(self._special.split(text) if self._special else [text]):
            if self._special and part in self._added:
                ids.append(self._added[part])
            elif part:
                for piece in self._pieces(part, first=number == 0):
                    ids += self._word(piece, chance)
        return ids

    def _word(self, piece: str, chance: random.Random) -> list[int]:
        """Ids of one piece of text. Where the tokenizer takes a known word whole, though no merges may lead to it, so
        do we unless a merge was left out."""
        whole = self._vocabulary.get(piece) if self._whole_words else None
        if whole is not None and not self._dropout:
            return [whole]
        ids, left_out = self._merge(self._symbols(piece), chance)
        return ids if whole is None or left_out else [whole]

    def _pieces(self, text: str, *, first: bool) -> list[str]:
        normal = self._tokenizer.normalizer.normalize_str(text) if self._tokenizer.normalizer else text
        if self._cut[first] is None:
            return [normal]
        return [piece for piece, _ in self._cut[first].pre_tokenize_str(normal)]

    def _symbols(self, piece: str) -> list[int]:
        """Ids of the characters; unknown ones as bytes if the model falls back to them, else as the unknown token."""
        ids: list[int] = []
        for char in piece:
            known = self._vocabulary.get(char)
            if known is not None:
                ids.append(known)
                continue
            fallback = (
                [self._vocabulary.get(f"<0x{byte:02X}>") for byte in char.encode()] if self._byte_fallback else [None]
            )
            if None not in fallback:
                ids += fallback
            elif self._unk is not None and not (self._fuse_unk and ids and ids[-1] == self._unk):
                ids.append(self._unk)
        return ids

    def _merge(self, ids: list[int], chance: random.Random) -> tuple[list[int], bool]:
        """The ids merged best rank first, and whether a merge was left out; a pair that is left out stays out until a
        neighbour's merge makes another pair."""
        left_out = False
        after = [*range(1, len(ids)), -1] if ids else []
        before = list(range(-1, len(ids) - 1))
        queue: list[tuple[int, int, int, int]] = []

        def consider(left: int, right: int) -> None:
            found = self._merges.get((ids[left], ids[right]))
            if found:
                heapq.heappush(queue, (found[0], left, right, found[1]))

        for place in range(len(ids) - 1):
            consider(place, place + 1)
        while queue:
            rank, left, right, merged = heapq.heappop(queue)
            if ids[left] < 0 or after[left] != right or self._merges.get((ids[left], ids[right])) != (rank, merged):
                continue
            if self._dropout and chance.random() < self._dropout:
                left_out = True
                continue
            ids[left], ids[right] = merged, -1
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
                consider(left, after[left])
            if before[left] >= 0:
                consider(before[left], left)
        return [id_ for id_ in ids if id_ >= 0], left_out


def _without_first_blank(spec: dict[str, Any]) -> PreTokenizer | None:
    """The tokenizer's pre-tokenizer for text that follows an added token."""
    from tokenizers import Tokenizer

    def later(step: Any) -> Any:
        if isinstance(step, list):
            return [later(item) for item in step]
        if isinstance(step, dict) and step.get("prepend_scheme") == "first":
            return {**step, "prepend_scheme": "never"}
        return {name: later(value) for name, value in step.items()} if isinstance(step, dict) else step

    empty = {"type": "BPE", "vocab": {}, "merges": []}
    cutter = {"version": "1.0", "added_tokens": [], "pre_tokenizer": later(spec.get("pre_tokenizer")), "model": empty}
    return Tokenizer.from_str(json.dumps(cutter)).pre_tokenizer
