"""corpus.dedup_passages: take passages that many documents repeat out of all of them but one."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    scope: Literal["line", "paragraph", "span"] = "paragraph"
    """What a passage is. `line` and `paragraph` (lines between blank ones) are equal but for letter case and blanks.
    `span`: any run of equal units, wherever it begins; punctuation and blanks between them do not count."""
    min_units: int = 20
    """Shortest passage that counts, in words, or clusters in scripts without spaces. For spans 50 or more is wise
    (Lee et al. 2022: 50 tokens)."""
    max_documents: int = 3
    """In so many documents a passage may stand; if it is in more, it stays in one of them. Boilerplate is in many, a
    quotation in two. For spans, documents are counted that share about half of the span. Ours (Lee et al.: 1)."""
    min_left: int = 20
    """Units that must be left of a document that lost a passage; with fewer it goes (`little_left`)."""
    keep: Literal["longest", "quality", "first_source"] = "longest"
    """Which document keeps the passage, as in `corpus.dedup`."""
    quality_order: list[str] = field(default_factory=lambda: ["curated", "high", "head", "middle", "tail", "low"])
    """Quality buckets, best first; other documents come after them."""
    source_order: list[str] = field(default_factory=list)
    """Names of sources, best first; the others come after them, in the order of the inputs they are in."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .passages import remove_passages

    return remove_passages(params, inputs.many("documents"), runtime, against=inputs.many("against"))


def estimate(params: Params, inputs) -> dict:
    new = inputs.get("documents", [])
    size = sum(fact.get("text_bytes", 0) for fact in [*new, *inputs.get("against", [])])
    return {
        "documents": sum(fact.get("documents", 0) for fact in new),
        "text_bytes": sum(fact.get("text_bytes", 0) for fact in new),
        "memory_bytes": 500e6,
        "disk_bytes": size * (1.5 if params.scope == "span" else 0.5),
        "seconds": size / 6e6,
    }


STAGE = Stage(
    name="corpus.dedup_passages",
    revision=1,
    summary="Remove lines, paragraphs or any long spans that many documents repeat, from all of them but one.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to clean of repeated passages", many=True),
        "against": Role(
            kinds=("documents",),
            help="earlier corpora: passages that they have count too, and stay theirs",
            many=True,
            required=False,
        ),
    },
    output="documents",
    run=run,
    estimate=estimate,
    paper="Lines and paragraphs: CCNet (arXiv:1911.00359); spans: Lee et al. (arXiv:2107.06499), here without a suffix "
    "array, by winnowing (Schleimer et al. 2003).",
)
