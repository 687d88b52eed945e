"""`train.find_neurons`: which feed-forward neurons and attention dimensions work for one language only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .forecast import Facts, forecast, model_shape
from .refusals import check_model
from .settings import Optimisation


@params
class Params:
    language: str
    """The language whose neurons are wanted, such as tha_Thai; all others of the tokens are what it is told from."""
    num_documents: int = 1000
    """Documents of each language that are looked at, at most; arXiv:2402.18815's example."""
    context_len: int = 512
    """Tokens of a document that are read."""
    ffn_share: float = 0.15
    """Share of a layer's feed-forward neurons that count as active in a document, the strongest (the paper's 2,000 of
    some 14,000)."""
    attention_share: float = 0.25
    """The same of the dimensions of queries, keys and values (the paper's 1,000 of 4,096); 0 = leave attention out."""
    present_in: float = 1.0
    """Share of a language's documents in which a neuron must be active to belong to it; the paper takes all."""
    max_per_matrix: int = 100
    """Neurons of a matrix and layer that are kept, at most: the strongest; as published."""

    def __post_init__(self) -> None:
        if self.num_documents < 1 or self.context_len < 2 or self.max_per_matrix < 1:
            raise ValueError("num_documents and max_per_matrix must be at least 1, context_len at least 2")
        if not (0 <= self.ffn_share <= 1 and 0 <= self.attention_share <= 1 and 0 < self.present_in <= 1):
            raise ValueError("ffn_share, attention_share and present_in are shares between 0 and 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .neuron_search import find

    return find(params, inputs, runtime)


def estimate(params: Params, facts: Facts) -> Mapping[str, float]:
    """A forward pass over the documents, a third of a training pass; languages are taken to be twelve."""
    lengths = Optimisation(context_len=params.context_len, micro_batch_tokens=params.context_len)
    out = forecast(12 * params.num_documents * params.context_len, model_shape(facts), lengths)
    keep = {"tokens": out["tokens"], "flops": out["flops"] / 3, "seconds": out["seconds"] / 3}
    return {**keep, "memory_bytes": out["memory_bytes"] / 4}


STAGE = Stage(
    name="train.find_neurons",
    revision=1,
    summary="Find the neurons that work for one language only, for training them alone.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model whose neurons are looked at"),
        "tokens": Role(
            kinds=("tokens",), help="packed documents of the language and of others, made with its tokenizer", many=True
        ),
    },
    output="neurons",
    run=run,
    estimate=estimate,
    check_facts=check_model,
    heavy=True,
    paper="Zhao et al., arXiv:2402.18815; SeaLLMs 3 (arXiv:2407.19672) trains such neurons only.",
)
