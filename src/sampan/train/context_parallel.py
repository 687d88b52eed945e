"""Context parallelism: processes that compute the same micro-batch, each with a cut of its tokens, so that documents
may be longer than one device has memory for.

Everything but attention looks at one token. For attention every process gathers keys and values of all tokens, which
are narrow beside what else a block keeps (Llama 3, arXiv:2407.21783 §3.3.2), and asks for its own tokens only; so any
kernel that keeps documents apart does so here. The tokens are divided into 2N equal cuts, of which process n has
the n-th and the n-th from the end: a causal token costs the more the later it comes.

Shapes: T tokens of a micro-batch, t of them in this process, B rows of keys, K key-value heads, D head width, N scored
tokens, n of them in this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist

from .packing import Layout, MicroBatch
from .shared_prompt import Tails

if TYPE_CHECKING:
    from .distributed import World


def cut_rows(count: int, size: int) -> np.ndarray:
    """The rows [size, t] that each of `size` processes has of `count` tokens: two cuts of equal width. Those beyond the
    last token fill up the last cut."""
    width = -(-count // (2 * size))
    cuts = np.arange(2 * size * width).reshape(2 * size, width)
    return np.concatenate([cuts[:size], cuts[: size - 1 : -1]], 1)


def share_rows(batch: MicroBatch, context: World) -> tuple[MicroBatch, torch.Tensor]:
    """The batch with this process's cuts of its tokens, and the places [n] of its scored tokens among all of them.

    All processes have equally many tokens: what fills up the last cut is scored and seen by nobody.
    """
    device, count = batch.ids_T.device, len(batch.ids_T)
    rows = cut_rows(count, context.size)
    own = rows[context.rank]
    real_t = torch.from_numpy(np.minimum(own, count - 1)).to(device)
    local_T = np.full(rows.size, -1)
    local_T[own] = np.arange(len(own))
    index_N = torch.from_numpy(local_T).to(device)[batch.index_N]
    places_n = (index_N >= 0).nonzero()[:, 0]
    mine = replace(
        batch,
        ids_T=batch.ids_T[real_t],
        positions_T=batch.positions_T[real_t],
        index_N=index_N[places_n],
        labels_N=batch.labels_N[places_n],
        piece_N=batch.piece_N[places_n],
        layout=_layout(batch.layout, rows, context),
    )
    return mine, places_n


def _layout(layout: Layout, rows: np.ndarray, context: World) -> Layout:
    """What this process's tokens see: of every piece that they cut, its beginning, and themselves."""
    before, own = [], []
    for cut in np.split(rows[context.rank], 2):
        for seen, shared in _pieces(layout, rows.size):
            begin = int(seen[shared])
            low, high = max(int(cut[0]), begin) - begin, min(int(cut[-1]) + 1, begin + len(seen) - shared) - begin
            if low < high:
                before.append(seen[: shared + low])
                own.append(seen[shared + low : shared + high])
    known = [len(some) for some in before]
    starts = np.cumsum([sum(known), *map(len, own)])
    place = np.empty(rows.size, np.int64)  # of each token, when all processes' tokens follow each other
    place[rows.ravel()] = np.arange(rows.size)
    tails = Tails(np.cumsum([0, *known])[:-1], known, starts, layout.device)
    mine = Layout((), layout.device, tails=tails)
    mine.keys = KeyRows(torch.from_numpy(place[np.concatenate([*before, *own])]).to(layout.device), context)
    return mine


def _pieces(layout: Layout, end: int) -> Iterator[tuple[np.ndarray, int]]:
    """The rows of every piece, in the order in which their own lie, and how many of them are another's; what fills up
    the last cut, as far as `end`, is a piece too."""
    for first, after in zip(layout.starts[:-1], layout.starts[1:], strict=True):
        yield np.arange(first, after), 0
    last = layout.tokens
    if layout.tails is not None:
        for prompt, width, own in zip(layout.tails.prompts, layout.tails.widths, layout.tails.own, strict=True):
            yield np.concatenate([np.arange(prompt, prompt + width - own), np.arange(last, last + own)]), width - own
            last += own
    if last < end:
        yield np.arange(last, end), 0


@dataclass(frozen=True)
class KeyRows:
    """Keys and values that a process's tokens see: `rows_B` of those that all processes have, one after the other."""

    rows_B: torch.Tensor
    context: World

    def gather(self, key_tKD: torch.Tensor, value_tKD: torch.Tensor) -> list[torch.Tensor]:
        """Keys and values [B, K, D], from this process's; every process must ask at the same time."""
        sides = torch.cat([key_tKD, value_tKD], -1)
        found = _All.apply(sides, self.context).index_select(0, self.rows_B)
        return list(found.split([key_tKD.shape[-1], value_tKD.shape[-1]], -1))


class _All(torch.autograd.Function):
    """What all processes have, one after the other; a gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(ctx, own_tKD, context):
        ctx.context = context
        out = own_tKD.new_empty(context.size * len(own_tKD), *own_tKD.shape[1:])
        dist.all_gather_into_tensor(out, own_tKD.contiguous(), group=context.group)
        return out

    @staticmethod
    def backward(ctx, grad):
        own = grad.new_empty(len(grad) // ctx.context.size, *grad.shape[1:])
        dist.reduce_scatter_tensor(own, grad.contiguous(), group=ctx.context.group)
        return own, None
