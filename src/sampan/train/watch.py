"""Looking at the model while it is trained: bits per byte of text held out, by language, and samples of its writing.

Both go through the training loop's own forward pass, so that they work on divided weights too, and end in the log; they
are decided by params and inputs, and a resumed run has the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..artifacts.tokens import read_tokens
from ..core.errors import RecipeError, StageError
from ..core.stage import Artifact, Inputs
from ..model.encoding import encode_prompt, first_token
from ..model.tokenizer import load_tokenizer
from .distributed import Scorer, World
from .logprobs import scored_states, token_logprobs
from .packing import IGNORE, MicroBatch, Piece, pack, split
from .resume import Progress
from .settings import Optimisation


@dataclass(frozen=True)
class HeldOut:
    """Pieces of all held-out documents, whose `source` counts `languages`, and how many bytes each language has."""

    pieces: list[Piece]
    languages: list[str]
    bytes: list[int]


class Watch:
    """What to look at, and when."""

    def __init__(self, params: Optimisation, tokenizer: Any, held_out: HeldOut | None) -> None:
        self._params, self._tokenizer, self._held_out = params, tokenizer, held_out
        self._prompts = [encode_prompt(tokenizer, prompt) for prompt in params.prompts]
        longest = max(map(len, self._prompts), default=0)
        if longest >= params.context_len:
            raise RecipeError(
                f"a prompt has {longest} tokens, and context_len is {params.context_len}", where="prompts"
            )

    @torch.no_grad()
    def look(self, scorer: Scorer, progress: Progress, steps: int, world: World) -> None:
        """Add a row to the log if this step is one to look at."""
        row: dict[str, Any] = {}
        if self._held_out and _due(progress.step, steps, self._params.held_out_every):
            row["held_out"] = self._bits_per_byte(scorer, world)
        if self._prompts and _due(progress.step, steps, self._params.samples_every):
            texts = self._samples(scorer, world.device)
            row["samples"] = [
                {"prompt": prompt, "text": text} for prompt, text in zip(self._params.prompts, texts, strict=True)
            ]
        if row:
            progress.rows.append({"step": progress.step, "tokens": progress.tokens, **row})

    def _bits_per_byte(self, scorer: Scorer, world: World) -> dict[str, float]:
        held = self._held_out
        nats_L = torch.zeros(len(held.languages), dtype=torch.float64)
        parts = split(held.pieces, self._params.micro_batch_tokens)
        for first in range(0, len(parts), world.data.size):
            own = first + world.data.rank < len(parts)  # the others keep in step, since a forward pass is a meeting
            batch = pack(parts[first + world.data.rank if own else first], world.device)
            found_N = -scorer(batch, _logprobs).double().cpu()
            if own:
                source_S = torch.tensor([piece.source for piece in batch.pieces])
                nats_L.index_add_(0, source_S[batch.piece_N.cpu()], found_N)
        bits_L = (world.data.sum_tensor(nats_L) / math.log(2)).tolist()
        shares = zip(held.languages, bits_L, held.bytes, strict=True)
        return {language: float(f"{bits / size:.6g}") for language, bits, size in shares}

    def _samples(self, scorer: Scorer, device: str) -> list[str]:
        """What follows each prompt, greedily; every token is a forward pass over all texts, packed."""
        end, room = self._tokenizer.eos_token_id, self._params.context_len
        texts = [list(prompt) for prompt in self._prompts]
        running = set(range(len(texts)))
        for _ in range(self._params.sample_tokens):
            batch = pack([_last(ids) for ids in texts], device)
            for number, token in enumerate(scorer(batch, _likeliest).tolist()):
                if number not in running:
                    continue
                if token == end or len(texts[number]) == room:
                    running.discard(number)
                else:
                    texts[number].append(token)
            if not running:
                break
        pairs = zip(texts, self._prompts, strict=True)
        return [self._tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True) for ids, prompt in pairs]


def _due(step: int, steps: int, every: int) -> bool:
    return step in (0, steps) or (every > 0 and step % every == 0)


def _logprobs(model: Any, batch: MicroBatch, dtype: torch.dtype) -> torch.Tensor:
    return token_logprobs(model, batch, dtype=dtype, uniform=False)


def _likeliest(model: Any, batch: MicroBatch, dtype: torch.dtype) -> torch.Tensor:
    """The likeliest next token of every piece; a soft cap does not change which one it is."""
    hidden_ND = scored_states(model, batch, dtype=dtype)
    return (hidden_ND @ model.get_output_embeddings().weight.to(dtype).t()).argmax(-1)


def _last(ids: list[int]) -> Piece:
    """A piece whose last token alone is scored."""
    labels = np.full(len(ids), IGNORE, np.int64)
    labels[-1] = 0
    return Piece(np.asarray(ids, np.int64), labels)


def open_watch(inputs: Inputs, params: Optimisation) -> Watch | None:
    """What these params and inputs want to look at; None if nothing."""
    given = inputs.many("held_out")
    if not given and not params.prompts:
        return None
    tokenizer = load_tokenizer(inputs.one("model").path)
    return Watch(params, tokenizer, _held_out(given, tokenizer, params) if given else None)


def _held_out(given: list[Artifact], tokenizer: Any, params: Optimisation) -> HeldOut:
    """The first documents of each language, up to held_out_tokens; StageError if there are none."""
    pieces: list[Piece] = []
    number: dict[str, int] = {}
    tokens: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    for language, ids, size in (row for item in given for row in _texts(item, tokenizer)):
        if (tokens[language] and tokens[language] + len(ids) > params.held_out_tokens) or not size or len(ids) < 2:
            continue
        tokens[language] += len(ids)
        sizes[language] += size
        pieces += _windows(ids, params.context_len, number.setdefault(language, len(number)))
    if not pieces:
        raise StageError("the input `held_out` has no text")
    return HeldOut(pieces, list(number), [sizes[language] for language in number])


def _texts(item: Artifact, tokenizer: Any) -> Iterator[tuple[str, list[int], int]]:
    """(language, ids with what stands before a text, bytes of the text)."""
    first = first_token(tokenizer)
    if item.kind == "tokens" or (item.path / "ids.bin").is_file():
        shards, special = read_tokens(item), set(tokenizer.all_special_ids)
        for number in range(len(shards)):
            ids = [token for token in shards.document(number)[0].tolist() if token not in special]
            text = tokenizer.decode(ids)
            yield shards.stream_names[shards.streams[number]], [first, *ids], len(text.encode())
    else:
        from ..artifacts.documents import read_documents

        for document in read_documents(item):
            ids = tokenizer(document.text, add_special_tokens=False)["input_ids"]
            yield document.language, [first, *ids], len(document.text.encode())


def _windows(ids: list[int], context_len: int, source: int) -> Iterator[Piece]:
    """Pieces that predict every token but the first exactly once."""
    array = np.asarray(ids, np.int64)
    for start in range(0, len(array) - 1, context_len):
        labels = array[start + 1 : start + 1 + context_len]
        yield Piece(array[start : start + len(labels)], labels, source)
