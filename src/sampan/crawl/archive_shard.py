"""The documents of one stretch of web archives: every record read, judged, and counted if it is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..artifacts.documents import Document, DocumentWriter
from ..core.identity import digest_text
from ..core.params import parse_params
from ..lang.codes import known_language, normalise_code
from .arc_records import ARC
from .guard import Overwork, overwork
from .http import MAX_HEAD, BadEncoding, TooLarge, decode_body, is_whole_response, split_response
from .kernels import loops
from .metadata import facts
from .packed import Archive
from .page import as_utf8, decode, extract, is_html
from .record import Format, Record, read_records
from .warc_records import WARC

_PAGE_BYTES = 50_000
"""Packed bytes of a page, rather too many: a job that will have so many pages asks for the compiled loops at once."""
_WITHOUT_TEXT = ("warcinfo", "request", "metadata", "continuation", "unknown")


class LeftOut(Exception):
    """A page that becomes no document; the argument is the reason."""


def read_shard(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write the documents of the stretches in `job["parts"]`; facts are the records by kind, how many were mended,
    how many pages were cut off, and of each stretch the place in the file where it ended."""
    from .warc import Params

    params = parse_params(Params, job["params"], where="crawl.warc")
    records: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    parts = []
    loops(sum(part["end"] - part["start"] for part in job["parts"]) // _PAGE_BYTES)
    with DocumentWriter(out) as writer:
        for part in job["parts"]:
            parts.append({"stopped": _read_part(params, part, writer, records, notes)})
    return {"records": dict(records), "mended": notes["mended"], "cut": notes["cut"], "parts": parts}


def open_archive(file: Path) -> tuple[Archive, Format]:
    """The archive and the format of its records; WARC unless the file begins as an ARC does."""
    archive = Archive(file, mark=WARC.mark, looks=WARC.looks)
    if archive.begins_as(ARC.looks):
        archive.close()
        return Archive(file, mark=ARC.mark, looks=ARC.looks), ARC
    return archive, WARC


def _read_part(
    params: Any, part: Mapping[str, Any], writer: DocumentWriter, records: Counter[str], notes: Counter[str]
) -> int:
    file = Path(part["file"])
    archive, form = open_archive(file)
    good = kept = 0
    broken: list[tuple[str, str]] = []
    with archive:
        for member in archive.members(part["start"], part["end"]):
            for record in read_records(form, member, params.max_page_bytes + MAX_HEAD, part["end"]):
                if not record.headers:  # nothing that is known to be a record
                    broken.append((record.problem, f"{file.name} at byte {member.start}"))
                    continue
                good += 1
                records[record.kind] += 1
                if record.mended:
                    notes["mended"] += 1
                try:
                    document = document_of_record(params, record)
                except LeftOut as reason:
                    writer.drop(str(reason), "", record.url, source=params.source)
                    continue
                if document is not None:
                    writer.write(document)
                    kept += 1
                    if "cut" in document.meta:
                        notes["cut"] += 1
                if params.max_documents and kept >= params.max_documents:
                    return part["end"]
    if not good and part["start"] == 0:
        writer.drop("unreadable_file", "", file.name, source=params.source)
    else:
        for reason, place in broken:
            writer.drop(reason, "", place, source=params.source)
    return archive.stopped


def document_of_record(params: Any, record: Record) -> Document | None:
    """The document of a record, None for one that never holds a page; LeftOut with the reason for one that might."""
    broken = record.problem in ("truncated", "damaged", "bomb")
    if record.kind in _WITHOUT_TEXT and not broken:
        return None
    if record.problem and not is_whole_response(record.body):
        raise LeftOut(record.problem)
    if record.kind == "revisit":
        raise LeftOut("revisit")
    try:
        text, said = _text(params, record)
    except (ValueError, LookupError, TypeError):  # of headers that say nonsense: one page, not the file
        raise LeftOut("unparsable") from None
    if not text.strip():
        raise LeftOut("no_text")
    meta = {**said, "crawled": record.headers.get("warc-date", "")}
    return Document(
        id=record.headers.get("warc-record-id", "").strip("<>") or f"sha256:{digest_text(record.url + text)[:32]}",
        text=text,
        source=params.source,
        url=record.url,
        license=params.license,
        meta={key: value for key, value in meta.items() if value},
    )


def _text(params: Any, record: Record) -> tuple[str, dict[str, str]]:
    """The text of a record that holds a page or, in a WET file, text; and what goes into the document's meta."""
    if record.kind == "conversion":
        declared = record.headers.get("warc-identified-content-language", "")
        _wanted(params, declared)
        said = {"charset": "utf-8", "declared_language": declared}
        return _sized(params, record.body).decode("utf-8", errors="replace"), said
    if record.kind == "response":
        response = split_response(record.body)
        if response is None:
            raise LeftOut("not_http")
        status, headers, payload = response
        if not 200 <= status < 300:
            raise LeftOut("http_status")
    else:
        headers, payload = record.headers, record.body
    content_type = headers.get("content-type", "")
    if payload and not is_html(content_type, b"<html>"):
        raise LeftOut("not_html")
    payload = _sized(params, _decoded(params, payload, headers))
    if not is_html(content_type, payload):
        raise LeftOut("not_html")
    declared = headers.get("content-language", "")
    _wanted(params, declared)
    return page_text(params, payload, _charset(content_type), record.url, declared=declared)


def _wanted(params: Any, declared: str) -> None:
    """LeftOut if none of the languages `declared`, parted by commas, is among those that are read."""
    wanted = {normalise_code(code) for code in params.languages} if declared.strip() else ()
    if wanted and not wanted & {known_language(code.strip()) for code in declared.split(",")}:
        raise LeftOut("unwanted_language")


def _decoded(params: Any, payload: bytes, headers: Mapping[str, str]) -> bytes:
    try:
        return decode_body(payload, headers, params.max_page_bytes)
    except TooLarge:
        raise LeftOut("too_large") from None
    except BadEncoding:
        raise LeftOut("broken_encoding") from None


def _sized(params: Any, payload: bytes) -> bytes:
    if not payload:
        raise LeftOut("empty")
    if len(payload) > params.max_page_bytes:
        raise LeftOut("too_large")
    if len(payload) < params.min_page_bytes:
        raise LeftOut("too_small")
    return payload


def page_text(params: Any, payload: bytes, charset: str, url: str, *, declared: str = "") -> tuple[str, dict[str, str]]:
    """The text of HTML and what the page says of itself (`Page.meta`, and the `charset` used); LeftOut if it would take
    too long or cannot be parsed. `declared` is the language that its headers name, which the page's tags go over."""
    plain = as_utf8(payload)
    html, used = decode(payload, charset) if plain is None else (plain, "utf-8")
    if getattr(params, "languages", ()) and not declared:
        _wanted(params, facts(html).get("declared_language", ""))
    data = None if plain is None else payload
    if reason := overwork(html, data):
        raise LeftOut(reason)
    try:
        page = extract(html, extractor=params.extractor, min_characters=params.min_text_characters, url=url, data=data)
    except Overwork as reason:
        raise LeftOut(str(reason)) from None
    except (ValueError, RuntimeError, TypeError):
        raise LeftOut("unparsable_html") from None
    said = {"declared_language": declared} if declared else {}
    return page.text, {**said, **page.meta(), "charset": used}


def _charset(content_type: str) -> str:
    _, _, after = content_type.lower().partition("charset=")
    return after.partition(";")[0].strip(" \"'")
