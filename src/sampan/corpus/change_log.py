"""What normalisation changed, added up over a corpus for a person to read: `changes.jsonl` beside the documents.

A line is one kind of change: reason, before, after, count. Memory and file are bounded: each job keeps its most
frequent kinds, so that counts of rare ones are lower bounds; the totals by reason are exact.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..lang.normalise import changes

CHANGES = "changes.jsonl"
KINDS_PER_REASON = 500
"""Kinds of change of each reason in the file, the most frequent."""
MAX_KINDS = 50_000
"""Kinds that a job remembers at a time; beyond it the rarer half is forgotten."""
MAX_PIECE = 80
"""Characters shown of what a change took and gave."""
MAX_CHARACTERS = 200_000
"""Longer documents are not compared, only counted, as `not_compared`."""

Key = tuple[str, str, str]


class ChangeLog:
    """Adds up the changes of one job's documents."""

    def __init__(self) -> None:
        self._kinds: Counter[Key] = Counter()
        self.totals: Counter[str] = Counter()
        """Changes by reason."""

    def add(self, text: str, language: str) -> None:
        """Count what `normalise(text, language)` changes."""
        if len(text) > MAX_CHARACTERS:
            self.totals["not_compared"] += 1
            return
        for change in changes(text, language):
            self._kinds[change.reason, change.before[:MAX_PIECE], change.after[:MAX_PIECE]] += change.count
            self.totals[change.reason] += change.count
        if len(self._kinds) > MAX_KINDS:
            self._kinds = Counter(dict(_ordered(self._kinds)[: MAX_KINDS // 2]))

    def write(self, folder: Path) -> None:
        write_changes(folder, self._kinds)


def write_changes(folder: Path, kinds: Mapping[Key, int]) -> None:
    """The most frequent kinds of each reason into `changes.jsonl`, by reason and falling count."""
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for (reason, before, after), count in _ordered(kinds):
        rows = by_reason.setdefault(reason, [])
        if len(rows) < KINDS_PER_REASON:
            rows.append({"reason": reason, "before": before, "after": after, "count": count})
    # Half a surrogate pair has no UTF-8; backslashreplace spells it as JSON does.
    with open(folder / CHANGES, "w", encoding="utf-8", errors="backslashreplace") as file:
        for reason in sorted(by_reason):
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in by_reason[reason])


def merge_changes(folders: Iterable[Path], out: Path) -> None:
    """One `changes.jsonl` in `out` of those in `folders`."""
    kinds: Counter[Key] = Counter()
    for folder in folders:
        with open(folder / CHANGES, encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                kinds[row["reason"], row["before"], row["after"]] += row["count"]
        if len(kinds) > MAX_KINDS:
            kinds = Counter(dict(_ordered(kinds)[: MAX_KINDS // 2]))
    write_changes(out, kinds)


def _ordered(kinds: Mapping[Key, int]) -> list[tuple[Key, int]]:
    """Most frequent first, equal ones in the order of their text."""
    return sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
