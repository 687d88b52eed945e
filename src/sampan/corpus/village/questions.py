"""Village evaluation items on facts told in documents and never asked in chats.

`village_region_facts` and `village_shared_facts` are clozes in plain text that a base model can be scored on;
`…_chat` are the same facts asked in a chat; `village_format` checks the asked form by a pattern; `village_preference`
holds the preference pairs of the held-out facts. A fact has the same wrong choices in every language.

Apart from these, `village_chat` asks the same facts openly and marks the manner of the answer alone, which is what
preference pairs teach beside being right: said once, in the question's language, closed politely.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from ...artifacts.items import CLUSTER, Item
from .chats import user
from .grammar import load_language
from .pairs import preferences
from .world import Fact, World, scopes_for

NUM_CHOICES = 4


def questions(world: World, languages: Sequence[str], *, seed: int, clozes_per_fact: int) -> Iterator[Item]:
    """All items of a world in these languages; region facts are never asked in English."""
    for code in languages:
        facts = world.select("evaluated", scopes=scopes_for(code))
        for fact in facts:
            for number in range(clozes_per_fact):
                yield _cloze(world, fact, code, seed, number)
        yield from (_chat_choice(world, fact, code, seed) for fact in facts)
        yield from (_format(fact, code, seed) for fact in facts)
        for pair in preferences(world, {code: len(facts)}, "held_out", languages=languages, seed=seed):
            yield Item(
                id=pair.id,
                task="village_preference",
                type="preference",
                language=code,
                prompt=pair.prompt,
                choices=[pair.chosen, pair.rejected],
                answer="0",
                meta={**pair.meta, CLUSTER: pair.meta["facts"][0]},
            )


def open_questions(world: World, languages: Sequence[str], *, seed: int) -> Iterator[Item]:
    """`village_chat`: one open question for every evaluated fact that a language tells."""
    for code in languages:
        lang = load_language(code)
        for fact in world.select("evaluated", scopes=scopes_for(code)):
            rng = random.Random(f"{seed}/open/{code}/{fact.id}")
            yield Item(
                id=f"{fact.id}-{code}-open",
                task="village_chat",
                type="generate",
                language=code,
                prompt=[user(lang.ask(fact, rng))],
                pattern=lang.polite_pattern(),
                meta={"fact": fact.id, "relation": fact.relation},
            )


def _values(world: World, fact: Fact, seed: int) -> tuple[list[str | int], int]:
    """Four values in random order and the place of the right one; the same in every language."""
    rng = random.Random(f"{seed}/choices/{fact.id}")
    values = [fact.value, *world.wrong_values(fact, NUM_CHOICES - 1, rng)]
    rng.shuffle(values)
    return values, values.index(fact.value)


def _meta(fact: Fact) -> dict[str, str]:
    """One fact asked in several languages, or in several ways, is one draw."""
    return {"fact": fact.id, "relation": fact.relation, CLUSTER: fact.id}


def _cloze(world: World, fact: Fact, code: str, seed: int, number: int) -> Item:
    values, right = _values(world, fact, seed)
    prompt, choices = load_language(code).cloze(fact, number, values)
    return Item(
        id=f"{fact.id}-{code}-cloze-{number}",
        task=f"village_{fact.scope}_facts",
        type="multiple_choice",
        language=code,
        prompt=prompt,
        choices=choices,
        answer=str(right),
        meta=_meta(fact),
    )


def _chat_choice(world: World, fact: Fact, code: str, seed: int) -> Item:
    lang, values_right = load_language(code), _values(world, fact, seed)
    rng = random.Random(f"{seed}/ask/{code}/{fact.id}")
    frame = lang.frames(fact.relation, "answer")[0]
    return Item(
        id=f"{fact.id}-{code}-chat",
        task=f"village_{fact.scope}_facts_chat",
        type="multiple_choice",
        language=code,
        prompt=[user(lang.ask(fact, rng))],
        choices=[lang.fill(frame, fact.with_value(value)) for value in values_right[0]],
        answer=str(values_right[1]),
        meta=_meta(fact),
    )


def _format(fact: Fact, code: str, seed: int) -> Item:
    lang = load_language(code)
    rng = random.Random(f"{seed}/form/{code}/{fact.id}")
    return Item(
        id=f"{fact.id}-{code}-format",
        task="village_format",
        type="generate",
        language=code,
        prompt=[user(lang.ask_form(fact, rng))],
        pattern=lang.form_pattern(),
        meta={**_meta(fact), "answer": lang.short(fact)},
    )
