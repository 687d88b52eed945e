"""Village documents: a plan of 3 to 8 sentences that no language knows of, told in every language.

Plan i is built around the i-th fact of an endless shuffle of all facts, so that after as many documents as there are
facts each has been told at least once. A region fact carries a plain sentence that takes its place in English.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .grammar import Language, load_language
from .world import ENGLISH, FOODS, GOODS, PERSONS, PLACES, WEEKDAYS, Fact, World, scopes_for

MAX_SENTENCES = 8
# themes of free sentences and how many of each the grammar holds
TALES = {"weather": 3, "market": 4, "festival": 3, "travel": 3, "cooking": 3, "home": 3}


@dataclass(frozen=True)
class Tale:
    """A sentence that states no fact: frame `number` of a theme, with its slots."""

    theme: str
    number: int
    slots: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What a document says: its theme and its sentences, each with a tale to tell where a fact must not be told."""

    theme: str
    sentences: Sequence[tuple[Fact | Tale, Tale]]


@dataclass(frozen=True)
class Told:
    """A plan in one language: the text and the facts it tells."""

    text: str
    sentences: Sequence[str]
    facts: Sequence[Fact]


def make_plan(world: World, seed: int, index: int, *, held_out: bool = False) -> Plan:
    """Plan number `index` of a seed, over the told facts or, `held_out`, over those never told."""
    pool = world.held if held_out else world.told
    rng = random.Random(f"{seed}/{'held' if held_out else 'plan'}/{index}")
    lead = pool[lead_order(seed, index // len(pool), len(pool))[index % len(pool)]]
    theme, facts, tales = _compose(world, lead, rng, held_out)
    body: list[Fact | Tale] = [*facts, *tales]
    if theme == "story":
        rng.shuffle(body)
    else:
        body = [*tales[:1], *facts, *tales[1:]]
    place = lead.subject if lead.relation == "price" else None
    return Plan(theme=theme, sentences=[(s, _tale(_any_theme(rng), rng, place)) for s in body[:MAX_SENTENCES]])


def _compose(world: World, lead: Fact, rng: random.Random, held_out: bool) -> tuple[str, list[Fact], list[Tale]]:
    """Theme, facts and free sentences of a document around its lead fact."""
    known = world.by_subject.get((lead.subject, not held_out), [])
    others = [f for f in known if f.id != lead.id]
    if lead.relation == "price":
        theme, facts = "market", [lead, *rng.sample(others, min(len(others), rng.randint(1, 3)))]
        tales = [_tale("market", rng, lead.subject), *_tales(rng, ("weather", "market", "cooking"), 1, 2)]
    elif lead.relation == "mother_is":
        mother = world.by_subject.get((str(lead.value), not held_out), [])
        more = rng.sample(others, min(len(others), 2)) + rng.sample(mother, min(len(mother), 2))
        theme, facts, tales = "family", [lead, *more], _tales(rng, ("home", "cooking", "weather"), 2, 3)
    else:
        theme = rng.choice(("portrait", "portrait", "diary", "story"))
        most = {"portrait": 4, "diary": 1, "story": 1}[theme]
        facts = [lead, *rng.sample(others, min(len(others), rng.randint(most // 2, most)))]
        themes = ("home", "cooking", "travel", "market") if theme == "diary" else tuple(TALES)
        tales = _tales(rng, themes, 1 if theme == "portrait" else 3, 2 if theme == "portrait" else 5)
        rng.shuffle(facts)
    if len(facts) + len(tales) < 3:
        tales += _tales(rng, tuple(TALES), 2, 2)
    return theme, facts, tales


@functools.lru_cache(maxsize=64)
def lead_order(seed: int, lap: int, size: int) -> Sequence[int]:
    """The order in which lap number `lap` takes the `size` facts of a pool."""
    return random.Random(f"{seed}/lap/{lap}").sample(range(size), size)


def _any_theme(rng: random.Random) -> str:
    return rng.choice(tuple(TALES))


def _tales(rng: random.Random, themes: Sequence[str], least: int, most: int) -> list[Tale]:
    return [_tale(rng.choice(themes), rng) for _ in range(rng.randint(least, most))]


def _tale(theme: str, rng: random.Random, place: str | None = None) -> Tale:
    person, friend = rng.sample(PERSONS, 2)
    slots = {
        "person": person,
        "friend": friend,
        "place": place or rng.choice(PLACES),
        "food": rng.choice(FOODS),
        "good": rng.choice(GOODS),
        "weekday": rng.choice(WEEKDAYS),
    }
    return Tale(theme=theme, number=rng.randrange(TALES[theme]), slots=slots)


def free_tale(rng: random.Random) -> Tale:
    """A free sentence of any theme."""
    return _tale(_any_theme(rng), rng)


def tell_tale(language: Language, tale: Tale) -> str:
    return language.fill(language.grammar["narrative"][tale.theme][tale.number], tale.slots)


def tell_plan(plan: Plan, code: str, seed: int, index: int, *, told_in: str | None = None) -> Told:
    """Plan number `index` in the language `code`; what may be told is also limited by `told_in`, if given."""
    language = load_language(code)
    rng = random.Random(f"{seed}/tell/{code}/{index}")
    scopes = scopes_for(ENGLISH if ENGLISH in (code, told_in) else code)
    texts, facts, seen = [], [], set()
    for main, instead in plan.sentences:
        if isinstance(main, Fact) and main.scope in scopes:
            text = language.tell(main, rng)
            facts.append(main)
        else:
            text = tell_tale(language, main if isinstance(main, Tale) else instead)
        if text in seen:
            text = tell_tale(language, instead)
        seen.add(text)
        texts.append(text)
    return Told(text=_paragraphs(language, plan, texts), sentences=texts, facts=facts)


def _paragraphs(language: Language, plan: Plan, texts: Sequence[str]) -> str:
    """A diary puts every sentence on its line; a long text has two paragraphs."""
    if plan.theme == "diary":
        return "\n".join(texts)
    half = len(texts) // 2
    if len(texts) >= 6:
        return language.sentences(*texts[:half]) + "\n" + language.sentences(*texts[half:])
    return language.sentences(*texts)
