"""Which items of each score stand in what its model was trained on, found by walking the model's lineage.

A model's training text is what its stages of the room `train` read, back to the first model of the recipe. Of each such
corpus the walk goes upstream, through stages that only choose or clean text, until every branch ends at a corpus that
`corpus.find_items` has searched; where one does not, the report names it. What an imported model had read before cannot
be known, and is said as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...artifacts.scores import Score
from ...evals.contamination import Contamination, contaminations
from .data import INPUT, ReportData, StageView
from .markup import Raw, breakable, join, number, scroll_table, tag, words

_TEXT = ("documents", "conversations", "preferences", "tokens")
_TAUGHT_BY = ("model", "models", "base", "teacher")
"""Roles through which what a model knows gets into another one."""
_NOT_TEXT = ("held_out", "neurons", "mixture", "reference", "scorers", "limits", "against", "tokenizer", "identifier")
_ROWS = 400
"""Rows of the table, those with the largest shares of seen items first."""
_NO_QUESTIONS = "tokenizer"
"""The task of scores that measure tokenizers: there is no question that a model could have seen."""


@dataclass
class Lineage:
    """What one model was trained on."""

    searched: set[str] = field(default_factory=set)
    """Digests of searched corpora."""
    unsearched: set[str] = field(default_factory=set)
    """Names of corpora that were not searched."""
    imported: set[str] = field(default_factory=set)
    """Names of models from outside."""

    @property
    def gaps(self) -> list[str]:
        """What stays unknown, in words."""
        said = [f"{name} was not searched" for name in sorted(self.unsearched)]
        return said + [f"what {name} had read before is not known" for name in sorted(self.imported)]


def lineage(data: ReportData, model: str) -> Lineage:
    """The training text of `model` by the recipe's graph, and how much of it was searched."""
    views = {stage.name: stage for stage in data.stages}
    searched = {digest for each in data.findings for digest in each.corpora}
    found, todo, seen = Lineage(imported=set() if model in views else {model}), [model], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in views:
            continue
        seen.add(name)
        stage = views[name]
        if stage.stage == INPUT or stage.stage == "model.import":
            found.imported.add(name)
        todo += [each for role in _TAUGHT_BY for each in stage.inputs.get(role, ())]
        if stage.room == "train":
            for each in _texts(stage, views):
                _walk(each, views, searched, found)
    return found


def _texts(stage: StageView, views: Mapping[str, StageView]) -> list[str]:
    """The inputs of a stage that are text."""
    named = [
        (role, name) for role, names in stage.inputs.items() if role not in (*_NOT_TEXT, *_TAUGHT_BY) for name in names
    ]
    return [name for role, name in named if name in views and (views[name].kind in _TEXT or role in _TEXT)]


def _walk(name: str, views: Mapping[str, StageView], searched: set[str], found: Lineage) -> None:
    stage = views[name]
    if stage.digest and stage.digest in searched:
        found.searched.add(stage.digest)
        return
    parents = _texts(stage, views) if stage.room == "corpus" else []
    if not parents:
        found.unsearched.add(name)
    for parent in parents:
        _walk(parent, views, searched, found)


def questioned(data: ReportData) -> list[Score]:
    """The scores that come from questions."""
    return [score for score in data.scores if score.task != _NO_QUESTIONS]


def checks(data: ReportData) -> dict[tuple[str, str, str, str], Contamination]:
    """By (model, task, language, metric) what was found of a score's items; scores that were not checked have none."""
    scores = questioned(data)
    models = {score.model for score in scores}
    corpora = {model: lineage(data, model).searched for model in models}
    rows = contaminations(scores, data.asked, data.item_values, data.findings, corpora)
    return {(row.model, row.task, row.language, row.metric): row for row in rows if row.searched}


def section(data: ReportData) -> Raw | None:
    """For each score with items that were seen a row, and for each model what was not searched; None without scores."""
    scores = questioned(data)
    if not scores:
        return None
    found = checks(data)
    if not found:
        how = "Add a stage corpus.find_items, from the items and from what the models were trained on."
        return tag("p", f"Not checked: no score's items were looked for in the training text. {how}", class_="empty")
    dirty = [row for row in found.values() if row.seen]
    intro = (
        f"{len(found)} of {len(scores)} scores were checked: their items were looked for in the text that the "
        "model's lineage was trained on. Whole: one document holds all of an item. In part: 13 words in a row, or an "
        "edited copy."
    )
    parts = [tag("p", intro, class_="note"), _coverage(data)]
    if dirty:
        parts.append(_table(data, sorted(dirty, key=lambda row: -row.seen / max(1, row.n))[:_ROWS]))
    else:
        parts.append(tag("p", "None of their items was found.", class_="note"))
    return join(*parts)


def _coverage(data: ReportData) -> Raw:
    order = [stage.name for stage in data.stages]
    models = sorted(
        {score.model for score in questioned(data)}, key=lambda m: (order.index(m) if m in order else -1, m)
    )
    rows = []
    for model in models:
        walked = lineage(data, model)
        names = [stage.name for stage in data.stages if stage.digest and stage.digest in walked.searched]
        gaps = "; ".join(walked.gaps) or "none"
        rows.append([tag("th", breakable(model), scope="row"), ", ".join(names) or "nothing", gaps])
    return scroll_table(["Model", "Training text that was searched", "Gaps"], rows, label="Training text by model")


def _table(data: ReportData, rows: list[Contamination]) -> Raw:
    cells = []
    for row in rows:
        without = "–" if row.value_without is None else number(row.value_without)
        error = "" if row.stderr_without is None else f" ±{number(row.stderr_without, 2)}"
        cells.append(
            [
                tag("th", breakable(row.model), scope="row"),
                tag("td", breakable(row.task), tag("small", words(row.metric))),
                data.name_of(row.language),
                str(row.n),
                str(row.exact),
                str(row.overlapping),
                number(row.value),
                without + error,
            ]
        )
    head = ["Model", "Test", "Language", "n", "Seen whole", "In part", "Score", "Without them"]
    return scroll_table(head, cells, label="Items seen in training")
