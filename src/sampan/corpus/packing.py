"""The work of corpus.pack: cut the input into jobs, choose the encoder, and put the jobs' token shards end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..artifacts.document_shards import document_jobs
from ..artifacts.token_gather import gather_tokens
from ..core.errors import InputError, RecipeError
from ..core.params import all_values
from ..core.stage import Inputs, Runtime
from .encoder_choice import Choice, choose_engine
from .encoders import REFERENCE

FAST_JOB_BYTES = 256 << 20
"""Text of a job where an engine of tens of megabytes a second is used: a smaller one is over before it has begun, and
the ids of a corpus that one job holds need not be copied."""


def pack(params: Any, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write token shards and return metrics; RecipeError without any text, InputError names what cannot be rendered."""
    documents, conversations = inputs.many("documents"), inputs.many("conversations")
    if not documents and not conversations:
        raise RecipeError("corpus.pack needs documents, conversations or both", how="Add them under `from:`.")
    if params.repeat < 1:
        raise RecipeError(f"repeat is at least 1, not {params.repeat}")
    common = _common(params, inputs.one("tokenizer").path, runtime)
    jobs, choice = document_jobs(documents), Choice()
    if params.bpe_dropout:
        _check_dropout(params, common)
    elif jobs:
        choice = choose_engine(Path(common["spec"]), Path(common["tokenizer"]), jobs)
        for engine, reason in choice.refused.items():
            runtime.log(f"not encoding with {engine}: {reason}")
        if choice.engine != REFERENCE:
            jobs = document_jobs(documents, job_bytes=FAST_JOB_BYTES)
    # Without chance every pass is the same, so its shards are made once and written as often as they are wanted.
    turns = range(params.repeat if params.bpe_dropout else 1)
    todo = [{**common, **job, "engine": choice.engine, "turn": turn} for turn in turns for job in jobs]
    made = _run(runtime, "documents", "pack_documents", todo)
    chats = [{**common, **job, "names": [a.name for a in conversations]} for job in document_jobs(conversations)]
    chatted = _run(runtime, "conversations", "pack_conversations", chats)
    shards = made * (1 if params.bpe_dropout else params.repeat) + chatted
    index = gather_tokens([shard.folder for shard in shards], runtime.out)
    if not index["tokens"]:
        raise InputError("there is no text to pack", where=", ".join(a.name for role in inputs for a in inputs[role]))
    return {**_metrics(index, shards), "engine": choice.engine, "engine_checked_on": choice.checked} | (
        {"engines_refused": choice.refused} if choice.refused else {}
    )


def _common(params: Any, folder: Path, runtime: Runtime) -> dict[str, Any]:
    """What every job is told of the tokenizer. Its tokenizer.json as transformers has loaded it is written beside."""
    from ..model.tokenizer import load_tokenizer, tokenizer_digest

    tokenizer = load_tokenizer(folder)
    head, tail = _ends(params, tokenizer)
    runtime.state.mkdir(parents=True, exist_ok=True)
    spec = runtime.state / "tokenizer.json"
    spec.write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    return {
        "params": all_values(params),
        "spec": str(spec),
        "tokenizer": str(folder),
        "tokenizer_digest": tokenizer_digest(folder),
        "vocab_size": max(tokenizer.get_vocab().values()) + 1,  # not len(tokenizer): ids may have gaps
        "head": head,
        "tail": tail,
    }


def _ends(params: Any, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids before and after each document."""
    if params.add_eos and tokenizer.eos_token_id is None:
        raise RecipeError(
            "the tokenizer has no EOS token, so documents would run into each other",
            how="Set `add_eos: false`, or give the tokenizer an eos_token.",
        )
    head = [tokenizer.bos_token_id] if params.add_bos and tokenizer.bos_token_id is not None else []
    return head, [tokenizer.eos_token_id] if params.add_eos else []


def _check_dropout(params: Any, common: dict[str, Any]) -> None:
    """RecipeError if this tokenizer or rate cannot be used, before any work is spread."""
    from tokenizers import Tokenizer

    from .bpe_dropout import DropoutEncoder

    DropoutEncoder(Tokenizer.from_file(common["spec"]), params.bpe_dropout)


def _run(runtime: Runtime, phase: str, function: str, jobs: list[dict[str, Any]]) -> list[Any]:
    if not jobs:
        return []
    weights = [job["bytes"] for job in jobs]
    return runtime.shards(phase, f"{__package__}.pack_shards:{function}", jobs, weights=weights, unit="bytes")


def _metrics(index: dict[str, Any], shards: list[Any]) -> dict[str, Any]:
    names = ("documents", "tokens", "trained_tokens", "text_bytes")
    return {
        **{name: index[name] for name in names},
        "bytes_per_token": round(index["text_bytes"] / index["tokens"], 4),
        "licenses": sorted({name for shard in shards for name in shard.facts["licenses"]}),
        "by_stream": {
            stream: {**counts, "bytes_per_token": round(counts["text_bytes"] / counts["tokens"], 4)}
            for stream, counts in index["by_stream"].items()
            if counts["tokens"]
        },
    }
