"""The first thing on the page: what was built, from what, and what it gained, in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .data import INPUT, ReportData, input_names
from .funnel import flow
from .markup import Raw, count, duration, join, number, tag, words
from .scoreboard import REGION, Board, formatted

MAX_SCORE_TILES = 6


def ends(data: ReportData, board: Board) -> tuple[str, str]:
    """The models to measure from and to on one board; the same one twice if it has only one."""
    own = [model for model in board.models if model not in data.copies] or board.models
    first = data.first_model if data.first_model in board.models else own[0]
    last = data.last_model if data.last_model in board.models else own[-1]
    return first, last


def compared(data: ReportData, board: Board, *, english: bool = False) -> tuple[float, float, int] | None:
    """(first, last, languages): means over the languages that both end models were asked the same questions in."""
    first, last = ends(data, board)
    codes = [c for c in board.columns if c != REGION and (c == data.english) == english]
    codes = [c for c in codes if (first, c) in board.cells and (last, c) in board.cells]
    codes = [c for c in codes if board.cells[first, c].asked == board.cells[last, c].asked]
    if not codes:
        return None
    means = [sum(board.cells[model, c].value for c in codes) / len(codes) for model in (first, last)]
    return means[0], means[1], len(codes)


def headline(data: ReportData, made: Sequence[Board]) -> Raw:
    """The recipe's name, one sentence, the languages and the tiles."""
    built = [stage for stage in data.stages if stage.stage != INPUT]
    names = [tag("li", data.name_of(code)) for code in data.languages]
    tiles = [tile for board in made if (tile := _score_tile(data, board))][:MAX_SCORE_TILES]
    tiles += [tile for tile in (_fertility_tile(data), _corpus_tile(data), _work_tile(data)) if tile]
    models = sum(1 for stage in built if stage.kind == "checkpoint")
    sentence = f"{count(len(built))} stages, {count(models)} checkpoints, {count(len(data.languages))} languages"
    if made:
        first, last = ends(data, max(made, key=lambda board: len(board.models)))
        sentence += f", measured from {first} to {last}" if first != last else f", measured at {first}"
    versions = " · ".join(f"{name} {', '.join(found)}" for name, found in data.versions.items())
    return tag(
        "header",
        tag("p", "Lineage report", class_="eyebrow"),
        tag("h1", data.recipe),
        tag("p", f"{sentence}.", class_="lead"),
        tag("ul", names, class_="languages", aria_label="Languages") if names else None,
        tag("div", tiles, class_="tiles") if tiles else None,
        tag("p", f"Built with {versions}", class_="note") if versions else None,
        id="top",
    )


def _tile(title: str, big: Any, *lines: Any) -> Raw:
    return tag(
        "div",
        tag("h2", words(title, title=True)),
        tag("p", big, class_="big"),
        [tag("p", line) for line in lines if line],
        class_="tile",
    )


def _score_tile(data: ReportData, board: Board) -> Raw | None:
    both = compared(data, board)
    english = compared(data, board, english=True)
    main = both or english
    if main is None:
        return None
    where = f"mean of {both[2]} languages" if both and both[2] > 1 else None
    if both and both[2] == 1:
        where = next(data.name_of(c) for c in board.columns if c not in (REGION, data.english))
    lines = [_verdict(board, main), where or data.name_of(data.english)]
    if both and english:
        arrow = _mark(board, english)
        numbers = f"{formatted(board, english[0])} → {formatted(board, english[1])}"
        lines.append(join(f"{data.name_of(data.english)} {numbers} ", arrow))
    unit = ", %" if board.percent else ""
    return _tile(board.title + unit, _arrow(formatted(board, main[0]), formatted(board, main[1])), *lines)


def _arrow(before: str, after: str) -> Raw:
    return join(tag("span", before, class_="from"), tag("span", " → ", class_="from"), tag("b", after))


def _verdict(board: Board, both: tuple[float, float, int]) -> Raw:
    delta = both[1] - both[0]
    if delta == 0:
        return tag("span", "= no change")
    change = f"{formatted(board, delta, signed=True)}"
    if not board.percent and both[0]:
        change = f"{100 * delta / abs(both[0]):+.1f} %".replace("-", "−")
    elif board.percent:
        change += " points"
    return join(_mark(board, both), f" {change}")


def _mark(board: Board, both: tuple[float, float, int]) -> Raw:
    delta = both[1] - both[0]
    if delta == 0:
        return tag("span", "=", aria_label="no change")
    gain = (delta > 0) == board.higher_is_better
    return tag("span", "▲" if gain else "▼", class_="up" if gain else "down", aria_label="better" if gain else "worse")


def _fertility_tile(data: ReportData) -> Raw | None:
    stage = next((stage for stage in data.stages if stage.fertility.get("rows")), None)
    if stage is None:
        return None
    rows = [
        row
        for row in stage.fertility["rows"]
        if row.get("language") != data.english
        and row.get("tokens_per_word_before")
        and row.get("tokens_per_word_after")
    ]
    if not rows:
        return None
    before, after = (sum(row[f"tokens_per_word_{side}"] for row in rows) / len(rows) for side in ("before", "after"))
    units = {row.get("unit") or "word" for row in rows}
    gain = after < before
    mark = tag("span", "▲" if gain else "▼", class_="up" if gain else "down", aria_label="better" if gain else "worse")
    change = f" {100 * (after - before) / before:+.1f} %".replace("-", "−")
    return _tile(
        f"tokens per {units.pop() if len(units) == 1 else 'unit'}",
        _arrow(number(before, 3), number(after, 3)),
        join(mark, change) if after != before else "= no change",
        f"mean of {len(rows)} languages",
    )


def _corpus_tile(data: ReportData) -> Raw | None:
    flows = [f for stage in data.stages if stage.kind == "documents" and (f := flow(stage)) is not None]
    if not flows:
        return None
    packed_from = {name for stage in data.stages if stage.kind == "tokens" for name in input_names(stage)}
    trained = [f for f in flows if f.stage.name in packed_from] or flows  # and not what was held out for evaluation
    lost = sum(one.lost for one in flows)
    tokens = [stage.tokens["tokens"] for stage in data.stages if stage.tokens.get("tokens")]
    packed = f"{count(sum(tokens))} tokens packed" if tokens else None
    return _tile(
        "documents", tag("b", count(trained[-1].out)), f"after {trained[-1].stage.name}; {count(lost)} dropped", packed
    )


def _work_tile(data: ReportData) -> Raw | None:
    built = [stage for stage in data.stages if stage.stage != INPUT]
    if not built:
        return None
    words_of = {"run": "built now", "hit": "reused", "failed": "failed", "pending": "pending"}
    counts = {status: sum(1 for stage in built if stage.status == status) for status in words_of}
    said = ", ".join(f"{counts[status]} {word}" for status, word in words_of.items() if counts[status])
    times = [stage.seconds for stage in built if stage.seconds is not None]
    big = tag("b", duration(sum(times))) if times else tag("b", count(len(built)))
    return _tile("compute time of all stages" if times else "stages", big, said)
