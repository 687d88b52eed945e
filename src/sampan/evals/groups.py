"""What is asked: items grouped by task and language, thinned by hash so that every checkpoint gets the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..artifacts.documents import Document, read_documents
from ..artifacts.items import CLUSTER, TEXTS, Item, read_items
from ..core.errors import InputError, RecipeError, did_you_mean
from ..core.identity import digest_text, digest_value
from ..core.stage import Artifact
from ..lang.codes import normalise_code


@dataclass(slots=True)
class Group:
    """The items behind one score: all of one task, language and type."""

    task: str
    language: str
    type: str
    revision: int = 1
    items: list[Item] = field(default_factory=list)
    left_out: int = 0
    """Rows that could not be asked because a field is null or the key names no option."""
    absent: list[str] = field(default_factory=list)
    """Languages of the task whose files are not there."""
    source: str = ""
    """Translation: the language that is translated from."""

    @property
    def prompt_digest(self) -> str:
        """Digest of everything that was asked and how it is marked; clusters change an error, never a mark."""
        rows = []
        for i in self.items:
            meta = {key: value for key, value in i.meta.items() if key not in (CLUSTER, TEXTS)}
            rows.append([i.prompt, i.choices, i.answer, i.pattern, meta])
        return digest_value(rows)

    @property
    def metrics(self) -> list[str]:
        """The metrics that mark this group's answers; InputError if its items name different ones."""
        named = {tuple(item.meta.get("metrics") or ("exact_match",)) for item in self.items}
        if len(named) > 1:
            raise InputError(f"items of task '{self.task}' name different metrics", where=self.language)
        return list(*named)


def clusters_of(items: Sequence[Item | Document]) -> list[str]:
    """Each item's or document's cluster; one that names none is its own."""
    return [str(item.meta.get(CLUSTER) or f"\0{n}") for n, item in enumerate(items)]


def own_items(sources: Sequence[Artifact]) -> list[Group]:
    """Groups of items from artifacts or files, in the order of tasks and languages."""
    groups: dict[tuple[str, str], Group] = {}
    for source in sources:
        for item in read_items(source):
            check_item(item)
            item.language = code(item.language)
            group = groups.setdefault((item.task, item.language), Group(item.task, item.language, item.type))
            if group.type != item.type:
                raise InputError(
                    f"task '{item.task}' in {item.language or 'no language'} mixes {group.type} and {item.type} items",
                    where=source.name,
                    how="Give the two types different task names.",
                )
            group.items.append(item)
    return [groups[key] for key in sorted(groups)]


def check_item(item: Item) -> None:
    """InputError unless the item can be marked."""
    where = f"item '{item.id}' of task '{item.task}'"
    if item.type == "multiple_choice":
        if len(item.choices) < 2:
            raise InputError("a multiple-choice item needs at least two choices", where=where)
        if not (item.answer.isascii() and item.answer.isdigit() and int(item.answer) < len(item.choices)):
            raise InputError(
                f"the answer '{item.answer}' is not the index of one of {len(item.choices)} choices", where=where
            )
    elif item.type == "preference" and len(item.choices) != 2:
        raise InputError("a preference item needs two choices: the better answer, then the worse one", where=where)
    elif item.type == "generate" and not (item.answer or item.pattern or item.meta.get("metrics")):
        raise InputError("a generate item needs an `answer` or a `pattern`", where=where)


def thin(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """At most `limit` items (0 = all) in their own order: those whose hash of (seed, task, id) is smallest.

    The language does not enter the hash, so parallel items with equal ids are chosen in every language. Items without
    an id are chosen by their prompt.
    """
    if not limit or len(items) <= limit:
        return list(items)
    ranks = [digest_value([seed, item.task, item.id or item.prompt]) for item in items]
    chosen = sorted(sorted(range(len(items)), key=lambda n: (ranks[n], n))[:limit])
    return [items[n] for n in chosen]


def held_out(sources: Sequence[Artifact], languages: Sequence[str], limit: int, seed: int) -> dict[str, list[Document]]:
    """Non-empty documents by language, at most `limit` (0 = all) of each: those whose text hashes smallest."""
    found: dict[str, list[Document]] = {}
    for source in sources:
        for document in read_documents(source):
            document.language = code(document.language)
            if document.text and (not languages or document.language in languages):
                found.setdefault(document.language, []).append(document)
    for language, documents in found.items():
        if limit and len(documents) > limit:
            documents.sort(key=lambda document: digest_text(f"{seed}\n{document.text}"))
            found[language] = documents[:limit]
    return dict(sorted(found.items()))


def only_languages(groups: Sequence[Group], languages: Sequence[str], known: set[str]) -> list[Group]:
    """The groups of `languages` (all if empty), translations between two of them.

    RecipeError for a language that has nothing to be asked.
    """
    for language in languages:
        if language not in known:
            raise RecipeError(
                f"nothing to ask in the language '{language}'", where="languages", how=did_you_mean(language, known)
            )
    return [
        group
        for group in groups
        if not languages or (group.language in languages and (not group.source or group.source in languages))
    ]


def code(language: str) -> str:
    """The full code of a language we know (th, tha and th-TH are tha_Thai); other names stay as they are."""
    try:
        return normalise_code(language) if language else ""
    except RecipeError:
        return language


def describe_prompt(prompt: Any) -> str:
    """A prompt for reading: plain text, or one turn's words, or a dialogue with its roles."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)
