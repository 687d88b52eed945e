"""corpus.train_quality: a classifier of good text, from lists of good and of ordinary documents."""

from __future__ import annotations

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import profiles_digest


@params
class Params:
    per_language: bool = False
    """Whether every language has weights of its own; otherwise languages share those of equal words and each has a
    bias."""
    ngram: int = 2
    """Longest n-gram of words, or of clusters in scripts without spaces, that is a feature."""
    hash_bits: int = 20
    """The model has 2 to this power weights of four bytes."""
    epochs: int = 5
    """Times that every document is seen."""
    lr: float = 0.5
    """Step size of AdaGrad."""
    l2: float = 1e-6
    """Weight decay a step."""
    max_documents: int = 50_000
    """Most documents of each of the two lists, chosen by the hash of their ids."""
    max_units: int = 1000
    """Words or clusters read of a document, the first ones."""
    held_out_share: float = 0.1
    """Share of the documents, by the hash of their ids, that only measure the model."""
    seed: int = 0
    """Seed of the order in which documents are seen."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .quality_training import train

    return train(params, inputs.many("good"), inputs.many("ordinary"), runtime)


def estimate(params: Params, inputs) -> dict:
    facts = [fact for role in ("good", "ordinary") for fact in inputs.get(role, [])]
    size = sum(fact.get("text_bytes", 0) for fact in facts)
    features = min(sum(fact.get("documents", 0) for fact in facts), 2 * params.max_documents) * 1.2 * params.max_units
    return {
        "text_bytes": size,
        "memory_bytes": 2e8 + 8 * features,
        "seconds": size / 8e6 + params.epochs * features * 3e-8,
    }


def reads(params: Params) -> dict:
    """The language profiles, which say what codes mean and whether words are set apart."""
    return {"language profiles": profiles_digest()}


STAGE = Stage(
    name="corpus.train_quality",
    revision=1,
    summary="A classifier that tells good text from ordinary text, from lists of both.",
    params=Params,
    inputs={
        "good": Role(kinds=("documents",), help="text as it should be: encyclopaedia, checked news, books", many=True),
        "ordinary": Role(kinds=("documents",), help="web text as it comes", many=True),
    },
    output="scorer",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="GPT-3 (Brown et al. 2020, arXiv:2005.14165) appendix A; hashed n-grams: Joulin et al. 2017.",
)
