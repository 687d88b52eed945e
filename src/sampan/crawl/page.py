"""One web page: is it HTML, in which encoding, and what is its main text and title."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import regex

HTML_TYPES = ("text/html", "application/xhtml+xml", "application/xhtml")
_SNIFF_TYPES = ("", "text/plain", "application/octet-stream", "application/xml", "text/xml", "unknown/unknown")
_HTML_START = regex.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta|script|div|p|table)\b", regex.I)
_META_CHARSET = regex.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:\-]+)", regex.I)
_WIDER = {"iso8859-11": "cp874", "tis-620": "cp874", "shift_jis": "cp932", "gbk": "gb18030", "gb2312": "gb18030"}
"""What pages that declare an encoding really use: the vendor's superset of it."""
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Page:
    """The text of a page, '' if it has none."""

    text: str
    title: str = ""
    charset: str = ""
    whole: bool = False
    """Whether all visible text was taken because the main content was too short."""


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
    if b"\x1b$" not in payload and b"\x1b(" not in payload:
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


def extract(html: str, *, extractor: str, min_characters: int, url: str = "") -> Page:
    """Main text and title; all visible text where the main text is shorter than `min_characters` and not all."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    html = html.replace("\x00", "")
    tree = HTMLTree.parse(html)
    title = " ".join((tree.title or "").split())
    text = ""
    if extractor == "trafilatura":
        from trafilatura import extract as trafilatura_extract

        text = trafilatura_extract(html, url=url or None, include_comments=False, include_tables=True) or ""
    else:
        text = extract_plain_text(tree, main_content=True, alt_texts=False, preserve_formatting=True)
    text = text.strip()
    if len(text) >= min_characters:
        return Page(text, title)
    everything = extract_plain_text(HTMLTree.parse(html), main_content=False, alt_texts=False).strip()
    return Page(everything, title, whole=True) if len(everything) > len(text) else Page(text, title)
