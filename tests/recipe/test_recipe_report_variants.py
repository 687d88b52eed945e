"""The page's section of variants: differences from the recipe's own models, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sampan.artifacts.item_values import Asked, ItemValues
from sampan.artifacts.scores import Score
from sampan.recipe.report import ReportData, StageView, VariantView, render
from sampan.recipe.report.headline import ends
from sampan.recipe.report.scoreboard import boards
from sampan.recipe.report.variants import BITS, SKILLS, compare, effects, language_groups, section

PLAIN = VariantView(name="plain", about="No replay.", stages={"cpt": "cpt.plain"}, changed=("cpt",))


def page(own: dict[str, list[float]], variant: dict[str, list[float]], *, higher: bool = True) -> ReportData:
    """A recipe's `cpt` and its copy, with what each item gave them by language; items of one place share an id."""
    stages = [StageView(name="base", kind="checkpoint", digest="0")]
    scores, asked, values = [], [], []
    for name, rows in (("cpt", own), ("cpt.plain", variant)):
        stages.append(
            StageView(name=name, stage="train.causal_lm", kind="checkpoint", inputs={"model": ("base",)}, digest=name)
        )
        for language, row in rows.items():
            shared = {"model": name, "model_digest": "", "task": "skill", "language": language, "metric": "acc"}
            shared |= {"prompt_digest": language, "revision": 1}
            mean = sum(row) / len(row)
            scores.append(Score(value=mean, stderr=0.1, n=len(row), higher_is_better=higher, **shared))
            values.append(ItemValues(values=row, **shared))
    asked = [Asked("skill", code, code, [str(n) for n in range(len(row))], [], []) for code, row in own.items()]
    return ReportData(
        recipe="r",
        languages=("tha_Thai", "lao_Laoo", "eng_Latn"),
        language_names={"tha_Thai": "Thai", "lao_Laoo": "Lao", "eng_Latn": "English"},
        stages=tuple(stages),
        scores=tuple(scores),
        asked=tuple(asked),
        item_values=tuple(values),
        variants=(PLAIN,),
    )


OWN = {"tha_Thai": [1.0, 1.0, 0.0, 0.0], "lao_Laoo": [1.0, 0.0, 0.0, 0.0], "eng_Latn": [1.0] * 40}
VARIANT = {"tha_Thai": [1.0, 1.0, 1.0, 0.0], "lao_Laoo": [1.0, 1.0, 0.0, 0.0], "eng_Latn": [0.0] * 30 + [1.0] * 10}


def test_differences_of_a_variant_by_hand():
    data = page(OWN, VARIANT)
    region, english = compare(data, PLAIN, language_groups(data))
    # Thai and Lao both gain 1/4. What is left of each item's difference, over its language's four items and halved for
    # two languages: id 0: -1/4-1/4, id 1: -1/4+3/4, id 2: 3/4-1/4, id 3: -1/4-1/4, each over 8; squares 4 x (1/16)^2.
    assert (region.parent, region.child, region.languages) == ("cpt", "cpt.plain", ("tha_Thai", "lao_Laoo"))
    assert (region.before, region.after, region.n, region.paired) == (0.375, 0.625, 8, True)
    assert region.delta == 0.25
    assert region.stderr == pytest.approx(math.sqrt(4 / 3 * 4) / 16, rel=1e-12)  # sums of eight numbers: 1e-12 is ample
    reach = 3.182446 * region.stderr  # Student's t with 3 degrees of freedom, from a table of six decimals
    assert (region.low, region.high) == pytest.approx((0.25 - reach, 0.25 + reach), abs=1e-6)
    assert not region.told
    assert english.group == "English"
    assert english.delta == -0.75
    assert english.told
    assert not english.better


def test_the_section_says_what_can_be_told():
    text = str(section(page(OWN, VARIANT)))
    assert "No replay. Changes: cpt; 1 of 1 own stages built." in text
    assert "0 better, 1 worse, 1 with no difference that can be told." in text
    assert "+0.25 ± 0.14" in text
    assert "▼ −0.75 ± 0.069" in text  # sqrt(40/39 · (30·(1/4)² + 10·(3/4)²))/40 = 0.0693
    assert "Language by language" in text
    assert "same items" in text
    assert "Variants" in render(page(OWN, VARIANT))


def two_skills_and_bits() -> ReportData:
    """What `page` has, a second skill and bits per byte, in one language and English each."""
    data = page(
        {"tha_Thai": [0.0, 0.0, 0.0, 1.0], "eng_Latn": [1.0] * 4}, {"tha_Thai": [1.0] * 4, "eng_Latn": [1.0] * 4}
    )
    more = [("other", "acc", True, [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0])]
    more += [("held_out", "bits_per_byte", False, [2.0, 3.0, 2.5, 2.5], [1.9, 2.9, 2.4, 2.4])]
    more += [("skill", "acc_bytes", True, [1.0] * 4, [0.0] * 4), ("chrf", "chrf", True, [50.0] * 4, [10.0] * 4)]
    scores, values, asked = list(data.scores), list(data.item_values), list(data.asked)
    for task, metric, higher, *rows in more:
        for model, row in zip(("cpt", "cpt.plain"), rows, strict=True):
            shared = {"model": model, "model_digest": "", "task": task, "language": "tha_Thai", "metric": metric}
            shared |= {"prompt_digest": "tha_Thai", "revision": 1}
            scores.append(Score(value=sum(row) / 4, stderr=0.1, n=4, higher_is_better=higher, **shared))
            values.append(ItemValues(values=row, **shared))
        asked.append(Asked(task, "tha_Thai", "tha_Thai", [str(n) for n in range(4)], [], []))
    return replace(data, scores=tuple(scores), item_values=tuple(values), asked=tuple(asked))


def test_one_line_a_variant_says_bits_and_the_mean_of_skills():
    data = two_skills_and_bits()
    (place,) = effects(data, PLAIN).values()
    assert list(place) == [(BITS, "Region"), (SKILLS, "Region"), (SKILLS, "English")]
    # Bits fall by 0.1 on every item: no error at all, and less is better.
    assert place[BITS, "Region"].delta == pytest.approx(-0.1, rel=1e-9)
    assert place[BITS, "Region"].better
    # Skills: the mean of +3/4 and -1/4; a task's second metric and what is no share are left out. In both skills items
    # 0 to 2 are 1/4 above its mean, item 3 is 3/4 below: over the items (1/4 + 1/4)/8 three times and -(3/4 + 3/4)/8.
    skill = place[SKILLS, "Region"]
    assert skill.delta == 0.25
    assert skill.stderr == pytest.approx(math.sqrt(4 / 3 * (3 * (0.5 / 8) ** 2 + (1.5 / 8) ** 2)), rel=1e-9)
    text = str(section(data))
    assert "▼" not in text.partition("<h3>")[0]
    assert "▲ −0.1" in text
    # 3.182 standard errors of 1/4 on either side of 1/4, in points
    assert "no difference that can be told<small>+25 (−55 to +105)" in text


def test_what_a_variant_leaves_out_is_named():
    data = replace(page(OWN, VARIANT), variants=(replace(PLAIN, changed=(), replaced={"cpt": "base"}),))
    assert "No replay. Changes: cpt left out (base instead); 1 of 1 own stages built." in str(section(data))


def test_less_is_better_where_the_metric_says_so():
    data = page(OWN, VARIANT, higher=False)
    english = compare(data, PLAIN, language_groups(data))[-1]
    assert english.delta == -0.75
    assert english.better
    assert "1 better, 0 worse" in str(section(data))


def test_without_item_values_two_figures_are_compared():
    data = replace(page(OWN, VARIANT), asked=(), item_values=())
    region = compare(data, PLAIN, language_groups(data))[0]
    assert not region.paired
    assert region.stderr == pytest.approx(math.sqrt(4 * 0.1**2) / 2)  # four figures of error 0.1, mean of two languages
    assert "two figures" in str(section(data))


def test_what_was_asked_otherwise_is_not_compared():
    data = page(OWN, VARIANT)
    other = tuple(replace(s, prompt_digest="other") if s.model == "cpt.plain" else s for s in data.scores)
    text = str(section(replace(data, scores=other)))
    assert "Nothing to compare: no model of it and of the recipe has scores on the same items yet." in text


def test_an_equal_result_is_named():
    data = page(OWN, VARIANT)
    same = replace(data.stages[2], digest="cpt")
    text = str(section(replace(data, stages=(*data.stages[:2], same), scores=data.scores[:3])))
    assert "byte for byte" in text


def test_a_recipe_without_variants_has_no_section():
    assert section(replace(page(OWN, VARIANT), variants=())) is None


def test_the_headline_is_measured_to_the_recipes_own_last_model():
    data = page(OWN, VARIANT)
    (board,) = boards(data)
    assert board.models == ("cpt", "cpt.plain")
    assert ends(data, board) == ("cpt", "cpt")
