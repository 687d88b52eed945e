"""MediaWiki dumps to documents: jobs over dumps, or over the streams of one, and what is kept of each page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..artifacts.document_shards import gather_documents
from ..artifacts.documents import Document, DocumentWriter
from ..core.errors import InputError
from ..core.params import all_values, parse_params
from ..core.stage import Artifact, Runtime
from ..lang.codes import known_language, normalise_code
from .files import matching_files
from .mediawiki import Params, is_dump
from .mediawiki_pages import Page, Site, read_pages
from .mediawiki_streams import read_streams, stream_spans
from .wikitext import prose
from .wikitext_work import tangled

JOB_BYTES = 32 << 20
"""Packed bytes a job, of a dump that can be cut."""


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write documents and return metrics; InputError if no page can be read."""
    if params.language:
        normalise_code(params.language, where="language")
    files = [file for source in sources for file in matching_files(source, params.paths, is_dump)]
    given = all_values(params)
    jobs = [job for file in files for job in _jobs(file)]
    for job in jobs:
        job["params"] = given
    shards = runtime.shards(
        "read",
        "sampan.crawl.mediawiki_shards:read_shard",
        jobs,
        weights=[job["bytes"] for job in jobs],
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


def _jobs(file: Path) -> list[dict[str, Any]]:
    spans = stream_spans(file, JOB_BYTES)
    if not spans:
        return [{"file": str(file), "bytes": file.stat().st_size}]
    return [{"file": str(file), "span": span, "bytes": span[1] - span[0]} for span in spans]


def read_shard(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the documents of one dump, or of the streams of a span of it; facts are its pages by namespace."""
    params = parse_params(Params, job["params"], where="crawl.mediawiki")
    file, site = Path(job["file"]), Site()
    pages: Counter[str] = Counter()
    with DocumentWriter(out) as writer:

        def broken(reason: str) -> None:
            writer.drop(reason, "", f"{file.name} after {pages.total()} pages", source=params.source)

        given = (file, site, params.max_page_bytes, broken)
        for page in read_streams(*given, job["span"]) if "span" in job else read_pages(*given):
            pages[f"namespace {page.ns}"] += 1
            reason, text = _judge(params, page, site)
            if reason:
                writer.drop(reason, "", page.title, source=params.source)
            else:
                writer.write(_document(params, page, site, text))
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
