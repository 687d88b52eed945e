"""corpus.find_items: say which evaluation items a model has seen in training, and change nothing."""

from __future__ import annotations

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles
from .matching import Matching


@params
class Params(Matching):
    min_words: int = 7
    """As in `corpus.decontaminate`, which asks for 10. Here nothing is thrown away, and with 10 half of XCOPA's Thai
    items would be missed; with 5 names of three words are taken for items (measured on planted items). Ours."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .item_search import find_items

    return find_items(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    items = sum(fact.get("text_bytes", 0) for fact in inputs.get("items", []))
    return {"memory_bytes": 2e8 + 25 * items, "seconds": size / 3e6, "disk_bytes": 1e5 + items / 10}


STAGE = Stage(
    name="corpus.find_items",
    revision=1,
    summary="Which evaluation items stand in the training text, whole or in part: the contamination check of scores.",
    params=Params,
    inputs={
        "items": Role(kinds=("items",), help="what models are examined on, as `evals.run` asks it", many=True),
        "documents": Role(
            kinds=("documents", "conversations", "preferences"), help="what the models were trained on", many=True
        ),
    },
    output="findings",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="GPT-3 (arXiv:2005.14165) appendix C: 13-grams, and scores with and without what was seen; edited items "
    "after PaLM (arXiv:2204.02311) §8.",
)
