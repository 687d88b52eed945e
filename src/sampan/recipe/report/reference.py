"""Published figures beside ours, for scored models that carry the name of a published one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...artifacts.scores import Score
from .data import ReportData, StageView
from .markup import Raw, breakable, join, number, scroll_table, tag, words

if TYPE_CHECKING:
    from ...evals.published import Published


def section(data: ReportData) -> Raw | None:
    """One table of all published figures of the models scored here; None if there is none."""
    if not data.scores:
        return None
    from ...evals.published import plain_name, published

    stages = {stage.name: stage for stage in data.stages}
    scored = dict.fromkeys(score.model for score in data.scores)
    names = {
        plain_name(said): model for model in scored for said in _called(model, stages.get(model)) if plain_name(said)
    }
    ours = {(s.model, s.task, s.language, s.metric): s for s in data.scores}
    rows = []
    for figure in published():
        model = names.get(plain_name(figure.model))
        if model is None:
            continue
        own, scale = _own(ours, model, figure)
        told = [f"{figure.shots} shots" if figure.shots is not None else "shots not said", figure.version]
        told += [f"n = {figure.n}"] if figure.n else []
        rows.append(
            [
                tag("th", breakable(model), tag("small", figure.model), scope="row"),
                tag("td", words(f"{figure.task}: {figure.metric}"), tag("small", figure.note) if figure.note else None),
                data.name_of(figure.language) if figure.language else "all",
                tag("td", number(figure.value), tag("small", figure.unit), class_="num"),
                "–" if own is None else f"{number(own.value * scale)} (n = {own.n})",
                tag("td", figure.source, tag("small", ", ".join(told))),
            ]
        )
    if not rows:
        return None
    note = (
        "As printed by their authors. Prompts, examples and items differ from ours, so a difference is no finding; "
        "contradictions between publications stand as rows of their own."
    )
    head = ["Model", "Test", "Language", "Published", "Ours", "From"]
    return join(tag("p", note, class_="note"), scroll_table(head, rows, label="Published figures"))


def _own(ours: Mapping[tuple[str, str, str, str], Score], model: str, figure: Published) -> tuple[Score | None, float]:
    """The first of our scores that stands for a published figure, and what it is multiplied by to be in its unit."""
    for task, metric, scale in figure.places:
        if own := ours.get((model, task, figure.language, metric)):
            return own, scale
    return None, 1.0


def _called(model: str, stage: StageView | None) -> list[str]:
    """What a model may be called: by the recipe, and by what it was imported from."""
    params = [value for value in stage.params.values() if isinstance(value, str)] if stage else []
    inputs = [name for names in stage.inputs.values() for name in names] if stage and stage.room == "model" else []
    return [model, *inputs, *(params if stage and stage.room == "model" else [])]
