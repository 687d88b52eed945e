"""Real web pages of the shared data as one WARC, the input of the corpus benchmarks."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

SETS = ("trafilatura_eval", "article_extraction_benchmark", "readability", "fundus", "newspaper4k", "storybooks")


def pages(shared: Path) -> Iterator[tuple[str, bytes]]:
    """(url, HTML in its own charset) of every page, in a fixed order."""
    for name in SETS:
        folder = shared / "data" / "web" / name
        for line in (folder / "gold.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield f"http://{name}.example/{row['id']}", gzip.decompress((folder / row["file"]).read_bytes())


def write_warc(path: Path, found: Iterator[tuple[str, bytes]], *, identified: bool = False) -> tuple[int, int]:
    """Write a WARC with a gzip member per record, as crawlers do; returns the number of pages and their bytes.

    `identified`: with each payload's type in the record's header, as Common Crawl writes it.
    """
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    number = size = 0
    told = {"WARC-Identified-Payload-Type": "text/html"} if identified else {}
    with open(path, "wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url, html in found:
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            writer.write_record(
                writer.create_warc_record(
                    url, "response", payload=io.BytesIO(html), http_headers=headers, warc_headers_dict=dict(told)
                )
            )
            number, size = number + 1, size + len(html)
    return number, size
