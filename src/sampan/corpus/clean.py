"""corpus.clean: normalise, identify the language, and drop what teaches nothing, each drop with its reason."""

from __future__ import annotations

from dataclasses import field

from ..core.identity import digest_resources
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .filters import FILTERS

LIMITS = (
    "min_characters",
    "max_characters",
    "min_script_share",
    "min_language_confidence",
    "max_duplicate_line_share",
    "max_top_ngram_share",
    "max_duplicate_ngram_share",
    "max_symbol_share",
    "max_digit_share",
    "max_menu_share",
    "max_boilerplate_share",
)


@params
class Params:
    languages: list[str] = field(default_factory=list)
    """Languages to keep; empty keeps every language that has a profile."""
    trust_label: bool = True
    """Whether a document's declared language stands when its script is there and the identifier answers a sister
    language or is unsure. Ours, not the papers': the identifier calls most short Malay texts Indonesian."""
    filters: list[str] = field(
        default_factory=lambda: [
            "encoding",
            "length",
            "script",
            "digits",
            "symbols",
            "repetition",
            "boilerplate",
            "menu",
        ]
    )
    """Filters in order; the first that says no gives the reason."""
    min_characters: int | None = None
    """Over each language's own limit, as are all limits below; None keeps the profile's (see `lang/profile.py`)."""
    max_characters: int | None = None
    """Longest document."""
    min_script_share: float | None = None
    """Least share of letters in the language's own script."""
    min_language_confidence: float | None = None
    """Least confidence of the identifier where no label is trusted."""
    max_duplicate_line_share: float | None = None
    """Most characters in repeated lines."""
    max_top_ngram_share: float | None = None
    """Most of the text covered by one repeated phrase."""
    max_duplicate_ngram_share: float | None = None
    """Most of the text in long passages seen before in it."""
    max_symbol_share: float | None = None
    """Most symbols."""
    max_digit_share: float | None = None
    """Most digits."""
    max_menu_share: float | None = None
    """Most characters in menu-like lines."""
    max_boilerplate_share: float | None = None
    """Most characters in lines about the site itself."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .cleaning import clean

    return clean(params, inputs.many("documents"), runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    documents = sum(fact.get("documents", 0) for fact in inputs.get("documents", []))
    return {"documents": documents, "text_bytes": size, "seconds": size / 1.5e6}


def reads(params: Params) -> dict:
    """The language profiles, whose thresholds and words decide what is kept, the identifier, and the filters."""
    profiles = {f"language {name}": digest_resources("sampan.lang", name) for name in ("profiles", "models/latin")}
    return profiles | {f"filter {name}": FILTERS.revision(name) for name in FILTERS}


STAGE = Stage(
    name="corpus.clean",
    revision=1,
    summary="Normalise, identify the language, filter; every drop is counted by reason.",
    params=Params,
    inputs={"documents": Role(kinds=("documents",), help="documents to clean", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="SeaLLMs §2.1 and SEA-LION v3 name language identification and cleaning without thresholds; repetition after "
    "Gopher (Rae et al. 2021).",
)
