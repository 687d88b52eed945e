"""The pages of a MediaWiki dump, one after the other: no more than one is ever held.

Format: https://www.mediawiki.org/xml/export-0.11. A document type, and with it every entity of its own, is refused.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from ..artifacts.tables import open_bytes

CHUNK = 256 << 10
_FIELDS = ("title", "ns", "id", "text", "timestamp")


@dataclass
class Site:
    """What a dump says of its wiki."""

    language: str = ""
    database: str = ""
    base: str = ""
    namespaces: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """One page of a dump, of its last revision."""

    title: str = ""
    ns: str = "0"
    id: str = ""
    text: str = ""
    timestamp: str = ""
    redirect: bool = False
    too_large: bool = False


class Refused(Exception):
    """XML that a dump never holds."""


Broken = Callable[[str], None]
"""Told why a dump cannot be read on: `truncated` or `broken_xml`."""


def read_pages(file: Path, site: Site, max_bytes: int, broken: Broken) -> Iterator[Page]:
    """Pages of a dump in order; `site` is filled in before the first. `broken` is told, after the pages before it,
    where the file breaks off."""
    reader = PageReader(site, max_bytes)
    with _open(file) as stream:
        data, reason = b"-", ""
        while data and not reason:
            try:
                data = stream.read1(CHUNK)  # `read` would lose what comes before damage
                reader.parser.Parse(data, not data)
            except (EOFError, OSError, zlib.error):
                reason = "truncated"
            except (expat.ExpatError, Refused):
                reason = "broken_xml"
            yield from reader.take()
    if reason:
        broken(reason)


def _open(file: Path) -> BinaryIO:
    return bz2.open(file, "rb") if file.suffix == ".bz2" else open_bytes(file)


class PageReader:
    """Collects pages from expat's events."""

    def __init__(self, site: Site, max_bytes: int) -> None:
        self._pages: list[Page] = []
        self._site, self._limit = site, max_bytes
        self._path: list[str] = []
        self._page: Page | None = None
        self._text: list[str] = []
        self._size, self._key = 0, ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse

    @property
    def in_page(self) -> bool:
        """Whether a page has begun and not ended."""
        return self._page is not None

    def take(self) -> list[Page]:
        """The pages that have ended since the last call."""
        pages, self._pages = self._pages, []
        return pages

    def _refuse(self, *_: object) -> None:
        raise Refused("a document type declaration")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > 20:
            raise Refused("elements nested more than 20 deep")
        self._text, self._size = [], 0
        if name == "mediawiki":
            self._site.language = attributes.get("xml:lang", "")
        elif name == "namespace":
            self._key = attributes.get("key", "")
        elif name == "page":
            self._page = Page()
        elif name == "redirect" and self._page:
            self._page.redirect = True

    def _characters(self, data: str) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._text.append(data)
        elif self._page:
            self._page.too_large = True

    def _end(self, name: str) -> None:
        path, text = self._path, "".join(self._text)
        self._text, self._size = [], 0
        if self._page is None:
            if name == "dbname":
                self._site.database = text
            elif name == "base":
                self._site.base = text
            elif name == "namespace" and text:
                self._site.namespaces[self._key] = text
        elif name == "page":
            self._pages.append(self._page)
            self._page = None
        elif name in _FIELDS and path[-2:-1] == (["page"] if name in ("title", "ns", "id") else ["revision"]):
            setattr(self._page, name, text)
        path.pop()
