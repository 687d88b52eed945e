"""WARC and WET records to documents: read leniently, count everything that is left out."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..artifacts.documents import Document, DocumentWriter
from ..core.errors import InputError, RecipeError
from ..core.identity import digest_text
from ..core.stage import Artifact, Runtime
from .files import matching_files
from .page import decode, extract, is_html

_SUFFIXES = (".warc", ".wet")
_PACKED = (".gz", ".zst", ".lz4")
_WITHOUT_TEXT = ("warcinfo", "request", "metadata", "continuation", "unknown")


class _BrokenOff(Exception):
    """The stream ends or breaks inside a record."""


class _LeftOut(Exception):
    """A record that becomes no document; the argument is the reason."""


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write documents and return metrics; InputError names a file in which no record can be read."""
    if params.extractor == "trafilatura":
        try:
            import trafilatura  # noqa: F401
        except ImportError as error:
            raise RecipeError(
                f"trafilatura cannot be imported ({str(error).splitlines()[0]})",
                how="Run `pip install 'sampan[trafilatura]' lxml_html_clean`.",
            ) from None
    files = [(s, f) for s in sources for f in matching_files(s, params.paths, _is_archive)]
    records: Counter[str] = Counter()
    total = sum(file.stat().st_size for _, file in files)
    done = 0
    with DocumentWriter(runtime.out) as writer:
        for _, file in files:
            for document in _documents(params, file, writer, records):
                writer.write(document)
                runtime.progress(done, total, "bytes")
            done += file.stat().st_size
            runtime.progress(done, total, "bytes")
        summary = writer.summary()
    return {
        "files": len(files),
        "records": dict(sorted(records.items())),
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
    }


def _is_archive(path: Path) -> bool:
    name = path.name
    for suffix in _PACKED:
        name = name.removesuffix(suffix)
    return name.endswith(_SUFFIXES) and not name.endswith(".warc.wat")


def _documents(params: Any, file: Path, writer: DocumentWriter, records: Counter[str]) -> Iterator[Document]:
    """Documents of one file; a stream that breaks off counts one `truncated` and keeps what came before."""
    from fastwarc.warc import ArchiveIterator

    seen = kept = 0
    problem = None
    with open(file, "rb") as raw:
        try:
            for record in ArchiveIterator(raw, parse_http=True, auto_decode="none", quirks_mode=True):
                seen += 1
                kind = str(record.record_type)
                records[kind] += 1
                if kind in _WITHOUT_TEXT:
                    continue
                try:
                    document = _document(params, record, kind)
                except _LeftOut as reason:
                    writer.drop(str(reason), "", _url(record))
                    continue
                except (ValueError, LookupError, TypeError):  # of headers that say nonsense: one page, not the file
                    writer.drop("unparsable", "", _url(record))
                    continue
                yield document
                kept += 1
                if params.max_documents and kept >= params.max_documents:
                    return
        except (_BrokenOff, OSError, ValueError, EOFError, RuntimeError) as error:
            problem = error
    if not seen:
        raise InputError(
            f"no WARC record can be read ({problem or 'it holds none'})",
            where=str(file),
            how="ARC files and other archives are not read; leave the file out with `paths`.",
        )
    if problem is not None:
        writer.drop("truncated", "", f"{file.name} after {seen} records")


def _document(params: Any, record: Any, kind: str) -> Document:
    url = _url(record).strip("<>")
    if kind == "revisit":
        raise _LeftOut("revisit")
    content_type = record.headers.get("Content-Type") or ""
    if kind == "response" and not record.is_http_parsed:
        raise _LeftOut("not_http")
    if record.is_http_parsed:
        status = getattr(record.http_headers, "status_code", None)
        if status is None or not 200 <= status < 300:
            raise _LeftOut("http_status")
        content_type = record.http_content_type or ""
    payload = _payload(params, record)
    if kind == "conversion":
        text, title, charset = payload.decode("utf-8", errors="replace"), "", "utf-8"
    else:
        text, title, charset = _page(params, payload, content_type, record.http_charset or "", url)
    if not text.strip():
        raise _LeftOut("no_text")
    meta = {"title": title, "date": record.headers.get("WARC-Date") or "", "charset": charset}
    return Document(
        id=(record.headers.get("WARC-Record-ID") or "").strip("<>") or f"sha256:{digest_text(url + text)[:32]}",
        text=text,
        source=params.source,
        url=url,
        license=params.license,
        meta={key: value for key, value in meta.items() if value},
    )


def _url(record: Any) -> str:
    try:
        return record.headers.get("WARC-Target-URI") or ""
    except (ValueError, LookupError, TypeError):
        return ""


def _payload(params: Any, record: Any) -> bytes:
    """The decoded body. Bodies are decoded one by one, so that a wrong header spoils one page and not the file."""
    if record.content_length > params.max_page_bytes:
        raise _LeftOut("too_large")
    try:
        payload = record.reader.read(record.content_length)
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise _BrokenOff(str(error)) from None
    if len(payload) < record.content_length:
        raise _LeftOut("truncated")
    if record.is_http_parsed:
        payload = undo_encodings(payload, record.http_headers, params.max_page_bytes)
    if not payload:
        raise _LeftOut("empty")
    if len(payload) > params.max_page_bytes:
        raise _LeftOut("too_large")
    if len(payload) < params.min_page_bytes:
        raise _LeftOut("too_small")
    return payload


def undo_encodings(payload: bytes, headers: Any, max_bytes: int) -> bytes:
    """The body without its transfer and content encodings; as it is where a header claims what the bytes do not bear
    out.

    Many archives keep the header after having decoded the body. Reads at most `max_bytes` + 1 bytes.
    """
    claims = [(name, headers.get(name)) for name in ("Transfer-Encoding", "Content-Encoding")]
    claims = [(name, value.strip().lower()) for name, value in claims if value and value.strip().lower() != "identity"]
    for believed in [claims, *([claim] for claim in claims if len(claims) > 1)]:
        if believed and (decoded := _undo(payload, believed, max_bytes)):
            return decoded
    return payload


def _undo(payload: bytes, claims: list[tuple[str, str]], max_bytes: int) -> bytes:
    """The body decoded by FastWARC as a record of its own, b"" if that fails."""
    from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

    lines = "".join(f"{name}: {value}\r\n" for name, value in claims)
    copy = WarcRecord()
    copy.init_headers(record_type=WarcRecordType.response)
    copy.headers["Content-Type"] = "application/http; msgtype=response"
    copy.set_bytes_content(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1", "replace") + payload)
    stream = io.BytesIO()
    copy.write(stream)
    stream.seek(0)
    try:
        for record in ArchiveIterator(stream, parse_http=True, auto_decode="all"):
            return record.reader.read(max_bytes + 1)
    except (OSError, ValueError, RuntimeError):
        pass
    return b""


def _page(params: Any, payload: bytes, content_type: str, charset: str, url: str) -> tuple[str, str, str]:
    if not is_html(content_type, payload):
        raise _LeftOut("not_html")
    html, used = decode(payload, charset)
    try:
        page = extract(html, extractor=params.extractor, min_characters=params.min_text_characters, url=url)
    except (ValueError, RuntimeError, TypeError):
        raise _LeftOut("unparsable_html") from None
    return page.text, page.title, used
