"""`vocab.train`: a tokenizer from documents: SentencePiece BPE with byte fallback, or byte-level BPE."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ..core.errors import StageError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles


@params
class Params:
    family: Literal["sentencepiece", "byte_level"] = "sentencepiece"
    """SentencePiece BPE (Llama 2, Mistral) or byte-level BPE (GPT-2, Llama 3, Qwen)."""
    vocab_size: int = 8000
    """Pieces in all, special tokens and byte pieces included. A small corpus may yield fewer (byte_level only)."""
    byte_fallback: bool = True
    """SentencePiece: spell characters outside the vocabulary in bytes, so that every text round-trips."""
    character_coverage: float = 0.9995
    """SentencePiece: share of the corpus's characters that get a piece of their own."""
    split_digits: bool = True
    """SentencePiece: one piece per digit, as Llama 2 does."""
    pretokenizer: Literal["repaired", "llama3", "gpt2"] = "repaired"
    """byte_level: the expression that cuts words. `repaired` keeps vowel signs and tone marks with their letters; the
    others cut Thai, Lao, Khmer, Burmese and Tamil words at every mark."""
    unk_token: str = "<unk>"
    """SentencePiece: the token for what cannot be spelled."""
    bos_token: str = "<s>"
    """Token that opens a text."""
    eos_token: str = "</s>"
    """Token that ends a text."""
    special_tokens: tuple[str, ...] = ("<|im_start|>",)
    """More tokens matched whole in the text."""
    chat_template: str = "seallm-v2"
    """Name of the chat template to write beside the tokenizer; '' for none."""
    languages: tuple[str, ...] = ()
    """Only documents in these languages, such as eng_Latn; empty for all."""
    max_documents: int = 100_000
    """Documents read at most, in order. Ours, not the paper's."""

    def __post_init__(self) -> None:
        check_languages(self)
        if self.vocab_size < 300:
            raise ValueError("vocab_size must leave room for 256 bytes and some pieces: at least 300")
        if not 0 < self.character_coverage <= 1:
            raise ValueError("character_coverage is a share between 0 and 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..model.chat import write_template
    from ..model.tokenizer import load_tokenizer
    from . import learn_byte_level, learn_sentencepiece

    counts = {"documents": 0, "text_bytes": 0}
    licenses: set[str] = set()
    lines = _lines(params, inputs, runtime, counts, licenses)
    first = next(lines, None)
    if first is None:
        raise StageError("no text to learn a vocabulary from", how="Check `languages` and the documents' language.")
    learn = learn_sentencepiece.learn if params.family == "sentencepiece" else learn_byte_level.learn
    learn(itertools.chain([first], lines), params, runtime.out)
    if params.chat_template:
        write_template(runtime.out, params.chat_template)
    return {"vocab_size": len(load_tokenizer(runtime.out)), **counts, "licenses": sorted(licenses)}


def _lines(
    params: Params, inputs: Inputs, runtime: Runtime, counts: dict[str, int], licenses: set[str]
) -> Iterator[str]:
    """Lines of the chosen documents, without line ends."""
    from .selection import documents_in, normalised

    wanted = normalised(params.languages)
    for language, document in documents_in(inputs.many("documents"), runtime):
        if wanted and language not in wanted:
            continue
        if counts["documents"] >= params.max_documents:
            return
        counts["documents"] += 1
        licenses |= {document.license} - {""}
        counts["text_bytes"] += len(document.text.encode("utf-8"))
        yield from (line for line in document.text.split("\n") if line.strip())


def estimate(params: Params, facts: Mapping[str, Any]) -> Mapping[str, float]:
    """About 1 MB of text per second; the text is held several times over."""
    size = sum(fact.get("text_bytes", 0.0) for fact in facts.get("documents", ()))
    return {"vocab_size": params.vocab_size, "seconds": 10 + size / 1e6, "memory_bytes": 5e8 + 8 * size}


STAGE = Stage(
    name="vocab.train",
    revision=1,
    summary="A tokenizer from documents: SentencePiece BPE with byte fallback, or byte-level BPE.",
    params=Params,
    inputs={"documents": Role(kinds=("documents",), help="text to learn from", many=True)},
    output="tokenizer",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    heavy=True,
    paper="BPE (Sennrich et al. 2016, arXiv:1508.07909); SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226).",
)
