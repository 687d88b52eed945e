"""corpus.pack: documents and conversations into token shards."""

from __future__ import annotations

from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    add_bos: bool = True
    """Put the tokenizer's BOS before each document, if it has one. Conversations follow their chat template instead."""
    add_eos: bool = True
    """Put the tokenizer's EOS after each document."""
    bpe_dropout: float = 0.0
    """Probability with which each candidate merge is left out while documents are cut into tokens (arXiv:1910.13267;
    SEA-LION v3 says that it was used, not at which rate). The text is unchanged; conversations are never affected."""
    seed: int = 0
    """Seed of the dropout; each document and repeat has its own stream of chance."""
    repeat: int = 1
    """Times that the documents are written, one whole pass after the other."""
    stream_by: Literal["language", "language_and_quality"] = "language"
    """What parts the documents into streams. `language_and_quality` makes streams such as `tha_Thai/high` of documents
    that bear a quality (see `corpus.quality`), which the phases of a mixture can weight apart."""
    stream_name: str = ""
    """Stream of everything packed here; empty makes one stream per language."""

    def __post_init__(self) -> None:
        if not 0 <= self.bpe_dropout < 1:
            raise ValueError("bpe_dropout is a probability below 1")
        if self.repeat < 1:
            raise ValueError("repeat must be at least 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .packing import pack

    return pack(params, inputs, runtime)


def estimate(params: Params, inputs) -> dict:
    size = params.repeat * sum(fact.get("text_bytes", 0) for fact in inputs.get("documents", []))
    chats = sum(fact.get("text_bytes", 1000 * fact.get("documents", 0)) for fact in inputs.get("conversations", []))
    # About three and a half bytes a token over the region's languages; two bytes an id and one of mask.
    tokens = params.repeat * _tokens(inputs.get("documents", [])) + _tokens(inputs.get("conversations", []))
    tokens = tokens or (size + chats) / 3.5
    seconds = size / (4e6 if not params.bpe_dropout else 1.5e5) + chats / 5e5
    return {"tokens": tokens, "text_bytes": size + chats, "disk_bytes": 3 * tokens, "seconds": seconds}


def _tokens(facts) -> float:
    """Tokens that are stated for all of the inputs; 0 where they are not."""
    return sum(fact["tokens"] for fact in facts) if all("tokens" in fact for fact in facts) else 0


STAGE = Stage(
    name="corpus.pack",
    revision=3,
    summary="Documents and conversations into token shards, one stream per language, or per language and quality.",
    params=Params,
    inputs={
        "documents": Role(kinds=("documents",), help="documents to tokenise", many=True, required=False),
        "conversations": Role(
            kinds=("conversations",), help="conversations to render and mask", many=True, required=False
        ),
        "tokenizer": Role(kinds=("tokenizer", "checkpoint"), help="the tokenizer, or a checkpoint that holds it"),
    },
    output="tokens",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="SeaLLMs §2.3 and §3.2 (documents and conversations in one stream); BPE-dropout: Provilkov et al. 2020.",
)
