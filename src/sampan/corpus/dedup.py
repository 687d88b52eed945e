"""corpus.dedup: keep one of each set of equal or nearly equal documents."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    method: Literal["exact", "minhash"] = "minhash"
    """`exact`: equal but for letter case and blanks. `minhash`: that first, then near duplicates."""
    threshold: float = 0.6
    """Jaccard similarity of n-gram sets from which two documents count as the same text. With n-grams of three units,
    0.6 is about one unit in eleven edited, or a quarter of the text another. Ours, not the papers': 0.8 with five words
    loses texts of which one word in twenty was edited (their similarity is 0.6)."""
    num_perm: int = 200
    """MinHash values per document. They are cut into bands so that a pair at the threshold is compared with a
    probability of 95 % or more, a more similar one almost surely; every pair found is then checked exactly. Ours, not
    the papers' (SEA-LION's course: 128 to 256)."""
    word_ngram: int = 3
    """Words per n-gram in texts whose script has spaces. Short n-grams tell scattered edits (three lost per edit) from
    other content in a shared frame better than long ones do."""
    cluster_ngram: int = 3
    """Clusters per n-gram in scripts without spaces (Thai, Lao, Khmer, Burmese, Chinese)."""
    keep: Literal["longest", "quality", "first_source"] = "longest"
    """Which document of a set stays: the longest (by characters that are not blanks), the one of the best quality
    bucket, or the one of the first source. Then the other two decide, then the content, never the place."""
    quality_order: list[str] = field(default_factory=lambda: ["curated", "high", "head", "middle", "tail", "low"])
    """Quality buckets, best first; other documents come after them."""
    source_order: list[str] = field(default_factory=list)
    """Names of sources, best first; the others come after them, in the order of the inputs they are in."""
    count_copies: bool = False
    """Whether to write into `meta.copies` how many documents each one stands for, from which a mixture can weigh it
    (FineWeb-2 repeats what was found often, up to a point). Counts from an earlier deduplication add up."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError("threshold is a similarity above 0 and at most 1")
        if self.num_perm < 1 or min(self.word_ngram, self.cluster_ngram) < 1:
            raise ValueError("num_perm, word_ngram and cluster_ngram must be at least 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .deduplication import deduplicate

    return deduplicate(params, inputs.many("documents"), runtime, against=inputs.many("against"))


def estimate(params: Params, inputs) -> dict:
    new = inputs.get("documents", [])
    given = [*new, *inputs.get("against", [])]
    size = sum(fact.get("text_bytes", 0) for fact in given)
    documents = sum(fact.get("documents", 0) for fact in given)
    minhash = params.method == "minhash"
    return {
        "documents": sum(fact.get("documents", 0) for fact in new),
        "text_bytes": sum(fact.get("text_bytes", 0) for fact in new),
        "memory_bytes": 500e6 + (200 * documents if minhash else 0),
        "disk_bytes": size + documents * (32 * params.num_perm / 5 if minhash else 60),
        "seconds": size / (8e6 if minhash else 40e6),
    }


STAGE = Stage(
    name="corpus.dedup",
    revision=2,
    summary="Remove exact and near duplicates.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to deduplicate", many=True),
        "against": Role(
            kinds=("documents",),
            help="earlier corpora: what they have is dropped, and they are not written again",
            many=True,
            required=False,
        ),
    },
    output="documents",
    run=run,
    estimate=estimate,
    paper="MinHash: Broder 1997; banding: Indyk and Motwani 1998; n-grams of clusters without spaces: ours.",
)
