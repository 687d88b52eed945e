"""Attention to keys and values that lie in two places: a trunk, there once for all rows, and what is each row's own.

The queries of all rows meet the trunk in one matrix product; the two parts' results are joined by the logarithms of
their softmaxes' sums, so the result is that of attention over both parts side by side, up to rounding, and neither the
trunk's copies nor a mask over it is ever made (Hydragen, arXiv:2402.05099, section 3). It plugs into transformers'
attention interface, so the model's own layers run as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "sampan_trunk"
_ODD = ("softcap", "s_aux", "sliding_window", "position_bias")
"""What some architectures hand to their attention and this one does not know."""
_FLASH = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
"""Attention that also tells the logarithm of its softmax's sum; on other devices, see `attend`."""


class TrunkLayer(DynamicLayer):
    """One layer of a cache. Its `update` gives a row's own keys and values; `trunk` holds those before them."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk: list[torch.Tensor] = []
        """Keys and values [1, K, P, D], or nothing."""


Part = tuple[int, int, int]
"""Rows from `first` to `end`, of whose own keys the first `columns` count."""


@dataclass(frozen=True)
class _View:
    layers: Sequence[TrunkLayer]
    mask: torch.Tensor | None
    parts: Sequence[Part]


_VIEW: ContextVar[_View] = ContextVar("view")


@contextmanager
def trunk_attention(
    model: PreTrainedModel, layers: Sequence[TrunkLayer], mask: torch.Tensor | None, parts: Sequence[Part] = ()
):
    """Within it, the model's tokens see their layer's whole trunk and, of their own row's, what `mask` shows.

    `mask` [B, 1, T, own] is added to the scores; None lets every token see its row up to itself, or all of it if only
    one token a row is fed. In that case `parts` may cut the rows into several calls.
    """
    before = model.config._attn_implementation
    token = _VIEW.set(_View(layers, mask, parts))
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
        _VIEW.reset(token)


def _attention(module, query, key, value, attention_mask=None, scaling=None, dropout=0.0, **kwargs):
    """transformers' interface: queries [B, H, T, D], keys and values [B, K, own, D]; gives [B, T, H, D]."""
    if odd := [name for name in _ODD if kwargs.get(name) is not None]:
        raise ValueError(f"attention behind a trunk does not know {odd[0]}")
    view = _VIEW.get()
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    trunk = view.layers[module.layer_idx].trunk
    out_BHTD = attend(query, key, value, trunk, view.mask, scale, view.parts)
    return out_BHTD.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)


def attend(
    query_BHTD: torch.Tensor,
    key_BKLD: torch.Tensor,
    value_BKLD: torch.Tensor,
    trunk: Sequence[torch.Tensor],
    mask_B1TL: torch.Tensor | None,
    scale: float,
    parts: Sequence[Part] = (),
) -> torch.Tensor:
    """Attention of every query to `trunk` (keys and values [1, K, P, D], or nothing) and to its row's own keys.

    H is a multiple of K: groups of queries share a key's head. Without a mask a query sees its own row up to itself.
    """
    B, H, T, D = query_BHTD.shape
    K = key_BKLD.shape[1]
    group = H // K
    causal = mask_B1TL is None and T > 1
    if T == 1:  # a group's queries stand one after the other, as a longer row would
        query, own = query_BHTD.reshape(B, K, group, D), [key_BKLD, value_BKLD]
    else:
        query, own = query_BHTD, [_repeat(states, group) for states in (key_BKLD, value_BKLD)]
    if trunk and T > 1 and not _on_cpu(query):
        out = _side_by_side(query, own, [_repeat(states, group) for states in trunk], mask_B1TL, scale)
        return out.reshape(B, H, T, -1)
    found = [
        _partial(
            query[first:end],
            *(states[first:end, :, :columns] for states in own),
            None if mask_B1TL is None else mask_B1TL[first:end, ..., :columns],
            causal,
            scale,
            summed=bool(trunk),
        )
        for first, end, columns in parts or [(0, B, key_BKLD.shape[2])]
    ]
    near, near_sum = found[0] if len(found) == 1 else map(torch.cat, zip(*found, strict=True))
    if trunk:
        flat_1KND = query_BHTD.reshape(B, K, -1, D).transpose(0, 1).reshape(1, K, -1, D)
        far, far_sum = _partial(flat_1KND, *trunk, None, False, scale)
        far = far.reshape(K, B, -1, far.shape[-1]).transpose(0, 1).reshape(near.shape)
        far_sum = far_sum.reshape(K, B, -1).transpose(0, 1).reshape(near_sum.shape)
        near = torch.lerp(far, near, torch.sigmoid(near_sum - far_sum).to(near.dtype)[..., None])
    return near.reshape(B, H, T, -1)


def _partial(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    causal: bool,
    scale: float,
    summed: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention [B, H, T, D] and, if it is to be `summed`, the logarithm of its softmax's sum [B, H, T]."""
    if not summed:
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal, scale=scale)
        return out, out[..., 0]
    if _on_cpu(query):
        return _FLASH(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
    scores = (query @ key.transpose(-1, -2)).float() * scale
    scores = scores if mask is None else scores + mask
    total = scores.logsumexp(-1)
    return (scores - total[..., None]).exp().to(value.dtype) @ value, total


def _side_by_side(
    query: torch.Tensor,
    own: Sequence[torch.Tensor],
    trunk: Sequence[torch.Tensor],
    mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """The same over one row of trunk and own keys, where no kernel tells its softmax's sum."""
    (B, _, T, _), P = query.shape, trunk[0].shape[2]
    if mask is None:
        mask = torch.full((T, T), torch.finfo(query.dtype).min, dtype=query.dtype, device=query.device).triu(1)[
            None, None
        ]
    mask = F.pad(mask, (P, 0))
    states = [torch.cat([far.expand(B, -1, -1, -1), near], 2) for far, near in zip(trunk, own, strict=True)]
    return F.scaled_dot_product_attention(query, *states, attn_mask=mask, scale=scale)


def _repeat(states_BKLD: torch.Tensor, group: int) -> torch.Tensor:
    return states_BKLD if group == 1 else states_BKLD.repeat_interleave(group, 1)


def _on_cpu(query: torch.Tensor) -> bool:
    return _FLASH is not None and query.device.type == "cpu"


def as_mask(sees: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A boolean mask as numbers that are added to attention's scores, which is faster on a CPU."""
    return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill_(~sees, torch.finfo(dtype).min)
