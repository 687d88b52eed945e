"""`evals.run`: ask every checkpoint the same questions and write what it scored, with the error of each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ..core.errors import RecipeError
from ..core.identity import digest_resources
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles
from .elsewhere import Elsewhere
from .suites import check_tasks


@params
class Params(Elsewhere):
    tasks: list[str] = field(default_factory=list)
    """Bundled tasks to run on the files of the `data` input: belebele, c3_dialogue, cmmlu, flores, global_mmlu_lite,
    global_mmlu_lite_cloze, gsm8k, iapp_wiki_qa, ifeval, indonli, indonli_expert, lindsea_syntax, m3exam, math, mgsm,
    multijail, nusax_sentiment, paraphrase, sea_safeguard_refusal, seaexam, seaexam_mmlu, vmlu, wisesight_sentiment,
    xcopa, xlsum, xquad. Each file in evals/tasks says where its data are from."""
    suite: Literal["", "sea", "english", "chinese"] = ""
    """Tasks under one name (evals/suites.py), beside `tasks`: those whose files are in `data`; the others are named in
    the metrics."""
    data_folder: str = ""
    """Where the tasks' files are inside the `data` input, such as `eval`; '' = right there."""
    languages: list[str] = field(default_factory=list)
    """Only these languages, as codes like tha_Thai; empty = every language that is there."""
    directions: Literal["english", "all"] = "english"
    """Which directions a translation task asks: from and into English (24 for flores), or between all its languages
    (156). Among `languages` without English it is all."""
    prompt_style: Literal["plain", "chat"] = "plain"
    """How bundled tasks ask: as plain text to continue, or as a user's turn in the chat template. Items say for
    themselves."""
    max_items: int = 0
    """Most items per task and language, 0 = all. Chosen by the hash of their id, so parallel items stay parallel."""
    max_documents: int = 0
    """Most held-out documents per language, 0 = all. Chosen by the hash of their text."""
    max_domains: int = 10
    """Domains of a language's held-out documents that get bits per byte of their own, the largest ones; 0 = none. A
    domain is the `domain` in a document's meta, or its source; a language of one domain has only the whole."""
    max_new_tokens: int = 0
    """Longest answer to a `generate` item, in tokens; 0 = what its task file or its `meta` says (64 where they say
    nothing), and half of a checkpoint's window at most. Answers that reach it are counted as `cut_off`."""
    context_len: int = 1024
    """Longest window of held-out text in tokens, or the model's own if that is shorter. Ours, not a paper's."""
    batch_tokens: int = 2048
    """Most tokens in a batch that is scored. 2048 is fastest on a CPU core; a GPU wants more."""
    batch_size: int = 32
    """Prompts that are answered at once."""
    sample_prompts: int = 3
    """Answers per language to keep for reading side by side; the same prompts for every checkpoint."""
    keep_items: int = 20
    """Items of each task and language whose prompt, answer, extraction and verdict are kept for reading, the same ones
    for every checkpoint; 0 = none."""
    more_metrics: list[Literal["degeneration", "wrong_language"]] = field(default_factory=list)
    """Rates to measure on every `generate` task beside its own metrics: empty or looping answers, answers in another
    language than the task's."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights while scoring."""
    seed: int = 0
    """Seed of the choice of items, documents and sample prompts. Decoding is greedy and needs none."""

    def __post_init__(self) -> None:
        Elsewhere.__post_init__(self)
        check_tasks(self.tasks)
        for name in ("max_items", "max_documents", "max_domains", "max_new_tokens", "sample_prompts", "keep_items"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")
        for name in ("batch_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if PurePosixPath(self.data_folder).is_absolute() or ".." in PurePosixPath(self.data_folder).parts:
            raise ValueError("data_folder leaves the input folder")
        if self.context_len < 2:
            raise ValueError("context_len must be 2 or more")


def check(params: Params, given: Mapping[str, Sequence[str]]) -> None:
    """RecipeError if there is nobody to ask, or nothing to ask them."""
    if not given.get("models") and not params.answer_models:
        raise RecipeError(
            "there is nobody to examine",
            how="Give checkpoints as the input `models`, or `answer_models` behind an endpoint.",
        )
    bundled = "tasks" if params.tasks else "suite" if params.suite else ""
    if bundled and not given.get("data"):
        raise RecipeError(
            f"`{bundled}` needs the input `data`, the folder with the tasks' files",
            how="Give that folder as `data`, or `items` of your own.",
        )
    if not bundled and not given.get("held_out") and not given.get("items"):
        raise RecipeError(
            "there is nothing to ask",
            how="Give `held_out` documents, `items`, or `data` with the names of `tasks`.",
        )


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .examine import examine

    return examine(params, inputs, runtime)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """2 FLOPs per parameter and token; a token is taken as 3 bytes of text, an item of unknown size as 200 tokens, and
    an answer as the longest that its task allows."""
    models = [fact.get("parameters", 0.0) for fact in facts.get("models", [])]
    tokens = sum(fact.get("text_bytes", 0.0) for fact in facts.get("held_out", [])) / 3
    documents = sum(fact.get("documents", 0.0) for fact in (*facts.get("held_out", []), *facts.get("items", [])))
    for fact in facts.get("items", []):
        tokens += fact["text_bytes"] / 3 if fact.get("text_bytes") else 200 * fact.get("documents", 0.0)
    written = 0
    if params.tasks or params.suite:
        from .workload import PROMPT_TOKENS, workload

        data = next((fact["path"] for fact in facts.get("data", []) if "path" in fact), None)
        asked = workload(params, Path(data) / params.data_folder if data else None)
        documents += asked.items
        tokens += asked.tokens
        written = asked.tokens - PROMPT_TOKENS * asked.items
    width = 2 if params.dtype == "bfloat16" else 4
    return {
        "flops": 2 * tokens * sum(models),
        "forward_flops": 2 * (tokens - written) * sum(models),
        "decode_bytes": written / params.batch_size * width * sum(models),
        "number_bytes": width,
        "seconds": 2 * tokens * sum(models) / 5e10,
        "memory_bytes": width * max(models, default=0.0) * 1.25,
        "disk_bytes": 100_000 * max(1, len(models)),
        "documents": documents,
    }


def reads(params: Params) -> dict[str, str]:
    """The bundled tasks that are asked, and language profiles of one's own."""
    asked = params.tasks or params.suite
    tasks = {"task files": digest_resources("sampan.evals", "tasks")} if asked else {}
    return tasks | reads_own_profiles()


STAGE = Stage(
    name="evals.run",
    revision=7,
    summary="Scores of every checkpoint: bits per byte of held-out text, and tasks by likelihood or by generation.",
    params=Params,
    inputs={
        "models": Role(kinds=("checkpoint",), help="the checkpoints to compare", many=True, required=False),
        "items": Role(kinds=("items",), help="evaluation items of your own", many=True, required=False),
        "held_out": Role(
            kinds=("documents",), help="text kept out of training, for bits per byte", many=True, required=False
        ),
        "data": Role(kinds=("files",), help="a folder with the files that the bundled tasks read", required=False),
        "tokenizer": Role(
            kinds=("tokenizer", "checkpoint"),
            help="the tokenizer of `answer_models`, for what is asked by likelihood",
            required=False,
        ),
        "replies": Role(
            kinds=("scores",),
            help="results of this stage: what `answer_models` said there is not asked for again",
            many=True,
            required=False,
        ),
    },
    output="scores",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check,
    heavy=True,
    spreads=True,
    paper="lm-evaluation-harness (Gao et al. 2021) for likelihood scoring; bits per byte as in The Pile "
    "(arXiv:2101.00027, section 3.1).",
)
