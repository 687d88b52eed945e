"""Single items, to be searched and filtered: prompt, each model's answer, what was read out of it, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from .data import Record, ReportData
from .markup import Raw, breakable, count, join, number, tag, words
from .samples import language_tag, text

MARKS = {"right": "✓", "wrong": "✗", "partly": "◐", "empty": "∅", "unmarked": "–"}
"""Sign by verdict."""


def section(data: ReportData) -> Raw | None:
    """A fold for each task and language, with a card for each item; None without items. A script filters them."""
    if not data.records:
        return None
    groups: dict[tuple[str, str], dict[tuple[str, str], list[Record]]] = {}
    for record in data.records:
        cards = groups.setdefault((record.task, record.language), {})
        cards.setdefault((record.id, record.prompt), []).append(record)
    folds = []
    for (task, language), cards in groups.items():
        amount = f"{len(cards)} item{'s' if len(cards) != 1 else ''}"
        head = tag("summary", breakable(task), ", ", data.name_of(language), " ", tag("small", amount))
        body = tag("div", [_card(data, group) for group in cards.values()], class_="prompts")
        where = {"data_task": task, "data_language": language}
        folds.append(tag("details", head, body, class_="language items", open=not folds, **where))
    left = data.records_left
    intro = (
        "Single items of every test. A verdict is that of the test's first metric: right, wrong, partly, or empty "
        "where nothing was written."
    ) + (f" {count(left)} more answers are in records.jsonl of the scores." if left else "")
    return join(tag("p", intro, class_="note"), _filters(data), folds)


def _filters(data: ReportData) -> Raw:
    """The bar that the script shows and fills with life."""
    places = {stage.name: place for place, stage in enumerate(data.stages)}
    models = sorted({record.model for record in data.records}, key=lambda name: (places.get(name, len(places)), name))
    found = {record.mark for record in data.records}
    fields = [
        _choice("task", "Test", {name: name for name in dict.fromkeys(record.task for record in data.records)}),
        _choice("language", "Language", {r.language: data.name_of(r.language) for r in data.records}),
        _choice("model", "Model", {name: name for name in models}),
        _choice("mark", "Verdict", {name: f"{sign} {name}" for name, sign in MARKS.items() if name in found}),
    ]
    search = tag("label", "Search", tag("input", type="search", data_filter="text", autocomplete="off"))
    told = tag("output", aria_live="polite")
    return tag("form", search, fields, told, id="item-filters", class_="filters", hidden=True)


def _choice(name: str, label: str, values: dict[str, str]) -> Raw:
    options = [tag("option", "all", value=""), *(tag("option", shown, value=value) for value, shown in values.items())]
    return tag("label", label, tag("select", options, data_filter=name))


def _card(data: ReportData, group: Sequence[Record]) -> Raw:
    places = {stage.name: place for place, stage in enumerate(data.stages)}
    first, lang = group[0], language_tag(group[0].language)
    head = [tag("p", breakable(first.id), class_="note"), text("blockquote", first.prompt, lang)]
    if first.expected:
        head.append(tag("p", tag("span", "Expected", class_="label"), text("span", first.expected, lang)))
    group = sorted(group, key=lambda record: (places.get(record.model, len(places)), record.model))
    answers = tag("dl", [_answer(record, lang) for record in group], class_="answers")
    return tag("article", tag("div", head, class_="prompt"), answers, class_="item")


def _answer(record: Record, lang: str | None) -> Raw:
    sign = tag("span", f" {MARKS[record.mark]}", aria_label=record.mark, class_=f"mark-{record.mark}")
    said = text("dd", record.output, lang) if record.output.strip() else tag("dd", "(empty)", class_="note")
    read = None
    if record.extracted:
        read = tag("dd", tag("span", "Read as", class_="label"), text("span", record.extracted, lang))
    values = ", ".join(
        f"{words(name)} {number(value)}" for name, value in record.verdict.items() if isinstance(value, int | float)
    )
    verdict = tag("dd", tag("span", record.mark, class_="label"), values, class_="verdict")
    head = tag("dt", breakable(record.model), sign)
    return tag("div", head, tag("div", said, read, verdict), data_model=record.model, data_mark=record.mark)
