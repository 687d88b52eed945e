"""corpus.quality: a quality bucket for every document, which streams and curriculum go by."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import profiles_digest


@params
class Params:
    buckets: list[str] = field(default_factory=lambda: ["high", "middle", "low"])
    """Names of the buckets, best first (CCNet's head, middle and tail)."""
    shares: list[float] = field(default_factory=lambda: [0.25, 0.5, 0.25])
    """Share of each language's scored documents in each bucket (AI Singapore's course; CCNet: thirds)."""
    curated: list[str] = field(default_factory=list)
    """Sources whose documents are in the best bucket whatever they score; `*` stands for anything (`*wiki*`)."""
    unscored: str = ""
    """Bucket of documents that no scorer can judge; empty leaves what they have."""
    keep_scores: bool = False
    """Whether the scores go to the documents' meta, as `quality_scores`."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .bucketing import bucket

    return bucket(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    documents = sum(fact.get("documents", 0) for fact in inputs.get("documents", []))
    return {"documents": documents, "text_bytes": size, "seconds": size / 4e6 * max(1, len(inputs.get("scorers", [])))}


def reads(params: Params) -> dict:
    """The language profiles, which say what codes mean and whether words are set apart."""
    return {"language profiles": profiles_digest()}


STAGE = Stage(
    name="corpus.quality",
    revision=1,
    summary="A quality bucket for every document: by perplexity, by classifier, and curated sources first.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to sort into buckets", many=True),
        "scorers": Role(
            kinds=("scorer",),
            help="language models, a classifier, or both: then the worse bucket counts",
            many=True,
            required=False,
        ),
        "reference": Role(
            kinds=("documents",),
            help="documents whose scores set the limits, instead of all",
            many=True,
            required=False,
        ),
    },
    output="documents",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="CCNet (arXiv:1911.00359) §3.2: head, middle, tail by perplexity; SeaLLMs §2.3: high quality first and last.",
)
