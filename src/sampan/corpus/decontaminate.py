"""corpus.decontaminate: find what a model will be examined on in its training text, and take it out."""

from __future__ import annotations

from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles
from .matching import Matching


@params
class Params(Matching):
    action: Literal["drop", "cut", "flag"] = "drop"
    """`drop` leaves a contaminated document out, `cut` the lines of it that hold the item, `flag` only names the items
    in its meta, as `contamination`."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .decontamination import decontaminate

    return decontaminate(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    documents = sum(fact.get("documents", 0) for fact in inputs.get("documents", []))
    items = sum(fact.get("text_bytes", 0) for fact in inputs.get("items", []))
    return {"documents": documents, "text_bytes": size, "memory_bytes": 2e8 + 20 * items, "seconds": size / 3e6}


STAGE = Stage(
    name="corpus.decontaminate",
    revision=2,
    summary="Documents without the questions that models will be examined on.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to search", many=True),
        "items": Role(kinds=("items",), help="what models are examined on: items, or tables of tests", many=True),
    },
    output="documents",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="GPT-3 (arXiv:2005.14165) appendix C: 13-grams; edited items after PaLM (arXiv:2204.02311) §8.",
)
