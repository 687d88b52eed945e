"""The same prompts answered by every model, language by language."""

from __future__ import annotations

from collections.abc import Sequence

from .data import ReportData, Sample
from .markup import Raw, breakable, tag, words

_TAGS = {
    "tha": "th", "lao": "lo", "khm": "km", "mya": "my", "tam": "ta", "vie": "vi", "ind": "id", "zsm": "ms", "msa": "ms",
    "tgl": "tl", "fil": "fil", "zho": "zh", "cmn": "zh", "eng": "en", "jav": "jv", "sun": "su",
}  # fmt: skip
"""Two-letter tags, by which browsers choose fonts and break lines."""


def language_tag(code: str) -> str | None:
    """A code such as `zho_Hans` as BCP 47 (`zh-Hans`); None for no code."""
    language, _, script = code.partition("_")
    if not language:
        return None
    return "-".join(filter(None, [_TAGS.get(language, language), script]))


def cards(data: ReportData) -> list[Raw]:
    """A fold for each language, the first one open, with a card for each prompt."""
    by_language: dict[str, dict[tuple[str, str], list[Sample]]] = {}
    for sample in data.samples:
        prompts = by_language.setdefault(sample.language, {})
        prompts.setdefault((sample.task, sample.prompt), []).append(sample)
    place = {code: index for index, code in enumerate(data.languages)}
    order = sorted(by_language, key=lambda code: (place.get(code, len(place)), code))
    folds = []
    for index, code in enumerate(order):
        prompts = [_card(data, code, task, group) for (task, _), group in by_language[code].items()]
        number = f"{len(prompts)} prompt{'s' if len(prompts) != 1 else ''}"
        head = tag("summary", data.name_of(code), " ", tag("small", number))
        folds.append(tag("details", head, tag("div", prompts, class_="prompts"), class_="language", open=index == 0))
    return folds


def _card(data: ReportData, code: str, task: str, group: Sequence[Sample]) -> Raw:
    place = {stage.name: index for index, stage in enumerate(data.stages)}
    group = sorted(group, key=lambda sample: (place.get(sample.model, len(place)), sample.model))
    lang = language_tag(code)
    head = [tag("p", words(task), class_="note") if task else None, text("blockquote", group[0].prompt, lang)]
    if group[0].expected:
        head.append(tag("p", tag("span", "Expected", class_="label"), text("span", group[0].expected, lang)))
    answers = []
    before = None
    for sample in group:
        same = sample.output == before
        before = sample.output
        answer = text("dd", sample.output, lang) if sample.output.strip() else tag("dd", "(empty)", class_="note")
        if same:
            answer = tag("dd", "as above", class_="note")
        right = bool(sample.expected) and sample.output.strip() == sample.expected.strip()
        mark = tag("span", " ✓", aria_label="as expected", class_="right") if right else None
        answers.append(tag("div", tag("dt", breakable(sample.model), mark), answer, _judged(sample)))
    return tag("article", tag("div", head, class_="prompt"), tag("dl", answers, class_="answers"))


def _judged(sample: Sample) -> Raw | None:
    """What a judge said, behind a fold."""
    if not sample.judged:
        return None
    words = tag("p", sample.judged, dir="auto", class_="text note")
    return tag("dd", tag("details", tag("summary", "What the judge said"), words))


def text(name: str, words_: str, lang: str | None) -> Raw:
    """Text in its own language and direction."""
    return tag(name, words_, lang=lang, dir="auto", class_="text")
