"""The page in a real browser without a network: no request but the file, no error, nothing blank, nothing cut off."""

from __future__ import annotations

import base64

import pytest
from recipe_report_example import example

from sampan.recipe.report import render

REGIONS = [
    "#graph",
    "#scores .scroll",
    "#fertility .chart",
    "#corpus .chart",
    "#training .plot",
    "#answers article",
    "#items article",
]
MIN_VARIANCE = 40.0
"""Of 0–255 grey levels; an empty region has 0, and a white one with a single line of text already more than 100."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(example()), encoding="utf-8")
    return path


def opened(browser, file, width, height, **options):
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(file.as_uri())
    return page


def variance(browser, png: bytes) -> float:
    """Variance of the grey levels of a picture, computed by the browser that can decode it."""
    page = browser.new_page()
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    found = page.evaluate(
        """async (source) => {
          const image = new Image(); image.src = source; await image.decode();
          const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext("2d");
          pen.drawImage(image, 0, 0);
          const bytes = pen.getImageData(0, 0, image.width, image.height).data;
          let sum = 0, squares = 0, count = bytes.length / 4;
          for (let i = 0; i < bytes.length; i += 4) {
            const grey = (bytes[i] + bytes[i + 1] + bytes[i + 2]) / 3; sum += grey; squares += grey * grey;
          }
          return squares / count - (sum / count) ** 2;
        }""",
        source,
    )
    page.close()
    return found


@pytest.mark.parametrize(("width", "height", "scheme"), [(390, 844, "dark"), (1440, 900, "light")])
def test_report_in_a_browser_shows_everything_and_asks_for_nothing(browser, file, width, height, scheme):
    page = opened(browser, file, width, height, color_scheme=scheme)
    assert page.said == []
    assert page.asked == [file.as_uri()]
    for region in REGIONS:
        seen = variance(browser, page.locator(region).first.screenshot())
        assert seen > MIN_VARIANCE, (region, seen)
    assert variance(browser, page.screenshot()) > MIN_VARIANCE
    page.context.close()


@pytest.mark.parametrize("width", [360, 390, 768, 1440, 1920])
def test_report_page_never_scrolls_sideways(browser, file, width):
    page = opened(browser, file, width, 900)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.context.close()


def test_report_graph_answers_taps_and_keys(browser, file):
    page = opened(browser, file, 1440, 900)
    panel = page.locator("#panel")
    assert not panel.is_visible()
    page.locator('.node[data-stage="simpo"]').click()
    assert panel.is_visible()
    assert "gamma" in panel.inner_text()
    # Lit up: all that it was made from, and nothing beside it.
    near = page.eval_on_selector_all(".node.near", "nodes => nodes.map(node => node.dataset.stage)")
    assert {"base", "cpt", "pairs", "simpo", "merged"} <= set(near)
    assert "dpo" not in near
    page.locator("#panel-close").click()
    assert not panel.is_visible()
    page.locator('.node[data-stage="sft"]').click()
    page.keyboard.press("Escape")
    page.mouse.move(2, 2)
    assert not panel.is_visible()
    page.locator("#graph-fit").click()
    box = page.locator("#graph").bounding_box()
    assert box["height"] <= 900
    assert page.said == []
    page.context.close()


def test_report_reads_without_scripts(browser, file):
    page = opened(browser, file, 1440, 900, java_script_enabled=False)
    assert page.locator('.node[data-stage="sft"]').get_attribute("href").startswith("#stage-")
    assert page.locator("#stages table").is_visible()
    page.context.close()


def test_report_policy_stops_foreign_scripts(browser, file, tmp_path):
    text = file.read_text(encoding="utf-8")
    bad = tmp_path / "bad.html"
    bad.write_text(text.replace("</main>", "<script>document.title = 'taken'</script></main>"), encoding="utf-8")
    page = opened(browser, bad, 800, 600)
    assert page.title() != "taken"
    page.context.close()


def test_report_items_can_be_searched_and_filtered(browser, file):
    page = opened(browser, file, 1440, 900)
    told = page.locator("#item-filters output")
    assert told.inner_text() == "33 of 33 items"
    page.select_option('[data-filter="language"]', "tha_Thai")
    assert told.inner_text() == "3 of 33 items"
    page.select_option('[data-filter="mark"]', "empty")
    shown = page.locator("#items .answers > div:visible")
    assert set(shown.evaluate_all("rows => rows.map(row => row.dataset.mark)")) == {"empty"}
    assert set(shown.evaluate_all("rows => rows.map(row => row.dataset.model)")) == {"base"}
    page.select_option('[data-filter="model"]', "merged")
    assert told.inner_text() == "0 of 33 items"
    page.select_option('[data-filter="mark"]', "")
    page.fill('[data-filter="text"]', "ประเทศไทย")
    assert told.inner_text() == "3 of 33 items"
    page.fill('[data-filter="text"]', "Vientiane")
    assert told.inner_text() == "0 of 33 items"
    page.select_option('[data-filter="language"]', "")
    assert told.inner_text() == "3 of 33 items"
    card = page.locator("#items .item:visible").first
    for part in ("Which river runs through Vientiane?", "Expected", "Read as", "accuracy"):
        assert part in card.inner_text()
    assert page.said == []
    page.context.close()
