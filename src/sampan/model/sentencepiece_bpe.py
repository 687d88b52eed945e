"""SentencePiece-BPE vocabularies as `tokenizers` objects: pieces and scores in, the same ids out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACE = "▁"


def merges_from_scores(pieces: Sequence[tuple[str, float]]) -> list[tuple[str, str]]:
    """The merge list that a SentencePiece-BPE vocabulary implies, best score first.

    SentencePiece joins the neighbouring pair whose concatenation has the highest score, so every split of every piece
    into two pieces is a merge, ranked by the score of the whole; splits of one piece are ranked by their parts' ids.
    """
    ids = {piece: number for number, (piece, _) in enumerate(pieces)}
    ranked = []
    for number, (piece, score) in enumerate(pieces):
        for cut in range(1, len(piece)):
            left, right = ids.get(piece[:cut]), ids.get(piece[cut:])
            if left is not None and right is not None:
                ranked.append((-score, number, left, right))
    ranked.sort()
    return [(pieces[left][0], pieces[right][0]) for _, _, left, right in ranked]


def build_tokenizer(
    pieces: Sequence[tuple[str, float]],
    *,
    unk: str,
    specials: Sequence[str],
    prefix_space: bool = True,
    mergeable: Sequence[bool] | None = None,
) -> Tokenizer:
    """A Rust tokenizer with byte fallback over `pieces` (text with ▁ for space, score), ids by position.

    `specials` are matched whole in the text and never merged into; `mergeable` marks the pieces that merging may
    build (normal pieces, not bytes and control pieces), all by default.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    usable = [True] * len(pieces) if mergeable is None else mergeable
    vocabulary = {piece: number for number, (piece, _) in enumerate(pieces)}
    # Pieces that must not be built by merging keep their id but get an impossible text in the merge search.
    for_merges = [(piece if ok else f"\x00{piece}", score) for (piece, score), ok in zip(pieces, usable, strict=True)]
    merges = merges_from_scores(for_merges)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=unk, fuse_unk=True, byte_fallback=True))
    steps = [normalizers.Prepend(SPACE)] if prefix_space else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    tail = [decoders.Strip(" ", 1, 0)] if prefix_space else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *tail]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    return tokenizer
