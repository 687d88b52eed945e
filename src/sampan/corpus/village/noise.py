"""Spoiled documents, so that cleaning and deduplication have something real to drop."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ...artifacts.documents import Document
from .codes import LANGUAGES
from .documents import free_tale, make_plan, tell_plan, tell_tale
from .grammar import load_language
from .world import World

KINDS = (
    "exact_duplicate",
    "near_duplicate",
    "too_short",
    "boilerplate",
    "gibberish",
    "wrong_language",
    "control_characters",
)
_SYMBOLS = "#@%&*+=~^<>{}[]|\\/_$§¤"
_HIDDEN = "\u200b\u200c\ufeff\u0001\u0007\u001b"


def is_spoiled(share: float, seed: int, code: str, index: int) -> bool:
    """Whether document `index` of a language is one of the spoiled."""
    return share > 0 and random.Random(f"{seed}/spoil/{code}/{index}").random() < share


def spoil(document: Document, world: World, seed: int, index: int, share: float, codes: Sequence[str]) -> Document:
    """Spoil a document in a way drawn from its number; `meta.noise` names the way, `quality` becomes `low`."""
    code = document.language
    rng = random.Random(f"{seed}/noise/{code}/{index}")
    kind = rng.choice(KINDS)
    before = next((j for j in range(index - 1, -1, -1) if not is_spoiled(share, seed, code, j)), None)
    if before is None and kind.endswith("duplicate"):
        kind = "gibberish"
    facts = document.meta["facts"] if kind == "control_characters" else []
    text = document.text
    if kind == "exact_duplicate" or kind == "near_duplicate":
        told = tell_plan(make_plan(world, seed, before), code, seed, before)
        text, facts = told.text, [f.id for f in told.facts]
        if kind == "near_duplicate":
            text = load_language(code).sentences(text, tell_tale(load_language(code), free_tale(rng)))
    elif kind == "too_short":
        text = rng.choice(load_language(code).grammar["chat"]["greet"])[0]
    elif kind == "boilerplate":
        text = _menu(code, rng)
    elif kind == "gibberish":
        text = _gibberish(text, rng)
    elif kind == "wrong_language":
        other = rng.choice([c for c in codes if c != code] or [c for c in LANGUAGES if c != code])
        told = tell_plan(make_plan(world, seed, index), other, seed, index, told_in=code)
        text, facts = told.text, [f.id for f in told.facts]
    else:
        text = "".join(mark + rng.choice(_HIDDEN) if rng.random() < 0.2 else mark for mark in text)
    document.text, document.quality = text, "low"
    document.meta = {**document.meta, "facts": facts, "noise": kind}
    return document


def _menu(code: str, rng: random.Random) -> str:
    """Lines of a web page's menu: single words between bars."""
    language = load_language(code)
    words = [word for (kind, _, form), word in language.words.items() if form == "name" and kind in ("good", "food")]
    return "\n".join(" | ".join(rng.sample(words, 4)) for _ in range(rng.randint(6, 12)))


def _gibberish(text: str, rng: random.Random) -> str:
    marks = list(text.replace(" ", "")[:60]) + [rng.choice(_SYMBOLS) for _ in range(120)]
    rng.shuffle(marks)
    return "".join(marks)
