"""What each item gave, beside the scores: so that two checkpoints can be compared item by item.

Two files in a `scores` artifact: `asked.jsonl` names the items once for all models, `item_values.jsonl` holds a row of
numbers for each model, task, language and metric, in that order of items. Numbers are rounded to seven digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core.lines import lines_of
from ..core.stage import Artifact

ASKED, VALUES = "asked.jsonl", "item_values.jsonl"


@dataclass(frozen=True, slots=True)
class Asked:
    """The items of one task and language. `clusters` and `weights` are empty where every item counts for itself."""

    task: str
    language: str
    prompt_digest: str
    ids: list[str]
    clusters: list[str]
    weights: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemValues:
    """One model's values under one metric; None where an item gave none. Their (weighted) mean is the score."""

    model: str
    model_digest: str
    task: str
    language: str
    metric: str
    prompt_digest: str
    revision: int
    values: list[float | None]


def write_item_values(folder: Path, asked: Iterable[Asked], values: Iterable[ItemValues]) -> None:
    """Write both files."""
    _write(folder / ASKED, (asdict(row) for row in asked))
    rows = (asdict(row) for row in values)
    _write(folder / VALUES, ({**row, "values": [_short(value) for value in row["values"]]} for row in rows))


def read_item_values(source: Artifact | Path) -> tuple[list[Asked], list[ItemValues]]:
    """Both files; two empty lists for scores that were written without them."""
    path = source.path if isinstance(source, Artifact) else source
    return (
        [Asked(**row) for row in _read(path / ASKED)],
        [ItemValues(**row) for row in _read(path / VALUES)],
    )


def _short(value: float | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if value == int(value) else float(f"{value:.7g}")


def _write(path: Path, rows: Iterable[dict]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n")


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in lines_of(path)] if path.is_file() else []
