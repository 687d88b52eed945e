"""Growing a byte-level BPE vocabulary: repair the word expression, then characters, then merges.

Published expressions of GPT-2, Llama 3 and Qwen 2 to 3 cut words at every vowel sign and tone mark (Unicode M), so
that no merge can span them. The repair counts marks as letters: for Qwen exactly as Qwen 3.5 does, elsewhere only the
marks of the scripts being added, so that other text is cut as before.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regex

from ..core.errors import InputError
from ..model import byte_letters
from .growth import Growth, Merge
from .guard import Guard

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class ByteLevelGrowth(Growth):
    """Growth of a BPE vocabulary over byte letters."""

    whole_characters = False
    # The zero-width blank, which some writers of Khmer, Lao, Burmese and Thai put between words and others do not.
    # Left in, it would end every stretch that merges are learned in, and pieces would only fit one way of writing.
    left_out = "\u200b"

    def __init__(self, folder: Path, *, rows: int = 0, scripts: Sequence[str] = (), repair: bool = True) -> None:
        self.by_rank = False
        self._bytes_of: dict[str, bytes] = {}
        super().__init__(folder, rows=rows)
        self.original_spec = dict(self.base)
        self.by_rank = self._is_by_rank()
        if repair:
            self.base["pre_tokenizer"] = repaired(self.base["pre_tokenizer"], scripts)
            self.base_tokenizer = self.build()

    def spell(self, text: str) -> str:
        return byte_letters.spell(text.encode("utf-8"))

    def raw(self, token: str) -> bytes:
        if (known := self._bytes_of.get(token)) is not None:
            return known
        try:
            raw = byte_letters.unspell(token)
        except KeyError:
            raw = b""
        return self._bytes_of.setdefault(token, raw)

    def normalised(self, text: str) -> str:
        normalizer = self.base_tokenizer.normalizer
        return text if normalizer is None else normalizer.normalize_str(text)

    def fragments(self, run: str) -> list[str]:
        parts = self.base_tokenizer.pre_tokenizer.pre_tokenize_str(run)
        return [run[start:end] for _, (start, end) in parts] if len(parts) > 1 else [run]

    def bare_spelling(self, run: str) -> str:
        return run

    def bare_pre_tokenizer(self) -> Any:
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}

    def admit(self, char: str, budget: int, guard: Guard, language: str) -> int:
        """Merge the bytes of the character left to right, unless its first bytes also begin other scripts' ones."""
        tokens = self.tokens(self.base_tokenizer, char)
        merges, left = [], tokens[0]
        for token in tokens[1:]:
            merges.append((left, token))
            left += token
        fresh = [a + b for a, b in merges if not self.known(a + b)]
        if len(fresh) > budget or any(p != left and not guard.allows(self.raw(p)) for p in fresh):
            return 0
        for a, b in merges:
            self.join(a, b, language)
        return len(fresh)

    def reachable(self, tokenizer: Tokenizer, piece: str) -> bool:
        """As for every family, and the word expression must not cut the piece (where it is whole characters)."""
        try:
            text = self.raw(piece).decode("utf-8")
        except UnicodeDecodeError:
            return super().reachable(tokenizer, piece)
        return tokenizer.encode(text, add_special_tokens=False).tokens == [piece]

    def joinable(self, token: str) -> bool:
        return True

    def give_away(self, tokens: Sequence[str]) -> None:
        """New pieces at low ids are no ranks: the result is not a tiktoken vocabulary any more."""
        super().give_away(tokens)
        self.by_rank = self.by_rank and not tokens

    def all_merges(self) -> Sequence[Merge]:
        if not self.by_rank or not self.pieces:
            return [*self.base_merges, *self.merges]
        # tiktoken joins the pair of lowest rank whatever its parts: every split of a new piece is a merge, and so is
        # every split of an old piece that a new one opens.
        ids, fresh = self.vocab | self.new_ids(), set(self.pieces)
        extra = [split for piece in self.pieces for split in _splits(piece, ids)] + self._parts(fresh)
        extra.sort(key=lambda split: (ids[split[0] + split[1]], ids[split[0]], ids[split[1]]))
        opened = [split for split in extra if ids[split[0] + split[1]] < self.first_id]
        old = sorted([*self.base_merges, *opened], key=lambda split: ids[split[0] + split[1]]) if opened else None
        return [*(old or self.base_merges), *extra[len(opened) :]]

    def _parts(self, fresh: set[str]) -> list[Merge]:
        """Splits of old tokens with a new piece on one side or both."""
        heads, tails = {piece[:2] for piece in fresh}, {piece[-2:] for piece in fresh}
        near = [token for token in self._old_tokens if token[:2] in heads or token[-2:] in tails]
        ids = self.vocab | dict.fromkeys(fresh, 0)
        return [(a, b) for token in near for a, b in _splits(token, ids) if a in fresh or b in fresh]

    def _is_by_rank(self) -> bool:
        """Whether the base is a tiktoken vocabulary: its merges are all splits of its tokens, in order of id."""
        from ..model.sentencepiece_bpe import merges_from_scores

        special = {token["content"] for token in self.base.get("added_tokens", [])}
        ordered = sorted((number, token) for token, number in self.vocab.items() if token not in special)
        self._old_tokens = [token for _, token in ordered]
        ranks = [number for number, _ in ordered]
        if self.base["model"].get("ignore_merges") is not True or len(self.base_merges) < len(self._old_tokens) - 256:
            return False
        return self.base_merges == merges_from_scores(
            [(token, -float(n)) for n, token in zip(ranks, self._old_tokens, strict=True)]
        )

    def save(self, out: Path, after: Tokenizer) -> None:
        super().save(out, after)
        if self.by_rank:
            (out / "tokenizer.tiktoken").write_bytes(self.ranks())

    def ranks(self) -> bytes:
        """The old tokens and the new pieces as tiktoken reads them: base64 and id, a line each; no added tokens."""
        rows = [(self.vocab[token], token) for token in self._old_tokens]
        rows += [(self.first_id + number, piece) for number, piece in enumerate(self.pieces)]
        lines = [base64.b64encode(byte_letters.unspell(token)) + f" {number}\n".encode() for number, token in rows]
        return b"".join(lines)


def _splits(piece: str, ids: Mapping[str, int]) -> Iterator[Merge]:
    for cut in range(1, len(piece)):
        if piece[:cut] in ids and piece[cut:] in ids:
            yield piece[:cut], piece[cut:]


def repaired(spec: Any, scripts: Sequence[str]) -> Any:
    """A pre_tokenizer of tokenizer.json whose word expressions keep the marks of `scripts` with their letters.

    InputError for an expression that has no letter class to repair.
    """
    if spec.get("type") == "Sequence":
        return {**spec, "pretokenizers": [part for item in spec["pretokenizers"] for part in _flat(item, scripts)]}
    parts = _flat(spec, scripts)
    return parts[0] if len(parts) == 1 else {"type": "Sequence", "pretokenizers": parts}


def _flat(spec: dict[str, Any], scripts: Sequence[str]) -> list[dict[str, Any]]:
    if spec.get("type") == "Split" and "Regex" in spec["pattern"]:
        return [{**spec, "pattern": {"Regex": repaired_pattern(spec["pattern"]["Regex"], scripts)}}]
    if spec.get("type") == "ByteLevel" and spec.get("use_regex", True):
        pattern = {"Regex": repaired_pattern(byte_letters.GPT2, scripts)}
        cut = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
        return [cut, {**spec, "use_regex": False}]
    return [spec]


def repaired_pattern(pattern: str, scripts: Sequence[str]) -> str:
    """The word expression with marks counted as letters; unchanged if it already does so."""
    if pattern == byte_letters.QWEN2:
        return byte_letters.QWEN35
    if r"\p{M}" in pattern:
        return pattern
    if r"\p{L}" not in pattern:
        raise InputError(
            f"the tokenizer's word expression has no letter class to repair ({pattern[:60]})",
            how="Set `pretokenizer: keep`.",
        )
    marks = _mark_ranges(tuple(scripts))
    # "Not a letter" before a word keeps its meaning (as in Qwen 3.5); in words and in punctuation marks are letters.
    return pattern.replace(r"\p{L}+", rf"[\p{{L}}{marks}]+").replace(r"[^\s\p{L}", rf"[^\s\p{{L}}{marks}")


def _mark_ranges(scripts: Sequence[str]) -> str:
    """The marks of `scripts` as ranges of a character class, in literal characters, which every engine reads."""
    if not scripts:
        return ""
    own = regex.compile("[[" + "".join(rf"\p{{sc={script}}}" for script in scripts) + r"]&&\p{M}]", regex.V1)
    points = [point for point in range(0x300, 0x20000) if own.match(chr(point))]
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)
