"""crawl.common_crawl: pages of Common Crawl found by its index, with the language that its metadata gives them."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles


@params
class Params:
    crawls: list[str]
    """Crawls to ask, such as `CC-MAIN-2024-33`; https://index.commoncrawl.org/ lists them."""
    urls: list[str]
    """What to ask for, as the index server takes it: `*.th`, `example.org/*`, `https://example.org/page`."""
    languages: list[str] = field(default_factory=list)
    """Keep pages whose languages, as Common Crawl found them, have one of these in them; empty keeps all."""
    first_language: bool = True
    """Whether the wanted language must be the page's first, the one with most text."""
    mime_types: list[str] = field(default_factory=lambda: ["text/html", "application/xhtml+xml"])
    """Kept types, as Common Crawl detected them."""
    max_pages: int = 0
    """Most pages taken, the first by place in the archive; 0 takes all."""
    max_record_bytes: int = 4_000_000
    """Larger records (packed) are left out."""
    index_server: str = "https://index.commoncrawl.org/"
    """Where the index is asked."""
    data_server: str = "https://data.commoncrawl.org/"
    """Where records are fetched."""
    requests_per_second: float = 2.0
    """Most requests a second, over both servers."""
    retry_seconds: float = 1.0
    """Wait after a first refusal; it doubles with each, unless the server says how long to wait."""
    retries: int = 8
    """Tries of one request before the stage gives up; what was fetched is kept for the next run."""

    def __post_init__(self) -> None:
        check_languages(self)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .common_crawl_fetch import fetch_all

    return fetch_all(params, runtime)


def estimate(params: Params, inputs) -> dict:
    pages = params.max_pages
    return {"disk_bytes": pages * 30_000, "seconds": pages / params.requests_per_second} if pages else {}


STAGE = Stage(
    name="crawl.common_crawl",
    revision=1,
    summary="Pages of Common Crawl by index query: the list is kept with them, records are fetched by range.",
    params=Params,
    inputs={},
    output="pages",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="SEA-LION v3's SEA-PILE and SeaLLMs §2.1 take their web text from Common Crawl; CDX server API of pywb.",
)
