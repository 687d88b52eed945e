"""The village's web: documents as HTML pages with menus, footers and other charsets, in a WARC like a crawler's."""

from __future__ import annotations

import gzip
import html
import random
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...artifacts.documents import Document

DATE = "2024-05-01T00:00:00Z"
# Charsets that pages in these languages still come in; the rest is UTF-8.
LEGACY_CHARSETS = {"tha_Thai": "tis-620", "zho_Hans": "gb18030", "vie_Latn": "cp1258"}
LEGACY_SHARE = 0.1
OTHER_SHARE = 0.08  # robots.txt, missing pages, pictures: what every crawl brings along
MENU = ("Home", "News", "Market", "Weather", "Photos", "Contact", "Sitemap")

_PAGE = """<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="{charset}"><title>{title}</title>
<style>body{{font-family:sans-serif}}</style><script>var page="{path}";</script></head>
<body><header><nav><ul>{menu}</ul></nav></header>
<main><article><h1>{title}</h1>
{paragraphs}
</article></main>
<aside><h2>More</h2><ul>{links}</ul></aside>
<footer><p>&copy; 2024 village.example</p><p><a href="/terms">Terms</a> <a href="/privacy">Privacy</a></p></footer>
</body></html>
"""


def write_pages(path: Path, documents: Sequence[Document], *, seed: int) -> dict[str, int]:
    """Write one gzipped WARC: a page per document, and among them what a crawl brings along. Returns counts.

    Equal documents and seed give equal bytes.
    """
    random_ = random.Random(f"village-pages/{seed}")
    counts = {"pages": 0, "other": 0}
    with open(path, "wb") as file:
        file.write(_record("warcinfo", "", b"software: sampan village\r\n", "application/warc-fields", random_))
        for number, document in enumerate(documents):
            if random_.random() < OTHER_SHARE:
                url, head, body = _other(number, random_)
                file.write(_response(url, head, body, random_))
                counts["other"] += 1
            file.write(_response(document.url, *_page(document, documents, random_), random_))
            counts["pages"] += 1
    return counts


def _page(document: Document, all_documents: Sequence[Document], random_: random.Random) -> tuple[str, bytes]:
    charset = "utf-8"
    legacy = LEGACY_CHARSETS.get(document.language)
    if legacy and random_.random() < LEGACY_SHARE and _encodes(document.text, legacy):
        charset = legacy
    lines = [line for line in document.text.split("\n") if line.strip()]
    others = [random_.choice(all_documents) for _ in range(5)]
    text = _PAGE.format(
        lang=document.language[:3],
        charset=charset,
        title=html.escape(lines[0][:40]),
        path=document.url.rsplit("/", 1)[-1],
        menu=_list((name, f"/{name.lower()}") for name in MENU),
        paragraphs="\n".join(f"<p>{html.escape(line)}</p>" for line in lines),
        links=_list((other.id, other.url) for other in others),
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset={charset}\r\n"
    return head, text.encode(charset, errors="xmlcharrefreplace")


def _encodes(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _list(links: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<li><a href="{html.escape(url)}">{html.escape(name)}</a></li>' for name, url in links)


def _other(number: int, random_: random.Random) -> tuple[str, str, bytes]:
    base = f"https://village.example/{number}"
    return random_.choice(
        [
            (f"{base}/robots.txt", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", b"User-agent: *\nAllow: /\n"),
            (f"{base}/gone", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n", b"<html><body>404</body></html>"),
            (f"{base}/photo.png", "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", b"\x89PNG\r\n\x1a\n" + bytes(64)),
        ]
    )


def _response(url: str, head: str, body: bytes, random_: random.Random) -> bytes:
    payload = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    return _record("response", url, payload, "application/http; msgtype=response", random_)


def _record(kind: str, url: str, payload: bytes, mime: str, random_: random.Random) -> bytes:
    target = f"WARC-Target-URI: {url}\r\n" if url else ""
    name = uuid.UUID(int=random_.getrandbits(128), version=4)
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{name}>\r\nWARC-Date: {DATE}\r\n{target}"
        f"Content-Type: {mime}\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + payload + b"\r\n\r\n", mtime=0)
