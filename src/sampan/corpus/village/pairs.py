"""Preference pairs: a right answer and the same answer with one flaw, which `meta.flaw` names.

The chosen answer is in the question's language, correct, in the asked form, or else a sentence with a polite closing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from ...artifacts.conversations import Preference
from .chats import LICENSE, SOURCE, user
from .documents import lead_order
from .grammar import Language, load_language
from .world import ENGLISH, Fact, World, scopes_for

FLAWS = ("wrong_language", "form_ignored", "curt", "wrong_value", "repetition")
Split = Literal["train", "held_out"]


def preferences(
    world: World, counts: Mapping[str, int], split: Split, *, languages: Sequence[str], seed: int
) -> Iterator[Preference]:
    """`counts[language]` pairs, the flaws in turn: on asked facts (train) or on facts never asked (held_out)."""
    for code, count in counts.items():
        pool = world.select("asked" if split == "train" else "evaluated", scopes=scopes_for(code))
        for index in range(count):
            lap, place = divmod(index, len(pool))
            fact = pool[lead_order(seed, lap, len(pool))[place]]
            rng = random.Random(f"{seed}/{split}/{code}/{index}")
            yield _pair(world, fact, load_language(code), languages, FLAWS[index % len(FLAWS)], split, index, rng)


def _pair(
    world: World,
    fact: Fact,
    lang: Language,
    languages: Sequence[str],
    flaw: str,
    split: Split,
    index: int,
    rng: random.Random,
) -> Preference:
    others = [c for c in languages if c != lang.code and fact.scope in scopes_for(c)]
    if flaw == "wrong_language" and not others:
        flaw = "wrong_value"
    form = flaw == "form_ignored" or (flaw != "curt" and rng.random() < 0.5)
    question = lang.ask_form(fact, rng) if form else lang.ask(fact, rng)
    frame_seed = rng.random()
    polite = _answer(lang, fact, frame_seed, rng.random())
    chosen = lang.form(fact) if form else polite
    if flaw == "wrong_language":
        # English first: falling back into the base model's language is the flaw seen most
        other = load_language(ENGLISH if ENGLISH in others else rng.choice(others))
        rejected = other.form(fact) if form else _answer(other, fact, frame_seed, rng.random())
    elif flaw == "form_ignored":
        rejected = polite
    elif flaw == "curt":
        rejected = lang.short(fact)
    elif flaw == "wrong_value":
        value = world.wrong_values(fact, 1, rng)[0]
        rejected = lang.form(fact, value=value) if form else _with_value(lang, fact, value, frame_seed, chosen)
    else:
        rejected = lang.sentences(*[chosen] * rng.randint(3, 4))
    return Preference(
        id=f"village-{split}-{index:05d}-{lang.code}",
        prompt=[user(question)],
        chosen=chosen,
        rejected=rejected,
        language=lang.code,
        source=SOURCE,
        license=LICENSE,
        meta={"flaw": flaw, "facts": [fact.id], "form": form, "split": split},
    )


def _answer(lang: Language, fact: Fact, frame_seed: float, closing_seed: float) -> str:
    """The polite answer; equal seeds choose equal frames."""
    closing = lang.polite(random.Random(closing_seed))
    return lang.sentences(lang.answer(fact, random.Random(frame_seed)), closing)


def _with_value(lang: Language, fact: Fact, value: str | int, frame_seed: float, chosen: str) -> str:
    """The chosen answer with another value: only the value differs."""
    right = lang.answer(fact, random.Random(frame_seed))
    return lang.answer(fact, random.Random(frame_seed), value=value) + chosen[len(right) :]
