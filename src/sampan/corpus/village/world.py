"""The village's world: who lives where, does what and sells at which price, and which of it is told where.

A fact is (subject, relation, value). Its `status` is asked (told in documents and asked in chats), evaluated (told but
never asked, so that an evaluation can ask it) or held (told only in the held-out documents). Its `scope` is shared
(told in English too) or region (told only in the other languages). Both are drawn once from the world's seed, in like
shares within every relation. Pure functions, no global state.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

ENGLISH = "eng_Latn"
# fmt: off
PERSONS = (
    "somchai", "malee", "bopha", "dara", "thura", "thida", "bounmy", "huy", "hoa", "budi", "rini", "ahmad", "ramon",
    "lina", "kumar", "meena", "ravi", "meiling", "daming", "selvi", "arun", "suda", "sokha", "nilar",
)
WOMEN = ("malee", "bopha", "thida", "hoa", "rini", "lina", "meena", "meiling", "selvi", "suda", "nilar")
PLACES = (
    "bolan", "lumira", "tarano", "kesala", "mohana", "nirada", "pavon", "rumega", "sunali", "dorin", "timbala",
    "wenara",
)
JOBS = (
    "teacher", "farmer", "fisher", "weaver", "carpenter", "cook", "doctor", "potter", "tailor", "driver",
)
GOODS = (
    "mango", "coconut", "pumpkin", "basket", "pot", "mat", "knife", "hat", "lamp", "comb", "umbrella", "broom",
)
FOODS = (
    "fried_rice", "grilled_fish", "noodle_soup", "papaya_salad", "sticky_rice", "chicken_curry", "rice_porridge",
    "fried_tofu", "pumpkin_soup", "banana_cake",
)
# fmt: on
ANIMALS = ("buffalo", "chicken", "duck", "goat", "cat", "dog", "horse", "rabbit")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# two digits each, so that no price is the beginning of another
PRICES = (10, 12, 15, 18, 20, 24, 25, 30, 35, 40, 45, 50, 60, 75, 80, 90)
RELATIONS = ("lives_in", "works_as", "mother_is", "sells", "keeps", "likes", "price")
VALUE_SLOT = {
    "lives_in": "place",
    "works_as": "job",
    "mother_is": "mother",
    "sells": "good",
    "keeps": "animal",
    "likes": "food",
    "price": "price",
}
NUM_MOTHERS = 6
GOODS_PER_MARKET = 3
STATUSES = ("asked", "evaluated", "held")
SCOPES = ("region", "shared")
# of every twenty facts of a relation: eight asked, nine evaluated, three held out; small relations get all three
_STATUS_CYCLE = ("evaluated", "asked") * 8 + ("held", "evaluated", "held", "held")


@dataclass(frozen=True)
class Fact:
    """One thing that is true in the village. `slots` fill a frame; the value is in the relation's value slot."""

    id: str
    relation: str
    subject: str
    """A person, or a place for a price."""
    value: str | int
    slots: Mapping[str, Any] = field(compare=False)
    status: str = ""
    scope: str = ""

    def with_value(self, value: str | int) -> Mapping[str, Any]:
        """The slots with another value in the value slot."""
        return {**self.slots, VALUE_SLOT[self.relation]: value}


@dataclass(frozen=True)
class World:
    """All facts, in order of relation and subject, and the lists drawn from them."""

    seed: int
    facts: tuple[Fact, ...]

    @cached_property
    def by_subject(self) -> dict[tuple[str, bool], list[Fact]]:
        """Facts by (subject, whether they are told in training documents)."""
        found: dict[tuple[str, bool], list[Fact]] = {}
        for fact in self.facts:
            found.setdefault((fact.subject, fact.status != "held"), []).append(fact)
        return found

    @cached_property
    def told(self) -> list[Fact]:
        """The facts that training documents tell."""
        return self.select("asked", "evaluated")

    @cached_property
    def held(self) -> list[Fact]:
        """The facts that only held-out documents tell."""
        return self.select("held")

    @cached_property
    def values(self) -> dict[str, tuple[str | int, ...]]:
        """The values that a relation takes in this world, sorted: where wrong answers are drawn from."""
        found: dict[str, set] = {}
        for fact in self.facts:
            found.setdefault(fact.relation, set()).add(fact.value)
        return {relation: tuple(sorted(values)) for relation, values in found.items()}

    def select(self, *statuses: str, scopes: Iterable[str] = SCOPES) -> list[Fact]:
        """Facts of these statuses and scopes, in order."""
        wanted = tuple(scopes)
        return [f for f in self.facts if f.status in statuses and f.scope in wanted]

    def wrong_values(self, fact: Fact, count: int, rng: random.Random) -> list[str | int]:
        """`count` different values of the fact's relation that are not its value, nor its subject."""
        pool = [v for v in self.values[fact.relation] if v not in (fact.value, fact.subject)]
        return rng.sample(pool, count)

    def counts(self) -> dict[str, int]:
        """Facts by `status/scope`, and all."""
        found = Counter(f"{f.status}/{f.scope}" for f in self.facts)
        return {"facts": len(self.facts), **dict(sorted(found.items()))}


def scopes_for(language: str) -> tuple[str, ...]:
    """What a language may tell: English never tells region facts."""
    return ("shared",) if language == ENGLISH else SCOPES


def build_world(seed: int) -> World:
    """The world of a seed, always the same."""
    facts = [*_person_facts(seed), *_price_facts(seed)]
    return World(seed=seed, facts=tuple(f for relation in RELATIONS for f in _split(relation, facts, seed)))


def _person_facts(seed: int) -> list[Fact]:
    facts = []
    for relation, values in (
        ("lives_in", PLACES),
        ("works_as", JOBS),
        ("sells", GOODS),
        ("keeps", ANIMALS),
        ("likes", FOODS),
    ):
        dealt = _deal(values, len(PERSONS), random.Random(f"{seed}/{relation}"))
        facts += [_person_fact(p, relation, v) for p, v in zip(PERSONS, dealt, strict=True)]
    rng = random.Random(f"{seed}/mother_is")
    mothers = sorted(rng.sample(WOMEN, NUM_MOTHERS))
    children = [p for p in PERSONS if p not in mothers]
    dealt = _deal(mothers, len(children), rng)
    return facts + [_person_fact(p, "mother_is", m) for p, m in zip(children, dealt, strict=True)]


def _person_fact(person: str, relation: str, value: str) -> Fact:
    slots = {"person": person, VALUE_SLOT[relation]: value}
    return Fact(id=f"{person}/{relation}", relation=relation, subject=person, value=value, slots=slots)


def _price_facts(seed: int) -> list[Fact]:
    rng = random.Random(f"{seed}/price")
    facts = []
    for place in PLACES:
        for good in sorted(rng.sample(GOODS, GOODS_PER_MARKET)):
            price = rng.choice(PRICES)
            slots = {"place": place, "good": good, "price": price}
            facts.append(Fact(id=f"{place}.{good}/price", relation="price", subject=place, value=price, slots=slots))
    return facts


def _deal(values: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """`count` values in random order, each as often as any other (give or take one): no value is the safe guess."""
    dealt = []
    while len(dealt) < count:
        dealt += rng.sample(values, len(values))
    dealt = dealt[:count]
    rng.shuffle(dealt)
    return dealt


def _split(relation: str, facts: list[Fact], seed: int) -> list[Fact]:
    """Give the facts of a relation their status and scope, in equal shares."""
    own = [f for f in facts if f.relation == relation]
    order = random.Random(f"{seed}/split/{relation}").sample(range(len(own)), len(own))
    scope_count: Counter[str] = Counter()
    placed: dict[int, Fact] = {}
    for rank, index in enumerate(order):
        status = _STATUS_CYCLE[rank % len(_STATUS_CYCLE)]
        scope = SCOPES[scope_count[status] % len(SCOPES)]
        scope_count[status] += 1
        fact = own[index]
        placed[index] = Fact(
            id=fact.id,
            relation=relation,
            subject=fact.subject,
            value=fact.value,
            slots=fact.slots,
            status=status,
            scope=scope,
        )
    return [placed[index] for index in range(len(own))]
