"""The compiled loops give what the plain code gives, bit for bit: blocks, elements, hints, features, probabilities."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from sampan.crawl import blocks, kernels, long_tags, metadata
from sampan.crawl.archive_shard import page_text
from sampan.crawl.extractor import chosen, common, expected_f1, judge, load_model, with_opinions
from sampan.crawl.features import Page, count_characters, features
from sampan.crawl.kernels import Source
from sampan.crawl.kernels.names import LONGEST, name_table
from sampan.crawl.warc import Params

TAGS = ["p", "div", "pre", "li", "td", "h1", "h3", "nav", "svg", "script", "b", "a", "br", "hr", "br ", "x-y", "title"]
TEXTS = [
    "Farmers had asked for the change for years.", "  ", "\n", "a", " b  c ", "\xad", "&nbsp;", "&amp;lt;", "&lt;p&gt;",
    "\x02", "\u3000", "\x1c", "\xa0x", "ข่าววันนี้", "新闻。", "\U0001f600", "”",
    "<", ">", "<b", "</", "<!-- x -->", "<!--", "&nb\xadsp;",
]  # fmt: skip
NAMES = ["entry-content", "ArticleBody", "news text", "NAVbar", "sidebar ad", "prose", "recommendations", "é", "none"]
ATTRIBUTES = [
    ' class="{}"', ' id="{}" role="main"', ' data-id="{}"', ' style="display:  none"', ' hidden=""',
    ' title="é class="', ' aria-hidden="true"', ' éclass="{}"', " class=", ' style="visibility:hidden" itemprop="{}"',
]  # fmt: skip
tag = st.builds(
    lambda name, end, attribute, word: f"</{name}>" if end else f"<{name}{attribute.format(word)}>",
    st.sampled_from(TAGS),
    st.booleans(),
    st.sampled_from(["", *ATTRIBUTES]),
    st.sampled_from(NAMES),
)
markup = st.lists(st.one_of(tag, st.sampled_from(TEXTS)), max_size=40).map("".join)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    before, kernels.WORTH = kernels.WORTH, 0
    if kernels.loops() is None:
        pytest.fail("numba is missing")
    yield
    kernels.WORTH = before


def assert_same(fast: blocks.Layout, plain: blocks.Layout) -> None:
    for name in ("texts", "links", "linked", "place", "parent", "tag", "hints", "depth", "first", "end", "cut"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(plain, name), err_msg=name)
    np.testing.assert_array_equal(fast.counts, count_characters(plain.texts) if plain.texts else fast.counts)


@given(markup, st.booleans())
@settings(max_examples=400, deadline=None)
def test_blocks_of_any_markup_are_the_same(html, parsed):
    """Also of strings that no parser has written out: the loops do what the expressions do on those too."""
    body = HTMLTree.parse(html).body.html if parsed else "<body>" + html
    fast, plain = kernels.scan(body), blocks.scan(body)
    if fast is not None:
        assert_same(fast, plain)
    else:
        left = "é" in body or re.search("<[^>]*<", body)
        assert not parsed or left, "stray end tags, letters beyond ASCII and a < in a tag are left to the plain code"


@given(st.lists(st.sampled_from(["div", "p", "li", "h2", "td", "a"]), min_size=1, max_size=30), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_features_and_probabilities_are_the_same(names, seed):
    draw = np.random.default_rng(seed)
    parts = [f'<{name} class="{draw.choice(NAMES)}">{" ".join(draw.choice(TEXTS[:20], 6))}' for name in names]
    body = HTMLTree.parse("".join(parts)).body.html
    fast, plain = kernels.scan(body), blocks.scan(body)
    if fast is None or not plain.texts:
        return
    title = plain.texts[0]
    kept = draw.choice(np.float32([0, 1]), len(plain.texts))
    names, wanted = features(Page(plain, title))
    found, _ = kernels.values_of(Page(fast, title))
    assert [n for n, a, b in zip(names, found, wanted, strict=True) if not np.array_equal(a, b)] == []
    for ask in (None, lambda: kept):
        np.testing.assert_array_equal(judge(Page(fast, title), ask), judge(Page(plain, title), ask))
    asked, model = judge(Page(plain, title), lambda: kept), load_model()
    pages, limits = (Page(fast, title), Page(plain, title)), (model.share, model.outside)
    np.testing.assert_array_equal(*(chosen(page, asked, *limits) for page in pages))
    np.testing.assert_array_equal(*(with_opinions(page, found, kept) for page in pages))
    assert expected_f1(pages[0], asked) == expected_f1(pages[1], asked)
    other = draw.random(len(asked), np.float32)
    assert common(pages[0], asked, other, *limits) == common(pages[1], asked, other, *limits)


@given(
    st.lists(
        st.sampled_from(["One", "oNE", "Straße", "STRASSE", "ข่าว", "a title of words", "A Title"]),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=60, deadline=None)
def test_repeats_and_titles_are_the_same(texts):
    body = "<body>" + "".join(f"<p>{text}</p>" for text in texts)
    fast, plain = kernels.scan(body), blocks.scan(body)
    for title in ("A Title Of Words, Straße", "", "ข่าว"):
        found, wanted = kernels._repeated(Page(fast, title)), Page(plain, title).repeated()
        assert [list(each) for each in found] == [list(each) for each in wanted]


@given(st.lists(st.sampled_from(["</head", "</hea", "<p>", "ข่าว", "é", "datetime=", "x" * 37, "d", "="]), max_size=30))
@settings(max_examples=200, deadline=None)
def test_words_are_found_where_the_source_has_them(parts):
    source = Source("".join(parts))
    assert source._loops is not None, "else this compares str.find with itself"
    for word in ("</head", "datetime="):
        assert source.find(word) == source.html.find(word)
    for limit in (5, 40, 400):
        end = source.html.find("</head")
        assert source.before("</head", limit) == source.html[: end if 0 <= end < limit else limit]


@given(st.lists(st.sampled_from(["<", "/", "</", "<p>", "ข่าว", "é", "x" * 30, "\U0001f600"]), max_size=40))
@settings(max_examples=200, deadline=None)
def test_tags_and_characters_are_counted(parts):
    data = "".join(parts).encode()
    assert kernels.count_tags(data) == (data.count(b"<"), data.count(b"</"))
    words, codes = kernels.loops().words, np.frombuffer(data, np.uint8)
    for end in (0, len(data) // 2, len(data)):
        assert words.characters(codes, end) == sum(byte & 0xC0 != 0x80 for byte in data[:end])


@pytest.mark.parametrize("spoil", [b"", b"\xff", b"\x1b$", "\ufeff".encode()])
def test_a_page_says_the_same_with_and_without_loops(spoil, monkeypatch):
    """Also one that is only nearly UTF-8, whose bytes are not the text that is read."""
    head = '<head><meta property="og:title" content="ข่าววันนี้"><link rel=canonical href="http://x.org/a"></head>'
    tail = '<time datetime="2024-02-03">3 ก.พ.</time>' + "<p>ข่าววันนี้ เรือข้ามฟากจะออกทุกชั่วโมง</p>" * 20
    payload = spoil + f"<html>{head}<body>{tail}".encode() + spoil
    fast = page_text(Params(), payload, "", "")
    monkeypatch.setattr(kernels, "WORTH", 10**9)
    assert fast == page_text(Params(), payload, "", "")
    assert (fast[1]["date"], fast[1]["canonical"]) == ("2024-02-03", "http://x.org/a")


@given(
    st.lists(
        st.sampled_from(
            ["<link ", "rel=canonical", "rel='canonical' ", ' href="a"', "canonical", ">", "<", "<p>", "<meta "]
        )
    )
)
@settings(max_examples=300, deadline=None)
def test_the_canonical_address_is_that_of_the_first_such_link(parts):
    head = "".join(parts)
    found, wanted = metadata._canonical(head), metadata._LINK.search(head)
    assert (found and found.span()) == (wanted and wanted.span())


PIECES = [
    "<", ">", "/", "<p", "<B ", "</", " ", "\n", "\x0b", "\f", "=", '"', "'", '="', "='", "a", "ab", " a", " a=b",
    ' a="b"', " a='>'", "a=`", " é", ":x", "-", "_9", '="<"', " =", "= ", "x" * 40, ' a="b"' * 99, ' a="b"' * 100,
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.integers(0, 80), st.integers(1, 200), st.integers(1, 12))
@settings(max_examples=600, deadline=None)
def test_attributes_are_read_as_the_expressions_do(parts, start, width, most):
    data = "".join(parts).encode()
    args = (data, start, min(start + width, len(data)), most, 5)
    with pytest.MonkeyPatch.context() as patch:
        found = long_tags._read_tags(*args)
        patch.setattr(kernels, "WORTH", 10**9)
        assert found == long_tags._read_tags(*args)
    tag = kernels.loops().attributes.count_attributes(kernels.codes_of(data), min(start, len(data)))
    run = long_tags._ATTRIBUTES.match(data, start)
    assert tag[0] == (run.end() if run else len(data))
    assert (tag[1] >= most) == bool(long_tags._run(most).match(data, start))


def test_limits_are_those_of_the_plain_code(monkeypatch):
    body = HTMLTree.parse("<p>one<p>two<p>three<p>four").body.html
    for name, value in (("MAX_BLOCKS", 2), ("MAX_CHARACTERS", 30), ("MAX_TAGS", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(blocks, name, value)
            assert_same(kernels.scan(body), blocks.scan(body))
            assert kernels.scan(body).cut


def test_every_known_name_is_found():
    kernel = kernels.loops().scan
    for name, code in blocks.CODES.items():
        data = np.frombuffer(name.encode(), np.uint8)
        assert kernel.code_of(data, 0, len(data)) == code
    assert kernel.code_of(np.frombuffer(b"unheard-of", np.uint8), 0, 10) == blocks.OTHER_TAG
    for name in (*blocks.WORD_BITS, *blocks.BODY_WORDS):
        assert len(name) <= LONGEST, "a word that the table of the loops cannot hold"
    with pytest.raises(ValueError, match="do not fit"):
        name_table({str(n): n for n in range(9)}, 4)


def test_small_crawls_do_not_wait_for_the_loops(monkeypatch):
    monkeypatch.setattr(kernels, "WORTH", 250)
    monkeypatch.setattr(kernels, "_pages", 0)
    assert kernels.loops() is None
    assert kernels.scan("<body><p>x</p></body>") is None
    assert kernels.loops(pages=300) is not None
