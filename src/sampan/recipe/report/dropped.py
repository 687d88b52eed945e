"""What a step dropped, for a linguist to read: counts by source, and the texts themselves by language and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .data import ReportData, StageView
from .markup import Raw, count, scroll_table, tag, words
from .samples import language_tag


def source_table(stage: StageView, reasons: Sequence[str]) -> Raw | None:
    """In, kept and dropped by reason for each source; None where the step knows of one source only."""
    kept: Mapping[str, int] = stage.summary.get("by_source") or {}
    lost: Mapping[str, Mapping[str, int]] = stage.summary.get("dropped_by_source") or {}
    sources = sorted({*kept, *(source for by in lost.values() for source in by)})
    if len(sources) < 2:
        return None
    rows = []
    for source in sources:
        gone = [lost.get(reason, {}).get(source, 0) for reason in reasons]
        rows.append([source or "(none)", kept.get(source, 0) + sum(gone), kept.get(source, 0), *gone])
    head = ["Source", "In", "Kept", *(words(reason) for reason in reasons)]
    return scroll_table(head, rows, label=f"What {stage.name} dropped, by source")


def both_table(data: ReportData, stage: StageView, codes: Sequence[str]) -> Raw | None:
    """For each language and source what stayed of what went in; None where the step knows of one source only."""
    kept: Mapping[str, Mapping[str, int]] = stage.summary.get("by_language_and_source") or {}
    lost: Mapping[str, Mapping[str, int]] = stage.summary.get("dropped_by_language_and_source") or {}
    sources = sorted({source for table in (kept, lost) for by in table.values() for source in by})
    if len(sources) < 2:
        return None
    rows = []
    for code in codes:
        stayed = [kept.get(code, {}).get(source, 0) for source in sources]
        went = [stay + lost.get(code, {}).get(source, 0) for stay, source in zip(stayed, sources, strict=True)]
        cells = (f"{count(a)} of {count(b)}" if b else "" for a, b in zip(stayed, went, strict=True))
        rows.append([data.name_of(code), *cells])
    head = ["Language", *(source or "(none)" for source in sources)]
    return scroll_table(head, rows, label=f"What {stage.name} kept, by language and source")


def sample_folds(data: ReportData, stage: StageView, codes: Sequence[str]) -> Raw | None:
    """A fold for each of the languages `codes`, with the samples of each reason; None where no sample was kept."""
    texts: Mapping[str, Mapping[str, Sequence[str]]] = stage.summary.get("dropped_examples") or {}
    numbers: Mapping[str, Mapping[str, int]] = stage.summary.get("dropped") or {}
    folds = []
    for code in codes:
        reasons = [reason for reason in texts if texts[reason].get(code)]
        if not reasons:
            continue
        lost = sum(numbers.get(reason, {}).get(code, 0) for reason in reasons)
        head = tag("summary", data.name_of(code), " ", tag("small", f"{count(lost)} dropped"))
        body = [_reason(reason, numbers.get(reason, {}).get(code, 0), texts[reason][code], code) for reason in reasons]
        folds.append(tag("details", head, tag("div", body, class_="prompts"), class_="language"))
    return tag("div", tag("h3", f"Read what {stage.name} dropped"), folds, class_="wide") if folds else None


def _reason(reason: str, number: int, texts: Sequence[str], code: str) -> Raw:
    quotes = [tag("blockquote", text, lang=language_tag(code), dir="auto", class_="text") for text in texts]
    title = tag("p", tag("b", words(reason)), f" · {count(number)}", class_="note")
    return tag("article", tag("div", title, quotes, class_="prompt"))
