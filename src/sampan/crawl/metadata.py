"""What a page says about itself: its date, declared language and canonical address, from the tags made for it."""

from __future__ import annotations

import re
from html import unescape

from .kernels import Source

_META = re.compile(r"""<(?:meta|META)\s(?=[^<>]*?\b(?:property|name|itemprop|http-equiv)=["']?([\w:.-]+))([^<>]*+)>""")
_LINK = re.compile(r"""<link\s(?=[^<>]*?\brel=["']?canonical\b)([^<>]*+)>""")
_VALUE = re.compile(r"""\b(?:content|href)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_HTML_LANGUAGE = re.compile(
    r"<html\b[^>]{0,500}?\blang\s*=\s*[\"']?([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)", re.IGNORECASE
)
_JSON_DATE = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
_DATETIME = re.compile(r'datetime=\s*["\']([^"\']{8,40})["\']')
_DAY = re.compile(r"(1[89]\d\d|20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
_DATES = (
    "article:published_time", "datepublished", "dc.date.issued", "dcterms.created", "dc.date", "pubdate",
    "publishdate", "publish_date", "publish-date", "og:published_time", "parsely-pub-date", "date",
)  # fmt: skip
"""Names of <meta> that hold the day of publication, the surest first."""
_MAX_TAG = 300
"""Characters from the beginning of a `<time>` to its `datetime`."""
_MAX_HEAD = 200_000
"""Characters of a head that are read."""
_LANGUAGES = ("og:locale", "content-language", "language", "dc.language")
_WANTED = frozenset((*_DATES, *_LANGUAGES, "og:title"))


def facts(html: str, data: bytes | None = None) -> dict[str, str]:
    """`date` (YYYY-MM-DD), `declared_language`, `canonical` and `og_title`, as far as the page states them. `data` is
    the page in UTF-8, if known."""
    source = Source(html, data)
    head = source.before("</head", _MAX_HEAD)
    said: dict[str, str] = {}
    for name, attributes in _META.findall(head):
        name = name.lower()
        if name in _WANTED:
            said.setdefault(name, _value(attributes))
    link = _canonical(head)
    language = _HTML_LANGUAGE.search(html[:4000])
    declared = language[1] if language else next((said[name] for name in _LANGUAGES if name in said), "")
    found = {
        "date": _date(source, said),
        "declared_language": declared.replace("_", "-").partition(",")[0].strip(),
        "canonical": _value(link[1]) if link else "",
        "og_title": " ".join(said.get("og:title", "").split()),
    }
    return {key: value for key, value in found.items() if value}


def _canonical(head: str) -> re.Match[str] | None:
    """The first `<link>` that says so: looked for from the word on, which is rarer than links."""
    at = head.find("canonical")
    while at >= 0:
        if link := _LINK.match(head, max(0, head.rfind("<", 0, at))):
            return link
        at = head.find("canonical", at + 1)
    return None


def _value(attributes: str) -> str:
    found = _VALUE.search(attributes)
    return unescape(found[1] or found[2] or "").strip() if found else ""


def _date(source: Source, said: dict[str, str]) -> str:
    """The day of publication, '' if none is given in year-month-day order: as `<meta>` says, the surest name first,
    then as JSON says, as the other names say, and as the first `<time>` says."""
    day = _DAY.match(said.get(_DATES[0], ""))
    html = source.html
    at = source.find("datePublished") if day is None else -1
    if at >= 0 and (found := _JSON_DATE.search(html, max(0, at - 1))):
        day = _DAY.match(found[1])
    for name in _DATES[1:]:
        day = day or _DAY.match(said.get(name, ""))
    at = source.find("datetime=") if day is None else -1
    while at >= 0:
        if found := _DATETIME.match(html, at):
            start = html.rfind("<", max(0, at - _MAX_TAG), at)
            if html.startswith("<time", start):
                day = _DAY.match(found[1])
                break
        at = html.find("datetime=", at + 1)
    return "-".join(day.groups()) if day else ""
