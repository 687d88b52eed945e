"""crawl.html: documents from folders of HTML files."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .page_params import PageParams


@params
class Params(PageParams):
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder (`news/**/*.html.gz`); empty reads every .html, .htm and .xhtml file,
    plain or with .gz or .zst."""
    url_prefix: str = ""
    """Put before a file's path (without .gz or .zst) to make its URL: `https://` for a mirror whose first folders are
    hosts, `https://example.org/` for one of a single host; empty leaves URLs out."""


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
        "seconds": params.seconds_for(pages),
    }


STAGE = Stage(
    name="crawl.html",
    revision=6,
    summary="Documents from folders of HTML files: decode, extract the main text, count what is left out.",
    params=Params,
    inputs={"files": Role(kinds=("pages",), help="an HTML file, or a folder of them", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    paper="The door for pages that were saved as files; extraction as in crawl.warc.",
)
