"""Variants beside the recipe: the model at each place of a variant's lineage against the recipe's own at that place.

First one line a variant, with what it changed in the end: bits per byte and the mean of its skills, for the region and
for English. Then a block a variant, with all of its places, skill by skill and language by language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...evals.language_groups import Gap, Test, gaps
from .data import ReportData, VariantView
from .markup import Raw, breakable, join, number, scroll_table, tag, words
from .profiles import totals_only

NO_DIFFERENCE = "no difference that can be told"
BITS, SKILLS = "Bits per byte", "Skills"
_REGION = "Region"
_HEAD = ["Model", "Skill", "Languages", "Recipe", "Variant", "Difference", "95 % interval", "n", "Compared", "Verdict"]


def section(data: ReportData) -> Raw | None:
    """One line and one block a variant; None if the recipe has none."""
    if not data.variants:
        return None
    intro = (
        "Each variant's models against the recipe's own at the same place, on the same items: the variant's score "
        "minus the recipe's, with an interval that holds the true difference in 95 of 100 cases. The languages of a "
        "group count alike. Each row is judged by itself: of a hundred rows where nothing differs, about five would "
        "still show a difference. Errors are of the items; another seed of training would differ besides."
    )
    columns = [(name, group) for name in _means(data) for group in language_groups(data)]
    found = [(variant, effects(data, variant)) for variant in data.variants]
    blocks = [_block(data, variant, columns, places) for variant, places in found]
    return join(tag("p", intro, class_="note"), _overview(columns, found), *blocks)


def compare(data: ReportData, variant: VariantView, groups: Mapping[str, Sequence[str]]) -> list[Gap]:
    """Every scored model of a variant against the recipe's own, in lineage order, for each group of languages."""
    return gaps(data.scores, data.asked, data.item_values, _parents(data, variant), groups)


Effects = dict[str, dict[tuple[str, str], Gap]]
"""{the recipe's model, in lineage order: {(BITS or SKILLS, group of languages): what a variant changed there}}."""


def effects(data: ReportData, variant: VariantView) -> Effects:
    """What a variant changed in bits per byte and in the mean of its skills, at each of its places."""
    groups, found = language_groups(data), {}
    for gap in gaps(data.scores, data.asked, data.item_values, _parents(data, variant), groups, _means(data)):
        found.setdefault(gap.parent, {})[gap.task, gap.group] = gap
    return found


def _parents(data: ReportData, variant: VariantView) -> dict[str, str]:
    place = {stage.name: number for number, stage in enumerate(data.stages)}
    return {copy: stage for stage, copy in sorted(variant.stages.items(), key=lambda pair: place.get(pair[0], -1))}


def _means(data: ReportData) -> dict[str, list[Test]]:
    """Bits per byte; and the skills: of each task the first metric, where it is a share of which more is better."""
    suites = totals_only(data)
    tests: dict[str, Test] = {}
    for score in data.scores:
        if score.metric != "bits_per_byte" and score.task not in suites:
            tests.setdefault(score.task, (score.task, score.metric))
    rows = {test: [s for s in data.scores if (s.task, s.metric) == test] for test in tests.values()}
    skills = [test for test, row in rows.items() if all(s.higher_is_better and 0 <= s.value <= 1 for s in row)]
    bits = dict.fromkeys((s.task, s.metric) for s in data.scores if s.metric == "bits_per_byte")
    return {name: list(tests) for name, tests in ((BITS, bits), (SKILLS, skills)) if tests}


def language_groups(data: ReportData) -> dict[str, list[str]]:
    """The region's languages, and the one that is guarded."""
    present = list(dict.fromkeys(score.language for score in data.scores))
    order = [code for code in data.languages if code in present]
    order += [code for code in present if code not in order]
    region = [code for code in order if code != data.english]
    english = [data.english] if data.english in order else []
    return {name: codes for name, codes in ((_REGION, region), (data.name_of(data.english), english)) if codes}


def _overview(columns: Sequence[tuple[str, str]], found: Sequence[tuple[VariantView, Effects]]) -> Raw | None:
    """One line a variant, at the last of its models that can be compared."""
    rows = []
    for variant, places in found:
        if places:
            place, last = list(places.items())[-1]
            name = tag("th", breakable(variant.name), tag("small", variant.about), scope="row")
            rows.append([name, breakable(place), *_line(columns, last)])
    return _lines(["Variant", "Judged at"], columns, rows, "Variants against the recipe") if rows else None


def _lines(first: list[str], columns: Sequence[tuple[str, str]], rows: Sequence[list], label: str) -> Raw:
    head = [join(name, tag("small", f"{group}, points" if name == SKILLS else group)) for name, group in columns]
    return scroll_table([*first, *head], rows, label=label, class_="board")


def _line(columns: Sequence[tuple[str, str]], found: Mapping[tuple[str, str], Gap]) -> list:
    """What a variant changed at one place, column by column."""
    return [_effect(found.get(column)) for column in columns]


def _effect(gap: Gap | None) -> Raw | str:
    """A difference with its interval and verdict; skills in points of percent."""
    if gap is None:
        return "–"
    scale, digits = (100, 2) if gap.task == SKILLS else (1, 3)
    delta, low, high = (_signed(scale * value, digits) for value in (gap.delta, gap.low, gap.high))
    if not gap.told:
        return tag("td", NO_DIFFERENCE, tag("small", f"{delta} ({low} to {high})"), class_="score")
    glyph, word, tint = ("▲", "better", "gain-2") if gap.better else ("▼", "worse", "loss-2")
    return tag("td", tag("b", f"{glyph} {delta}"), tag("small", f"{word} ({low} to {high})"), class_=f"score {tint}")


def _block(data: ReportData, variant: VariantView, columns: Sequence[tuple[str, str]], places: Effects) -> Raw:
    groups = language_groups(data)
    found = compare(data, variant, groups)
    head = [tag("h3", breakable(variant.name)), tag("p", _about(data, variant), class_="note")]
    if not found:
        return tag("div", *head, tag("p", _why_nothing(data, variant), class_="empty"))
    told = [gap for gap in found if gap.told]
    better = sum(gap.better for gap in told)
    note = f"Skill by skill {better} better, {len(told) - better} worse, {len(found) - len(told)} with {NO_DIFFERENCE}."
    single = {data.name_of(code): [code] for codes in groups.values() for code in codes}
    rows = [[breakable(variant.stages[place]), *_line(columns, own)] for place, own in places.items()]
    return tag(
        "div",
        *head,
        _lines(["Model"], columns, rows, f"Models of {variant.name}") if rows else None,
        tag("p", note),
        _folded("Skill by skill", _table(data, found, f"{variant.name} against the recipe")),
        _folded(
            "Language by language",
            _table(data, compare(data, variant, single), f"{variant.name} against the recipe, language by language"),
        ),
    )


def _folded(title: str, table: Raw) -> Raw:
    return tag("details", tag("summary", title), table, class_="alt")


def _about(data: ReportData, variant: VariantView) -> str:
    built = {stage.name for stage in data.stages if stage.digest}
    own = list(variant.stages.values())
    said = f"Changes: {variant.change}; {sum(copy in built for copy in own)} of {len(own)} own stages built."
    return f"{variant.about.rstrip('.')}. {said}" if variant.about else said


def _why_nothing(data: ReportData, variant: VariantView) -> str:
    digests = {stage.name: stage.digest for stage in data.stages}
    pairs = [(digests.get(stage), digests.get(copy)) for stage, copy in variant.stages.items()]
    if all(own and own == copy for own, copy in pairs):
        return "All that it made is, byte for byte, what the recipe made."
    return "Nothing to compare: no model of it and of the recipe has scores on the same items yet."


def _table(data: ReportData, found: Sequence[Gap], label: str) -> Raw:
    return scroll_table(_HEAD, [_row(data, gap) for gap in found], label=label)


def _row(data: ReportData, gap: Gap) -> list:
    tint = (" gain-2" if gap.better else " loss-2") if gap.told else ""
    glyph = ("▲ " if gap.better else "▼ ") if gap.told else ""
    named = ", ".join(map(data.name_of, gap.languages))
    count = tag("small", f"mean of {len(gap.languages)}") if len(gap.languages) > 1 else None
    return [
        tag("th", breakable(gap.parent), scope="row"),
        tag("td", breakable(gap.task), tag("small", words(gap.metric))),
        tag("td", gap.group, count, title=named),
        number(gap.before),
        number(gap.after),
        tag("td", f"{glyph}{_signed(gap.delta)} ± {number(gap.stderr, 2)}", class_=f"score{tint}"),
        f"{_signed(gap.low)} to {_signed(gap.high)}",
        str(gap.n),
        "same items" if gap.paired else "two figures",
        ("better" if gap.better else "worse") if gap.told else NO_DIFFERENCE,
    ]


def _signed(value: float, digits: int = 3) -> str:
    text = number(value, digits)
    return f"+{text}" if value > 0 else text
