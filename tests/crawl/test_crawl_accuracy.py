"""The accuracy option: where blocks stand in another's text, and whom the forest believes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from resiliparse.parse.html import HTMLTree

from sampan.core.errors import RecipeError
from sampan.crawl import accuracy
from sampan.crawl.archive import check_extractor
from sampan.crawl.blocks import scan
from sampan.crawl.extractor import load_model
from sampan.crawl.features import OPINIONS, Page
from sampan.crawl.gold import read_gold, shingle_score, string_score
from sampan.crawl.nesting import Overwork
from sampan.crawl.page import decode, extract
from sampan.crawl.page_params import PageParams
from sampan.crawl.standing import shares

LAO = "ໃນວັນຈັນຜ່ານມາ ຄະນະກຳມະການແມ່ນ້ຳຂອງໄດ້ປະຊຸມກັບຜູ້ຕາງໜ້າຈາກແຂວງຕ່າງໆ ເພື່ອປຶກສາຫາລືກ່ຽວກັບລະດັບນ້ຳທີ່ຫຼຸດລົງຢ່າງຕໍ່ເນື່ອງ"
FERRY = [
    "The ferry between the two islands will run every hour from the first of March, the harbour office said.",
    "Farmers had asked for the change for years, because the old boat left before the market opened.",
    LAO,
    "A ticket will cost the same as before, and children under six travel free, according to the new timetable.",
]
MENU = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in ("Home", "World", "Sport", "Weather", "Video"))


def page(paragraphs: list[str]) -> str:
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    return f"""<!doctype html><html><head><title>A headline | The Daily</title></head><body>
    <div class="site-header"><ul class="main-menu">{MENU}</ul></div>
    <div class="article"><h1>A headline</h1><div class="article-body">{body}</div></div>
    <div class="sidebar"><h3>Most read</h3><ul class="related-list">{MENU}</ul></div>
    <div class="site-footer"><p>© 2024 The Daily. All rights reserved.</p><ul>{MENU}</ul></div></body></html>"""


@pytest.fixture
def trafilatura():
    return pytest.importorskip("trafilatura", exc_type=ImportError)


def sums_of(html: str) -> Page:
    return Page(scan(HTMLTree.parse(html).body.html), "A headline")


def test_shares_of_texts_in_another():
    whole = "The ferry runs every hour.\nNews\nA ticket will cost the same as before."
    texts = ["The ferry, runs every HOUR", "News", "hour", "A ticket will rise by half in March"]
    assert shares(texts, whole)[:3].tolist() == [1, 1, 0]  # "hour" is no line, nor do its neighbours stand beside it
    assert shares(texts, whole)[3] == 0  # fewer than half of its runs
    assert shares(["!"], whole).tolist() == [0.5]
    assert shares(["every", "hour"], "a boat every hour or so").tolist() == [1, 1]  # side by side here and there
    half = shares(["The ferry runs every hour, or so they say"], whole)[0]
    assert 0 < half < 1
    assert shares([], whole).size == 0


def test_an_article_is_kept_and_its_frame_is_not(trafilatura):
    found = extract(page(FERRY), extractor="accuracy")
    assert not found.whole
    assert [line for line in found.text.split("\n") if line in FERRY] == FERRY
    for word in ("Weather", "All rights reserved", "Most read"):
        assert word not in found.text
    assert extract(page(FERRY), extractor="accuracy") == found
    assert extract("", extractor="accuracy").text == ""


def test_trafilatura_is_heard(monkeypatch):
    """A paragraph that the forest would keep is kept with less certainty, or not, where Trafilatura leaves it out."""
    marks = np.ones(4)
    sums, rules = sums_of("<body>" + "".join(f"<p>{text}</p>" for text in FERRY) + "</body>"), np.ones(4, np.float32)
    seen = []
    monkeypatch.setattr(accuracy, "kept_by_others", lambda html, texts: [marks.astype(np.float32)] * 2)
    monkeypatch.setattr(accuracy, "text_of", lambda page, chances, share: seen.append(chances) or "")
    accuracy.accurate_text(sums.layout, "", rules, "")
    marks[2] = 0
    accuracy.accurate_text(sums.layout, "", rules, "")
    assert seen[0][2] > 0.8
    assert seen[1][2] < seen[0][2] - 0.1


def test_where_trafilatura_finds_nothing_the_default_speaks(monkeypatch):
    monkeypatch.setattr(accuracy, "kept_by_others", lambda html, texts: None)
    assert extract(page(FERRY), extractor="accuracy").text == extract(page(FERRY)).text


def test_the_forest_asks_for_what_it_is_given():
    model = load_model()
    others = tuple(f"{source}_{name}" for source in ("trafilatura", "readability") for name in OPINIONS)
    forest, share = accuracy.load_accuracy()
    assert 0 < share < 1
    assert forest.names == (*model.first.names, *OPINIONS, *others)


def test_what_others_keep(trafilatura):
    html = page(FERRY)
    texts = scan(HTMLTree.parse(html).body.html).texts
    found = [dict(zip(texts, marks.tolist(), strict=True)) for marks in accuracy.kept_by_others(html, texts)]
    assert len(found) == 2
    for marks in found:
        assert [marks[text] for text in FERRY] == [1] * len(FERRY)
        assert marks["© 2024 The Daily. All rights reserved."] == 0
    assert accuracy.kept_by_others("", []) is None


def test_what_nests_too_deep_is_refused_before_trafilatura_sees_it(monkeypatch):
    monkeypatch.setattr(accuracy, "kept_by_others", lambda html, texts: pytest.fail("asked"))
    with pytest.raises(Overwork, match="too_deep"):
        extract("<div>" * 3000 + "deep text " * 20, extractor="accuracy")


def test_without_trafilatura_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(RecipeError, match=r"sampan\[trafilatura\]"):
        check_extractor("accuracy")
    check_extractor("sampan")


def test_the_forecast_of_time_is_that_of_its_parts_or_more():
    hours = {name: PageParams(extractor=name).seconds_for(1e6) for name in ("sampan", "accuracy", "trafilatura")}
    assert hours["sampan"] < hours["trafilatura"] < hours["accuracy"]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "floor"), [("trafilatura_eval", 0.9), ("article_extraction_benchmark", 0.95)])
def test_f1_of_the_accuracy_option_on_pages_not_trained_on(shared, trafilatura, name, floor):
    """Floors a little under the measured values: a page more or less moves F1 by about 0.01."""
    pages = [gold for gold in read_gold(shared / "data" / "web" / name) if gold.held_out]
    texts = [extract(decode(gold.payload)[0], extractor="accuracy").text for gold in pages]
    pairs = list(zip(texts, pages, strict=True))
    if name == "trafilatura_eval":
        found = string_score((text, gold.row) for text, gold in pairs)
    else:
        found = shingle_score((text, gold.row["gold_text"]) for text, gold in pairs)
    assert found["f1"] >= floor
