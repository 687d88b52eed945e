"""Pages made to keep a parser busy: given up by what stands in them, in a second or two, whatever the machine."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.crawl import long_tags
from sampan.crawl.archive_shard import LeftOut, page_text
from sampan.crawl.guard import MAX_OPTIONS, overwork
from sampan.crawl.nesting import MAX_DEPTH, too_deep
from sampan.crawl.warc import Params

SECONDS = 5
"""The bar of the issue; each took 0.0 to 1.8 seconds of CPU, and without the limits 1.5 to hours."""
STYLES = [f"<b id={i}>" for i in range(1200)]
LATER = "<p>xyz" * 900
NAMES = [f"a{i}" for i in range(30_000)]
HOSTILE = {
    "open formatting": ("<p>" + "".join(STYLES) + LATER, "tangled_markup"),
    "its end tags in comments": ("<p>" + "".join(f"{tag}<!--</b>-->" for tag in STYLES) + LATER, "tangled_markup"),
    "its ends in quotes": ("<p>" + "".join(f"<b a='>' id={i}>" for i in range(1200)) + LATER, "tangled_markup"),
    "upper case": ("<p>" + "".join(f"<FONT id={i}>" for i in range(1200)) + LATER, "tangled_markup"),
    "options": ("<select>" + "<option>x" * 30_000, "too_many_options"),
    "attributes": (f"<p {'=1 '.join(NAMES)}>x", "too_many_attributes"),
    "attributes with tags in quotes": ("<p " + " ".join(f'{name}="<i>"' for name in NAMES) + ">x", "tangled_markup"),
    "attributes with ends in quotes": ("<p " + '=">" '.join(NAMES) + ">x", "too_many_attributes"),
    "attributes with ends in quotes, twice": ("<p " + '=">>" '.join(NAMES) + ">x", "too_many_attributes"),
    "attributes with other quotes in quotes": ("<p " + """='">' """.join(NAMES) + ">x", "too_many_attributes"),
    "wide attributes with ends in quotes": ("<p " + f'=">{"x" * 90}" '.join(NAMES) + ">x", "too_many_attributes"),
    "a blank that is none": ('<p x=\x0b" ' + '=">" '.join(NAMES) + ">x", "too_many_attributes"),
    "deep, with end tags of nothing": ("<div></x>" * 30_000, "too_deep"),
    "deep, before list items": ("<span></x>" * 30_000 + "<li></li>" * 30_000, "too_deep"),
    "deep, before end tags": ("<span></x>" * 60_000 + "</y>" * 60_000, "too_deep"),
    "many paragraphs deep down": ("<div>" * 1900 + "</p>" * 50_000, "too_deep"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_given_up(name):
    html, reason = HOSTILE[name]
    page_text(Params(), b"<p>" + b"warm " * 40, "", "")  # the model is read
    clock = time.process_time()
    with pytest.raises(LeftOut, match=f"^{reason}$"):
        page_text(Params(extractor="resiliparse"), html.encode(), "", "")  # it walks the tree of every page
    with contextlib.suppress(LeftOut):
        page_text(Params(), html.encode(), "", "")
    assert time.process_time() - clock < SECONDS


FILLERS = st.sampled_from(
    ["", ">", ">>", "a>b", "<i>", "'>", "=>", "=", "\x0b>", "x" * 70, "x" * 200 + ">", ">" + "x" * 300]
)
VALUES = st.one_of(
    st.just(""),
    FILLERS.map(lambda text: f'="{text}"'),
    FILLERS.map(lambda text: "='{}'".format(text.replace("'", '"'))),
    st.sampled_from(["=1", "= 1", '=\x0b"', '= \n"> >"']),
)
AROUND = st.lists(st.sampled_from(["<p>", "it's", ' "so"', "<a href='x'>", '<i class="">', "=", "<", "\n", "w " * 90]))


@given(AROUND, st.lists(VALUES, min_size=1, max_size=9), st.integers(0, 90), AROUND)
@settings(max_examples=500, deadline=None)
def test_no_tag_of_many_attributes_is_missed(before, values, shift, after):
    """However `>` and quotes stand in its values, and wherever in the page it begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_tags, "_LEAST", 120)
        patch.setattr(long_tags, "_MOST", 120)
        tag = "<p " + " ".join(f"n{i}{values[i % len(values)]}" for i in range(120)) + ">"
        assert long_tags.overlong_tag(("".join(before) + " " * shift + tag + "".join(after)).encode())


HONEST = {
    "a glossary": "".join(f"<dt><b id=t{i}>word</b><dd><i class='c{i}'>a <u>b</u></i> so" for i in range(3000)),
    "coloured code": "".join(f"<font color=#{i:06x}>x</font><br>" for i in range(3000)),
    "marked links": "".join(f'<p><strong class="m{i}"><a href="/{i}">x</a></strong></p>' for i in range(2000)),
    "bold left open": "<b>" * 50 + "<p>text</p>" * 5000,
    "long lists": ("<select>" + "<option>x</option>" * 250 + "</select>") * 40,
    "a long script": "<script>for (i=0;i<n;i++) { } " + "word = x; " * 5_000 + "</script>" + "<p>x</p>" * 3000,
    "data in an attribute": "<p data-x='" + '{"a b": "c d"}, ' * 20_000 + "'>x",
    "empty elements": "<br>" * (3 * MAX_DEPTH),
    "open list items": "<ul>" + "<li>x" * (3 * MAX_DEPTH),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_large_honest_pages_are_read(name):
    assert overwork(HONEST[name]) == ""
    page_text(Params(), HONEST[name].encode(), "", "")


def test_the_limits_are_where_they_are_said_to_be():
    assert overwork("<option>" * MAX_OPTIONS) == ""
    assert overwork("<OPTION>" * (MAX_OPTIONS + 1)) == "too_many_options"
    assert not too_deep("<div>" * MAX_DEPTH + "<br>" * MAX_DEPTH + "</div>" * MAX_DEPTH)
    assert too_deep("<div>" * (MAX_DEPTH + 1) + "</div>" * (MAX_DEPTH + 1))
    # what a script or a comment holds is no tag
    hidden = "</div>" * 500
    assert too_deep(f"<div><script>{hidden}</script><!--{hidden}-->" + "<div>" * MAX_DEPTH)


@pytest.mark.shared
def test_no_page_of_the_shared_data_is_given_up(shared):
    import gzip
    import json

    from sampan.crawl.page import decode

    for folder in sorted((shared / "data" / "web").glob("*/gold.jsonl")):
        for line in folder.read_text(encoding="utf-8").splitlines():
            payload = gzip.decompress((folder.parent / json.loads(line)["file"]).read_bytes())
            html, used = decode(payload)
            assert overwork(html, payload if used == "utf-8" else None) == "", line[:80]
