"""Findings: which evaluation items stand in which training texts.

`searched.jsonl` names what was looked for, one row for each task and language; `found.jsonl` holds one row for each
item and corpus that it was found in; `summary.json` the digests of the corpora that were searched, in order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.lines import lines_of, write_jsonl
from ..core.stage import Artifact


@dataclass(frozen=True, slots=True)
class Searched:
    """The items of one task and language that were looked for, by `Item.key`."""

    task: str
    language: str
    ids: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One item in one corpus."""

    corpus: str
    """Digest of the corpus."""
    task: str
    language: str
    item: str
    exact: bool
    """Whether one document holds every text of the item, the same but for letter case and blanks."""
    documents: int
    document: str
    """The first document's id."""
    text: str
    """What of the item stands there, shortened."""


@dataclass(frozen=True)
class Findings:
    """One artifact, read."""

    corpora: Sequence[str]
    searched: Sequence[Searched]
    found: Sequence[Finding]


def write_findings(folder: Path, findings: Findings) -> dict[str, Any]:
    """Write the three files; returns the summary."""
    write_jsonl(folder / "searched.jsonl", map(asdict, findings.searched))
    write_jsonl(folder / "found.jsonl", map(asdict, findings.found))
    items = {(row.task, row.language, row.item) for row in findings.found}
    exact = {(row.task, row.language, row.item) for row in findings.found if row.exact}
    summary = {
        "corpora": list(findings.corpora),
        "items": sum(len(row.ids) for row in findings.searched),
        "items_exact": len(exact),
        "items_overlapping": len(items - exact),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True), encoding="utf-8")
    return summary


def read_findings(source: Artifact | Path) -> Findings:
    """The findings of an artifact."""
    path = source.path if isinstance(source, Artifact) else source
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    searched = [Searched(**row) for row in _rows(path / "searched.jsonl")]
    return Findings(summary["corpora"], searched, [Finding(**row) for row in _rows(path / "found.jsonl")])


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(path)]
