"""Text of the languages that the base already knows: cut as before, or within a tolerance, and what has changed.

With a tolerance of 0 every kept document must keep its ids. Otherwise the count of tokens of each kept language may
change by that share, and the pieces that go first are those that change kept text most for what they save elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError
from .growth import Growth
from .verify import encode, unreachable

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

_MAX_ROUNDS = 50
_AIM = 0.9
"""Pieces are dropped until the change is estimated at this share of the tolerance: dropping one lets others in."""
_ENCODE = 1000


@dataclass
class Kept:
    """The documents of one kept language and their ids as the base cuts them."""

    language: str
    texts: list[str]
    before: list[np.ndarray]

    @property
    def tokens(self) -> int:
        return sum(map(len, self.before))


def read_kept(growth: Growth, texts: Mapping[str, Sequence[str]]) -> list[Kept]:
    """The kept languages with their documents cut by the base."""
    return [Kept(language, list(some), _ids(growth.original, some)) for language, some in texts.items() if some]


def hold(
    growth: Growth, kept: Sequence[Kept], max_change: float, worth: Callable[[], Mapping[str, float]]
) -> dict[str, list[str]]:
    """Drop new pieces until every one is reachable and kept text is cut as before, or within `max_change`.

    `worth` gives what each piece saves in the new languages. Returns the dropped pieces by reason.
    """
    dropped: dict[str, list[str]] = {}
    suspects: dict[str, list[int]] = {}
    for _ in range(_MAX_ROUNDS):
        tokenizer = growth.build()
        if dead := unreachable(growth, tokenizer):
            growth.drop(dead)
            dropped.setdefault("unreachable", []).extend(dead)
            continue
        if max_change:
            offenders = _excess(growth, tokenizer, kept, max_change, worth)
        else:
            offenders = _offenders(growth, tokenizer, kept, suspects)
            if not offenders and suspects:  # the documents that changed are right again: look at all once more
                suspects.clear()
                offenders = _offenders(growth, tokenizer, kept, suspects)
        if not offenders:
            return dropped
        growth.drop(offenders)
        dropped.setdefault("changes_kept_text", []).extend(offenders)
    raise StageError(f"the vocabulary did not settle in {_MAX_ROUNDS} rounds of dropping pieces")


def report(kept: Sequence[Kept], after: Tokenizer) -> list[dict[str, Any]]:
    """One row per kept language: documents, how many are cut differently, tokens before and after, and the change."""
    rows = []
    for some in kept:
        now = _ids(after, some.texts)
        changed = sum(not _same(a, b) for a, b in zip(some.before, now, strict=True))
        tokens = sum(map(len, now))
        rows.append(
            {
                "language": some.language,
                "documents": len(some.texts),
                "changed_documents": changed,
                "changed_share": round(changed / len(some.texts), 6),
                "tokens_before": some.tokens,
                "tokens_after": tokens,
                "change": round(tokens / some.tokens - 1, 6) if some.tokens else 0.0,
            }
        )
    return rows


def check_kept(rows: Sequence[Mapping[str, Any]], max_change: float) -> None:
    """StageError unless every row of `report` is within the tolerance (0: no document changed)."""
    for row in rows:
        if row["changed_documents"] if not max_change else abs(row["change"]) > max_change + 1e-6:
            raise StageError(f"kept documents in {row['language']} are not cut as before (change {row['change']:.4%})")


def _excess(
    growth: Growth,
    tokenizer: Tokenizer,
    kept: Sequence[Kept],
    max_change: float,
    worth: Callable[[], Mapping[str, float]],
) -> list[str]:
    """New pieces to drop so that the token count of every kept language changes by `max_change` at most."""
    import numpy as np

    out: dict[str, None] = {}
    ids_P = np.array(growth.piece_ids, np.int64)
    for some in kept:
        now = _ids(tokenizer, some.texts)
        change = sum(map(len, now)) - some.tokens
        if abs(change) <= max_change * some.tokens:
            continue
        used_V = np.zeros(growth.size, np.int64)
        for ids in now:
            used_V += np.bincount(ids, minlength=growth.size) if len(ids) else 0
        used_P = used_V[ids_P]
        here = np.flatnonzero(used_P).tolist()
        if not here:
            raise StageError(
                f"kept text in {some.language} changes by {change / some.tokens:.2%} without any new piece in it",
                how="Set `pretokenizer: keep`, or raise `max_kept_change`.",
            )
        value = worth()
        model = growth.base_tokenizer.model
        saved = {p: int(used_P[p]) * max(len(model.tokenize(growth.pieces[p])) - 1, 1) for p in here}
        order = sorted(here, key=lambda p: (-saved[p] / (value.get(growth.pieces[p], 0.0) + 1e-12), p))
        too_much = abs(change) - _AIM * max_change * some.tokens
        for piece in order:
            if too_much <= 0:
                break
            out[growth.pieces[piece]] = None
            too_much -= saved[piece]
    return list(out)


def _offenders(growth: Growth, tokenizer: Tokenizer, kept: Sequence[Kept], suspects: dict[str, list[int]]) -> list[str]:
    """New pieces in kept documents that are cut differently; StageError if such a document has none.

    `suspects` are the documents to look at by language (all for a language without), replaced by those that changed.
    """
    found: set[str] = set()
    for some in kept:
        numbers = suspects.get(some.language, range(len(some.texts)))
        now = _ids(tokenizer, [some.texts[number] for number in numbers])
        changed = []
        for number, new in zip(numbers, now, strict=True):
            if not _same(some.before[number], new):
                changed.append(number)
                found |= _new_in(growth, some.texts[number], new.tolist())
        suspects[some.language] = changed
    if not found:
        return []
    return [piece for piece in growth.pieces if piece in found]


def _new_in(growth: Growth, text: str, ids: Sequence[int]) -> set[str]:
    used = set(ids)
    here = {piece for piece, number in zip(growth.pieces, growth.piece_ids, strict=True) if number in used}
    if not here:  # an old piece newly built over new ones that are no longer visible
        raw = text.encode("utf-8")
        here = {piece for piece in growth.pieces if growth.raw(piece).strip() in raw}
    if not here:
        raise StageError(
            f"kept text is cut differently although no new piece occurs in it ({text[:60]!r})",
            how="If its language needs the repaired word expression, take it out of `keep_languages`, or allow a "
            "change (`max_kept_change`); else set `pretokenizer: keep`.",
        )
    return here


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    import numpy as np

    out: list[np.ndarray] = []
    for start in range(0, len(texts), _ENCODE):
        out += [np.array(ids, np.uint32) for ids in encode(tokenizer, texts[start : start + _ENCODE])]
    return out


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and bool((a == b).all())


def counted(dropped: Mapping[str, Sequence[str]]) -> Counter[str]:
    """Numbers of dropped pieces by reason."""
    return Counter({reason: len(pieces) for reason, pieces in dropped.items()})
