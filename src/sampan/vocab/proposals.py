"""A list of pieces for a vocabulary, as `vocab.propose` writes it and `vocab.expand` reads it: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.stage import Artifact

FILE = "pieces.jsonl"


@dataclass(frozen=True)
class Proposal:
    """A piece as text (a blank where a word begins), the language it is for and how often it was seen."""

    piece: str
    language: str
    count: int = 1


def write_proposals(folder: Path, proposals: Iterable[Proposal]) -> None:
    """Write `pieces.jsonl`, best piece first."""
    with (folder / FILE).open("w", encoding="utf-8") as out:
        for item in proposals:
            row = {"piece": item.piece, "language": item.language, "count": item.count}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_proposals(sources: Sequence[Artifact]) -> Iterator[Proposal]:
    """The proposals of folders with `pieces.jsonl` (or such files), in order; InputError names the line that is none."""
    for source in sources:
        path = source.path / FILE if source.path.is_dir() else source.path
        if not path.is_file():
            raise InputError(f"there is no {FILE} here", where=str(source.path), how="Make one with vocab.propose.")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                proposal = Proposal(row["piece"], row["language"], row.get("count", 1))
            except (ValueError, KeyError, TypeError, AttributeError):
                proposal = Proposal("", "", 0)
            texts = isinstance(proposal.piece, str) and isinstance(proposal.language, str)
            if not texts or not proposal.piece.strip() or not isinstance(proposal.count, int):
                raise InputError(
                    "not a piece",
                    where=f"{path}:{number}",
                    how='A line is like {"piece": " nasi", "language": "ind_Latn", "count": 12}.',
                )
            yield proposal
