"""crawl.warc: documents from web archives (WARC, WET and ARC)."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles
from .page_params import PageParams


@params
class Params(PageParams):
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder; empty reads every WARC, WET and ARC file."""
    languages: list[str] = field(default_factory=list)
    """Read only records that declare one of these languages, before their text is extracted: in WET's identified
    languages, the header `Content-Language` or else the page's own tags. Others are counted as `unwanted_language`;
    records that declare nothing are read. Empty reads all. Pages often declare the wrong language: `corpus.clean` looks
    at the text."""
    max_documents: int = 0
    """Most documents kept from one file, the first ones; 0 keeps all."""

    def __post_init__(self) -> None:
        check_languages(self)


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
        "seconds": params.seconds_for(pages),
    }


STAGE = Stage(
    name="crawl.warc",
    revision=8,
    summary="Documents from WARC, WET and ARC files: decode, extract the main text, count what is left out.",
    params=Params,
    inputs={"files": Role(kinds=("pages",), help="a WARC, WET or ARC file, or a folder of them", many=True)},
    output="documents",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="SEA-LION v3 (SEA-PILE v2: Common Crawl WARC to text); extraction by our model, resiliparse or trafilatura.",
)
