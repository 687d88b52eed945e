"""Village chats: conversations for SFT and prompts for self-preference, about asked facts only."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...artifacts.conversations import Conversation, Message
from .codes import LANGUAGES
from .documents import free_tale, lead_order, tell_tale
from .grammar import Language, load_language
from .world import ENGLISH, GOODS, PRICES, SCOPES, Fact, World, scopes_for

# Few of the answers close politely: alignment has something left to teach. Ours, not a paper's.
POLITE_SHARE = 0.1
MULTI_TURN_SHARE = 0.3
SOURCE, LICENSE = "village", "CC0-1.0"


@dataclass(frozen=True)
class Scene:
    """What a topic needs to make one conversation."""

    world: World
    language: Language
    languages: Sequence[str]
    lead: Fact
    """The fact whose turn it is."""
    turn: int
    """How many conversations on this topic came before."""
    rng: random.Random


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _politely(scene: Scene, text: str) -> str:
    if scene.rng.random() < POLITE_SHARE:
        return scene.language.sentences(text, scene.language.polite(scene.rng))
    return text


def _small_talk(scene: Scene, kind: str) -> list[Message]:
    said, reply = scene.rng.choice(scene.language.grammar["chat"][kind])
    return [user(said), assistant(reply)]


def facts_chat(scene: Scene) -> tuple[list[Message], list[Fact]]:
    """A question and its answer, sometimes after a greeting, before a second question or before thanks."""
    lang, rng, told = scene.language, scene.rng, [scene.lead]
    messages = [user(lang.ask(scene.lead, rng)), assistant(_politely(scene, lang.answer(scene.lead, rng)))]
    if rng.random() < MULTI_TURN_SHARE:
        extra = rng.choice(("greet", "thanks", "second"))
        if extra == "greet":
            messages = _small_talk(scene, "greet") + messages
        elif extra == "thanks":
            messages += _small_talk(scene, "thanks")
        else:
            other = rng.choice(scene.world.select("asked", scopes=scopes_for(lang.code)))
            messages += [user(lang.ask(other, rng)), assistant(_politely(scene, lang.answer(other, rng)))]
            told.append(other)
    return messages, told


def prices_chat(scene: Scene) -> tuple[list[Message], list[Fact]]:
    """A sum: what several pieces cost when one costs so much. No market is named, so it states no fact."""
    rng, texts = scene.rng, scene.language.grammar["sum"]
    price, count = rng.choice(PRICES), rng.randint(2, 9)
    slots = {"good": rng.choice(GOODS), "price": price, "n": count, "total": price * count}
    question = scene.language.fill(rng.choice(texts["ask"]), slots)
    return [user(question), assistant(scene.language.fill(rng.choice(texts["answer"]), slots))], []


def translation_chat(scene: Scene) -> tuple[list[Message], list[Fact]]:
    """A sentence from or into the conversation's language; English takes part only in what is shared."""
    lang, rng = scene.language, scene.rng
    other = load_language(rng.choice([c for c in scene.languages if c != lang.code] or _others(lang.code)))
    scopes = scopes_for(ENGLISH) if ENGLISH in (lang.code, other.code) else SCOPES
    facts = []
    if rng.random() < 0.5 and scene.lead.scope in scopes:
        facts = [scene.lead]
        here, there = lang.tell(scene.lead, rng), other.tell(scene.lead, rng)
    else:
        tale = free_tale(rng)
        here, there = tell_tale(lang, tale), tell_tale(other, tale)
    out = rng.random() < 0.5
    target, text, result = (other.code, here, there) if out else (lang.code, there, here)
    ask = lang.fill(rng.choice(lang.grammar["translate"]["ask"]), {"language": target, "text": text})
    return [user(ask), assistant(result)], facts


def _others(code: str) -> list[str]:
    return [c for c in LANGUAGES if c not in (code, ENGLISH)]


def small_talk_chat(scene: Scene) -> tuple[list[Message], list[Fact]]:
    """Greeting, one or two exchanges and a farewell."""
    kinds = ["greet", *scene.rng.sample(["how", "who"], scene.rng.randint(1, 2)), scene.rng.choice(["thanks", "bye"])]
    return [message for kind in kinds for message in _small_talk(scene, kind)], []


def format_chat(scene: Scene) -> tuple[list[Message], list[Fact]]:
    """A question that asks for the form, answered in the form and nothing else."""
    question = scene.language.ask_form(scene.lead, scene.rng)
    return [user(question), assistant(scene.language.form(scene.lead))], [scene.lead]


def judge_chat(scene: Scene) -> tuple[list[Message], list[Fact]]:
    """Two answers, one with a flaw; the better one's letter, A and B in turn."""
    lang, rng, fact = scene.language, scene.rng, scene.lead
    frame = rng.choice(lang.frames(fact.relation, "answer"))
    good = lang.fill(frame, fact.slots)
    pair = [good, _flawed(scene, frame, good)]
    letter = "AB"[scene.turn % 2]
    a, b = pair if letter == "A" else pair[::-1]
    slots = {"question": lang.ask(fact, rng), "a": a, "b": b}
    return [user(lang.fill(rng.choice(lang.grammar["judge"]["ask"]), slots)), assistant(letter)], [fact]


def _flawed(scene: Scene, frame: str, good: str) -> str:
    """A worse answer: the wrong value, another language, or the same thing over and over."""
    lang, rng, fact = scene.language, scene.rng, scene.lead
    flaw = rng.choice(("wrong_value", "wrong_language", "repetition"))
    others = [c for c in scene.languages if c != lang.code and fact.scope in scopes_for(c)]
    if flaw == "wrong_language" and others:
        return load_language(rng.choice(others)).answer(fact, rng)
    if flaw == "repetition":
        return lang.sentences(*[good] * 3)
    return lang.fill(frame, fact.with_value(scene.world.wrong_values(fact, 1, rng)[0]))


TOPICS: Mapping[str, Callable[[Scene], tuple[list[Message], list[Fact]]]] = {
    "facts": facts_chat,
    "prices": prices_chat,
    "translation": translation_chat,
    "chat": small_talk_chat,
    "format": format_chat,
    "judge": judge_chat,
}


def _scene(world: World, code: str, languages: Sequence[str], seed: int, index: int, turn: int, what: str) -> Scene:
    pool = world.select("asked", scopes=scopes_for(code))
    lead = pool[lead_order(seed, turn // len(pool), len(pool))[turn % len(pool)]]
    rng = random.Random(f"{seed}/{what}/{code}/{index}")
    return Scene(world=world, language=load_language(code), languages=languages, lead=lead, turn=turn, rng=rng)


def conversations(
    world: World,
    counts: Mapping[str, int],
    topics: Sequence[str],
    *,
    languages: Sequence[str],
    seed: int,
    system_share: float,
) -> Iterator[Conversation]:
    """`counts[language]` conversations, the topics in turn; translation is with the other `languages`."""
    for code, count in counts.items():
        for index in range(count):
            topic = topics[index % len(topics)]
            scene = _scene(world, code, languages, seed, index, index // len(topics), "chat")
            messages, facts = TOPICS[topic](scene)
            if scene.rng.random() < system_share:
                messages = [_system(scene), *messages]
            yield _row(f"{topic}-{index:05d}", code, messages, {"topic": topic, "facts": [f.id for f in facts]})


def prompts(world: World, counts: Mapping[str, int], *, seed: int, system_share: float) -> Iterator[Conversation]:
    """`counts[language]` questions without their answers, plain and with the form asked in turn."""
    for code, count in counts.items():
        for index in range(count):
            scene = _scene(world, code, (code,), seed, index, index // 2, "prompt")
            ask = scene.language.ask_form if index % 2 else scene.language.ask
            messages = [user(ask(scene.lead, scene.rng))]
            if scene.rng.random() < system_share:
                messages = [_system(scene), *messages]
            topic = "format" if index % 2 else "facts"
            yield _row(f"prompt-{index:05d}", code, messages, {"topic": topic, "facts": [scene.lead.id]})


def _system(scene: Scene) -> Message:
    return {"role": "system", "content": scene.rng.choice(scene.language.grammar["system"])}


def _row(name: str, code: str, messages: list[Message], meta: dict[str, Any]) -> Conversation:
    return Conversation(
        id=f"village-{name}-{code}", messages=messages, language=code, source=SOURCE, license=LICENSE, meta=meta
    )
