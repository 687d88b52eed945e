"""MediaWiki dumps to documents, page by page: no more than one page is ever held.

Format: https://www.mediawiki.org/xml/export-0.11. A document type, and with it every entity of its own, is refused.
"""

from __future__ import annotations

import bz2
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from xml.parsers import expat

from ..artifacts.document_shards import gather_documents
from ..artifacts.documents import Document, DocumentWriter
from ..artifacts.tables import open_bytes
from ..core.errors import InputError
from ..core.params import all_values, parse_params
from ..core.stage import Artifact, Runtime
from ..lang.codes import known_language, normalise_code
from .files import matching_files
from .mediawiki import Params, is_dump
from .wikitext import prose
from .wikitext_work import tangled

_CHUNK = 256 << 10
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


class _Refused(Exception):
    """XML that a dump never holds."""


class _BrokenOff(Exception):
    """A dump that cannot be read on; the argument is the reason: `truncated` or `broken_xml`."""


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write documents and return metrics; InputError if no page can be read."""
    if params.language:
        normalise_code(params.language, where="language")
    files = [file for source in sources for file in matching_files(source, params.paths, is_dump)]
    given = all_values(params)
    jobs = [{"params": given, "file": str(file)} for file in files]
    shards = runtime.shards(
        "read",
        "sampan.crawl.mediawiki_shards:read_shard",
        jobs,
        weights=[file.stat().st_size for file in files],
        unit="bytes",
    )
    pages = sum((Counter(shard.facts["pages"]) for shard in shards), Counter())
    if not pages:
        raise InputError(
            "no page of a MediaWiki dump can be read",
            where=", ".join(map(str, files[:3])),
            how="Give pages-articles.xml files, plain or with .bz2, .gz or .zst.",
        )
    summary = gather_documents(shards, runtime.out)
    return {
        "files": len(files),
        "pages": dict(sorted(pages.items())),
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
    }


def read_shard(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the documents of one dump; facts are its pages by namespace."""
    params = parse_params(Params, job["params"], where="crawl.mediawiki")
    file = Path(job["file"])
    site = Site()
    pages: Counter[str] = Counter()
    with DocumentWriter(out) as writer:
        try:
            for page in read_pages(file, site, params.max_page_bytes):
                pages[f"namespace {page.ns}"] += 1
                reason, text = _judge(params, page, site)
                if reason:
                    writer.drop(reason, "", page.title, source=params.source)
                else:
                    writer.write(_document(params, page, site, text))
        except _BrokenOff as reason:
            writer.drop(str(reason), "", f"{file.name} after {pages.total()} pages", source=params.source)
    return {"pages": dict(pages)}


def _judge(params: Any, page: Page, site: Site) -> tuple[str, str]:
    """(why the page is left out or "", its prose)."""
    if page.too_large:
        return "too_large", ""
    if page.redirect:
        return "redirect", ""
    if page.ns not in {str(number) for number in params.namespaces}:
        return "other_namespace", ""
    if tangled(page.text):
        return "tangled_markup", ""
    try:
        text = prose(page.text, {name.lower() for key, name in site.namespaces.items() if key in ("6", "14", "-2")})
    except (ValueError, RuntimeError, RecursionError):  # of markup nested beyond reason
        return "unparsable", ""
    return ("no_text" if len(text) < max(1, params.min_text_characters) else ""), text


def _document(params: Any, page: Page, site: Site, text: str) -> Document:
    folder = site.base.rpartition("/")[0]
    meta = {"title": page.title, "date": page.timestamp}
    return Document(
        id=f"{site.database or 'wiki'}/{page.id}",
        text=text,
        language=known_language(params.language or site.language),
        source=params.source,
        url=f"{folder}/{quote(page.title.replace(' ', '_'), safe='/:,()')}" if folder else "",
        license=params.license,
        meta={key: value for key, value in meta.items() if value},
    )


def read_pages(file: Path, site: Site, max_bytes: int) -> Iterator[Page]:
    """Pages of a dump in order; `site` is filled in before the first. _BrokenOff, after the pages before it, where the
    file breaks off."""
    reader = _Handler(site, max_bytes)
    with _open(file) as stream:
        data, broken = b"-", ""
        while data and not broken:
            try:
                data = stream.read1(_CHUNK)  # `read` would lose what comes before damage
                reader.parser.Parse(data, not data)
            except (EOFError, OSError, zlib.error):
                broken = "truncated"
            except (expat.ExpatError, _Refused):
                broken = "broken_xml"
            yield from reader.pages
            reader.pages.clear()
    if broken:
        raise _BrokenOff(broken)


def _open(file: Path) -> BinaryIO:
    return bz2.open(file, "rb") if file.suffix == ".bz2" else open_bytes(file)


class _Handler:
    """Collects pages from expat's events."""

    def __init__(self, site: Site, max_bytes: int) -> None:
        self.pages: list[Page] = []
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

    def _refuse(self, *_: object) -> None:
        raise _Refused("a document type declaration")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > 20:
            raise _Refused("elements nested more than 20 deep")
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
            self.pages.append(self._page)
            self._page = None
        elif name in _FIELDS and path[-2:-1] == (["page"] if name in ("title", "ns", "id") else ["revision"]):
            setattr(self._page, name, text)
        path.pop()
