"""Everything that came of a run of `evals.judge`, before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...model.endpoint import Reply
from .answers import Contestant
from .benchmark import Benchmark
from .questions import ChatQuestion
from .tables import Judged

if TYPE_CHECKING:
    from ..judge import Params


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that came of a run."""

    params: Params
    rules: Benchmark
    judge: str
    how: Mapping[str, Any]
    """How the judge was asked to write."""
    questions: Sequence[ChatQuestion]
    contestants: Sequence[Contestant]
    opponent: Contestant | None
    judged: Sequence[Judged]
    replies: Mapping[str, Sequence[Reply]]
    failures: str
    wording: Mapping[str, Sequence[str]]

    def graded(self) -> list[Judged]:
        return [row for row in self.judged if not row.opponent]

    def compared(self) -> list[Judged]:
        return [row for row in self.judged if row.opponent]
