"""Log-probabilities of a text's tokens, in the shape of OpenAI's completions, for graders such as lm-eval."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine


def token_logprobs(engine: Engine, ids: Sequence[int], *, start: int, top: int) -> dict[str, Any]:
    """For ids[start:], each given all before it: token texts, log-probabilities in nats, the `top` likeliest, offsets.

    The first token of all has no probability (None). One forward pass over the ids, or none if nothing is scored, with
    logits only where they are needed.
    """
    import torch

    first = max(start, 1)  # the first place that something stands before
    if first < len(ids):
        ids_BT = torch.tensor([list(ids)], device=engine.model.device)
        with torch.inference_mode():
            logits_TV = engine.model(input_ids=ids_BT, logits_to_keep=len(ids) - first + 1).logits[0]
    values: list[float | None] = []
    tops: list[dict[str, float] | None] = []
    texts = [engine.token_bytes[number].decode("utf-8", "replace") for number in ids]
    for place in range(start, len(ids)):
        if place == 0:
            values.append(None)
            tops.append(None)
            continue
        row_V = logits_TV[place - first].float().cpu().log_softmax(-1)
        values.append(row_V[ids[place]].item())
        best = torch.topk(row_V, min(top, len(row_V))) if top else None
        tops.append(_named(engine, best) if best else {})
    offsets = list(itertools.accumulate(map(len, texts[start:]), initial=0))[:-1]
    return {"tokens": texts[start:], "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}


def _named(engine: Engine, best: Any) -> dict[str, float]:
    named: dict[str, float] = {}
    for value, number in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        text = engine.token_bytes[number].decode("utf-8", "replace")
        named.setdefault(text, value)  # tokens of one text: the likelier, which comes first
    return named
