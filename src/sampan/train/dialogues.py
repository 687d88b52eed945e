"""Conversations as ids and masks, and preference pairs and judged answers as pieces to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..artifacts.conversations import Judged, Preference
from ..core.errors import InputError, StageError
from ..model.chat import render, trained_turns
from .packing import IGNORE, LEAST_SHARED, Piece, share_prompt


def pair_pieces(
    tokenizer: Any, rows: Iterable[Preference], *, context_len: int
) -> tuple[list[tuple[Piece, Piece]], list[str], Counter[str]]:
    """(chosen and rejected pieces, names of the languages, how many pairs were dropped and why).

    Only the answer is trained, and the rejected piece shares the prompt of the chosen one. A pair longer than the
    context, or whose answers are equal, is dropped: cutting would change which answer is better.
    """
    pairs, names, notes = [], {}, Counter()
    for row in rows:
        source = names.setdefault(row.language, len(names))
        sides = []
        for answer in (row.chosen, row.rejected):
            sides.append(masked_piece(*judged_mask(tokenizer, row.prompt, answer, where=row.id), source))
        if max(len(side.ids) for side in sides) > context_len:
            notes["too_long"] += 1
        elif not all(side.trained for side in sides):
            notes["untrained"] += 1
        elif np.array_equal(sides[0].ids, sides[1].ids):
            notes["equal"] += 1
        else:
            pairs.append((sides[0], share_prompt(*sides, least=LEAST_SHARED)))
    if not pairs:
        dropped = ", ".join(f"{count} {reason}" for reason, count in notes.items()) or "there were none"
        raise StageError(f"no preference pair is left ({dropped})", how="Raise context_len, or give other pairs.")
    return pairs, list(names), notes


def judged_pieces(
    tokenizer: Any, rows: Iterable[Judged], *, context_len: int
) -> tuple[list[Piece], list[bool], list[str], Counter[str]]:
    """(pieces, whether each is desirable, names of the languages, how many answers were dropped and why).

    Only the answer is trained. What is longer than the context is dropped. StageError unless both sorts are left.
    """
    pieces, desirable, names, notes = [], [], {}, Counter()
    for row in rows:
        ids, mask = judged_mask(tokenizer, row.prompt, row.answer, where=row.id)
        piece = masked_piece(ids, mask, names.setdefault(row.language, len(names)))
        if len(ids) > context_len:
            notes["too_long"] += 1
        elif not piece.trained:
            notes["untrained"] += 1
        else:
            pieces.append(piece)
            desirable.append(row.desirable)
    if len(set(desirable)) < 2:
        raise StageError(
            f"{sum(desirable)} desirable and {len(desirable) - sum(desirable)} undesirable answers are left, and both "
            f"sorts are needed (dropped: {dict(notes)})",
            how="Raise context_len, or give other answers.",
        )
    return pieces, desirable, list(names), notes


def judged_mask(
    tokenizer: Any, prompt: Sequence[dict[str, Any]], answer: str, *, where: str
) -> tuple[list[int], list[int]]:
    """Ids and loss mask of a prompt and the answer that was judged, which alone is trained: what turns of the prompt
    say of themselves is for fine-tuning."""
    asked = [{"role": message["role"], "content": message["content"]} for message in prompt]
    return answer_mask(tokenizer, [*asked, {"role": "assistant", "content": answer}], loss_on="last", where=where)


def answer_mask(
    tokenizer: Any, messages: Sequence[dict[str, str]], *, loss_on: str, where: str
) -> tuple[list[int], list[int]]:
    """Ids and loss mask of a conversation: all assistant turns, only the last one, or none; a message's own `train`
    wins. A turn is trained with its end, or not at all."""
    turns = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    chosen = {"all": turns, "last": turns[-1:], "none": []}[loss_on]
    trained = trained_turns(messages, chosen)
    words = [{"role": message["role"], "content": message["content"]} for message in messages]
    try:
        return render(tokenizer, words, turns=trained)
    except InputError as error:
        raise InputError(error.what, where=where, how=error.how) from None


def masked_piece(ids: Sequence[int], mask: Sequence[int], source: int) -> Piece:
    """A piece that trains the tokens whose mask is 1."""
    tokens = np.asarray(ids, np.int64)
    labels = np.full(len(tokens), IGNORE, np.int64)
    labels[:-1] = np.where(np.asarray(mask[1:], bool), tokens[1:], IGNORE)
    return Piece(tokens, labels, source)
