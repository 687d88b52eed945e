"""corpus.clean: normalise, identify the language, and drop what teaches nothing, each drop with its reason."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.errors import RecipeError
from ..core.identity import digest_resources
from ..core.params import params
from ..core.stage import EXTERNAL, Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import profiles_digest
from ..lang.thresholds import check_limits
from .filters import FILTERS, ORDER


@params
class Params:
    languages: list[str] = field(default_factory=list)
    """Languages to keep; empty keeps every language that has a profile."""
    trust_label: bool = True
    """Whether a document's declared language stands when its script is there and the identifier answers a sister
    language or is unsure. Ours, not the papers': the identifier calls most short Malay texts Indonesian."""
    mixed: Literal["keep", "tag", "main_lines", "drop"] = "keep"
    """What happens to a document with paragraphs that are surely in another language than it, and no sister of its own:
    it stays as it is; it stays with `main_share`, its own language's share of the letters, in its meta; only its other
    lines stay, with that share; or it goes. With the last two it goes as `mixed_languages` below `min_main_share`.
    Without a label it goes by the language of most letters. Ours. Everything but `keep` identifies every paragraph,
    which takes about as long as the rest."""
    min_main_share: float = 0.5
    """See `mixed`. Ours."""
    use_declared: bool = True
    """Whether the language that a page declares (`declared_language` in its meta) decides where the identifier is
    unsure, or answers a sister language with less than 0.9. Ours: a declared Thai, say, proves nothing by itself."""
    filters: list[str] = field(default_factory=lambda: list(ORDER))
    """Filters in order; the first that says no gives the reason."""
    limits: dict[str, float | None] = field(default_factory=dict)
    """Limits by name (see `lang/thresholds.py`), over those of the input `limits`, which go over each language's
    profile; null turns a rule off."""
    drop_lines: bool = False
    """Whether lines about the site (cookies, log-in, copyright, JavaScript) are taken out before the filters judge the
    rest, as C4 does."""
    pii: Literal["keep", "replace", "drop"] = "replace"
    """What happens to email addresses, phone numbers, IP addresses and national id numbers: they stay, a placeholder
    such as [EMAIL] takes their place, or the document goes. Ours; FineWeb replaces email and IP addresses."""
    pii_kinds: list[Literal["email", "ip", "phone", "national_id"]] = field(
        default_factory=lambda: ["email", "ip", "phone", "national_id"]
    )
    """Kinds of personal data that are looked for."""
    record_changes: bool = False
    """Whether `changes.jsonl` beside the documents says what normalisation changed in all of them, kept or not: reason,
    before, after, count, the most frequent of each reason. About doubles the time."""

    def __post_init__(self) -> None:
        check_languages(self)
        check_limits(self.limits, where="limits")
        if not 0 <= self.min_main_share <= 1:
            raise RecipeError(f"`min_main_share` = {self.min_main_share} is no share from 0 to 1")
        for name in self.filters:
            FILTERS.check(name, where="filters")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .cleaning import clean

    return clean(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    documents = sum(fact.get("documents", 0) for fact in inputs.get("documents", []))
    return {"documents": documents, "text_bytes": size, "seconds": size / 2.5e6}


def reads(params: Params) -> dict:
    """The language profiles, whose thresholds and words decide what is kept, the identifier, and the filters used;
    `boilerplate` also knows the lines that `drop_lines` takes out."""
    models = {"language models/latin": digest_resources("sampan.lang", "models/latin")}
    profiles = {"language profiles": profiles_digest()}
    return profiles | models | {f"filter {name}": FILTERS.revision(name) for name in {*params.filters, "boilerplate"}}


STAGE = Stage(
    name="corpus.clean",
    revision=5,
    summary="Normalise, identify the language, filter, replace personal data; every drop is counted by reason.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to clean", many=True),
        "identifier": Role(
            kinds=("scorer",),
            help="a language identifier instead of the shipped one: of lang.train_identifier, or a fastText file",
            required=False,
        ),
        "limits": Role(kinds=("limits",), help="limits that corpus.calibrate has learnt", required=False),
        "harmful_words": Role(
            kinds=(EXTERNAL,),
            help="folder of CODE.txt (such as tha_Thai.txt), one word or phrase a line, instead of the profiles' lists",
            required=False,
        ),
    },
    output="documents",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="SeaLLMs §2.1 and SEA-LION v3 name language identification and cleaning without thresholds; filters after "
    "Gopher (Rae et al. 2021), C4 (Raffel et al. 2020) and FineWeb (Penedo et al. 2024), limits per language as in "
    "FineWeb-2 (Penedo et al. 2025).",
)
