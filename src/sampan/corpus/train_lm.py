"""corpus.train_lm: an n-gram language model of each language, to tell good text by."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import profiles_digest


@params
class Params:
    languages: list[str] = field(default_factory=list)
    """Languages to train on; empty trains every language of the documents that has a profile."""
    word_order: int = 3
    """Longest n-gram of words in languages with spaces. Ours: longer ones tell no more (CCNet: 5 pieces)."""
    cluster_order: int = 5
    """Longest n-gram of clusters in scripts without spaces."""
    max_units_per_language: int = 5_000_000
    """Most words or clusters that a language is trained on: whole documents, chosen by the hash of their ids."""
    max_ngrams: int = 4_000_000
    """Most n-grams kept of a language, the most frequent; each takes 8 to 16 bytes."""
    held_out_share: float = 0.02
    """Share of the documents, by the hash of their ids, that only measure the model."""

    def __post_init__(self) -> None:
        check_languages(self)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .lm_training import train

    return train(params, inputs.many("documents"), runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    units = min(size / 5, params.max_units_per_language)
    return {"text_bytes": size, "memory_bytes": 2e8 + 120 * units, "seconds": size / 8e6 + units * 8e-6}


def reads(params: Params) -> dict:
    """The language profiles, which say what codes mean and whether words are set apart."""
    return {"language profiles": profiles_digest()}


STAGE = Stage(
    name="corpus.train_lm",
    revision=2,
    summary="An n-gram language model per language, from reference text such as an encyclopaedia.",
    params=Params,
    inputs={"documents": Role(kinds=("documents",), help="text to take as good", many=True)},
    output="scorer",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="CCNet (Wenzek et al. 2019, arXiv:1911.00359) §3.2; modified Kneser-Ney: Chen and Goodman 1998.",
)
