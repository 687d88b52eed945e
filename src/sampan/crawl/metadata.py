"""What a page says about itself: its date, declared language and canonical address, from the tags made for it."""

from __future__ import annotations

import re

_META = re.compile(r"<(meta|link)\s([^>]*+)>")
_ATTRIBUTE = re.compile(r'([a-z:-]+)="([^"]*)"')
_HTML_LANGUAGE = re.compile(r"<html\b[^>]{0,500}?\blang\s*=\s*[\"']?([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)", re.IGNORECASE)
_JSON_DATE = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
_TIME = re.compile(r'<time\b[^>]{0,300}?\bdatetime\s*=\s*["\']([^"\']{8,40})["\']')
_DAY = re.compile(r"(1[89]\d\d|20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
_DATES = (
    "article:published_time", "datepublished", "dc.date.issued", "dcterms.created", "dc.date", "dcterms.date", "pubdate",
    "publishdate", "publish_date", "publish-date", "og:published_time", "parsely-pub-date", "sailthru.date", "date",
)  # fmt: skip
"""Names of <meta> that hold the day of publication, the surest first."""
_LANGUAGES = ("og:locale", "content-language", "language", "dc.language")


def facts(html: str, head: str) -> dict[str, str]:
    """`date` (YYYY-MM-DD), `declared_language` (as declared), `canonical` and `og_title`, as far as the page has them.

    `html` is the page as it came, `head` its head as the parser has written it out.
    """
    said: dict[str, str] = {}
    for tag, attributes in _META.findall(head):
        pairs = dict(_ATTRIBUTE.findall(attributes))
        if tag == "link":
            if "canonical" in pairs.get("rel", "").lower().split():
                said.setdefault("canonical", pairs.get("href", ""))
            continue
        name = pairs.get("property") or pairs.get("name") or pairs.get("itemprop") or pairs.get("http-equiv") or ""
        said.setdefault("meta " + name.lower(), pairs.get("content", ""))
    language = _HTML_LANGUAGE.search(html[:20_000])
    declared = language[1] if language else next((said[key] for name in _LANGUAGES if (key := "meta " + name) in said), "")
    found = {
        "date": _date(html, said),
        "declared_language": declared.replace("_", "-").partition(",")[0].strip(),
        "canonical": said.get("canonical", "").replace("&amp;", "&").strip(),
        "og_title": " ".join(said.get("meta og:title", "").split()),
    }
    return {key: value for key, value in found.items() if value}


def _date(html: str, said: dict[str, str]) -> str:
    """The day of publication, '' if none is given in year-month-day order."""
    candidates = [said.get("meta " + name, "") for name in _DATES]
    if "datePublished" in html and (found := _JSON_DATE.search(html)):
        candidates.insert(1, found[1])
    if (at := html.find("<time")) >= 0 and (found := _TIME.search(html, at)):
        candidates.append(found[1])
    for value in candidates:
        if value and (day := _DAY.match(value.strip())):
            return "-".join(day.groups())
    return ""
