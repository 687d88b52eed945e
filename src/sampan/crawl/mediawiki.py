"""crawl.mediawiki: documents from XML dumps of Wikipedia and other MediaWiki sites."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles

_SUFFIXES = (".xml", ".xml.bz2", ".xml.gz", ".xml.zst")


@params
class Params:
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder; empty reads every .xml file, plain or with .bz2, .gz or .zst."""
    language: str = ""
    """Language of every page; empty takes the dump's own `xml:lang`."""
    namespaces: list[int] = field(default_factory=lambda: [0])
    """Numbers of the namespaces whose pages are kept; 0 holds the articles."""
    min_text_characters: int = 1
    """Pages with less text after the markup is taken off are left out."""
    max_page_bytes: int = 4_000_000
    """Pages with more wikitext are left out. MediaWiki's own limit is 2 MB."""
    source: str = "wikipedia"
    """Source name given to every document."""
    license: str = ""
    """Licence given to every document: CC-BY-SA-4.0 for Wikipedia's text."""

    def __post_init__(self) -> None:
        check_languages(self)


def is_dump(path) -> bool:
    return path.name.endswith(_SUFFIXES)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .mediawiki_shards import crawl

    return crawl(params, inputs.many("files"), runtime)


def estimate(params: Params, inputs) -> dict:
    from .files import forecast_bytes

    # About a third of a dump's wikitext is prose; speed as measured on one core.
    size = forecast_bytes(inputs.get("files", []), params.paths, is_dump)
    return {"text_bytes": size / 3, "documents": size / 3000, "seconds": size / 1.5e6}


STAGE = Stage(
    name="crawl.mediawiki",
    revision=3,
    summary="Documents from MediaWiki XML dumps: articles' prose without templates, tables and references.",
    params=Params,
    inputs={"files": Role(kinds=("pages",), help="an XML dump, or a folder of them", many=True)},
    output="documents",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="SeaLLMs §2.1 and SEA-LION v3 (Wikipedia as a source of high quality); wikitext by mwparserfromhell.",
)
