"""corpus.split: the training or the held-out part of documents, and samples of bounded size."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import profiles_digest


@params
class Params:
    part: Literal["train", "held_out"] = "train"
    """Which side to write. The side of a document depends on its id and `salt` alone, so the two never meet, and
    documents with one id (translations of each other, say) stay together. Deduplicate before splitting."""
    held_out_share: float = 0.01
    """Expected share of documents on the held-out side."""
    salt: str = ""
    """Changes which documents are held out; both parts must use the same."""
    languages: list[str] = field(default_factory=list)
    """Keep only these languages; empty keeps all."""
    max_documents_per_language: int = 0
    """Keep at most so many documents of each language, a sample by hash; 0 keeps all."""
    max_bytes_per_language: int = 0
    """Keep at most so many UTF-8 bytes of each language, a sample by hash; 0 keeps all."""

    def __post_init__(self) -> None:
        check_languages(self)
        if not 0 <= self.held_out_share <= 1:
            raise ValueError("held_out_share is a share between 0 and 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .splitting import split

    return split(params, inputs.many("documents"), runtime)


def estimate(params: Params, inputs) -> dict:
    share = params.held_out_share if params.part == "held_out" else 1 - params.held_out_share
    facts = inputs.get("documents", [])
    return {name: share * sum(fact.get(name, 0) for fact in facts) for name in ("documents", "text_bytes")}


def reads(params: Params) -> dict:
    """The language profiles, which say what codes mean."""
    return {"language profiles": profiles_digest()}


STAGE = Stage(
    name="corpus.split",
    revision=1,
    summary="The training or the held-out part of documents, by hash of the id.",
    params=Params,
    inputs={"documents": Role(kinds=("documents",), help="documents to split", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    reads=reads,
    paper="Held-out text by hash, so that a later run with more documents moves none from one side to the other.",
)
