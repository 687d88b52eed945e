"""What SEA-HELM needs and is not made here: judged scores, what a judge said, and MetricX-24's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...artifacts.scores import Score, read_scores
from ...artifacts.tables import read_rows
from ...core.errors import InputError
from ...core.stage import Artifact, Inputs
from ..groups import code
from ..marks import Mark
from .tasks import SeaTask
from .win_rate import win_rate

Row = Mapping[str, Any]
JUDGED_BY_US = {"mt-bench": "sea_mtbench/weighted_win_rate*100"}
"""What our own judge calls an official task, and what makes its share a number of SEA-HELM's scale."""


@dataclass(frozen=True)
class Outside:
    """Everything that was given, to be looked up by model, task and language."""

    judged: Sequence[Score]
    judgements: Mapping[tuple[str, str, str], Sequence[Row]]
    metricx: Mapping[tuple[str, str, str], Sequence[float]]
    places: Mapping[str, str]
    """TASK/METRIC of the judged scores by official task, `*100` behind it if they are shares."""

    @classmethod
    def read(cls, inputs: Inputs, places: Mapping[str, str]) -> Outside:
        """All that the inputs hold. InputError for rows that cannot be used."""
        judged = [score for source in inputs.many("judged") for score in read_scores(source)]
        said: dict[tuple[str, str, str], list[Row]] = {}
        for row in _rows(inputs.optional("judgements"), ("question_id", "category", "turn", "order", "judgement")):
            said.setdefault(_key(row), []).append(row)
        metricx = {_key(row): row["scores"] for row in _rows(inputs.optional("metricx"), ("scores",))}
        return cls(judged, said, metricx, places)

    def mark(self, task: SeaTask, model: Artifact) -> Mark | None:
        """The task's score from outside, None if nobody gave it."""
        said = self.judgements.get((model.name, task.name, task.language))
        if said and task.metric == "weighted_win_rate":
            return win_rate(said)
        places = [self.places[task.name]] if task.name in self.places else [f"{task.name}/{task.metric}"]
        places += [JUDGED_BY_US[task.name]] if task.name in JUDGED_BY_US else []
        for place in places:
            named, _, scale = place.partition("*")
            for score in self.judged:
                ours = score.model_digest == model.digest or score.model == model.name
                if ours and score.language == task.language and f"{score.task}/{score.metric}" == named:
                    times = float(scale or 1)
                    error = None if score.stderr is None else times * score.stderr
                    return Mark(task.metric, times * score.value, error, score.n)
        return None

    def metricx_of(self, task: SeaTask, model: Artifact) -> Sequence[float]:
        return self.metricx.get((model.name, task.name, task.language), ())


def _key(row: Row) -> tuple[str, str, str]:
    return str(row["model"]), str(row["task"]), code(str(row["language"]))


def _rows(source: Artifact | None, columns: Sequence[str]) -> list[Row]:
    rows = []
    for place, row in read_rows(source.path) if source else ():
        for column in ("model", "task", "language", *columns):
            if column not in row:
                raise InputError(f"the row has no '{column}'", where=place)
        rows.append(row)
    return rows
