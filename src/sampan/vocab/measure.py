"""`vocab.measure`: what text costs under any number of tokenizers, by language: table, picture, JSON and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles


@params
class Params:
    languages: tuple[str, ...] = ()
    """Languages to measure; empty for all that the documents have."""
    english: str = "eng_Latn"
    """The language whose parallel text the tokens of the others are divided by."""
    denominator: str = "first"
    """Whose count of English divides: `first` for the first tokenizer, `own` for each its own, or a tokenizer's name.
    Ratios to each tokenizer's own English are always given beside it."""
    factor: float = 1.0
    """Multiplies the ratios. 1.19 turns Llama 2's English into ChatGPT's, which SeaLLMs' table divides by
    (arXiv:2312.00738, Table 1: 1.19 tokens of Llama 2 for one of ChatGPT)."""
    unit: Literal["word", "cluster"] = "word"
    """What tokens are counted per: words as the language's segmenter cuts them (clusters where none is installed; the
    report says so), or what vocab.expand counts: words between spaces, clusters in spaceless scripts, Chinese
    characters."""
    max_documents: int = 2000
    """Texts measured at most per language, chosen by a digest of their id so that parallel texts stay parallel."""
    labels: tuple[str, ...] = ()
    """Names of the tokenizers in the report, in order; empty for what the recipe or the folder calls them."""
    pretokenizers: dict[str, str] = field(default_factory=dict)
    """By name of a tokenizer given as tiktoken ranks, the expression that cuts words, such as {llama4: o200k}; Llama
    3's and Qwen's files are known."""

    def __post_init__(self) -> None:
        check_languages(self)
        if self.max_documents < 1 or not self.factor > 0:
            raise ValueError("max_documents must be at least 1 and factor more than 0")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.scores import write_scores
    from .measured_text import measured_texts
    from .measurement import measure, scores_of
    from .measurement_files import write_report
    from .open_tokenizer import names_of, open_tokenizer

    sources = inputs.many("tokenizers")
    names = names_of(sources, params.labels)
    denominator_of(params, names)
    texts, licenses = measured_texts(
        inputs.many("documents"), runtime, languages=params.languages, max_documents=params.max_documents
    )
    opened = [
        open_tokenizer(
            source,
            runtime.state / f"tokenizer-{number}",
            name=name,
            pretokenizer=params.pretokenizers.get(name, "auto"),
        )
        for number, (source, name) in enumerate(zip(sources, names, strict=True))
    ]
    report, speed = measure(params, opened, texts, runtime)
    write_report(runtime.out, report)
    write_scores(runtime.out, scores_of(report, STAGE.revision))
    return {
        "tokenizers": names,
        "languages": list(texts),
        "texts": sum(map(len, texts.values())),
        "gini": {row["name"]: row["gini"] for row in report["tokenizers"]},
        "parity": {row["name"]: row["parity"] for row in report["tokenizers"]},
        "megabytes_per_second": speed,
        "licenses": licenses,
    }


def denominator_of(params: Params, names: Sequence[str]) -> str:
    """The name of the tokenizer whose English divides, '' for each its own; RecipeError if there is none so called."""
    from ..core.errors import RecipeError, did_you_mean

    if params.denominator in ("own", "first"):
        return names[0] if params.denominator == "first" else ""
    if params.denominator not in names:
        raise RecipeError(
            f"the denominator '{params.denominator}' is none of the tokenizers",
            how=did_you_mean(params.denominator, ["own", "first", *names]),
        )
    return params.denominator


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """About 1 MB of text per second and tokenizer, and as much for the words."""
    size = sum(fact.get("text_bytes", 1e6) for fact in facts.get("documents", ()))
    number = len(facts.get("tokenizers", ())) or 1
    return {"seconds": 5 + 3 * number + (number + 2) * size / 1e6, "memory_bytes": 5e8 + 4 * size, "disk_bytes": 1e5}


STAGE = Stage(
    name="vocab.measure",
    revision=1,
    summary="What text costs under any number of tokenizers: tokens per word and relative to English, parity and Gini.",
    params=Params,
    inputs={
        "tokenizers": Role(
            kinds=("tokenizer", "checkpoint"),
            help="tokenizers to compare, the base first: artifacts, folders, tokenizer.model or tiktoken ranks",
            many=True,
        ),
        "documents": Role(
            kinds=("documents",),
            help="text by language; equal ids in several languages, or one column per language, make it parallel",
            many=True,
        ),
    },
    output="scores",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    heavy=True,
    paper="Tokens relative to English as in SeaLLMs (arXiv:2312.00738, Table 1); parity as in Petrov et al. 2023 "
    "(arXiv:2305.15425); Gini over languages as in Foroutan et al. 2025 (arXiv:2508.04796).",
)
