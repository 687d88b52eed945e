"""Growing a SentencePiece-BPE vocabulary: missing characters first, then merges; tokenizer.model kept in step.

SentencePiece joins the neighbouring pair whose concatenation has the best score, so new pieces get strictly falling
scores below every real score of the base: they never outrank an old piece, and each comes after the parts it was
merged from. Scores are float32: some bases park pieces at −1e9, where "one less" is the same number again, so those do
not count as real.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, StageError
from ..model.sentencepiece_bpe import SPACE, merges_from_scores
from .from_sentencepiece import NORMAL, USER_DEFINED, parse_model
from .growth import Growth, Merge
from .guard import Guard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PARKED = -1e8


class SentencePieceGrowth(Growth):
    """Growth of a BPE vocabulary with ▁ for blanks and byte fallback."""

    def __init__(self, folder: Path, *, rows: int = 0) -> None:
        self.proto = None
        if (folder / "tokenizer.model").is_file():
            path = folder / "tokenizer.model"
            self.proto = parse_model(path.read_bytes(), where=str(path))
        super().__init__(folder, rows=rows)
        if self.proto is not None:
            self._check_agreement()

    def spell(self, text: str) -> str:
        return text.replace(" ", SPACE)

    def raw(self, token: str) -> bytes:
        if _is_byte(token):
            return bytes([int(token[3:5], 16)])
        return token.replace(SPACE, " ").encode("utf-8")

    def normalised(self, text: str) -> str:
        if self.base_tokenizer.normalizer is not None:
            text = self.base_tokenizer.normalizer.normalize_str(text)
        if self.base_tokenizer.pre_tokenizer is not None:  # it may put a blank first
            text = "".join([part for part, _ in self.base_tokenizer.pre_tokenizer.pre_tokenize_str(text)])
        return text.replace(SPACE, " ")

    def fragments(self, run: str) -> list[str]:
        return [run]

    def bare_spelling(self, run: str) -> str:
        return self.spell(run)

    def bare_pre_tokenizer(self) -> Any:
        return None

    def admit(self, char: str, budget: int, guard: Guard, language: str) -> int:
        if self.known(char) or budget < 1:
            return 0
        self.add(char, language)
        return 1

    def joinable(self, token: str) -> bool:
        return not _is_byte(token) and token != self.base["model"].get("unk_token")

    def all_merges(self) -> Sequence[Merge]:
        if not self.pieces:
            return self.base_merges
        scores, fresh = self._scores(), set(self.pieces)
        ids = self.vocab | self.new_ids()
        # In SentencePiece every split of a new piece is a merge, and so is every split of an old piece that a new one
        # opens. Where the base has no scores, old pieces stay as unreachable as they were.
        extra = []
        for piece in scores or self.pieces:
            for cut in range(1, len(piece)):
                left, right = piece[:cut], piece[cut:]
                if left in ids and right in ids and not fresh.isdisjoint((piece, left, right)):
                    extra.append((-scores.get(piece, 0.0), ids[piece], ids[left], ids[right], (left, right)))
        ranked = [(-scores.get(a + b, 0.0), (a, b)) for a, b in self.base_merges]
        ranked += [(item[0], item[-1]) for item in sorted(extra)]
        return [merge for _, merge in sorted(ranked, key=lambda item: item[0])]

    def save(self, out: Path, after: Tokenizer) -> None:
        super().save(out, after)
        if self.proto is not None:
            (out / "tokenizer.model").write_bytes(self.grown_model())

    def grown_model(self) -> bytes:
        """The tokenizer.model with the new pieces, added tokens of the folder and reserved tokens, ids as in
        tokenizer.json."""
        grown = type(self.proto)()
        grown.CopyFrom(self.proto)
        names = {number: name for name, number in (self.vocab | self.new_ids()).items()}
        scores = self._scores()
        for number in [*self.given_away.values(), *range(len(grown.pieces), len(names))]:
            name = names[number]
            item = grown.pieces[number] if number < len(grown.pieces) else grown.pieces.add()
            item.piece, item.score = name, scores.get(name, 0.0)
            item.type = NORMAL if name in scores else USER_DEFINED
        grown.trainer_spec.vocab_size = len(grown.pieces)
        return grown.SerializeToString(deterministic=True)

    def _scores(self) -> dict[str, float]:
        """Scores of old normal pieces and new pieces; {} without a tokenizer.model."""
        if self.proto is None:
            return {}
        old = {piece: score for piece, score in self._base_scores.items() if piece not in self.given_away}
        return old | {piece: self._floor - 1.0 - n for n, piece in enumerate(self.pieces)}

    @functools.cached_property
    def _base_scores(self) -> dict[str, float]:
        """Scores of the base's normal pieces, {} without a tokenizer.model."""
        if self.proto is None:
            return {}
        return {piece.piece: piece.score for piece in self.proto.pieces if piece.type == NORMAL}

    @functools.cached_property
    def _floor(self) -> int:
        """A whole number below every real score, small enough that float32 tells the scores under it apart."""
        real = [score for score in self._base_scores.values() if score > _PARKED]
        floor = math.floor(min(real, default=0.0))
        if floor < -(2**23):
            raise StageError(f"the base's scores go down to {floor}, where float32 has no room for new ones")
        return floor

    def _check_agreement(self) -> None:
        """InputError unless tokenizer.model and tokenizer.json number and merge the same pieces."""
        where = str(self.folder)
        for number, piece in enumerate(self.proto.pieces):
            if self.vocab.get(piece.piece) != number:
                raise InputError(
                    f"tokenizer.model and tokenizer.json disagree on piece {number} ({piece.piece!r})",
                    where=where,
                    how="Remove the stale one, or import tokenizer.model alone with vocab.import.",
                )
        pieces = [(p.piece if p.type == NORMAL else f"\x00{p.piece}", p.score) for p in self.proto.pieces]
        scores = [self._base_scores.get(a + b, 0.0) for a, b in self.base_merges]
        falling = all(a >= b for a, b in itertools.pairwise(scores))
        if set(merges_from_scores(pieces)) != set(self.base_merges) or not falling:
            raise InputError("the merges of tokenizer.json are not those that tokenizer.model implies", where=where)


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")
