"""A chat benchmark's own rules: one YAML each under `benchmarks/`, and the sentences that its judge is told.

The published sentences are not part of the package. Where a user gives them, in FastChat's shape, they take the place
of ours; both are templates with `{places}`, of which only known ones are filled, so braces in answers stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal

import yaml

from ...artifacts.tables import read_rows
from ...core.errors import InputError
from ...core.params import params, parse_params
from ...core.stage import Artifact
from .questions import ChatQuestion

FOLDER = Path(__file__).parent / "benchmarks"
WORDING = "wording.yaml"
_PLACE = re.compile(r"\{([a-z_]+(?:_[1-9])?)\}")
_TURNS = 2
"""Turns that the published sentences have places for."""
Message = dict[str, str]


@params
class Benchmark:
    """A benchmark file, validated."""

    paper: str
    """Where it comes from."""
    grading: list[Literal["single", "pairwise"]]
    """How it is judged unless the user says otherwise."""
    scale: tuple[float, float]
    """Lowest and highest grade."""
    single_brackets: bool = False
    """Whether [7] is a grade where there is no [[7]]."""
    references: list[str] | Literal["all", "given"]
    """The categories that are judged with a reference; `all` of them; or wherever one is `given`."""
    temperatures: dict[str, float]
    """The published temperature of answers by category; 0 for others."""
    max_new_tokens: int
    """Longest answer."""
    judge_max_tokens: int
    """Longest verdict."""
    opponent: str
    """Whose answers a pair is compared with, unless the user says."""
    average: Literal["verdicts", "categories", "languages"]
    """What weighs the same in a mean: every verdict, every category, or every language in the mean over languages."""
    failures: Literal["left_out", "loss"]
    """What a pair counts whose verdicts cannot be read."""
    criteria: str
    """What makes an answer good."""
    aspects: dict[str, str] = field(default_factory=dict)
    """By category, what matters most."""
    language: str = ""
    """The language of rows that do not name theirs."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Our templates' names to those of the published ones."""

    def needs_reference(self, question: ChatQuestion) -> bool:
        """Whether the benchmark judges this question with a reference."""
        if isinstance(self.references, list):
            return question.category in self.references
        return self.references == "all" or bool(question.references)


@params
class Template:
    """One pair of messages to the judge, with places."""

    system: str = ""
    """What the judge is."""
    user: str
    """What it reads."""

    def fill(self, values: Mapping[str, str], *, where: str) -> list[Message]:
        """The messages. InputError for a place that has no value."""

        def put(match: re.Match) -> str:
            if match[1] in values:
                return values[match[1]]
            raise InputError(
                f"the judge's template wants {match[0]}, which this question has not",
                where=where,
                how=f"There is: {', '.join(f'{{{name}}}' for name in values)}.",
            )

        given = (("system", self.system), ("user", self.user))
        return [{"role": role, "content": _PLACE.sub(put, text)} for role, text in given if text.strip()]


def load_benchmark(name: str) -> Benchmark:
    """The benchmark of this name."""
    path = FOLDER / f"{name}.yaml"
    return parse_params(Benchmark, yaml.safe_load(path.read_text(encoding="utf-8")), where=path.name)


def load_templates(benchmark: Benchmark, given: Artifact | None) -> dict[str, Template]:
    """Our templates by name, or the published ones of a file in FastChat's shape, under our names."""
    if given is None:
        ours = yaml.safe_load((FOLDER / WORDING).read_text(encoding="utf-8"))
        return {name: parse_params(Template, value, where=WORDING) for name, value in ours.items()}
    found = {}
    for place, row in read_rows(given.path):
        if not all(isinstance(row.get(key), str) for key in ("name", "prompt_template")):
            raise InputError(
                "not a judge's prompt", where=place, how="Give FastChat's shape: name, system_prompt, prompt_template."
            )
        found[row["name"]] = Template(system=str(row.get("system_prompt") or ""), user=row["prompt_template"])
    return {ours: found[theirs] for ours, theirs in benchmark.prompts.items() if theirs in found}


class Wording:
    """Asks about one or two answers in a benchmark's words."""

    def __init__(self, benchmark: Benchmark, templates: Mapping[str, Template], where: str) -> None:
        self._benchmark, self.templates, self._where = benchmark, templates, where

    def single(self, question: ChatQuestion, turn: int, answers: Sequence[str]) -> list[Message]:
        """The messages that have the answer at `turn` (from 0) graded; `answers` are the model's, up to it."""
        values = {"answer": answers[turn], "conversation": _conversation(question, answers, turn)}
        values |= {f"answer_{n + 1}": answers[n] for n in range(turn + 1)}
        return self._ask("single", question, turn, values)

    def pair(self, question: ChatQuestion, turn: int, first: Sequence[str], second: Sequence[str]) -> list[Message]:
        """The messages that have two models' answers at `turn` compared, `first` shown as A."""
        values = {}
        for side, answers in (("a", first), ("b", second)):
            values |= {
                f"answer_{side}": answers[turn],
                f"conversation_{side}": _conversation(question, answers, turn),
                **{f"answer_{side}_{n + 1}": answers[n] for n in range(turn + 1)},
            }
        return self._ask("pair", question, turn, values)

    def _ask(self, kind: str, question: ChatQuestion, turn: int, values: dict[str, str]) -> list[Message]:
        has_reference = self._benchmark.needs_reference(question) and len(question.references) > turn
        name = f"{kind}_{'later' if turn else 'first'}{'_reference' if has_reference else ''}"
        where = f"question '{question.id}', turn {turn + 1}"
        if name not in self.templates:
            wanted = self._benchmark.prompts.get(name, name)
            raise InputError(f"the judge's prompts have no '{wanted}'", where=self._where, how=f"It is for {where}.")
        low, high = self._benchmark.scale
        aspects = self._benchmark.aspects.get(question.category, "")
        values |= {
            "criteria": self._benchmark.criteria,
            "aspects": f" Give the most weight to: {aspects}." if aspects else "",
            "priority_aspect": aspects,
            "low": f"{low:g}",
            "high": f"{high:g}",
            "question": question.turns[turn],
            **{f"question_{n + 1}": question.turns[n] for n in range(turn + 1)},
        }
        if has_reference:
            values["reference"] = question.references[turn]
            values |= {f"ref_answer_{n + 1}": text for n, text in enumerate(question.references[: turn + 1])}
        template = self.templates[name]
        if turn >= _TURNS and "{conversation" not in template.user:
            raise InputError("the published prompts have places for two turns", where=where, how="Leave `prompts` out.")
        return template.fill(values, where=where)


def _conversation(question: ChatQuestion, answers: Sequence[str], turn: int) -> str:
    """What was said before `turn`."""
    said = [f"User: {question.turns[n]}\n\nAssistant: {answers[n]}" for n in range(turn)]
    return "\n\n".join(said)
