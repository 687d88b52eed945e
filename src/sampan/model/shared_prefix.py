"""Forward passes that compute what several rows begin with only once.

Rows are taken in lexicographic order, so that rows with a common beginning are neighbours. A chunk of them runs behind
its *trunk*, the beginning that all of them share: the trunk's keys and values are computed once, kept for the next
chunk and cropped or extended there. Below the trunk the rows form trees (the choices of one question, say), and a
tree's tokens are laid one after the other into a *bin*, each token seeing the trunk and its own ancestors only. Rows
that share too little for that get a bin each, which needs no mask. Memory is that of one row's keys and values and of
one chunk, however many rows there are. (A radix tree of keys and values is SGLang's idea, arXiv:2312.07104, section 3;
packing a tree under a mask is tree attention, arXiv:2305.09781.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from transformers.cache_utils import Cache

from .trunk_attention import TrunkLayer, as_mask, trunk_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BIN = 256
"""Least width of a bin in tokens: wide enough for matrix products, narrow enough that masked attention is cheap."""
SHORT = 32
"""A trunk that is this little longer than what is kept already is not worth a forward pass of its own."""
PADDED = 1.25
"""Rows that share nothing get bins of their own if padding makes them no more than this much longer together."""
PAIRS_PER_WIDTH = 2.5
"""Pairs of tokens that attention under a mask compares in vain in the time that the rest of the model takes for one
token, as a multiple of its width. Measured on a CPU core; ours."""
_SHARES: WeakKeyDictionary = WeakKeyDictionary()


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the common beginning of two rows."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # comparing slices is one call each, so bisection beats a loop over tokens
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def distinct_share(rows: Sequence[Sequence[int]]) -> float:
    """Tokens of the rows' prefix tree over tokens of the rows: 1 where nothing is shared."""
    order = sorted(rows)
    total = sum(map(len, order))
    shared = sum(common(a, b) for a, b in pairwise(order))
    return 1 - shared / max(1, total)


@dataclass
class Chunk:
    """Numbers of rows that run together, in lexicographic order, and the length of the beginning they share."""

    numbers: list[int]
    trunk: int


def chunks(
    rows: Sequence[Sequence[int]], most: Sequence[int], *, max_tokens: int, max_positions: int
) -> Iterator[Chunk]:
    """Cut the rows into chunks of at most `max_tokens` tokens below the trunk, unless a row alone is longer.

    `most` says how long a row's trunk may be: predictions after it are asked for, of which `max_positions` fit.
    """
    part: list[int] = []
    tokens = trunk = positions = 0
    for number in sorted(range(len(rows)), key=lambda n: rows[n]):
        row, asked = rows[number], len(rows[number]) - most[number]
        if part:
            shared = common(rows[part[-1]], row)
            joint = min(trunk, shared, most[number])
            if tokens + len(row) - shared - joint <= max_tokens and positions + asked <= max_positions:
                part.append(number)
                tokens, trunk, positions = tokens + len(row) - shared, joint, positions + asked
                continue
            yield Chunk(part, trunk)
        part, tokens, trunk, positions = [number], len(row), most[number], asked
    if part:
        yield Chunk(part, trunk)


def families(rows: Sequence[Sequence[int]], least: int) -> list[list[int]]:
    """Numbers of rows that begin alike, family by family, and last of those that are in none.

    A family has at least `least` rows and begins with a number of tokens, at least SHORT, that is chosen once for all
    families: the one at which they share most. All rows are one family if that is less than a quarter of their tokens.
    """
    order = sorted(range(len(rows)), key=lambda n: rows[n])
    links = [common(rows[a], rows[b]) for a, b in pairwise(order)]
    best, begins = sum(map(len, rows)) / 4, None
    lengths = sorted({link for link in links if link >= SHORT})
    for length in lengths[:: 1 + len(lengths) // 64]:
        runs = _runs(links, length)
        gain = length * sum(end - first for first, end in runs if end - first >= least)
        if gain > best:
            best, begins = gain, runs
    if begins is None:
        return [order]
    found = [order[first:end] for first, end in begins if end - first >= least]
    rest = [n for first, end in begins if end - first < least for n in order[first:end]]
    return [*found, rest] if rest else found


def _runs(links: Sequence[int], length: int) -> list[tuple[int, int]]:
    """(first, end) of every run of rows of which neighbours share at least `length` tokens."""
    cuts = [0, *(n + 1 for n, link in enumerate(links) if link < length), len(links) + 1]
    return list(pairwise(cuts))


def by_length(rows: Sequence[Sequence[int]], trunk: int, *, max_tokens: int) -> Iterator[Chunk]:
    """Cut rows that share the trunk and little else into chunks of similar length, padded to at most `max_tokens`."""
    part: list[int] = []
    for number in sorted(range(len(rows)), key=lambda n: -len(rows[n])):
        if part and (len(part) + 1) * (len(rows[part[0]]) - trunk) > max_tokens:
            yield Chunk(part, trunk)
            part = []
        part.append(number)
    if part:
        yield Chunk(part, trunk)


class TreeLayer(TrunkLayer):
    """One layer's keys and values: the trunk's, which stand before every bin's own, and the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        self.newest = [key_states, value_states]
        return key_states, value_states


@dataclass
class Layout:
    """Where the tokens of a chunk's rows lie: `ids` and `positions` per bin, and each row's bin and places in it."""

    ids: list[list[int]] = field(default_factory=list)
    positions: list[list[int]] = field(default_factory=list)
    spans: list[list[tuple[int, int, int]]] = field(default_factory=list)
    """(first, end, parent) of every run of tokens in a bin: each token sees its run up to itself and what the run's
    parent sees; the parent is -1 at the trunk."""
    paths: list[tuple[int, list[int]]] = field(default_factory=list)


def lay_out(rows: Sequence[Sequence[int]], trunk: int, pairs_per_token: float) -> Layout:
    """Put the rows, less the first `trunk` tokens, into bins; a tree is never cut.

    A row joins its neighbour's tree where that saves time: its tokens and the tree's are compared in vain, and a token
    computed once more costs as much as `pairs_per_token` such comparisons.
    """
    trees: list[list[int]] = []
    sizes: list[int] = []
    for n, row in enumerate(rows):
        shared = max(trunk, common(rows[n - 1], row)) if n else trunk
        new = len(row) - shared
        if n and (shared - trunk) * pairs_per_token > 2 * new * max(0, sizes[-1] + new - BIN):
            trees[-1].append(n)
            sizes[-1] += new
        else:
            trees.append([n])
            sizes.append(len(row) - trunk)
    width, layout, room = max(BIN, *sizes), Layout(), 0
    alone = len(trees) == len(rows) and len(rows) * max(sizes) <= PADDED * sum(sizes)
    if alone:  # of about the same length: one bin each, which needs no mask
        width = max(sizes)
    for tree, size in zip(trees, sizes, strict=True):
        if alone or size > room:
            for part in (layout.ids, layout.positions, layout.spans):
                part.append([])
            room = width
        room -= size
        _plant(layout, rows, tree, trunk)
    return layout


def _plant(layout: Layout, rows: Sequence[Sequence[int]], tree: list[int], trunk: int) -> None:
    ids, positions, spans = layout.ids[-1], layout.positions[-1], layout.spans[-1]
    path: list[int] = []
    for n in tree:
        row, shared = rows[n], 0
        if n != tree[0]:
            shared = common(rows[n - 1], row) - trunk
        first, new = len(ids), row[trunk + shared :]
        path = path[:shared] + list(range(first, first + len(new)))
        if new:
            spans.append((first, first + len(new), path[shared - 1] if shared else -1))
            ids.extend(new)
            positions.extend(range(trunk + shared, len(row)))
        layout.paths.append((len(layout.ids) - 1, path))


class SharedPrefix:
    """Runs chunks one after the other on a model, keeping the trunk between them."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        config = model.config.get_text_config()
        self.cache = Cache(layers=[TreeLayer() for _ in range(config.num_hidden_layers)])
        self.pairs_per_token = PAIRS_PER_WIDTH * config.hidden_size
        self.kept: list[int] = []

    def run(
        self,
        rows: Sequence[list[int]],
        trunk: int,
        wanted: Callable[[int], range],
        *,
        max_tokens: int,
    ) -> tuple[torch.Tensor, Layout, int]:
        """Logits [N, V] at the positions `wanted(n)` (not before the trunk) of each sorted row, row after row;
        how the rows were laid out; and the trunk that was really used."""
        trunk = self.keep(rows[0], trunk, max_tokens)
        layout = lay_out(rows, trunk, self.pairs_per_token)
        width = max(map(len, layout.ids))
        flat = [
            bin_ * width + path[position - trunk]
            for n, (bin_, path) in enumerate(layout.paths)
            for position in wanted(n)
        ]
        return self._forward(layout, width, flat), layout, trunk

    def row_states(self, layout: Layout, number: int, start: int = 0) -> list[list[torch.Tensor]]:
        """Per layer, keys and values [1, K, T, D] of a row of the chunk that ran last, from position `start` of the
        trunk on."""
        bin_, path = layout.paths[number]
        plain = path == list(range(path[0], path[0] + len(path)))
        index = torch.tensor(path, device=self.model.device)
        found = []
        for layer in self.cache.layers:
            own = [
                states[bin_ : bin_ + 1, :, path[0] : path[0] + len(path)] if plain
                else states[bin_ : bin_ + 1].index_select(2, index)
                for states in layer.newest
            ]  # fmt: skip
            found.append([torch.cat([far[:, :, start:], near], 2) for far, near in zip(layer.trunk, own, strict=True)]
                         if layer.trunk and layer.trunk[0].shape[2] > start else own)  # fmt: skip
        return found

    def forget_newest(self) -> None:
        """Free what the last chunk left beside the trunk."""
        for layer in self.cache.layers:
            layer.newest = []

    def keep(self, row: list[int], trunk: int, max_tokens: int) -> int:
        """Make the first `trunk` tokens of `row` (or what is kept of them, if little is missing) the trunk; returns its
        length."""
        have = min(common(self.kept, row), trunk)
        if trunk - have < SHORT:
            trunk = have if have >= SHORT else 0
        self._crop(min(have, trunk))
        for start in range(len(self.kept), trunk, max_tokens):
            part = row[start : min(trunk, start + max_tokens)]
            layout = Layout([part], [list(range(start, start + len(part)))], [[(0, len(part), -1)]])
            self._forward(layout, len(part), [len(part) - 1])
            for layer in self.cache.layers:
                pairs = zip(layer.trunk, layer.newest, strict=True) if layer.trunk else ()
                layer.trunk = [torch.cat(pair, 2) for pair in pairs] or layer.newest
            self.kept = row[: start + len(part)]
        return trunk

    def _crop(self, length: int) -> None:
        if length < len(self.kept):
            for layer in self.cache.layers:
                layer.trunk = [states[:, :, :length].contiguous() for states in layer.trunk] if length else []
            self.kept = self.kept[:length]

    def _forward(self, layout: Layout, width: int, flat: list[int]) -> torch.Tensor:
        device = self.model.device
        ids_BT = torch.tensor([row + [0] * (width - len(row)) for row in layout.ids], device=device)
        at_BT = torch.tensor([row + [0] * (width - len(row)) for row in layout.positions], device=device)
        mask = _mask(layout, width)
        mask = mask if mask is None else as_mask(mask.to(device), self.model.dtype)
        with head_rows(self.model, flat), trunk_attention(self.model, self.cache.layers, mask):
            return self.model(input_ids=ids_BT, position_ids=at_BT, past_key_values=self.cache, use_cache=True).logits[
                0
            ]


def _mask(layout: Layout, width: int) -> torch.Tensor | None:
    """[B, 1, T, T]: what each token sees of its bin, None if that is all before it. Padding sees itself, so that its
    softmax is defined."""
    if all(len(spans) == 1 for spans in layout.spans):
        return None
    sees = torch.eye(width, dtype=torch.bool).repeat(len(layout.ids), 1, 1)
    below = torch.ones(width, width, dtype=torch.bool).tril()
    for b, spans in enumerate(layout.spans):
        for first, end, parent in spans:
            sees[b, first:end, first:end] = below[: end - first, : end - first]
            if parent >= 0:
                sees[b, first:end, :first] = sees[b, parent, :first]
    return sees[:, None]


@contextmanager
def head_rows(model: PreTrainedModel, flat: Sequence[int]):
    """Within it, a forward pass gives logits [1, N, V] of the N places `flat` (row · width + column) only."""

    def pick(module, inputs):
        states = inputs[0]
        index = torch.tensor(flat, device=states.device)
        return (states.reshape(-1, states.shape[-1]).index_select(0, index)[None], *inputs[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def can_share(model: PreTrainedModel) -> bool:
    """Whether the model attends to all tokens before, by position ids and a mask of our own; tried out once per model.

    Sliding windows, state-space layers and positions that follow from a padding mask do not; they take the plain way.
    """
    if model not in _SHARES:
        _SHARES[model] = _full_attention(model) and _agrees(model)
    return _SHARES[model]


def _full_attention(model: PreTrainedModel) -> bool:
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    return (
        kinds <= {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and getattr(config, "_attn_implementation", "") in ("sdpa", "eager")
        and model.get_output_embeddings() is not None
    )


@torch.inference_mode()
def _agrees(model: PreTrainedModel) -> bool:
    """Two rows behind a trunk get the logits that each gets alone."""
    step = max(1, model.config.get_text_config().vocab_size // 50)
    stem = [step * (n % 48) for n in range(1, SHORT + 9)]
    rows = [[*stem, 0, step], [*stem, step, 0, 2 * step]]
    if max(map(len, rows)) > getattr(model.config, "max_position_embeddings", 0):
        return False
    try:
        shared = SharedPrefix(model)
        got_NV, *_ = shared.run(rows, SHORT + 4, lambda n: range(len(rows[n]) - 1, len(rows[n])), max_tokens=64)
        alone = [model(input_ids=torch.tensor([row], device=model.device)).logits[0, -1] for row in rows]
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, NotImplementedError):
        return False  # an architecture that does not take our mask or cache, in its own way: it runs in padded batches
    want_NV = torch.stack(alone).float()
    allowed = (1e-3 if model.dtype == torch.float32 else 5e-2) * want_NV.abs().max()
    return bool((got_NV.float() - want_NV).abs().max() <= allowed)
