"""How long a parser of wikitext would be busy: counted, so that the same page is always judged alike.

It tries each opened template, table, link, element or comment to the end of the text before it takes it for text: a
page that leaves thousands open takes minutes. Of bare addresses on one line each is compared with those before. All
other marks cost the same each.
"""

from __future__ import annotations

import regex

MAX_WORK = 10_000_000
"""Steps of about 0.2 microseconds, so two seconds. Ours: an article of 500 KB with 20,000 marks and ten templates
left open takes two thirds of it."""
_MARK = 100
_ADDRESS = 0.03
"""Steps for two addresses on one line."""
_LIGHT, _COMMENT = 0.25, 1 / 16
"""Steps for a character behind an open link or element without attributes, and behind an open comment; 1 behind
others."""
_RAW = "nowiki|pre|math|chem|score|timeline|syntaxhighlight|source|templatedata|graph|hiero|gallery"
_RAW_ENDS = regex.compile(rf"</({_RAW})\s*+>", regex.IGNORECASE)
_TOKEN = regex.compile(
    r"(?P<brace>\{\{)|(?P<unbrace>\}\})"
    r"|(?P<table>^[:*#; \t]*+\{\|)|(?P<untable>^[ \t]*+\|\}(?!\}))"
    r"|(?P<link>\[\[)|(?P<unlink>\]\])"
    r"|(?P<web>\[(?:[a-z]+:)?//)|(?P<unweb>\])"
    r"|(?P<address>\b[a-z]{3,12}:(?=\S))"
    r"|(?P<void><(?:br|hr|wbr|li|dt|dd|tr|td|th|img|meta|link)\b|<[a-zA-Z][^<>]*+(?<=/)>)"
    r"|(?P<untag></[a-zA-Z])|(?P<tag><[a-zA-Z][\w:-]*+)(?P<plain>>)?+"
    r"|(?P<list>^[*:#;]++)|(?P<mark>^[|!]|\|\||''|&\w)|(?P<line>\n)",
    regex.MULTILINE | regex.IGNORECASE,
)
_CLOSES = {"unbrace": "brace", "untable": "table", "unlink": "link", "unweb": "web", "untag": "tag"}
_WEIGHTS = {"brace": 1.0, "table": 1.0, "link": _LIGHT, "web": _LIGHT, "tag": 1.0, "plain": _LIGHT}


def tangled(wikitext: str) -> bool:
    """Whether a parser would need more than MAX_WORK steps."""
    text, work = _without_comments(wikitext)
    text = _without_raw(text)
    open_: dict[str, list[float]] = {kind: [] for kind in _CLOSES.values()}
    addresses = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup or ""
        if kind == "line":
            addresses = 0
            continue
        work += _MARK * len(token[0]) if kind == "list" else _MARK
        if kind == "address":
            work += addresses * _ADDRESS * 2
            addresses += 1
        elif kind in _CLOSES:
            if left := open_[_CLOSES[kind]]:
                left.pop()
        elif kind in _WEIGHTS:
            open_["tag" if kind == "plain" else kind].append((len(text) - token.start()) * _WEIGHTS[kind])
    return work + sum(map(sum, open_.values())) > MAX_WORK


def _without_comments(text: str) -> tuple[str, float]:
    """The text without comments, which may hold end marks that end nothing, and the steps that open ones take."""
    last = text.rfind("-->") + len("-->") if "-->" in text else 0
    rest = text[last:]
    return regex.sub(r"(?s)<!--.*?-->", "", text[:last]) + rest, rest.count("<!--") * len(rest) * _COMMENT


def _without_raw(text: str) -> str:
    """The text without elements whose content is not read as wikitext."""
    for name in sorted({end[1].lower() for end in _RAW_ENDS.finditer(text)}):
        last = max(end.end() for end in _RAW_ENDS.finditer(text) if end[1].lower() == name)
        text = regex.sub(rf"(?is)<{name}\b[^<>]*+(?<!/)>.*?</{name}\s*+>", "", text[:last]) + text[last:]
    return text
