"""Asking a judge: reply by reply written down, so that nothing that was answered is asked again.

A request is what the judge reads and the number of the attempt. Its reply is kept in the stage's state at once, so that
a killed run goes on where it was and pays nothing twice, and in the artifact at the end, so that it can be replayed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...artifacts.tables import read_rows
from ...core.errors import InputError, StageError
from ...core.stage import Artifact
from ...model.endpoint import Reply
from ...store.files import appended_lines
from .judges import NOT_RECORDED, Judge, Request

REPLIES = "replies.jsonl"
UNANSWERED = ("outage", "rejected")
"""Failures of the server's or of how it was asked, not of the judge."""


class Record:
    """Replies by (digest of what was read, attempt): of recorded runs, and of this one's state.

    Of recorded ones those count that `judge` gave (by name, or by name and `how` it was asked; None for anyone's).
    """

    def __init__(self, state: Path, sources: Sequence[Artifact], judge: Judge | str | None) -> None:
        self._path = state / REPLIES
        self._file = None
        self.known: dict[tuple[str, int], Reply] = {}
        self.judges: set[str] = set()
        for source in sources:
            self._recorded(source, judge)
        self.given = len(self.known)
        self._resumed()

    def _recorded(self, source: Artifact, judge: Judge | str | None) -> None:
        path = source.path / REPLIES if source.path.is_dir() else source.path
        if not path.is_file():
            raise InputError(f"no {REPLIES} in this folder", where=source.name, how="Give what evals.judge made.")
        replay = judge is None or isinstance(judge, str)
        wanted = judge if replay else judge.name
        for place, row in read_rows(path):
            try:
                key, reply = (row["asked"], int(row["attempt"])), Reply(**row["reply"])
                name, how = str(row["judge"]), row["how"]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"not a recorded reply ({error})", where=place) from None
            if (wanted and name != wanted) or not (replay or how == judge.how):
                continue
            self.judges.add(json.dumps({"judge": name, "how": how}, sort_keys=True, ensure_ascii=False))
            if replay or reply.failure not in UNANSWERED:  # someone who can be asked is asked again
                self.known[key] = reply

    def _resumed(self) -> None:
        for row in map(json.loads, appended_lines(self._path)):
            self.known[row["asked"], row["attempt"]] = Reply(**row["reply"])

    def keep(self, asked: str, attempt: int, reply: Reply) -> None:
        """Remember a reply, and, unless it may be another one the next time, write it down at once."""
        self.known[asked, attempt] = reply
        if reply.failure in (*UNANSWERED, NOT_RECORDED):
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a", encoding="utf-8")
        row = {"asked": asked, "attempt": attempt, "reply": asdict(reply)}
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()


def reply_rows(name: str, how: Mapping[str, Any], replies: Mapping[str, Sequence[Reply]]) -> Iterator[dict[str, Any]]:
    """Rows of REPLIES for whoever is called `name`, in the order of their keys."""
    for key, told in sorted(replies.items()):
        for attempt, reply in enumerate(told, 1):
            yield {"asked": key, "attempt": attempt, "judge": name, "how": how, "reply": asdict(reply)}


def spent(replies: Iterable[Reply], prompt_price: float, completion_price: float) -> dict[str, Any]:
    """Tokens of all replies, None where the server did not count them, and their `cost` where a price is given."""
    told: dict[str, Any] = {}
    answered = [reply for reply in replies if not reply.failure]
    for name in ("prompt_tokens", "completion_tokens"):
        counts = [getattr(reply, name) for reply in answered]
        told[name] = sum(counts) if counts and None not in counts else None
    if (prompt_price or completion_price) and None not in told.values():
        cost = prompt_price * told["prompt_tokens"] + completion_price * told["completion_tokens"]
        told["cost"] = round(cost / 1e6, 6)
    return told


class Outages:
    """Counts requests that nobody answered, and ends the work where they are too many to be a result."""

    def __init__(self, most: float, total: int, where: str) -> None:
        self._most, self._total, self._where, self.count = most, total, where, 0

    def add(self, reply: Reply) -> None:
        self.count += 1
        if self.count > self._most * self._total:
            raise StageError(
                f"{self.count} of {self._total} requests were not answered, the last with: {reply.text}",
                where=self._where,
                how="Run again when the endpoint answers: what it has said so far is kept. In evals.judge "
                "`max_outages` says how many may be missing.",
            )


def ask_all(
    judge: Judge,
    record: Record,
    requests: Mapping[str, Request],
    is_verdict: Callable[[str, str], bool],
    *,
    tries: int,
    max_outages: float,
    progress: Callable[[int], None],
) -> dict[str, list[Reply]]:
    """Every request's replies, attempt by attempt: the last one is a verdict or a failure.

    `requests` maps the digest of what is read to it; `is_verdict(digest, text)` says whether a text can be read.
    """
    found: dict[str, list[Reply]] = {key: [] for key in requests}
    outages = Outages(max_outages, len(requests), judge.name)
    open_keys = list(requests)
    for attempt in range(1, (tries if judge.again else 1) + 1):
        new = [key for key in open_keys if (key, attempt) not in record.known]

        def on_reply(number: int, reply: Reply, new: list[str] = new, attempt: int = attempt) -> None:
            record.keep(new[number], attempt, reply)
            if reply.failure in UNANSWERED:
                outages.add(reply)
            progress(1)

        if new:
            judge.replies([requests[key] for key in new], attempt, on_reply)
        left = []
        for key in open_keys:
            reply = record.known[key, attempt]
            if reply.failure == NOT_RECORDED and found[key]:
                continue  # the record ends with an attempt that failed
            found[key].append(reply)
            if reply.failure == "refused" or (not reply.failure and not is_verdict(key, reply.text)):
                left.append(key)
        open_keys = left
    return found
