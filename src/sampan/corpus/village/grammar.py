"""The village's languages: lexicon and sentence frames read from YAML, and slots filled to make sentences.

A frame is text with slots `{kind}` or `{kind.form}`. A slot's value is looked up in the lexicon by its kind (a `friend`
or `mother` is a `person`); numbers are written in the language's digits; `{text}`, `{question}`, `{a}` and `{b}` take
ready text.
"""

from __future__ import annotations

import functools
import importlib.resources
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .world import VALUE_SLOT, Fact

KINDS = {"friend": "person", "mother": "person"}
NUMBERS = ("price", "n", "total")
READY = ("text", "question", "a", "b")
_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")

Part = str | tuple[str, str]
"""Literal text, or a slot (name, form)."""


@functools.lru_cache(maxsize=8192)
def parse_frame(frame: str) -> tuple[Part, ...]:
    """Split a frame into literal texts and slots."""
    parts: list[Part] = []
    end = 0
    for match in _SLOT.finditer(frame):
        if match.start() > end:
            parts.append(frame[end : match.start()])
        parts.append((match[1], match[2] or "name"))
        end = match.end()
    if end < len(frame):
        parts.append(frame[end:])
    return tuple(parts)


@dataclass(frozen=True)
class Language:
    """One language of the village; `grammar` is its YAML."""

    code: str
    script: str
    join: str
    """What stands between two sentences."""
    grammar: Mapping[str, Any]
    words: Mapping[tuple[str, str, str], str] = field(repr=False)
    """(kind, id, form) to a word."""
    digits: Mapping[int, int] | None = None

    def fill(self, frame: str, slots: Mapping[str, Any]) -> str:
        """The frame with its slots filled; sentences of Latin script begin with a capital."""
        text = "".join(part if isinstance(part, str) else self._word(part, slots) for part in parse_frame(frame))
        return text[:1].upper() + text[1:] if self.script == "Latn" else text

    def _word(self, part: tuple[str, str], slots: Mapping[str, Any]) -> str:
        name, form = part
        value = slots[name]
        if name in READY:
            return value
        if name in NUMBERS:
            return self.number(value)
        word = self.words[KINDS.get(name, name), value, form]
        return word.replace("{n}", self.number(slots["n"])) if "{n}" in word else word

    def number(self, value: int) -> str:
        return str(value).translate(self.digits) if self.digits else str(value)

    def frames(self, relation: str, use: str) -> Sequence[str]:
        """A relation's frames of `use`: tell, ask, answer or cloze."""
        return self.grammar["relations"][relation][use]

    def tell(self, fact: Fact, rng: random.Random) -> str:
        """A sentence that states the fact, in one of its paraphrases."""
        return self.fill(rng.choice(self.frames(fact.relation, "tell")), fact.slots)

    def ask(self, fact: Fact, rng: random.Random) -> str:
        """A question about the fact's value."""
        return self.fill(rng.choice(self.frames(fact.relation, "ask")), fact.slots)

    def answer(self, fact: Fact, rng: random.Random, *, value: str | int | None = None) -> str:
        """A chat's answer to that question; with `value`, a wrong one."""
        slots = fact.slots if value is None else fact.with_value(value)
        return self.fill(rng.choice(self.frames(fact.relation, "answer")), slots)

    def short(self, fact: Fact, *, value: str | int | None = None) -> str:
        """Only the value, as in a form: `Bolan`, `20 coins`; with `value`, a wrong one."""
        slots = fact.slots if value is None else fact.with_value(value)
        frame = self.grammar["relations"][fact.relation].get("short", "{" + VALUE_SLOT[fact.relation] + "}")
        parts = parse_frame(frame)
        return "".join(part if isinstance(part, str) else self._word(part, slots) for part in parts)

    def cloze(self, fact: Fact, number: int, values: Sequence[str | int]) -> tuple[str, list[str]]:
        """A sentence's beginning up to the value, and its continuation with each of `values`.

        Blanks before the value belong to the continuation, as tokenizers have it.
        """
        frame = self.frames(fact.relation, "cloze")[number]
        cut = frame.index("{" + VALUE_SLOT[fact.relation])
        head = frame[:cut]
        prompt = self.fill(head.rstrip(), fact.slots)
        blank = head[len(head.rstrip()) :]
        parts = parse_frame(frame[cut:])
        choices = [
            blank
            + "".join(part if isinstance(part, str) else self._word(part, fact.with_value(value)) for part in parts)
            for value in values
        ]
        return prompt, choices

    def form(self, fact: Fact, *, value: str | int | None = None) -> str:
        """The answer in the asked form: `Answer: Bolan`; with `value`, a wrong one."""
        form = self.grammar["form"]
        return form["label"] + form["space"] + self.short(fact, value=value)

    def ask_form(self, fact: Fact, rng: random.Random) -> str:
        """A question that also asks for the form."""
        return self.sentences(self.ask(fact, rng), rng.choice(self.grammar["form"]["ask"]))

    def polite(self, rng: random.Random) -> str:
        """A polite closing sentence."""
        return rng.choice(self.grammar["polite"])

    def form_pattern(self) -> str:
        """A regular expression of one line in the asked form."""
        return f"^{re.escape(self.grammar['form']['label'])}\\s*\\S.*$"

    def polite_pattern(self) -> str:
        """A regular expression of something said, then one polite closing at the very end and none before it."""
        closing = f"(?:{'|'.join(map(re.escape, self.grammar['polite']))})"
        return f"(?s)^(?!{closing})\\S(?:(?!{closing}).)*{closing}\\s*$"

    def sentences(self, *texts: str) -> str:
        return self.join.join(texts)


@functools.cache
def load_language(code: str) -> Language:
    """Read a language's YAML from the package."""
    import yaml

    text = importlib.resources.files(__package__).joinpath("languages", f"{code}.yaml").read_text(encoding="utf-8")
    grammar = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    words = {}
    for kind, entries in grammar["lexicon"].items():
        for key, forms in entries.items():
            for form, word in (forms if isinstance(forms, dict) else {"name": forms}).items():
                words[kind, key, form] = word
    digits = grammar.get("digits")
    return Language(
        code=code,
        script=grammar["script"],
        join=grammar["join"],
        grammar=grammar,
        words=words,
        digits={ord(str(d)): ord(mark) for d, mark in enumerate(digits)} if digits else None,
    )
