"""A list of pieces for a vocabulary, as `vocab.propose` writes and `vocab.expand` reads it: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.lines import lines_of
from ..core.stage import Artifact
from ..lang.codes import normalise_code

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
    """The proposals of folders with `pieces.jsonl`, or of such files, in order; InputError names the bad line."""
    for source in sources:
        path = source.path / FILE if source.path.is_dir() else source.path
        if not path.is_file():
            raise InputError(f"there is no {FILE} here", where=str(source.path), how="Make one with vocab.propose.")
        for number, line in enumerate(lines_of(path), 1):
            yield _proposal(line, where=f"{path}:{number}")


def _proposal(line: str, *, where: str) -> Proposal:
    try:
        row = json.loads(line)
        piece, language, count = row["piece"], row["language"], row.get("count", 1)
    except (ValueError, KeyError, TypeError, AttributeError):
        piece = language = count = None
    if not isinstance(piece, str) or not piece.strip() or not isinstance(language, str) or not isinstance(count, int):
        raise InputError(
            "not a piece", where=where, how='A line is like {"piece": " nasi", "language": "ind_Latn", "count": 12}.'
        )
    return Proposal(piece, normalise_code(language), count)
