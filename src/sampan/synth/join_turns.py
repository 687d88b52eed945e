"""`synth.join_turns`: single-turn samples of one language randomly joined to artificial conversations."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage

if TYPE_CHECKING:
    from ..artifacts.conversations import Conversation

_WINDOW = 4096
"""Samples of a language that wait to be drawn: what is joined comes from about so many neighbours."""


@params
class Params:
    share: float = 0.5
    """Share of the samples that are joined to others; the rest stays as it is. Ours, not the paper's (unpublished)."""
    max_turns: int = 4
    """Most samples in one conversation; the number is drawn evenly from 2 up to this. Ours, not the paper's."""
    seed: int = 0
    """Seed of what is joined to what."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("share must be from 0 to 1")
        if self.max_turns < 2:
            raise ValueError("max_turns must be 2 or more")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.conversations import read_conversations, write_conversations

    rows = (row for artifact in inputs.many("conversations") for row in read_conversations(artifact))
    summary = write_conversations(runtime.out, joined(rows, params))
    return {"documents": summary["rows"], "by_language": summary["by_language"], "licenses": summary["licenses"]}


def joined(rows: Iterable[Conversation], params: Params) -> Iterator[Conversation]:
    """Every message of `rows` once, but for system messages after a conversation's first; bounded memory."""
    rng = random.Random(f"join_turns/{params.seed}")
    waiting: dict[str, list[Conversation]] = {}
    for row in rows:
        if rng.random() >= params.share or not _single(row):
            yield row
            continue
        window = waiting.setdefault(row.language, [])
        window.append(row)
        if len(window) > _WINDOW:
            yield _join(_draw(window, rng, params.max_turns))
    for language in sorted(waiting):
        while window := waiting[language]:
            yield _join(_draw(window, rng, params.max_turns))


def _single(row: Conversation) -> bool:
    return sum(message["role"] == "user" for message in row.messages) == 1


def _draw(window: list[Conversation], rng: random.Random, max_turns: int) -> list[Conversation]:
    """Take some out of the window, in random order."""
    drawn = []
    for _ in range(min(rng.randint(2, max_turns), len(window))):
        place = rng.randrange(len(window))
        window[place], window[-1] = window[-1], window[place]
        drawn.append(window.pop())
    return drawn


def _join(rows: Sequence[Conversation]) -> Conversation:
    from ..artifacts.conversations import Conversation

    first, *others = rows
    if not others:
        return first
    messages = [message for row in others for message in row.messages if message["role"] != "system"]
    return Conversation(
        id="+".join(row.id for row in rows),
        messages=[*first.messages, *messages],
        language=first.language,
        source="+".join(sorted({row.source for row in rows if row.source})),
        license=_strictest(rows),
        meta={"joined": len(rows)},
    )


def _strictest(rows: Sequence[Conversation]) -> str:
    """All licences that the joined samples bear, as one."""
    return " AND ".join(sorted({row.license for row in rows if row.license}))


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """The same text in fewer rows."""
    given = facts.get("conversations", [])
    rows = sum(fact.get("documents", 0.0) for fact in given)
    size = sum(fact.get("text_bytes", 0.0) for fact in given)
    kept = 1 - params.share + params.share * 2 / (2 + params.max_turns)
    return {"documents": rows * kept, "text_bytes": size, "disk_bytes": size / 3, "seconds": size / 1e7}


STAGE = Stage(
    name="synth.join_turns",
    revision=1,
    summary="Single-turn samples of one language randomly joined to artificial conversations.",
    params=Params,
    inputs={"conversations": Role(kinds=("conversations",), help="samples to join", many=True)},
    output="conversations",
    run=run,
    estimate=estimate,
    paper="SeaLLMs (arXiv:2312.00738) §3.2: artificial multi-turn conversations, late in fine-tuning.",
)
