"""The page: self-contained, well-formed, escaped, the same every time, and right about gains and losses."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from recipe_report_example import LANGUAGES, MODELS, STAGES, example

from sampan.artifacts.scores import Score
from sampan.recipe.report import Record, ReportData, Sample, StageView, render
from sampan.recipe.report.charts import ticks
from sampan.recipe.report.data import completed
from sampan.recipe.report.headline import compared
from sampan.recipe.report.markup import duration, number, tag
from sampan.recipe.report.samples import language_tag
from sampan.recipe.report.scoreboard import REGION, boards, glyph, parent_of

VOID = {"meta", "link", "wbr", "input"}


class Reader(HTMLParser):
    """Collects elements and text, and holds that every element is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render(example())


def test_report_is_well_formed_with_unique_ids(page):
    reader = Reader(page)
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = [a["href"][1:] for _, a in reader.elements if a.get("href", "").startswith("#")]
    assert set(inner) <= set(ids)


def test_report_loads_nothing(page):
    for name, attributes in Reader(page).elements:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
                assert value.startswith("#") or value == "data:,", (name, key, value)
            assert "url(" not in (value or "") or re.fullmatch(r"url\(#[\w-]+\)", value), (name, key, value)
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert "http://" not in page
    assert "https://" not in page


def test_report_is_deterministic(page):
    assert render(example()) == page


def test_report_graph_shows_every_stage_and_input_once(page):
    nodes = [a["data-stage"] for name, a in Reader(page).elements if name == "a" and "data-stage" in a]
    outside = {"warc", "dumps", "library", "base", "chat", "questions"}
    assert sorted(nodes) == sorted({*STAGES, *outside})
    links = {(a["data-tail"], a["data-head"]) for _, a in Reader(page).elements if "data-tail" in a}
    assert links == {(tail, name) for name, row in STAGES.items() for names in row[2].values() for tail in names}


def test_report_has_every_section(page):
    ids = {a["id"] for name, a in Reader(page).elements if name == "section" and "id" in a}
    wanted = {"lineage", "scores", "ledger", "fertility", "corpus", "training", "merges", "answers", "stages"}
    assert ids == wanted | {"contamination", "items", "reproduce", "variants"}


def test_report_charts_have_titles_and_tables(page):
    charts = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert len(charts) > 10
    for chart in charts:
        assert "<h3>" in chart
        assert "<table" in chart


def hostile() -> ReportData:
    bad = "<script>alert('x')</script>"
    stages = (
        StageView(name=bad, stage=f"train.{bad}", kind="checkpoint", inputs={bad: [f"{bad}0"]}, params={bad: bad}),
        StageView(
            name='" onload="x',
            kind="documents",
            stage="corpus.clean",
            status=bad,
            reason=bad,
            metrics={"m": [bad]},
            licenses=[bad],
            summary={
                "by_language": {bad: 1},
                "dropped": {bad: {bad: 3}},
                "dropped_examples": {bad: {bad: [bad]}},
                "by_source": {bad: 1, "web": 1},
                "dropped_by_source": {bad: {bad: 3}},
                "by_language_and_source": {bad: {bad: 1, "web": 0}},
                "dropped_by_language_and_source": {bad: {bad: 3}},
            },
        ),
    )
    score = Score(
        model=bad,
        model_digest="",
        task=bad,
        language=bad,
        metric=bad,
        value=0.5,
        stderr=None,
        n=0,
        higher_is_better=True,
        prompt_digest="",
        revision=1,
    )
    return ReportData(
        recipe=bad,
        languages=[bad],
        language_names={bad: bad},
        stages=stages,
        scores=[score],
        samples=[Sample(model=bad, language=bad, prompt=bad, output=f"{bad}\x00\ud800", expected=bad)],
        records=[
            Record(model=bad, language=bad, task=bad, id=bad, prompt=bad, output=bad, extracted=bad, verdict={bad: 1})
        ],
        versions={bad: [bad]},
        recipe_text=bad,
        commands=[bad],
    )


def test_report_escapes_everything():
    page = render(hostile())
    page.encode("utf-8")
    reader = Reader(page)
    assert reader.open == []
    assert [name for name, _ in reader.elements].count("script") == 1
    assert not any(key.startswith("on") for _, attributes in reader.elements for key in attributes)


def test_report_of_nothing_says_so():
    page = render(ReportData(recipe="empty"))
    assert Reader(page).open == []
    assert "No model has been evaluated yet." in page
    assert "No stages." in page


def test_report_refuses_a_circle():
    stages = [StageView(name="a", inputs={"x": ["b"]}), StageView(name="b", inputs={"x": ["a"]})]
    with pytest.raises(ValueError, match="circle"):
        render(ReportData(recipe="r", stages=stages))


def test_report_orders_stages_after_what_they_read():
    stages = [StageView(name="b", inputs={"x": ["a", "given"]}), StageView(name="a")]
    names = [stage.name for stage in completed(ReportData(recipe="r", stages=stages)).stages]
    assert names == ["given", "a", "b"]


def row(model: str, language: str, value: float, **changes) -> Score:
    facts = {
        "model_digest": "",
        "task": "t",
        "metric": "bits_per_byte",
        "stderr": 0.01,
        "n": 9,
        "higher_is_better": False,
        "prompt_digest": "asked",
        "revision": 1,
    }
    return Score(model=model, language=language, value=value, **{**facts, **changes})


def small(scores: list[Score]) -> ReportData:
    stages = (
        StageView(
            name="cpt", stage="train.causal_lm", kind="checkpoint", inputs={"model": ["base"], "tokens": ["tok"]}
        ),
        StageView(name="sft", stage="train.sft", kind="checkpoint", inputs={"model": ["cpt"]}),
        StageView(
            name="mix", stage="merge.weights", kind="checkpoint", inputs={"base": ["base"], "models": ["cpt", "sft"]}
        ),
    )
    return completed(
        ReportData(recipe="r", languages=["tha_Thai", "lao_Laoo", "eng_Latn"], stages=stages, scores=scores)
    )


@pytest.mark.parametrize(
    ("higher", "old", "new", "stderr", "expected"),
    [
        (True, 0.4, 0.5, 0.01, "▲"),
        (True, 0.5, 0.4, 0.01, "▼"),
        (False, 2.0, 1.5, 0.01, "▲"),
        (False, 1.5, 2.0, 0.01, "▼"),
        (True, 0.40, 0.42, 0.01, "△"),
        (False, 1.50, 1.52, 0.01, "▽"),
        (True, 0.4, 0.5, None, "▲"),
        (True, 0.4, 0.4, 0.01, "="),
    ],
)
def test_report_gain_and_loss_follow_the_metric_direction(higher, old, new, stderr, expected):
    facts = {"higher_is_better": higher, "stderr": stderr}
    (board,) = boards(small([row("base", "tha_Thai", old, **facts), row("cpt", "tha_Thai", new, **facts)]))
    cell = board.cells["cpt", "tha_Thai"]
    assert cell.delta == new - old
    assert glyph(cell) == expected
    assert board.cells["base", "tha_Thai"].delta is None


def test_report_tells_answers_that_are_no_answers_beside_their_score():
    data = small([row("base", "tha_Thai", 0.5, empty=1, looping=2, cut_off=3, left_out=4)])
    assert boards(data)[0].cells["base", "tha_Thai"].notes == (
        "1 empty", "2 looping", "3 cut off at the limit", "4 rows left out"
    )  # fmt: skip


def test_report_signs_in_the_page_agree_with_the_scores():
    data = completed(example())
    by = {(s.model, s.task, s.language): s for s in data.scores}
    for board in boards(data):
        for model in MODELS[1:]:
            parent = board.parents[model]
            for code in LANGUAGES:
                new, old = by[model, board.task, code], by[parent, board.task, code]
                better = (new.value > old.value) == new.higher_is_better
                assert board.cells[model, code].gain is better


def test_report_parents_are_what_a_model_was_made_from():
    data = completed(example())
    scored = set(MODELS)
    expected = {"base": "", "expanded": "base", "cpt": "expanded", "dpo": "sft_2", "simpo": "sft_2", "merged": "simpo"}
    assert {model: parent_of(data, model, scored) for model in expected} == expected
    # An unscored model in between is passed over.
    assert parent_of(data, "dpo", scored - {"sft_2", "sft"}) == "cpt_low"
    assert parent_of(small([]), "mix", {"base", "cpt", "mix"}) == "cpt"


def test_report_does_not_compare_different_questions():
    rows = [row("base", "tha_Thai", 2.0), row("cpt", "tha_Thai", 1.0, prompt_digest="others")]
    data = small(rows)
    (board,) = boards(data)
    assert board.cells["cpt", "tha_Thai"].delta is None
    assert compared(data, board) is None


def test_report_region_mean_leaves_english_out_and_compares_like_with_like():
    rows = [
        row("base", "tha_Thai", 2.0),
        row("base", "eng_Latn", 1.0),
        row("cpt", "tha_Thai", 1.0),
        row("cpt", "lao_Laoo", 5.0),
        row("cpt", "eng_Latn", 9.0),
    ]
    data = small(rows)
    (board,) = boards(data)
    assert board.columns == ("tha_Thai", "lao_Laoo", REGION, "eng_Latn")
    mean = board.cells["cpt", REGION]
    assert mean.value == 3.0
    # The base was not asked in Lao, so only Thai counts for the change.
    assert mean.delta == -1.0
    assert mean.gain is True
    assert mean.stderr == pytest.approx(0.01 / 2**0.5)
    assert compared(data, board) == (2.0, 1.0, 1)
    assert compared(data, board, english=True) == (1.0, 9.0, 1)


def test_report_shows_the_last_of_repeated_measurements():
    (board,) = boards(small([row("base", "tha_Thai", 2.0), row("base", "tha_Thai", 1.5)]))
    assert board.cells["base", "tha_Thai"].value == 1.5
    assert board.repeated == 1


def test_report_skips_scores_that_are_no_numbers():
    data = small([row("base", "tha_Thai", float("nan")), row("base", "lao_Laoo", 1.0)])
    assert boards(data)[0].columns == ("lao_Laoo",)
    assert Reader(render(data)).open == []


def test_report_headline_measures_between_the_models_asked_for():
    data = replace(example(), first_model="cpt", last_model="dpo")
    assert "measured from cpt to dpo" in render(data)


def test_report_markup_escapes_children_and_attributes():
    assert tag("p", "<b>", tag("i", "&"), None, [1, "x"], class_='a"b', hidden=True, title=None) == (
        '<p class="a&quot;b" hidden>&lt;b&gt;<i>&amp;</i>1x</p>'
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.25, "250 ms"), (4.2, "4.2 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_report_durations(seconds, text):
    assert duration(seconds) == text


def test_report_numbers():
    assert [number(v) for v in (1e-5, 0.7, -2, 16384, 0.12345678, True, None, "x", [1])] == [
        "1e−5",
        "0.7",
        "−2",
        "16,384",
        "0.1235",
        "true",
        "null",
        "x",
        "[1]",
    ]


def test_report_ticks_cover_the_range():
    for low, high in ((0, 11.5), (1.9, 3.5), (0.42, 0.69), (-3, 7), (5, 5), (0, 187548)):
        made = ticks(low, high)
        assert made[0] <= low + 1e-9
        assert made[-1] >= high - 1e-9
        assert 2 <= len(made) <= 8


def test_report_language_tags_choose_fonts():
    assert [language_tag(c) for c in ("tha_Thai", "zho_Hans", "hmn_Latn", "")] == [
        "th-Thai",
        "zh-Hans",
        "hmn-Latn",
        None,
    ]
