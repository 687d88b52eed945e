"""Conversations and Preferences: OpenAI-style messages in Parquet; the field's other shapes are read too."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.stage import Artifact
from .tables import ParquetShards, language_of, meta_of, meta_text, parse_json, read_rows, string_schema, with_id

ROLES = ("system", "user", "assistant")
_SHAREGPT = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_ORIGIN = ("id", "language", "source", "license")

Message = dict[str, Any]
"""{"role": system | user | assistant, "content": text}; an assistant's may say `"train": true` or `false`"""


@dataclass(slots=True)
class Conversation:
    """Messages in turn, the last of them the assistant's."""

    id: str
    messages: list[Message]
    language: str = ""
    source: str = ""
    license: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Preference:
    """A prompt (messages ending with the user's) and two answers, the first of them preferred."""

    id: str
    prompt: list[Message]
    chosen: str
    rejected: str
    language: str = ""
    source: str = ""
    license: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Judged:
    """A prompt (messages ending with the user's) and one answer that was found good (`desirable`) or bad."""

    id: str
    prompt: list[Message]
    answer: str
    desirable: bool
    language: str = ""
    source: str = ""
    license: str = ""


def write_conversations(folder: Path, rows: Iterable[Conversation], *, extra: dict[str, Any] | None = None) -> dict:
    """Write conversations and a `summary.json` (with `extra` merged in); returns the summary."""
    return _write(folder, rows, ("messages",), extra)


def write_preferences(folder: Path, rows: Iterable[Preference], *, extra: dict[str, Any] | None = None) -> dict:
    """Write preferences and a `summary.json` (with `extra` merged in); returns the summary."""
    return _write(folder, rows, ("prompt", "chosen", "rejected"), extra)


def _write(folder: Path, rows: Iterable[Any], columns: tuple[str, ...], extra: dict[str, Any] | None) -> dict:
    shards = ParquetShards(folder, string_schema((*_ORIGIN, *columns, "meta")))
    languages: Counter[str] = Counter()
    licenses: dict[str, Counter[str]] = defaultdict(Counter)
    for item in rows:
        row = {name: getattr(item, name) for name in (*_ORIGIN, *columns)}
        for name, value in row.items():
            row[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        row["meta"] = meta_text(item.meta)
        shards.write(row, sum(map(len, row.values())))
        languages[item.language] += 1
        licenses[item.license][item.source] += 1
    shards.close()
    summary = {
        "rows": languages.total(),
        "by_language": dict(sorted(languages.items())),
        "licenses": sorted(filter(None, licenses)),
        "by_license": {name: dict(sorted(counts.items())) for name, counts in sorted(licenses.items())},
        **(extra or {}),
    }
    (folder / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")
    return summary


def read_conversations(source: Artifact | Path) -> Iterator[Conversation]:
    """Conversations of an artifact or of JSONL/Parquet from outside.

    Accepted shapes: OpenAI `messages`, ShareGPT `conversations` (from/value), Alpaca `instruction`/`input`/`output`
    (with an optional `system` and `history`), plain `prompt`/`response` or `question`/`answer`.
    """
    path = source.path if isinstance(source, Artifact) else source
    for place, row in read_rows(path):
        yield conversation_of(with_id(row, path, place), place)


def conversation_of(row: dict[str, Any], place: str) -> Conversation:
    """One row in any shape of `read_conversations`. `place` names it in an InputError, and is its id if it has none."""
    return Conversation(messages=_messages(row, place), meta=meta_of(row), **_origin(row, place))


def read_preferences(source: Artifact | Path) -> Iterator[Preference]:
    """Preferences of an artifact or of JSONL/Parquet from outside.

    Accepted shapes: `prompt`/`chosen`/`rejected` with strings or message lists (as in TRL), LLaMA-Factory's
    `conversations` or `instruction` with `chosen`/`rejected`, and HH-RLHF's two transcripts that share a prefix.
    """
    path = source.path if isinstance(source, Artifact) else source
    for place, row in read_rows(path):
        yield preference_of(with_id(row, path, place), place)


def preference_of(row: dict[str, Any], place: str) -> Preference:
    """One row in any shape of `read_preferences`. `place` names it in an InputError, and is its id if it has none."""
    if "chosen" not in row or "rejected" not in row:
        raise InputError(
            "a preference needs 'chosen' and 'rejected'",
            where=place,
            how=f"This row has: {', '.join(sorted(row))}.",
        )
    prompt, chosen, rejected = _pair(row, place)
    return Preference(prompt=prompt, chosen=chosen, rejected=rejected, meta=meta_of(row), **_origin(row, place))


def read_judged(source: Artifact | Path) -> Iterator[Judged]:
    """Answers judged one by one, of an artifact or of JSONL/Parquet from outside.

    Accepted shapes: every shape of `read_preferences` (two judged answers), and a conversation in any shape of
    `read_conversations`, or `prompt`/`completion`, with `label` or LLaMA-Factory's `kto_tag`: true or false, 1 or 0.
    """
    path = source.path if isinstance(source, Artifact) else source
    for place, row in read_rows(path):
        yield from judged_of(with_id(row, path, place), place)


def judged_of(row: dict[str, Any], place: str) -> list[Judged]:
    """The judged answers of one row. `place` names it in an InputError."""
    origin = _origin(row, place)
    if "chosen" in row and "rejected" in row:
        prompt, chosen, rejected = _pair(row, place)
        sides = ((chosen, True), (rejected, False))
        return [Judged(prompt=prompt, answer=answer, desirable=good, **origin) for answer, good in sides]
    label = row.get("label", row.get("kto_tag"))
    if not isinstance(label, bool | int) or label not in (0, 1):
        raise InputError(
            "a judged answer needs 'label': true or false",
            where=place,
            how=f"Or give 'chosen' and 'rejected'. This row has: {', '.join(sorted(row))}.",
        )
    turns = _messages(_with_completion(row, place), place)
    if turns[-1]["role"] != "assistant" or len(turns) < 2:
        raise InputError("a judged answer is the assistant's, after a prompt", where=place)
    return [Judged(prompt=turns[:-1], answer=turns[-1]["content"], desirable=bool(label), **origin)]


def _with_completion(row: dict[str, Any], place: str) -> dict[str, Any]:
    """The row with TRL's `prompt` and `completion`, texts or messages, in a shape that `_messages` reads."""
    if "completion" not in row:
        return row
    prompt, completion = _loads(row.get("prompt")), _loads(row["completion"])
    if isinstance(prompt, list) and isinstance(completion, list):
        return {"messages": [*prompt, *completion]}
    return {**row, "response": completion}


def _origin(row: dict[str, Any], place: str) -> dict[str, str]:
    return {
        "id": str(row["id"] if row.get("id") not in (None, "") else place),
        "language": language_of(row),
        "source": str(row.get("source") or ""),
        "license": str(row.get("license") or ""),
    }


def _loads(value: Any) -> Any:
    """A value, or the turn or turns that it is the JSON text of. Words that only begin with a bracket stay words."""
    if not isinstance(value, str) or value[:1] not in ("[", "{"):
        return value
    try:
        found = parse_json(value)
    except (ValueError, RecursionError):
        return value
    turns = found if isinstance(found, list) else [found]
    return found if turns and all(isinstance(t, dict) and ("content" in t or "value" in t) for t in turns) else value


def _turns(value: Any, place: str) -> list[Message]:
    """Messages from OpenAI (role/content) or ShareGPT (from/value) turns."""
    turns = []
    value = _loads(value)
    if not isinstance(value, list):
        raise InputError(f"messages must be a list of turns, got {str(value)[:80]}", where=place)
    for turn in value:
        if not isinstance(turn, dict):
            raise InputError(f"a turn needs a role of {', '.join(ROLES)} and a text, got {str(turn)[:80]}", where=place)
        role = _SHAREGPT.get(str(turn.get("role") or turn.get("from")))
        content = turn.get("content", turn.get("value"))
        if role is None or not isinstance(content, str):
            raise InputError(f"a turn needs a role of {', '.join(ROLES)} and a text, got {str(turn)[:80]}", where=place)
        turns.append({"role": role, "content": content, **_train(turn, role, place)})
    return turns


def _train(turn: dict[str, Any], role: str, place: str) -> dict[str, bool]:
    """{"train": …} if an assistant's turn says so: by `train`, or by OpenAI's `weight` of 0 or 1."""
    told = [turn[name] for name in ("train", "weight") if turn.get(name) is not None]
    if not told or role != "assistant":
        return {}
    if len(set(told)) > 1 or told[0] not in (0, 1) or isinstance(told[0], str):
        raise InputError(f"a turn is trained or not, and 'train' or 'weight' says {told[0]!r}", where=place)
    return {"train": bool(told[0])}


def _messages(row: dict[str, Any], place: str) -> list[Message]:
    for key in ("messages", "conversations"):
        if row.get(key):
            turns = _turns(row[key], place)
            return _system(row, place) + turns
    prompt = row.get("instruction") or row.get("prompt") or row.get("question")
    answer = row.get("output") or row.get("response") or row.get("answer")
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise InputError(
            "no conversation in this row",
            where=place,
            how="Give `messages`, `conversations`, `instruction`/`output` or `prompt`/`response`; "
            f"this row has: {', '.join(sorted(row))}.",
        )
    return [*_prompt(row, prompt, place), {"role": "assistant", "content": answer}]


def _system(row: dict[str, Any], place: str) -> list[Message]:
    words = row.get("system")
    if words and not isinstance(words, str):
        raise InputError(f"'system' must be a text, got {str(words)[:80]}", where=place)
    return [{"role": "system", "content": words}] if words else []


def _prompt(row: dict[str, Any], prompt: str, place: str) -> list[Message]:
    messages = _system(row, place)
    history = row.get("history") or []
    for turn in history if isinstance(history, list) else [history]:
        if not (isinstance(turn, list | tuple) and len(turn) == 2 and all(isinstance(text, str) for text in turn)):
            raise InputError(f"'history' must hold pairs of question and answer, got {str(turn)[:80]}", where=place)
        user, assistant = turn
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    text = f"{prompt}\n{row['input']}" if row.get("input") else prompt
    return [*messages, {"role": "user", "content": text}]


def _pair(row: dict[str, Any], place: str) -> tuple[list[Message], str, str]:
    chosen, rejected = _loads(row["chosen"]), _loads(row["rejected"])
    if isinstance(chosen, str) and chosen.lstrip().startswith("Human:"):
        return _transcripts(chosen, str(rejected), place)
    head: list[Message] = []
    answers = []
    for answer in (chosen, rejected):
        if isinstance(answer, dict):
            answer = answer.get("content", answer.get("value"))
        elif isinstance(answer, list) and answer:
            turns = _turns(answer, place)
            head, answer = turns[:-1], turns[-1]["content"]
        if not isinstance(answer, str):
            raise InputError("'chosen' and 'rejected' must be texts or messages", where=place)
        answers.append(answer)
    prompt, instruction = _loads(row.get("prompt")), row.get("instruction")
    text = instruction if instruction and isinstance(instruction, str) else prompt
    if isinstance(prompt, list):
        head = _turns(prompt, place)
    elif row.get("conversations"):
        head = _turns(row["conversations"], place)
    elif isinstance(text, str):
        head = _prompt(row, text, place)
    if not head:
        raise InputError("a preference needs a prompt", where=place)
    return head, answers[0], answers[1]


def _transcripts(chosen: str, rejected: str, place: str) -> tuple[list[Message], str, str]:
    """HH-RLHF: the whole dialogue twice, different only in the last assistant turn."""
    cut = chosen.rfind("\n\nAssistant:")
    other = rejected.rfind("\n\nAssistant:")
    if cut < 0 or other < 0:
        raise InputError("a transcript needs an 'Assistant:' turn", where=place)
    messages = []
    for block in chosen[:cut].replace("\n\nHuman:", "\x00u").replace("\n\nAssistant:", "\x00a").split("\x00"):
        if block.strip():
            messages.append({"role": "user" if block[0] == "u" else "assistant", "content": block[1:].strip()})
    mark = len("\n\nAssistant:")
    return messages, chosen[cut + mark :].strip(), rejected[other + mark :].strip()
