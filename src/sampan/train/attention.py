"""Attention inside documents of a packed micro-batch, for any Hugging Face model that takes attention functions.

On a CPU, each piece is one causal attention call, and short pieces are gathered into few buckets of similar length: no
mask as wide as the pack, no time spent between documents. On CUDA in half precision torch's variable-length kernel is
used where it exists, and FlexAttention for what that one cannot do, where it is found to work. Else Gemma-2's soft caps
and windows are computed explicitly, bucket by bucket. Pieces that go on from another's prompt attend to that prompt and
to themselves, under a mask of their own.

Shapes: T tokens, P padded slots, S pieces, L width of a bucket, H heads, K key-value heads, D head width.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from .explicit_attention import attend_explicitly
from .flex import attend, detect, usable
from .packing import Bucket, Layout
from .piece_attention import attend_pieces, suits
from .rows import pick_rows, reuse_rows, spread_rows
from .shared_prompt import Tails

NAME = "sampan_packed"


def use_packed_attention(model: Any) -> None:
    """Make `model` attend inside documents; its forward pass then needs the keyword `packing`, a Layout."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    model.set_attn_implementation(NAME)


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *,
    packing: Layout,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of [1, H, T, D] queries over [1, K, T, D] keys and values; returns ([1, T, H, D], None).

    There is no dropout: none of the papers trains with it, and it would make resuming depend on a generator's state.
    """
    kind = query.device.type
    if torch.is_autocast_enabled(kind):  # rotations have made float32 of queries and keys
        query, key, value = (x.to(torch.get_autocast_dtype(kind)) for x in (query, key, value))
    window = sliding_window if sliding_window and sliding_window < packing.longest else None
    query_THD, key_TKD, value_TKD = (x.transpose(1, 2)[0] for x in (query, key, value))
    if packing.keys is not None:
        key_TKD, value_TKD = packing.keys.gather(key_TKD, value_TKD)
    if softcap is None and _has_varlen(query):
        out_THD = _varlen(query_THD, key_TKD, value_TKD, packing, scaling, window)
    elif packing.keys is None and usable(query, key, softcap):
        return attend(query, key, value, packing, scaling, softcap, window).transpose(1, 2), None
    else:
        out_THD = _bucketed(query_THD, key_TKD, value_TKD, packing, scaling, softcap, window)
    return out_THD[None], None


def _bucketed(query_THD, key_TKD, value_TKD, packing: Layout, scaling, softcap, window) -> torch.Tensor:
    if packing.tails is None:
        return _heads(query_THD, key_TKD, value_TKD, packing, scaling, softcap, window)
    if not packing.lengths:
        return _tails(query_THD, key_TKD, value_TKD, packing.tails, scaling, softcap, window)
    alone = [x[: packing.tokens] for x in (query_THD, key_TKD, value_TKD)]
    heads_THD = _heads(*alone, packing, scaling, softcap, window)
    asks_THD = query_THD[packing.tokens :]
    return torch.cat([heads_THD, _tails(asks_THD, key_TKD, value_TKD, packing.tails, scaling, softcap, window)])


def _heads(query_THD, key_TKD, value_TKD, packing: Layout, scaling, softcap, window) -> torch.Tensor:
    """Attention of the pieces that stand alone."""
    if softcap is None and window is None and suits(query_THD, value_TKD, packing.lengths):
        return attend_pieces(query_THD, key_TKD, value_TKD, packing.lengths, scaling)
    if packing.uniform is not None:
        return _attend(query_THD, key_TKD, value_TKD, packing.uniform, scaling, softcap, window)
    gather, scatter = packing.gather_P, packing.scatter_T
    parts = [spread_rows(x, gather, scatter) for x in (query_THD, key_TKD, value_TKD)]
    sizes = [bucket.pieces * bucket.width for bucket in packing.buckets]
    chunks = zip(*(part.split(sizes) for part in parts), packing.buckets, strict=True)
    out_PHD = torch.cat([_attend(q, k, v, bucket, scaling, softcap, window) for q, k, v, bucket in chunks])
    return pick_rows(out_PHD, scatter)


def _tails(query_THD, key_TKD, value_TKD, tails: Tails, scaling, softcap, window) -> torch.Tensor:
    """Attention of the tails' queries, given alone, over keys and values of all rows."""
    query_PHD = spread_rows(query_THD, tails.asks_P, tails.scatter_T)
    key_PKD, value_PKD = (reuse_rows(x, tails.keys_P, tails.real_keys) for x in (key_TKD, value_TKD))
    asks = query_PHD.split([bucket.count * bucket.queries for bucket in tails.buckets])
    sides = [x.split([bucket.count * bucket.width for bucket in tails.buckets]) for x in (key_PKD, value_PKD)]
    parts = []
    for bucket, allowed, *rows in zip(tails.buckets, tails.masks(window), asks, *sides, strict=True):
        query, key, value = (x.view(bucket.count, -1, *x.shape[1:]).transpose(1, 2) for x in rows)
        if softcap is None:
            grouped = query.shape[1] != key.shape[1]
            out = F.scaled_dot_product_attention(
                query, key, value, attn_mask=allowed, scale=scaling, enable_gqa=grouped
            )
        else:
            out = attend_explicitly(
                query,
                key,
                value,
                lambda rows, keys, allowed=allowed: allowed[:, :, rows, keys],
                scaling=scaling,
                softcap=softcap,
                keys=lambda rows, width=key.shape[2]: slice(0, width),
            )
        parts.append(out.transpose(1, 2).reshape(rows[0].shape))
    return pick_rows(torch.cat(parts), tails.scatter_T)


def _attend(query_PHD, key_PKD, value_PKD, bucket: Bucket, scaling, softcap, window) -> torch.Tensor:
    """Causal attention of a bucket's S pieces of L tokens, given and returned as S·L rows."""
    query, key, value = (
        x.view(bucket.pieces, bucket.width, *x.shape[1:]).transpose(1, 2) for x in (query_PHD, key_PKD, value_PKD)
    )
    grouped = query.shape[1] != key.shape[1]
    if softcap is None and window is None:
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped)
    else:
        place = torch.arange(bucket.width, device=query.device)

        def allowed(rows: slice, keys: slice) -> torch.Tensor:
            distance = place[rows, None] - place[None, keys]
            return distance >= 0 if window is None else (distance >= 0) & (distance < window)

        def keys(rows: slice) -> slice:
            return slice(0 if window is None else max(0, rows.start - window + 1), rows.stop)

        out = attend_explicitly(query, key, value, allowed, scaling=scaling, softcap=softcap, keys=keys)
    return out.transpose(1, 2).reshape(query_PHD.shape)


def find_flex(config: Any, device: str, dtype: torch.dtype, *, parts: int = 1) -> str:
    """Try FlexAttention on a GPU for a model's heads, or one of `parts` equal ones of them; why it is not used, empty
    if it is, or if nothing needs it."""
    if not device.startswith("cuda"):
        return ""
    softcap = getattr(config, "attn_logit_softcapping", None)
    windows = getattr(config, "sliding_window", None)
    if softcap is None and dtype != torch.float32 and not (windows and varlen_missing(device)):
        return ""
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return detect(
        device, dtype, heads=heads // parts, groups=groups // parts, width=width, softcap=softcap, explicit=_explicit
    )


def _explicit(query, key, value, packing: Layout, scaling, softcap, window) -> torch.Tensor:
    """What `flex.attend` computes, [1, H, T, D], in the way that needs no kernel."""
    sides = (x.transpose(1, 2)[0] for x in (query, key, value))
    return _bucketed(*sides, packing, scaling, softcap, window)[None].transpose(1, 2)


def _has_varlen(query: torch.Tensor) -> bool:
    """Whether torch's variable-length kernel can take this tensor (CUDA, half precision, a torch that has it)."""
    if query.device.type != "cuda" or query.dtype not in (torch.float16, torch.bfloat16):
        return False
    return query.shape[-1] <= 256 and _varlen_works()


@torch.compiler.assume_constant_result
def _varlen_works() -> bool:
    """What a compiled block must not ask anew."""
    return not varlen_missing("cuda")


_VARLEN = ("query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k", "scale", "window_size", "enable_gqa")
"""Arguments of torch's variable-length kernel that are given here, the first seven in this order."""


@functools.cache
def varlen_missing(device: str) -> str:
    """Why torch's variable-length kernel cannot be used on a GPU; empty if it can, and on a CPU, which has none."""
    if not device.startswith("cuda"):
        return ""
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "it needs a GPU of compute capability 8.0"
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError as error:
        return f"this torch has none ({error})"
    return unfit(varlen_attn)


def unfit(kernel: Callable[..., torch.Tensor]) -> str:
    """What keeps a variable-length kernel from being called as it is here; empty if nothing does."""
    names = list(inspect.signature(kernel).parameters)
    absent = [name for name in _VARLEN if name not in names]
    if absent:
        return f"torch {torch.__version__} has it without {', '.join(absent)}"
    return "" if tuple(names[:7]) == _VARLEN[:7] else f"torch {torch.__version__} orders its arguments otherwise"


def _varlen(query_THD, key_TKD, value_TKD, packing: Layout, scaling, window) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    bounds = bounds_keys = packing.cu_seqlens
    longest = longest_keys = packing.longest
    if packing.tails is not None:
        # Queries of a tail are the last of its keys; the kernel aligns the two at their ends.
        rows, own, widths = packing.tails.key_rows, packing.tails.own, packing.tails.widths
        every = torch.arange(len(rows), device=rows.device)
        key_TKD, value_TKD = (
            torch.cat([x[: packing.tokens], reuse_rows(x, rows, every)]) for x in (key_TKD, value_TKD)
        )
        bounds, bounds_keys = _bounds(packing, own), _bounds(packing, widths)
        longest = max([*packing.lengths, *own])
    return varlen_attn(
        query_THD.contiguous(),
        key_TKD.contiguous(),
        value_TKD.contiguous(),
        bounds,
        bounds_keys,
        longest,
        longest_keys,
        scale=scaling,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=query_THD.shape[1] != key_TKD.shape[1],
    )


def _bounds(packing: Layout, tails: list[int]) -> torch.Tensor:
    """Boundaries of all pieces, the tails' lengths given."""
    more = torch.tensor(tails, dtype=torch.int32, device=packing.device).cumsum(0, dtype=torch.int32)
    return torch.cat([packing.cu_seqlens, more + packing.tokens])
