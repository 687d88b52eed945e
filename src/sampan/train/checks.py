"""What is refused before the first step: wrong vocabulary, too long a context, an architecture that packing breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..artifacts.tokens import TokenShards
from ..core.errors import StageError
from ..core.stage import Artifact
from ..model.tokenizer import tokenizer_digest
from .attention import use_packed_attention
from .distributed import World
from .lean import use_lean_parts
from .logprobs import token_logprobs
from .packing import IGNORE, Piece, pack, share_prompt
from .settings import Optimisation

_TOLERANCE = 1e-3
"""Nats. Two fp32 orders of summation differ by about 1e-5; a wrong mask, position or cap differs by 1e-1 and more."""


def check_vocabulary(model: Any, model_input: Artifact, tokens_input: Artifact, shards: TokenShards) -> None:
    """StageError unless the shards were made with this model's tokenizer."""
    rows = model.get_input_embeddings().weight.shape[0]
    made, own = shards.index["tokenizer_digest"], tokenizer_digest(model_input.path)
    how = f"Pack the documents again with `tokenizer: {model_input.name}`."
    if shards.index["vocab_size"] > rows:
        raise StageError(
            f"tokens '{tokens_input.name}' were made with {shards.index['vocab_size']} ids, "
            f"but model '{model_input.name}' has {rows} embeddings",
            how=how,
        )
    if made != own:
        raise StageError(
            f"tokens '{tokens_input.name}' were made with another tokenizer (digest {made[:12]}) than the one of "
            f"model '{model_input.name}' ({own[:12]})",
            how=how,
        )


def check_same_tokenizer(model_input: Artifact, other: Artifact) -> None:
    """StageError unless both models speak the same vocabulary."""
    if tokenizer_digest(model_input.path) != tokenizer_digest(other.path):
        raise StageError(
            f"'{other.name}' has another tokenizer than '{model_input.name}'",
            how="A reference must give log-probabilities of the same tokens: use an ancestor with this vocabulary.",
        )


def check_context(model: Any, context_len: int) -> None:
    """StageError if the context is longer than the model's window."""
    window = model.config.max_position_embeddings
    if context_len > window:
        raise StageError(
            f"context_len {context_len} is longer than the model's window of {window} tokens",
            how=f"Set context_len to at most {window}.",
        )


def check_divided(model: Any, params: Optimisation, world: World, selection: Any) -> None:
    """StageError if the processes divide matrices (--tensor-parallel), and the model or these settings forbid it."""
    size = world.tensor.size
    if size == 1:
        return
    if used := params.undivided + ["the input neurons"] * bool(selection):
        raise StageError(
            f"{used[0]} is not for matrices that are divided", where="--tensor-parallel", how="Let FSDP alone divide."
        )
    config = model.config
    heads = [config.num_attention_heads, getattr(config, "num_key_value_heads", None) or config.num_attention_heads]
    if any(count % size for count in heads):
        raise StageError(
            f"{heads[0]} heads, {heads[1]} of keys and values, cannot be divided by {size}",
            where="--tensor-parallel",
            how="It must divide both numbers.",
        )


def check_written(model: Any) -> None:
    """StageError if a weight is not a number after the last update, which no later step can show."""
    name = next((name for name, weight in model.named_parameters() if not bool(weight.isfinite().all())), "")
    if name:
        raise StageError(
            f"{name} is not all numbers after training, as {str(model.dtype).removeprefix('torch.')}",
            how="Lower lr. What is above 65,504 does not fit into float16, if that is the model's format.",
        )


def pack_and_check(model: Any) -> None:
    """Switch `model` to packed attention and prove it: packed documents, two of which share their beginning, give the
    log-probabilities of each alone.

    StageError if they do not, or if the architecture does not hand the packing on to its attention.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(0)
    size = min(12, model.config.max_position_embeddings)
    documents = [torch.randint(rows, (length,), generator=generator) for length in (max(2, size // 2), size, size)]
    known = (0, 0, size // 2)
    documents[2][: known[2]] = documents[1][: known[2]]
    with torch.no_grad():
        model.set_attn_implementation("eager")
        expected = torch.cat([_alone(model, ids)[start:] for ids, start in zip(documents, known, strict=True)])
        if not expected.isfinite().all():
            raise StageError(
                "the model's weights give log-probabilities that are not numbers",
                how="Look for NaN or infinity in the checkpoint; the stage that wrote it, or the download, went wrong.",
            )
        use_packed_attention(model)
        use_lean_parts(model)
        short, first, second = (_piece(ids, start) for ids, start in zip(documents, known, strict=True))
        batch = pack([short, first, share_prompt(first, second)], model.device)
        try:
            found = token_logprobs(model, batch, dtype=torch.float32, uniform=False).cpu()
        except TypeError as error:
            raise StageError(f"{_kind(model)} models cannot be trained packed ({error})", how=_HOW) from error
    error = (found - expected).abs().max().item()
    if not error <= _TOLERANCE:
        raise StageError(
            f"packing changes what a {_kind(model)} model computes (log-probabilities differ by {error:.2g})", how=_HOW
        )


_HOW = "Llama, Mistral, Qwen 2 and 3, Gemma, Gemma 2 and Gemma 3 are known to work."


def _kind(model: Any) -> str:
    return str(model.config.model_type)


def _alone(model: Any, ids: torch.Tensor) -> torch.Tensor:
    logits_TV = model(input_ids=ids[None].to(model.device), use_cache=False).logits[0].float().cpu()
    return logits_TV[:-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]


def _piece(ids: torch.Tensor, known: int) -> Piece:
    """A document whose first `known` labels are not trained."""
    array = ids.numpy()
    labels = np.append(array[1:], IGNORE)
    labels[:known] = IGNORE
    return Piece(array, labels)
