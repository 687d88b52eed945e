"""Stage × language × metric: every score beside its change from the model it was made from.

▲ is better and ▼ is worse whatever the metric's direction; a hollow △ ▽ is a change within two standard errors, taken
as if the two models had been measured independently (which overstates the error when the items are the same).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...artifacts.profile_table import LANGUAGE, OVERALL
from ...artifacts.scores import Score
from ...evals.contamination import Contamination
from . import contamination
from .data import INPUT, ReportData, StageView
from .markup import Raw, breakable, join, scroll_table, tag, words
from .profiles import totals_only

REGION = "region"
"""The column of the mean over the region's languages."""
_PERCENT = ("accuracy", "exact_match", "rate", "f1")
_NOT_PARENTS = ("teacher", "judge", "reference", "reward", "tokenizer")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A value and its change from the parent, if that was asked the same questions; `gain` None if nothing changed."""

    value: float
    stderr: float | None = None
    n: int = 0
    delta: float | None = None
    gain: bool | None = None
    sure: bool = True
    asked: str = ""
    """Digest of the questions."""
    languages: tuple[str, ...] = ()
    """For the region's mean: the languages in it."""
    notes: tuple[str, ...] = ()
    """What else is to be known: answers that are no text, rows that were left out."""
    check: Contamination | None = None
    """What of its items stands in the training text; None if they were not looked for."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """One task and metric: models in lineage order, languages in the report's order."""

    task: str
    metric: str
    higher_is_better: bool
    models: tuple[str, ...]
    columns: tuple[str, ...]
    parents: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    repeated: int = 0

    @property
    def percent(self) -> bool:
        """Whether the values are fractions, to be shown as percentages."""
        fractions = all(0 <= cell.value <= 1 for cell in self.cells.values())
        return fractions and any(self.metric.endswith(name) for name in _PERCENT)

    @property
    def title(self) -> str:
        same = self.task in (self.metric, "")
        return words(self.metric if same else f"{self.task}: {self.metric}", title=True)


def boards(data: ReportData) -> list[Board]:
    """One board for each task and metric, in the order in which the scores first name them."""
    groups: dict[tuple[str, str], list] = {}
    suites = totals_only(data)
    for score in data.scores:
        if score.task in suites and score.metric not in (LANGUAGE, OVERALL):
            continue  # its competencies stand in the suite's own table
        if math.isfinite(score.value):
            groups.setdefault((score.task, score.metric), []).append(score)
    found = contamination.checks(data)
    return [_board(data, task, metric, rows, found) for (task, metric), rows in groups.items()]


def _notes(score: Score) -> tuple[str, ...]:
    """What a value must not be read without."""
    counts = (
        (score.empty, "empty"),
        (score.looping, "looping"),
        (score.cut_off, "cut off at the limit"),
        (score.left_out, "rows left out"),
    )
    return tuple(f"{number} {what}" for number, what in counts if number)


def _board(data: ReportData, task: str, metric: str, rows: Sequence, found: Mapping) -> Board:
    higher = rows[-1].higher_is_better
    raw = {(row.model, row.language): row for row in rows}
    scored = {row.model for row in rows}
    order = [stage.name for stage in data.stages if stage.name in scored]
    models = (*order, *sorted(scored - set(order)))
    parents = {model: parent for model in models if (parent := parent_of(data, model, scored))}
    present = {row.language for row in rows}
    region = [code for code in data.languages if code in present and code != data.english]
    region += sorted(present - set(region) - {data.english})
    cells: dict[tuple[str, str], Cell] = {}
    for (model, language), row in raw.items():
        before = raw.get((parents.get(model, ""), language))
        if before and before.prompt_digest != row.prompt_digest:
            before = None
        change = _change(row.value, row.stderr, before and before.value, before and before.stderr, higher)
        cells[model, language] = Cell(
            value=row.value,
            stderr=row.stderr,
            n=row.n,
            asked=row.prompt_digest,
            languages=(language,),
            notes=_notes(row),
            check=found.get((model, task, language, metric)),
            **change,
        )
    for model in models:
        mean = _mean(cells, model, parents.get(model, ""), region, higher)
        if mean and len(region) > 1:
            cells[model, REGION] = mean
    columns = [*region, *([REGION] if len(region) > 1 else []), *([data.english] if data.english in present else [])]
    return Board(
        task=task,
        metric=metric,
        higher_is_better=higher,
        models=models,
        columns=tuple(columns),
        parents=parents,
        cells=cells,
        repeated=len(rows) - len(raw),
    )


def _change(value: float, error: float | None, old: float | None, old_error: float | None, higher: bool) -> dict:
    if old is None:
        return {}
    delta = value - old
    sure = error is None or old_error is None or abs(delta) > 2 * math.hypot(error, old_error)
    return {"delta": delta, "gain": None if delta == 0 else (delta > 0) == higher, "sure": sure}


def _mean(cells: dict, model: str, parent: str, region: Sequence[str], higher: bool) -> Cell | None:
    """Mean over the region's languages; its change is over those that the parent was asked the same questions in."""
    own = [code for code in region if (model, code) in cells]
    if not own:
        return None
    value, error = _mean_of([cells[model, code] for code in own])
    n = sum(cells[model, code].n for code in own)
    both = [code for code in own if cells[model, code].delta is not None]
    change = {}
    if both:
        new, new_error = _mean_of([cells[model, code] for code in both])
        old, old_error = _mean_of([cells[parent, code] for code in both])
        change = _change(new, new_error, old, old_error, higher)
    return Cell(value=value, stderr=error, n=n, languages=tuple(own), **change)


def _mean_of(cells: Sequence[Cell]) -> tuple[float, float | None]:
    value = sum(cell.value for cell in cells) / len(cells)
    if any(cell.stderr is None for cell in cells):
        return value, None
    return value, math.sqrt(sum(cell.stderr**2 for cell in cells)) / len(cells)


def parent_of(data: ReportData, model: str, scored: set[str]) -> str:
    """The nearest scored model that `model` was made from, '' if there is none.

    A stage's parent is its input `model`; a stage without one (a merge) counts as made from its latest checkpoint.
    Unscored models in between are passed over.
    """
    views = {stage.name: stage for stage in data.stages}
    place = {name: index for index, name in enumerate(views)}
    seen, name = set(), model
    while name in views and name not in seen:
        seen.add(name)
        options = _model_inputs(views[name], views)
        if not options:
            return ""
        chosen = options if len(options) == 1 else [o for o in options if o in scored] or options
        name = max(chosen, key=place.__getitem__)
        if name in scored:
            return name
    return ""


def _model_inputs(stage: StageView, views: dict[str, StageView]) -> list[str]:
    direct = [name for name in stage.inputs.get("model", ()) if name in views]
    if direct:
        return direct
    named = [name for role, names in stage.inputs.items() if role not in _NOT_PARENTS for name in names]
    return [n for n in named if n in views and (views[n].kind == "checkpoint" or _given_model(stage, n, views))]


def _given_model(stage: StageView, name: str, views: dict[str, StageView]) -> bool:
    return views[name].stage == INPUT and any(name in stage.inputs.get(role, ()) for role in ("base", "models"))


def formatted(board: Board, value: float, *, signed: bool = False) -> str:
    """A value in the board's unit: percent with one decimal, else two or three decimals by size."""
    if board.percent:
        text = f"{100 * value:.1f}"
    else:
        largest = max(abs(cell.value) for cell in board.cells.values())
        text = f"{value:.3f}" if largest < 10 else f"{value:.2f}" if largest < 100 else f"{value:,.0f}"
    if signed and value > 0 and float(text.replace(",", "")) != 0:
        text = "+" + text
    return text.replace("-", "−")


def glyph(cell: Cell) -> str:
    """▲ better, ▼ worse, hollow within the error, = no change, '' nothing to compare with."""
    if cell.delta is None:
        return ""
    if cell.gain is None:
        return "="
    return ("▲" if cell.gain else "▼") if cell.sure else ("△" if cell.gain else "▽")


def board_table(data: ReportData, board: Board) -> Raw:
    """The board as a table, coloured by gain and loss."""
    largest = max((abs(c.delta) for c in board.cells.values() if c.delta is not None), default=0.0)
    head = [tag("th", "Model", scope="col")]
    for code in board.columns:
        name = "Region mean" if code == REGION else data.name_of(code)
        sub = tag("small", code) if code != REGION and name != code else None
        head.append(tag("th", name, sub, scope="col", class_="mean" if code == REGION else None))
    rows = []
    for model in board.models:
        parent = board.parents.get(model)
        first = tag("th", breakable(model), tag("small", f"from {parent}" if parent else "start"), scope="row")
        rows.append([first, *(_cell(board, model, c, largest, " mean" if c == REGION else "") for c in board.columns)])
    return scroll_table(head, rows, label=board.title, class_="board")


def _cell(board: Board, model: str, column: str, largest: float, side: str = "") -> Raw:
    cell = board.cells.get((model, column))
    if cell is None:
        return tag("td", tag("span", "–", class_="none"), class_=f"score{side}")
    partial = column == REGION and len(cell.languages) < board.columns.index(REGION)
    tint = ""
    if cell.gain is not None:
        step = min(3, 1 + int(3 * abs(cell.delta) / largest)) if cell.sure else 0
        tint = f" {'gain' if cell.gain else 'loss'}-{step}"
    error = tag("span", f"±{formatted(board, cell.stderr)}", class_="error") if cell.stderr is not None else None
    change = None
    if cell.delta is not None:
        said = {True: "better", False: "worse", None: "no change"}[cell.gain]
        change = tag(
            "span",
            tag("span", glyph(cell), aria_label=said if cell.sure else f"{said}, within the error"),
            " " if cell.gain is None else f" {formatted(board, cell.delta, signed=True)}",
            class_="delta",
        )
    note = tag("span", f"{len(cell.languages)} languages", class_="error") if partial else None
    value = tag("span", tag("b", formatted(board, cell.value)), error, class_="value")
    notes = [tag("small", said) for said in (*_seen(board, cell.check), *cell.notes)]
    return tag("td", value, change, note, notes, class_=f"score{tint}{side}", title=f"n = {cell.n}" if cell.n else None)


def _seen(board: Board, check: Contamination | None) -> list[str]:
    """That some of a score's items were seen in training, and the score without them."""
    if check is None or not check.seen:
        return []
    without = "" if check.value_without is None else f", {formatted(board, check.value_without)} without"
    return [f"{check.seen} of {check.n} seen in training{without}"]


def overview(data: ReportData, made: Sequence[Board]) -> Raw | None:
    """One row per model and one column per task: the region's mean, or the only language there is."""
    picked = [(b, REGION if REGION in b.columns else b.columns[0]) for b in made if b.columns]
    if len(picked) < 2:
        return None
    models = [s.name for s in data.stages if any(s.name in b.models for b, _ in picked)]
    head = [tag("th", "Model", scope="col")]
    columns = []
    for board, column in picked:
        for code in dict.fromkeys([column, *([data.english] if data.english in board.columns else [])]):
            where = "region" if code == REGION else data.name_of(code)
            head.append(tag("th", board.title, tag("small", where + (", %" if board.percent else "")), scope="col"))
            columns.append((board, code))
    rows = []
    for model in models:
        cells = []
        for board, code in columns:
            deltas = [abs(c.delta) for (_, col), c in board.cells.items() if col == code and c.delta is not None]
            cells.append(_cell(board, model, code, max(deltas, default=0.0)))
        rows.append([tag("th", breakable(model), scope="row"), *cells])
    return scroll_table(head, rows, label="Overview of all tasks", class_="board")


def section(data: ReportData, made: Sequence[Board]) -> Raw:
    """Overview, key, and one table for each task and metric."""
    key = tag(
        "ul",
        [
            tag("li", tag("span", glyph_, class_=f"swatch {tint}"), text)
            for glyph_, tint, text in (
                ("▲", "gain-3", "better than the model it was made from"),
                ("△", "gain-0", "better, within two standard errors"),
                ("▽", "loss-0", "worse, within two standard errors"),
                ("▼", "loss-3", "worse"),
            )
        ],
        class_="legend",
    )
    short_view = overview(data, made)
    parts = [key]
    if short_view:
        parts += [tag("h3", "Overview"), short_view]
    gaps = {model: contamination.lineage(data, model).gaps for model in {m for board in made for m in board.models}}
    asked = {score.task for score in contamination.questioned(data)}
    for board in made:
        better = "higher is better" if board.higher_is_better else "lower is better"
        unit = ", %" if board.percent else ""
        again = f" {board.repeated} repeated measurements; the last one is shown." if board.repeated else ""
        own = [cell for (_, column), cell in board.cells.items() if column != REGION]
        checked = sum(cell.check is not None for cell in own)
        told = f"{checked} of {len(own)} values checked" if checked else "not checked"
        if any(gaps[model] for (model, _), cell in board.cells.items() if cell.check):
            told += ", some with gaps that are listed below"
        told = f" Contamination: {told}." if board.task in asked else ""
        note = f"Value ± standard error{unit}; {better}.{told}{again}"
        parts += [tag("div", tag("h3", board.title), tag("p", note, class_="note"), board_table(data, board))]
    return join(*parts)
