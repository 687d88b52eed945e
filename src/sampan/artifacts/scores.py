"""Scores: one row for each model, task, language and metric, with its error and the digest of what was asked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.lines import lines_of, write_jsonl
from ..core.stage import Artifact


@dataclass(slots=True, kw_only=True)
class Score:
    """A number and how sure it is. `higher_is_better` lets a report colour gains and losses."""

    model: str
    model_digest: str
    task: str
    language: str
    metric: str
    value: float
    stderr: float | None
    n: int
    higher_is_better: bool
    prompt_digest: str
    revision: int
    left_out: int = 0
    """Rows of the test that could not be asked."""
    empty: int = 0
    """Answers without any text, which count as wrong."""
    looping: int = 0
    """Answers that go round in a circle, which are marked as they are."""
    cut_off: int = 0
    """Answers that ran into the limit of tokens before they came to an end, which are marked as they are."""


_COUNTS = ("left_out", "empty", "looping", "cut_off")
"""Written only where they are not zero."""


def write_scores(folder: Path, scores: Iterable[Score], samples: Iterable[dict[str, Any]] = ()) -> int:
    """Write `scores.jsonl` and, for reading by people and audits, `samples.jsonl`; returns the number of scores."""
    rows = [asdict(score) for score in scores]
    write_jsonl(folder / "scores.jsonl", ({k: v for k, v in row.items() if v or k not in _COUNTS} for row in rows))
    write_jsonl(folder / "samples.jsonl", samples)
    return len(rows)


def write_records(folder: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write `records.jsonl`: single items with prompt, output, extracted, expected and verdict {metric: value}."""
    write_jsonl(folder / "records.jsonl", records)


def read_records(source: Artifact | Path) -> list[dict[str, Any]]:
    """The rows of `records.jsonl`, and those samples that carry a verdict."""
    path = source.path if isinstance(source, Artifact) else source
    file = path / "records.jsonl"
    rows = [json.loads(line) for line in lines_of(file)] if file.is_file() else []
    return rows + [row for row in read_samples(path) if "verdict" in row]


def read_scores(source: Artifact | Path) -> list[Score]:
    path = (source.path if isinstance(source, Artifact) else source) / "scores.jsonl"
    return [Score(**json.loads(line)) for line in lines_of(path)]


def read_samples(source: Artifact | Path) -> list[dict[str, Any]]:
    path = (source.path if isinstance(source, Artifact) else source) / "samples.jsonl"
    return [json.loads(line) for line in lines_of(path)] if path.is_file() else []
