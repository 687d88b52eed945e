"""corpus.calibrate: learn the limits of corpus.clean from text that is known to be good, language by language."""

from __future__ import annotations

from dataclasses import field

from ..core.errors import RecipeError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from .clean import reads
from .filters import FILTERS, ORDER

NOT_LEARNT = ("encoding", "length", "harmful")


@params
class Params:
    languages: list[str] = field(default_factory=list)
    """Languages to learn; empty learns every language that has a profile."""
    trust_label: bool = True
    """As in corpus.clean."""
    filters: list[str] = field(default_factory=lambda: [name for name in ORDER if name not in NOT_LEARNT])
    """Filters whose limits are learnt. Ours: not `length`, which is a matter of the source and not of quality, and not
    `harmful`, whose words good text may well hold; `encoding` has no limits."""
    confidence: bool = True
    """Whether the least confidence of the identifier is learnt too, from the documents that it takes for what they are:
    the default of 0.5 holds for every language, and those without sisters reach 0.99."""
    keep: float = 0.99
    """Share of each language's reference documents that must pass all of its learnt limits together. Ours; FineWeb-2
    takes per-language quantiles that match English pass rates."""
    min_documents: int = 200
    """Languages with fewer reference documents learn nothing and keep their profile's limits. Ours."""
    max_documents: int = 20_000
    """Documents of each language that are measured, sampled by a hash of their text. Ours."""

    def __post_init__(self) -> None:
        check_languages(self)
        for name in self.filters:
            FILTERS.check(name, where="filters")
        if not 0.5 <= self.keep <= 1:
            raise RecipeError(f"`keep` = {self.keep} is no share from 0.5 to 1")
        if min(self.min_documents, self.max_documents) < 1:
            raise RecipeError("`min_documents` and `max_documents` are at least 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .calibration import calibrate

    return calibrate(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    return {"seconds": size / 1.5e6}


STAGE = Stage(
    name="corpus.calibrate",
    revision=3,
    summary="Learn the limits of corpus.clean from reference text, by quantiles per language.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="reference text of good quality", many=True),
        "identifier": Role(kinds=("scorer",), help="as in corpus.clean", required=False),
    },
    output="limits",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="FineWeb-2 (Penedo et al. 2025, §4.3): filter thresholds per language from statistics of reference text.",
)
