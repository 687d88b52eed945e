"""crawl.warc: documents from web archives (WARC, WET and ARC)."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder; empty reads every WARC, WET and ARC file."""
    extractor: Literal["sampan", "resiliparse", "trafilatura"] = "sampan"
    """How the main text is found: by our own block model, by resiliparse's rules (faster, less exact) or by trafilatura
    (the slowest). docs/why/extraction.md has the measured F1 and speed of each. trafilatura is an extra:
    `pip install 'sampan[trafilatura]'`."""
    min_text_characters: int = 80
    """A main text shorter than this is replaced by all visible text of the page, if that is longer. Ours, not the
    papers'."""
    min_page_bytes: int = 64
    """Pages with a smaller payload are left out."""
    max_page_bytes: int = 8_000_000
    """Pages with a larger payload are left out."""
    source: str = "web"
    """Source name given to every document."""
    license: str = ""
    """Licence given to every document."""
    max_documents: int = 0
    """Most documents kept from one file, the first ones; 0 keeps all."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .archive import crawl

    return crawl(params, inputs.many("files"), runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("disk_bytes", 0) for fact in inputs.get("files", []))
    # A gzipped page shrinks to about a fifth, and about a tenth of a page is text; speeds as measured on one core.
    pages = size / 30_000
    return {
        "documents": pages,
        "text_bytes": size / 2,
        "seconds": pages / {"sampan": 300, "resiliparse": 700}.get(params.extractor, 70),
    }


STAGE = Stage(
    name="crawl.warc",
    revision=4,
    summary="Documents from WARC, WET and ARC files: decode, extract the main text, count what is left out.",
    params=Params,
    inputs={"files": Role(kinds=("pages",), help="a WARC, WET or ARC file, or a folder of them", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    paper="SEA-LION v3 (SEA-PILE v2: Common Crawl WARC to text); extraction by our model, resiliparse or trafilatura.",
)
