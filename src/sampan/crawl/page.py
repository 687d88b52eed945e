"""One web page: is it HTML, in which encoding, and what is its main text and title."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Any

import regex

HTML_TYPES = ("text/html", "application/xhtml+xml", "application/xhtml")
_SNIFF_TYPES = ("", "text/plain", "application/octet-stream", "application/xml", "text/xml", "unknown/unknown")
_HTML_START = regex.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta|script|div|p|table)\b", regex.I)
_META_CHARSET = regex.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:\-]+)", regex.I)
_WIDER = {"iso8859-11": "cp874", "tis-620": "cp874", "shift_jis": "cp932", "gbk": "gb18030", "gb2312": "gb18030"}
"""What pages that declare an encoding really use: the vendor's superset of it."""
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


MAX_CHARACTERS = 8_000_000
"""Characters of a page that are parsed."""


@dataclass(frozen=True)
class Page:
    """The text of a page, '' if it has none, with a paragraph a line."""

    text: str
    title: str = ""
    whole: bool = False
    """Whether all visible text was taken because the main content was too short."""
    cut: bool = False
    """Whether the page was larger than the limits, so that only its beginning was read."""
    facts: dict[str, str] = field(default_factory=dict)
    """`date`, `declared_language` and `canonical`, as far as the page states them."""

    def meta(self) -> dict[str, str]:
        """What goes into a document's meta: title, facts, `cut` for a page of which only the beginning was read, and
        `whole` for one of which all visible text was taken."""
        flags = {"cut": "yes" if self.cut else "", "whole": "yes" if self.whole else ""}
        values = {"title": self.title, **self.facts, **flags}
        return {key: value for key, value in values.items() if value}


def is_html(content_type: str, payload: bytes) -> bool:
    """Whether the payload is HTML: by its declared type, or by its first kilobyte when the type says little."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in HTML_TYPES:
        return True
    return kind in _SNIFF_TYPES and _HTML_START.search(payload[:1024]) is not None


def decode(payload: bytes, declared: str = "") -> tuple[str, str]:
    """The text of a payload and the encoding used.

    In order: byte-order mark; UTF-8 if every byte fits it (other encodings of more than a few characters do not fit by
    accident); the HTTP header's charset; the page's own `<meta charset>`; detection over the whole payload. Wrong bytes
    become U+FFFD, never an error.
    """
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

    for mark, name in _BOMS:
        if payload.startswith(mark):
            return payload.decode(name, errors="replace"), name
    if b"\x1b" not in payload or (b"\x1b$" not in payload and b"\x1b(" not in payload):
        try:
            return payload.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    meta = _META_CHARSET.search(payload[:4096])
    for label in (declared, meta[1].decode("ascii", "replace") if meta else ""):
        name = map_encoding_to_html5(label, fallback_utf8=False) if label else None
        name = _WIDER.get(name or "", name)
        if name and name != "utf-8":
            try:
                return payload.decode(name), name
            except (UnicodeDecodeError, LookupError):
                continue
    name = detect_encoding(payload, max_len=0) or "utf-8"
    return bytes_to_str(payload, name, errors="replace", fallback_encodings=("utf-8",)), name


def extract(html: str, *, extractor: str = "sampan", min_characters: int = 80, url: str = "") -> Page:
    """Main text, title and facts; all visible text where the main text is shorter than `min_characters` and not all.

    `extractor` is `sampan` (our own), `accuracy` (ours with Trafilatura's opinion), `resiliparse` or `trafilatura`; all
    but ours walk up and down the tree, and Overwork says that it is nested too deep for that.
    """
    from resiliparse.parse.html import HTMLTree

    from . import kernels
    from .blocks import scan
    from .metadata import facts

    cut = len(html) > MAX_CHARACTERS
    html = html[:MAX_CHARACTERS]
    tree = HTMLTree.parse(html)
    body = tree.body
    known = facts(html)
    og_title = known.pop("og_title", "")
    title = " ".join((tree.title or "").split()) or og_title
    written = body.html if body is not None else ""
    layout = kernels.scan(written) or scan(written)
    cut = cut or layout.cut
    text = _main_text(html, tree, written, layout, title, extractor, url).strip()
    if len(text) < min_characters:
        everything = "\n".join(layout.texts)
        if len(everything) > len(text):
            return Page(everything, title, whole=True, cut=cut, facts=known)
    return Page(text, title, cut=cut, facts=known)


def _main_text(html: str, tree: Any, written: str, layout: Any, title: str, extractor: str, url: str) -> str:
    from .nesting import Overwork, too_deep

    if extractor == "sampan":
        from .extractor import main_text
        from .second_opinion import kept_by_rules

        return main_text(layout, title, lambda: None if too_deep(written) else kept_by_rules(tree, layout.texts))
    if too_deep(written):
        raise Overwork("too_deep")
    if extractor == "accuracy":
        from .accuracy import accurate_text
        from .second_opinion import kept_by_rules

        return accurate_text(layout, title, kept_by_rules(tree, layout.texts), html)
    if extractor == "trafilatura":
        from trafilatura import extract as trafilatura_extract

        return trafilatura_extract(html, url=url or None, include_comments=False, include_tables=True) or ""
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(tree, main_content=True, alt_texts=False, preserve_formatting=True)
