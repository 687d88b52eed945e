"""`vocab.propose`: pieces worth adding, from a target vocabulary (SeaLLMs' Algorithm 1) or from a word list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ..core.errors import RecipeError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles
from .selection import read_bytes


@params
class Params:
    counting: Literal["corrected", "literal"] = "corrected"
    """How often a piece was seen: every join of it in text that the base vocabulary reads, or as the paper's
    pseudo-code has it, where a document ends at its first repeated join and a piece counts once in the whole corpus."""
    min_frequency: int = 5
    """Pieces made less often are left out. Ours, not the paper's (its m is unpublished); with `literal` use 1."""
    num_new_tokens: int = 16_384
    """Pieces at most, over all languages; word lists come first. SeaLLM 7B v2 added 16 384."""
    budgets: dict[str, int] = field(default_factory=dict)
    """Pieces per language, such as {tha_Thai: 1536}. The languages without an entry share the rest equally, and what
    one does not need goes to the others. The split is ours, not the paper's."""
    languages: tuple[str, ...] = ()
    """Languages to propose for; empty for all languages of the documents except `keep_languages`."""
    keep_languages: tuple[str, ...] = ("eng_Latn",)
    """Languages whose pieces must not slip in. See `max_kept_rate`."""
    max_kept_rate: float = 0.1
    """A piece is left out if it is made more than this times as often, for each byte, in the kept languages' documents
    as in those of its own language. Ours; the paper says that such pieces were pruned and not how."""
    pretokenizer: Literal["repair", "keep"] = "repair"
    """As in vocab.expand: whether words are cut as the repaired word expression cuts them."""
    max_documents: int = 20_000
    """Documents read at most per language, in order. Ours, not the paper's."""
    words_language: str = ""
    """The language that the word lists are in."""
    words_begin: Literal["auto", "blank", "bare"] = "auto"
    """Whether a listed word is a piece with the blank before it or without; `auto` asks whether the language sets words
    apart by spaces."""

    def __post_init__(self) -> None:
        check_languages(self)
        if self.num_new_tokens < 1 or self.min_frequency < 1 or self.max_documents < 1:
            raise RecipeError("num_new_tokens, min_frequency and max_documents must be at least 1")
        if any(budget < 0 for budget in self.budgets.values()) or self.max_kept_rate < 0:
            raise RecipeError("budgets and max_kept_rate must not be negative")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .proposing import propose

    return propose(params, inputs, runtime)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    gone_through, size = read_bytes(facts.get("documents", ()), params.max_documents)
    seconds = 10 + size / 1e6 + gone_through / 1e8
    return {"seconds": seconds, "memory_bytes": 1e9 + 4 * size, "disk_bytes": 100.0 * params.num_new_tokens}


STAGE = Stage(
    name="vocab.propose",
    revision=1,
    summary="Pieces to add to a vocabulary: from a target vocabulary by SeaLLMs' Algorithm 1, or a word list.",
    params=Params,
    inputs={
        "base": Role(kinds=("tokenizer", "checkpoint"), help="the model or tokenizer that is to be expanded"),
        "target": Role(
            kinds=("tokenizer", "checkpoint"),
            help="a vocabulary to take pieces from: SentencePiece model, tokenizer.json or tiktoken ranks",
            required=False,
        ),
        "documents": Role(
            kinds=("documents",), help="text in which the target's pieces are counted", many=True, required=False
        ),
        "words": Role(kinds=(), help="word lists: a word a line, perhaps a tab and a count", many=True, required=False),
    },
    output="pieces",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="SeaLLMs (arXiv:2312.00738), Algorithm 1 of appendix A, with its counting corrected.",
)
