"""A profile's totals: one number for each model, competency and language, with what of it was run and what was not.

`profile.json` in a `scores` artifact, beside the rows of scores.jsonl that hold the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .scores import Score

TABLE = "profile.json"
OVERALL, LANGUAGE = "overall", "language_score"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of the table. `value` is None if nothing of it was run."""

    language: str
    """'' for the overall score."""
    competency: str
    """A competency, LANGUAGE or OVERALL."""
    value: float | None
    stderr: float | None
    n: int
    ran: list[str] = field(default_factory=list)
    """Tasks in it, as `task`; of the overall score, as `code/task`."""
    not_run: dict[str, str] = field(default_factory=dict)
    """Why, by task."""


@dataclass(frozen=True, kw_only=True)
class ProfileTable:
    """All models' cells under one profile."""

    profile: str
    suite: str
    digests: Mapping[str, str]
    """Digest by model."""
    cells: Mapping[str, Sequence[Cell]]
    """Cells by model, in the table's order."""


def cell_score(profile: str, model: str, digest: str, cell: Cell, asked: str) -> Score:
    """The row of `scores.jsonl` that holds the number of a cell (whose `value` is not None); `asked` is the digest of
    what was asked."""
    return Score(
        model=model,
        model_digest=digest,
        task=profile,
        language=cell.language,
        metric=cell.competency,
        value=cell.value,
        stderr=cell.stderr,
        n=cell.n,
        higher_is_better=True,
        prompt_digest=asked,
        revision=1,
    )


def write_profile_table(folder: Path, table: ProfileTable) -> None:
    """Write `profile.json`."""
    text = json.dumps(asdict(table), ensure_ascii=False, indent=1)
    (folder / TABLE).write_text(text, encoding="utf-8")


def read_profile_table(folder: Path) -> ProfileTable | None:
    """The folder's table, None if it has none. ValueError, KeyError or TypeError if it is damaged."""
    file = folder / TABLE
    if not file.is_file():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    cells = {model: [Cell(**cell) for cell in rows] for model, rows in found.pop("cells").items()}
    return ProfileTable(cells=cells, **found)
