"""Variants beside the recipe: the model at each place of a variant's lineage against the recipe's own at that place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...evals.language_groups import Gap, gaps
from .data import ReportData, VariantView
from .markup import Raw, breakable, join, number, scroll_table, tag, words

NO_DIFFERENCE = "no difference that can be told"
_REGION = "Region"
_HEAD = ["Model", "Skill", "Languages", "Recipe", "Variant", "Difference", "95 % interval", "n", "Compared", "Verdict"]


def section(data: ReportData) -> Raw | None:
    """One block a variant; None if the recipe has none."""
    if not data.variants:
        return None
    intro = (
        "Each variant's models against the recipe's own at the same place, on the same items: the variant's score "
        "minus the recipe's, with an interval that holds the true difference in 95 of 100 cases. The languages of a "
        "group count alike. Each row is judged by itself: of a hundred rows where nothing differs, about five would "
        "still show a difference. Errors are of the items; another seed of training would differ besides."
    )
    return join(tag("p", intro, class_="note"), *(_block(data, variant) for variant in data.variants))


def compare(data: ReportData, variant: VariantView, groups: Mapping[str, Sequence[str]]) -> list[Gap]:
    """Every scored model of a variant against the recipe's own, in lineage order, for each group of languages."""
    place = {stage.name: number for number, stage in enumerate(data.stages)}
    pairs = sorted(variant.stages.items(), key=lambda pair: place.get(pair[0], -1))
    parents = {copy: stage for stage, copy in pairs}
    return gaps(data.scores, data.asked, data.item_values, parents, groups)


def language_groups(data: ReportData) -> dict[str, list[str]]:
    """The region's languages, and the one that is guarded."""
    present = list(dict.fromkeys(score.language for score in data.scores))
    order = [code for code in data.languages if code in present]
    order += [code for code in present if code not in order]
    region = [code for code in order if code != data.english]
    english = [data.english] if data.english in order else []
    return {name: codes for name, codes in ((_REGION, region), (data.name_of(data.english), english)) if codes}


def _block(data: ReportData, variant: VariantView) -> Raw:
    groups = language_groups(data)
    found = compare(data, variant, groups)
    head = [tag("h3", breakable(variant.name)), tag("p", _about(data, variant), class_="note")]
    if not found:
        return tag("div", *head, tag("p", _why_nothing(data, variant), class_="empty"))
    told = [gap for gap in found if gap.told]
    better = sum(gap.better for gap in told)
    note = f"{better} better, {len(told) - better} worse, {len(found) - len(told)} with {NO_DIFFERENCE}."
    single = {data.name_of(code): [code] for codes in groups.values() for code in codes}
    by_language = compare(data, variant, single)
    return tag(
        "div",
        *head,
        tag("p", note),
        _table(data, found, f"{variant.name} against the recipe"),
        tag(
            "details",
            tag("summary", "Language by language"),
            _table(data, by_language, f"{variant.name} against the recipe, language by language"),
            class_="alt",
        ),
    )


def _about(data: ReportData, variant: VariantView) -> str:
    built = {stage.name for stage in data.stages if stage.digest}
    own = list(variant.stages.values())
    said = f"Changes {', '.join(variant.changed)}; {sum(copy in built for copy in own)} of {len(own)} own stages built."
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


def _signed(value: float) -> str:
    text = number(value, 3)
    return f"+{text}" if value > 0 else text
