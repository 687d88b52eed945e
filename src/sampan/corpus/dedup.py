"""corpus.dedup: keep one of each set of equal or nearly equal documents."""

from __future__ import annotations

from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    method: Literal["exact", "minhash"] = "minhash"
    """`exact`: equal but for letter case and blanks. `minhash`: that first, then near duplicates."""
    threshold: float = 0.8
    """Jaccard similarity of n-gram sets from which two documents count as the same text."""
    num_perm: int = 120
    """MinHash permutations. They are cut into bands so that a pair at the threshold is compared with a probability of
    99 % or more; every pair found is then checked exactly. Ours, not the papers' (SEA-LION's course: 128 to 256)."""
    word_ngram: int = 5
    """Words per n-gram in languages with spaces."""
    cluster_ngram: int = 8
    """Clusters per n-gram in scripts without spaces (Thai, Lao, Khmer, Burmese, Chinese)."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .deduplication import deduplicate

    return deduplicate(params, inputs.many("documents"), runtime)


def estimate(params: Params, inputs) -> dict:
    size = sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    documents = sum(fact.get("documents", 0) for fact in inputs.get("documents", []))
    memory = documents * (4 * params.num_perm + 400 if params.method == "minhash" else 200)
    return {"documents": documents, "text_bytes": size, "memory_bytes": memory, "seconds": size / 2e6}


STAGE = Stage(
    name="corpus.dedup",
    revision=1,
    summary="Remove exact and near duplicates.",
    params=Params,
    inputs={"documents": Role(kinds=("documents",), help="documents to deduplicate", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    paper="MinHash: Broder 1997; banding: Indyk and Motwani 1998; n-grams of clusters without spaces: ours.",
)
