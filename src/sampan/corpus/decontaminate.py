"""corpus.decontaminate: find what a model will be examined on in its training text, and take it out."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    action: Literal["drop", "cut", "flag"] = "drop"
    """`drop` leaves a contaminated document out, `cut` the lines of it that hold the item, `flag` only names the items
    in its meta, as `contamination`."""
    fields: list[str] = field(default_factory=list)
    """Columns of items from outside that hold their texts, such as `question` or `prompts.0.text` (`*` is every
    place); empty takes every text of a row. Items of Sampan are read whole: prompt, and choices or answer."""
    word_ngram: int = 13
    """Words that an item and a document must have in common, in the same order (GPT-3, Llama). A shorter text of an
    item must be there as a whole. In scripts without spaces this is scaled to clusters: 39 in Thai, Lao and Khmer, 26
    in Burmese, 21 in Chinese (measured on parallel text)."""
    min_overlap: float = 0.0
    """Least share of a text's n-grams that must be in the document; 0 makes a single one enough."""
    edited_share: float | None = 0.75
    """Share of a text that runs of 4 words in one passage of a document must cover, from which it counts as found
    although words were changed; null looks for unchanged text only. Ours; PaLM: 70 % of 8-grams."""
    min_words: int = 10
    """A text of fewer words proves little by itself, as names and phrases are as long. One of at least half as many
    counts where it is a line of its own; any, where all of an item's are near each other and have so many words
    together. Scaled as `word_ngram` is."""


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
    revision=1,
    summary="Documents without the questions that models will be examined on.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to search", many=True),
        "items": Role(kinds=("items",), help="what models are examined on: items, or tables of tests", many=True),
    },
    output="documents",
    run=run,
    estimate=estimate,
    paper="GPT-3 (arXiv:2005.14165) appendix C: 13-grams; edited items after PaLM (arXiv:2204.02311) §8.",
)
