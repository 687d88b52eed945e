"""What Resiliparse's rules keep, as marks of blocks, and the features made of the marks."""

from __future__ import annotations

import numpy as np
from resiliparse.parse.html import HTMLTree

from sampan.crawl.blocks import scan
from sampan.crawl.features import OFFSETS, OPINIONS, Page, opinions
from sampan.crawl.second_opinion import kept_by_rules

FERRY = "The ferry between the two islands will run every hour from the first of March."
FARMERS = (
    "Farmers had asked for the change for it,<br>because the old boat left before the <b>market</b>&nbsp;was open."
)


def marks(body: str) -> dict[str, float]:
    tree = HTMLTree.parse(f"<html><body>{body}</body></html>")
    texts = scan(tree.body.html).texts
    return dict(zip(texts, kept_by_rules(tree, texts).tolist(), strict=True))


def test_paragraphs_are_kept_and_a_footer_is_not():
    found = marks(
        f'<div class="main"><h2>News</h2><p>{FERRY}</p><p>{FARMERS}</p><table><tr><td>One</td><td>Two</td></tr></table>'
        '</div><footer class="footer"><p>All rights are reserved by the harbour office.</p><p>Imprint</p></footer>'
    )
    assert {text: mark for text, mark in found.items() if mark != 1} == {
        "All rights are reserved by the harbour office.": 0,
        "Imprint": 0,
    }
    assert len(found) == 7


def test_a_short_text_does_not_count_inside_another():
    found = marks(f'<div><p>{FERRY}</p></div><div class="modal"><p>March</p><p>The ferry between the</p></div>')
    assert found == {FERRY: 1, "March": 0, "The ferry between the": 1}  # the last as well stands in what was kept


def test_features_of_the_marks():
    html = "<body><div><p>abc</p><p>abcdefg</p></div><p>abc</p></body>"
    layout = scan(HTMLTree.parse(html).body.html)
    page = Page(layout)
    rows = dict(zip(OPINIONS, opinions(page, np.float32([1, 0, 1])).tolist(), strict=True))
    assert rows["kept"] == [1, 0, 1]
    # letters and one more for each text: 4 of 12 are kept in the division, 8 of 16 on the page
    assert rows["up1_kept"] == np.float32([4 / 12, 4 / 12, 0.5]).tolist()
    assert rows["up2_kept"] == [0.5, 0.5, 0.5]
    assert rows["page_kept"] == [0.5, 0.5, 0.5]
    assert [rows[f"kept{offset:+}"][1] for offset in OFFSETS] == [0, 1, 1, 0]
