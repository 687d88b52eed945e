"""crawl.html: documents from folders of HTML files."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder (`news/**/*.html.gz`); empty reads every .html, .htm and .xhtml file,
    plain or with .gz or .zst."""
    url_prefix: str = ""
    """Put before a file's path (without .gz or .zst) to make its URL: `https://` for a mirror whose first folders are
    hosts, `https://example.org/` for one of a single host; empty leaves URLs out."""
    extractor: Literal["resiliparse", "trafilatura"] = "resiliparse"
    """How the main text is found, as in crawl.warc."""
    min_text_characters: int = 80
    """A main text shorter than this is replaced by all visible text of the page, if that is longer. Ours, not the
    papers'."""
    min_page_bytes: int = 64
    """Smaller files are left out."""
    max_page_bytes: int = 8_000_000
    """Larger files are left out; also those that unpack to more."""
    source: str = "web"
    """Source name given to every document."""
    license: str = ""
    """Licence given to every document."""


def is_page(path: Path) -> bool:
    return plain_name(path.name).lower().endswith((".html", ".htm", ".xhtml"))


def plain_name(name: str) -> str:
    """A file's name without the suffix of its packing."""
    return name.removesuffix(".gz").removesuffix(".zst")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .html_shards import crawl

    return crawl(params, inputs.many("files"), runtime)


def estimate(params: Params, inputs) -> dict:
    from .files import forecast_bytes

    size = forecast_bytes(inputs.get("files", []), params.paths, is_page)
    pages = size / 100_000
    return {
        "documents": pages,
        "text_bytes": size / 10,
        "seconds": pages / (230 if params.extractor == "resiliparse" else 28),
    }


STAGE = Stage(
    name="crawl.html",
    revision=2,
    summary="Documents from folders of HTML files: decode, extract the main text, count what is left out.",
    params=Params,
    inputs={"files": Role(kinds=("pages",), help="an HTML file, or a folder of them", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    paper="The door for pages that were saved as files; extraction as in crawl.warc.",
)
