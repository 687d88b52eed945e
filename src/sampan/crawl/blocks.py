"""A page as a list of text blocks: what stands between two block-level tags, and where in the page it stands.

The page is parsed by Lexbor (through Resiliparse), which repairs what is broken in it, and written out again.
Written-out HTML is well formed, and a `<` or `>` in it is always a tag's, so that two regular expressions and sums over
the tags say where each text stands: four times faster than asking for the nodes one by one, and without recursion. Work
is cut off by amount, never by time: the same page always gives the same blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

MAX_CHARACTERS = 3_000_000
MAX_TAGS = 200_000
MAX_BLOCKS = 20_000
_SHORTEST_TAG = 3

RAW = "script|style|iframe|textarea|title|xmp|noembed|noframes"
UNREAD = "noscript|svg|template|object|select|button|canvas|audio|video|math|datalist|nav"
WITHIN_TEXT = (
    "span|b|i|em|strong|font|u|small|img|sup|sub|time|source|picture|input|label|meta|link|wbr|ins|del|code|cite|abbr|"
    "big|mark|s|q|tt|kbd|samp|var|dfn|bdi|bdo|ruby|rb|rt|rp|data|strike|nobr|acronym|map|area|track|embed|param|col|base"
)


def _any_of(names: str) -> str:
    """A pattern for one of the names, by their first letters: the engine tries the ways of an alternation in turn."""
    ends: dict[str, list[str]] = {}
    for name in names.split("|"):
        ends.setdefault(name[0], []).append(name[1:])
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in ends.items())


_LEFT_OUT = re.compile(
    rf"<(?:/?(?:{_any_of(WITHIN_TEXT)})(?=[\s>])[^>]*+>"
    rf"|({_any_of(RAW)})(?=[\s>])[^>]*+>(?:[^<]++|<(?!/\1>))*+(?:</\1>|\Z)"
    rf"|({_any_of(UNREAD)})(?=[\s>])[^>]*+>(?:[^<]++|<(?!/?\2[\s>]))*+</\2>"
    r"|!--(?:[^-]++|-(?!->))*+(?:-->|\Z))"
)
"""Elements without readable text (of nested ones the innermost), tags that do not part a text, and comments."""
_TAG = re.compile(r"<([^\s>]++)([^>]*+)>")
BREAK = "\x02"
"""Stands for a line break: a character that no page needs and, unlike NUL, is found fast in strings of wide ones."""
_BREAKS = re.compile(r"<br(?:\s[^>]*+)?>")
_PARAGRAPH = re.compile(r"\x02\s*+\x02[\s\x02]*+")

TAGS = [
    "div",
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "li",
    "td",
    "th",
    "pre",
    "blockquote",
    "dt",
    "dd",
    "figcaption",
    "article",
    "section",
    "main",
    "header",
    "footer",
    "aside",
    "table",
    "tr",
    "ul",
    "ol",
    "dl",
    "form",
    "figure",
    "center",
    "address",
    "details",
]
TAG_NUMBERS = {name: number for number, name in enumerate(TAGS)} | {"h5": 5, "h6": 5, "summary": 0}
OTHER_TAG = len(TAGS)
CLOSED, LINK, END_LINK, _RULE = 64, 100, 101, 102
"""What is added to a tag's number for its end tag, and the numbers of tags that begin and end no element."""


class _Codes(dict):
    """Number of a tag: of its name, 64 more for an end tag; unknown names are read as block-level elements."""

    def __missing__(self, name: str) -> int:
        return OTHER_TAG + CLOSED if name.startswith("/") else OTHER_TAG


CODES = _Codes({"a": LINK, "/a": END_LINK, "hr": _RULE, "/hr": _RULE, "/br": _RULE})
CODES |= dict.fromkeys(("frame", "basefont", "bgsound", "keygen", *("/" + name for name in RAW.split("|"))), _RULE)
CODES |= TAG_NUMBERS | {"/" + name: number + CLOSED for name, number in TAG_NUMBERS.items()}

HINTS = (
    ("menu", "nav menu breadcrumb breadcrumbs pagination pager toolbar tabs skip navigation navbar navi"),
    ("header", "header masthead banner topbar"),
    ("footer", "foot footer legal colophon imprint"),
    ("side", "sidebar side aside widget widgets rail secondary"),
    ("comment", "comment comments commentlist disqus reply replies respond discuss discussion thread"),
    ("share", "share sharing social facebook twitter follow whatsapp addtoany sharedaddy"),
    (
        "related",
        "related recommend recommended recommendations more also popular trending outbrain taboola next prev "
        "previous latest similar readmore promo teaser teasers",
    ),
    ("ad", "ad ads advert advertisement advertising sponsor sponsored adslot dfp banner"),
    ("sign", "subscribe subscription newsletter signup login register membership donate donation paywall form"),
    ("cookie", "cookie cookies consent gdpr overlay modal popup notice alert disclaimer privacy"),
    ("author", "author authors byline bio avatar profile about"),
    ("meta", "meta date time posted published timestamp tag tags category categories info topics keywords"),
    ("caption", "caption figcaption credit credits source copyright"),
    ("gallery", "gallery slideshow carousel slider slide lightbox"),
    ("picture", "figure image img photo media video thumb thumbnail player"),
    ("hidden", "hidden hide invisible print reader"),
    ("story", "article story post entry news hentry blog blogpost"),
    ("content", "content body text main copy"),
    ("title", "title headline heading subtitle"),
    ("lead", "lead intro summary excerpt dek standfirst description teaser"),
    ("items", "list item items card cards grid feed archive results row"),
)
"""What well-known words in class, id and role stand for: one bit each."""
WORD_BITS: dict[str, int] = {}
for _bit, (_, _words) in enumerate(HINTS):
    for _word in _words.split():
        WORD_BITS[_word] = WORD_BITS.get(_word, 0) | 1 << _bit
_NAMES = re.compile(r'\b(?:class|id|role|itemprop)="([^"]*)"')
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
BODY_OF = frozenset(["article", "entry", "post", "story", "blog", "news", "page", "main", "body", "content", "rich"])
BODY_IS = frozenset(["body", "content", "text", "copy", "main"])
BODY_WORDS = frozenset(a + b for a in BODY_OF for b in BODY_IS) | {"prose"}
_UNSEEN = re.compile(r'display:\s*none|visibility:\s*hidden|\shidden=""|aria-hidden="true"')
BODY_BIT = len(HINTS)
"""Bit of the names that mean the text of the article itself."""
HINT_WORD_BITS = (1 << (BODY_BIT + 1)) - 1
"""All bits that come from names, and not from tags."""
TAG_BITS = ("article", "main", "header", "footer", "aside", "figure", "table", "li", "blockquote", "form", "pre")
HINT_NAMES = (*(name for name, _ in HINTS), "text_body", *(f"<{name}>" for name in TAG_BITS))
BITS_OF_TAG = np.array(
    [1 << (BODY_BIT + 1 + TAG_BITS.index(name)) if name in TAG_BITS else 0 for name in (*TAGS, "other")]
)
MAX_HINTED = 400
"""Characters of an attribute list that are read for hints."""


@dataclass
class Layout:
    """The blocks of a page in reading order, and the block-level elements around them that hold text.

    Element 0 is the page itself; an element holds the blocks from `first` up to but not including `end`.
    """

    texts: list[str]
    links: np.ndarray
    """Links that begin in the block. [B]"""
    linked: np.ndarray
    """Share of the block's characters that belong to links. [B]"""
    place: np.ndarray
    """The innermost element around the block. [B]"""
    parent: np.ndarray
    """The element around an element. [E]"""
    tag: np.ndarray
    hints: np.ndarray
    """Bits of `HINT_NAMES`, of the element alone. [E] (int64)"""
    depth: np.ndarray
    first: np.ndarray
    end: np.ndarray
    cut: bool = False
    """Whether the page was larger than the limits, so that only its beginning was read."""
    points: np.ndarray | None = None
    """Characters of all texts in a row (uint32), where compiled loops read the page."""
    ends: np.ndarray | None = None
    """Where each text ends in `points`. [B]"""
    counts: np.ndarray | None = None
    """`features.count_characters` of the texts, where compiled loops read the page."""
    begins: int | None = None
    """Tags that begin an element, also of what is left out, where compiled loops read all of the page."""


def scan(body: str) -> Layout:
    """The blocks of a body that the parser has written out (`HTMLTree.body.html`)."""
    body, cut = within_limits(body)
    body = _BREAKS.sub(BREAK, _LEFT_OUT.sub("", body)).replace("\xad", "").replace("&nbsp;", " ")
    if BREAK in body:
        body = _PARAGRAPH.sub("<hr>", body)
    parts = _TAG.split(body)
    names, attributes, after = (parts[1::3], parts[2::3], parts[3::3]) if len(parts) > 1 else (["body"], [""], [""])
    codes_N = np.fromiter(map(CODES.__getitem__, names), np.int64, len(names))
    link_N, end_link_N = codes_N == LINK, codes_N == END_LINK
    opens_N = codes_N <= OTHER_TAG
    closes_N = (codes_N >= CLOSED) & (codes_N <= CLOSED + OTHER_TAG)
    runs_R = np.flatnonzero(~(link_N | end_link_N))

    sizes_N = np.fromiter(map(len, after), np.int64, len(after))
    blank_N = np.fromiter(map(str.isspace, after), np.bool_, len(after))
    linked_N = np.cumsum(link_N.view(np.int8) - end_link_N.view(np.int8), dtype=np.int64) > 0
    rows_KN = np.stack([sizes_N, sizes_N * linked_N, link_N, (sizes_N > 0) & ~blank_N])
    sums_KR = np.add.reduceat(rows_KN, runs_R, axis=1)
    pre = TAG_NUMBERS["pre"]
    pre_N = np.cumsum((codes_N == pre).astype(np.int64) - (codes_N == pre + CLOSED)) if "pre" in names else None
    texts, kept_B = _read(after, runs_R, np.flatnonzero(sums_KR[3]), pre_N)
    start_B = runs_R[kept_B]
    sizes_B, linked_B, links_B = sums_KR[:3, kept_B]
    nodes_E, place_B, parent_E, depth_E, first_E, end_E = _elements(opens_N, closes_N, start_B)
    own = codes_N[nodes_E]
    return Layout(
        texts=texts,
        links=links_B,
        linked=(linked_B / sizes_B).astype(np.float32),
        place=place_B,
        parent=parent_E,
        tag=own,
        hints=BITS_OF_TAG[own]
        | np.fromiter((hints_of(attributes[node]) for node in nodes_E.tolist()), np.int64, len(nodes_E)),
        depth=depth_E,
        first=first_E,
        end=end_E,
        cut=cut or len(texts) >= MAX_BLOCKS,
    )


def within_limits(body: str) -> tuple[str, bool]:
    """The part of a page that is read, and whether something was cut off."""
    cut = len(body) > MAX_CHARACTERS
    body = body[:MAX_CHARACTERS]
    if len(body) > _SHORTEST_TAG * MAX_TAGS and body.count("<") > MAX_TAGS:
        cut = True
        body = body[: [found.start() for found in islice(re.finditer("<", body), MAX_TAGS)][-1]]
    return body, cut


def _read(
    after: list[str], runs_R: np.ndarray, filled: np.ndarray, pre_N: np.ndarray | None
) -> tuple[list[str], list[int]]:
    """The texts of the `filled` runs, and which runs they are; a run goes on to the next one's begin."""
    texts, kept = [], []
    starts, stops = runs_R[filled].tolist(), np.append(runs_R[1:], len(after))[filled].tolist()
    for run, start, stop in zip(filled.tolist(), starts, stops, strict=True):
        raw = after[start] if stop - start == 1 else "".join(after[start:stop])
        if text := _clean(raw, pre_N is not None and pre_N[start] > 0):
            texts.append(text)
            kept.append(run)
            if len(texts) >= MAX_BLOCKS:
                break
    return texts, kept


def _clean(raw: str, preformatted: bool) -> str:
    """The text without escapes and needless blanks; lines are kept where the page breaks them."""
    if "&" in raw:
        raw = raw.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if preformatted:
        raw = raw.replace(BREAK, "\n").strip("\n").rstrip()
        return raw
    if raw.isprintable() and "  " not in raw:  # of all blanks only single spaces are in it: the usual case
        return raw.strip(" ")
    if BREAK in raw:
        return "\n".join(filter(None, (" ".join(line.split()) for line in raw.split(BREAK))))
    return " ".join(raw.split())


def _elements(opens_N: np.ndarray, closes_N: np.ndarray, start_B: np.ndarray) -> tuple[np.ndarray, ...]:
    """The elements that hold text: their tags, the block's element, and each one's parent, depth, first and end block.

    The element that a tag stands in is the last one before it that was opened at the tag's depth.
    """
    tags = len(opens_N)
    depth_N = np.cumsum(opens_N.astype(np.int64) - closes_N)
    nodes = np.flatnonzero(opens_N)
    keys = depth_N[nodes] * tags + nodes
    order = np.argsort(keys, kind="stable")
    keys = keys[order]

    def around(depth: np.ndarray, at: np.ndarray) -> np.ndarray:
        return order[np.maximum(0, np.searchsorted(keys, depth * tags + at, side="right") - 1)]

    ends = np.flatnonzero(closes_N)
    end_keys = np.sort((depth_N[ends] + 1) * tags + ends)
    level = depth_N[nodes]
    at = np.searchsorted(end_keys, level * tags + nodes)
    found = end_keys[np.minimum(at, len(end_keys) - 1)] if len(ends) else np.zeros_like(nodes)
    closing = np.where((at < len(end_keys)) & (found // tags == level), found % tags, tags)
    first, end = np.searchsorted(start_B, nodes), np.searchsorted(start_B, closing)
    parent = np.minimum(around(level - 1, nodes), np.maximum(0, np.arange(len(nodes)) - 1))
    holds = end > first
    holds[0] = True
    number = np.cumsum(holds) - 1
    place_B = number[around(depth_N[start_B], start_B)]
    return nodes[holds], place_B, number[parent[holds]], level[holds], first[holds], end[holds]


@lru_cache(maxsize=20_000)
def hints_of(attributes: str) -> int:
    """The bits of `HINT_NAMES` for an element's attributes as they are written."""
    bits = 0
    attributes = attributes[:MAX_HINTED]
    for names in _NAMES.findall(attributes):
        bits |= _bits_of(names)
    if ("none" in attributes or "hidden" in attributes) and _UNSEEN.search(attributes):
        bits |= WORD_BITS["hidden"]
    return bits


@lru_cache(maxsize=20_000)
def _bits_of(names: str) -> int:
    """The bits for the value of one attribute: names repeat between pages where whole lists of attributes do not."""
    bits, before = 0, ""
    for word in _WORDS.findall(names):
        word = word.lower()
        bits |= WORD_BITS.get(word, 0)
        if word in BODY_WORDS or (word in BODY_IS and before in BODY_OF):
            bits |= 1 << BODY_BIT
        before = word
    return bits
