"""Items: evaluation questions, one row each, in the three shapes that `evals.run` scores."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.identity import digest_value
from ..core.stage import Artifact
from .conversations import Message
from .tables import ParquetShards, read_rows, string_schema

TYPES = ("multiple_choice", "generate", "preference")


@dataclass(slots=True)
class Item:
    """One question. `task` groups items into a score; `prompt` is plain text, or messages for the chat template.

    multiple_choice: `choices` are continuations, `answer` the index of the right one (as a string of digits).
    generate: the output must equal `answer` after stripping, or match `pattern` (a regular expression) if that is set.
    preference: `choices` are (better, worse) answers to the prompt.
    """

    id: str
    task: str
    type: str
    language: str
    prompt: str | list[Message]
    choices: list[str] = field(default_factory=list)
    answer: str = ""
    pattern: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What an item is called among those of its task and language: its id, or a digest of its prompt."""
        return self.id or digest_value(self.prompt)[:16]


CLUSTER = "cluster"
"""Key of an item's meta, or of a document's: what it shares with others, such as the passage that it asks about, or the
original that it is a translation of. What shares one counts as one draw in the errors of scores."""
TEXTS = "texts"
"""Key of an item's meta: the texts it was made of, without the labels of a prompt."""
_COLUMNS = ("id", "task", "type", "language", "prompt", "choices", "answer", "pattern", "meta")


def write_items(folder: Path, items: Iterable[Item]) -> dict[str, Any]:
    """Write items and a `summary.json` of counts; returns the summary."""
    shards = ParquetShards(folder, string_schema(_COLUMNS))
    counts: Counter[str] = Counter()
    for item in items:
        row = {name: getattr(item, name) for name in _COLUMNS}
        row = {
            k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, sort_keys=True) for k, v in row.items()
        }
        row["prompt"] = json.dumps(item.prompt, ensure_ascii=False)
        shards.write(row, sum(map(len, row.values())))
        counts[f"{item.task}/{item.language}"] += 1
    shards.close()
    summary = {"rows": counts.total(), "by_task": dict(sorted(counts.items()))}
    (folder / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")
    return summary


def read_items(source: Artifact | Path) -> Iterator[Item]:
    """Items of an artifact, or of JSONL/Parquet with the same columns."""
    path = source.path if isinstance(source, Artifact) else source
    for place, row in read_rows(path):
        try:
            values = {k: row.get(k) or "" for k in _COLUMNS}
            for key, empty in (("choices", []), ("meta", {})):
                values[key] = json.loads(values[key]) if isinstance(values[key], str) and values[key] else values[key]
                values[key] = values[key] or empty
            item = Item(**{**values, "prompt": _prompt(values["prompt"])})
        except (TypeError, json.JSONDecodeError) as error:
            raise InputError(f"not an evaluation item ({error})", where=place) from None
        if item.type not in TYPES:
            raise InputError(f"item type '{item.type}' is not one of {', '.join(TYPES)}", where=place)
        yield item


def _prompt(value: Any) -> str | list[Message]:
    """A prompt as our writer puts it (JSON of a text or of messages), or as people write it."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except json.JSONDecodeError:
        return value
    return found if isinstance(found, str) or (isinstance(found, list) and found) else value
