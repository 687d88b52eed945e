"""The pieces of any step of a run, as a pure function of seed, step and mixture: resuming is asking for another step.

Every stream (a language of one `tokens` input) is an endless line of tokens: its documents in a seeded order, again in
another order for each epoch. The mixture says which span of that line a step takes. Documents are cut only at the two
ends of a span and where they are longer than the context.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..artifacts.tokens import TokenShards
from ..core.errors import StageError
from .mixture import Mixture
from .packing import IGNORE, Piece


def permutation(count: int, *key: int | str) -> np.ndarray:
    """A pseudo-random order of `count` things, decided by the key alone."""
    seed = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(seed[:16], "little"))).permutation(count)


class Stream:
    """One stream's documents as an endless line of tokens."""

    def __init__(self, shards: TokenShards, language: str, *, name: str, seed: int) -> None:
        self._shards, self.name, self._seed = shards, name, seed
        members = np.flatnonzero(shards.streams == shards.stream_names.index(language))
        sizes = shards.offsets[members + 1] - shards.offsets[members]
        self._members, self._sizes = members[sizes > 0], sizes[sizes > 0]
        self.tokens = int(self._sizes.sum())
        self._orders: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Documents of an epoch in order, and where each begins (with the epoch's end as a last entry)."""
        if epoch not in self._orders:
            order = permutation(len(self._members), "stream", self._seed, self.name, epoch)
            starts = np.concatenate([[0], np.cumsum(self._sizes[order])])
            self._orders[epoch] = (self._members[order], starts)
            while len(self._orders) > 2:  # a span touches two epochs at most, unless the stream is tiny
                self._orders.popitem(last=False)
        return self._orders[epoch]

    def pieces(self, start: int, end: int, *, context_len: int, source: int) -> Iterator[Piece]:
        """Everything between two places of the line, in pieces of at most `context_len`; StageError for an id that the
        vocabulary does not have, which would read another's memory on a GPU."""
        for document, low, high in self._documents(start, end):
            ids, mask = self._shards.document(document)
            if int(ids[low:high].max()) >= self._shards.index["vocab_size"]:
                raise StageError(
                    f"document {document} of stream {self.name} has ids that the vocabulary has no row for",
                    how="The packed tokens are damaged: delete them and pack the documents again.",
                )
            for first in range(low, high, context_len):
                yield _piece(ids, mask, first, min(first + context_len, high), source)

    def _documents(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(document, from, to) of the documents, or parts of them, between two places of the line."""
        while start < end:
            epoch, offset = divmod(start, self.tokens)
            documents, starts = self._order(epoch)
            at = int(np.searchsorted(starts, offset, "right")) - 1
            while start < end and at < len(documents):
                low = offset - int(starts[at])
                high = min(int(starts[at + 1] - starts[at]), low + end - start)
                yield int(documents[at]), low, high
                start, offset, at = start + high - low, offset + high - low, at + 1


def _piece(ids: np.ndarray, mask: np.ndarray, start: int, end: int, source: int) -> Piece:
    """A document's tokens from `start` to `end`. The last one's label is the document's next token even where that
    token begins another piece, so that every token but a document's first is predicted once in an epoch."""
    labels = np.full(end - start, IGNORE, np.int64)
    following = ids[start + 1 : end + 1]
    labels[: len(following)] = np.where(mask[start + 1 : end + 1], following, IGNORE)
    return Piece(ids[start:end], labels, source)


class ShardBatches:
    """Steps of pre-training, each of exactly the mixture's tokens_per_step tokens; the last of them of `short` less."""

    unit = "tokens"

    def __init__(
        self,
        streams: Sequence[Stream],
        mixture: Mixture,
        *,
        steps: int,
        context_len: int,
        short: int = 0,
        first: int = 0,
    ) -> None:
        """`first`: steps of the mixture that were made before this run."""
        self._first = first
        self._streams, self._mixture, self._context, self._short = streams, mixture, context_len, short
        self.steps, self.names = steps, [stream.name for stream in streams]
        self.tokens = steps * mixture.tokens_per_step - short

    def at(self, step: int) -> list[Piece]:
        """The pieces of one step."""
        place = self._first + step
        before = self._mixture.before(place)
        after = self._mixture.before(place + 1, short=self._short if step + 1 == self.steps else 0)
        return [
            piece
            for number, stream in enumerate(self._streams)
            for piece in stream.pieces(before[number], after[number], context_len=self._context, source=number)
        ]


class ListBatches:
    """Steps over a list of examples, each of one or more pieces that stay whole and together.

    Every epoch has a seeded order of its own and is divided into steps of about equal size, none of them much above
    `budget` (in the unit of `sizes`). The last epoch may be a part of one. `lengths` are the tokens of each example,
    where they are not its size.
    """

    def __init__(
        self,
        examples: Sequence[Sequence[Piece]],
        sizes: Sequence[int],
        *,
        budget: int,
        epochs: float,
        seed: int,
        names: Sequence[str],
        unit: str,
        lengths: Sequence[int] | None = None,
    ) -> None:
        self._examples, self.unit, self.names = examples, unit, list(names)
        self._plan: list[np.ndarray] = []
        left = max(1, round(epochs * len(examples)))
        epoch, self.tokens = 0, 0
        while left > 0:
            order = permutation(len(examples), "list", seed, epoch)[:left]
            size = np.asarray(sizes, np.int64)[order]
            ends = np.cumsum(size)
            count = -(-int(ends[-1]) // budget)
            step = (2 * ends - size) * count // (2 * int(ends[-1]))  # where the example's middle falls: never back
            self.tokens += int((size if lengths is None else np.asarray(lengths, np.int64)[order]).sum())
            order = order.astype(np.uint32)
            self._plan += np.split(order, np.flatnonzero(np.diff(step)) + 1)
            left, epoch = left - len(order), epoch + 1
        self.steps = len(self._plan)

    def at(self, step: int) -> list[Piece]:
        """The pieces of one step; their `group` is the example's number."""
        return [replace(piece, group=int(number)) for number in self._plan[step] for piece in self._examples[number]]


def count_units(pieces: Sequence[Piece], unit: str) -> int:
    """What the loss of a step is divided by: its trained tokens, or its pairs."""
    return sum(piece.trained for piece in pieces) if unit == "tokens" else len({piece.group for piece in pieces})
