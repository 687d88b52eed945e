"""Which document of a set stays: an order of documents by quality, source and length, then by their content alone.

The order is two 64-bit numbers, `order` and `tie`, the smaller first. Where a document stands in the input never
counts, so shuffled input, other shards and other numbers of workers keep the same documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..artifacts.documents import Document

NEW = 1 << 63
"""Set in the `order` of the documents to deduplicate, not in that of an earlier corpus, which therefore comes first."""
_BLANKS = " \n\t\r\u00a0\u3000"
_WIDTHS = {"quality": 8, "source": 16, "length": 32}
_POLICIES = {
    "longest": ("length", "quality", "source"),
    "quality": ("quality", "length", "source"),
    "first_source": ("source", "quality", "length"),
}


def ranking(params: Any, *, earlier: bool) -> Callable[[Document, int], tuple[int, int]]:
    """A function (document, number of its input) -> (order, tie), by `params.keep`."""
    qualities = {name: place for place, name in enumerate(params.quality_order)}
    sources = {name: place for place, name in enumerate(params.source_order)}
    fields = _POLICIES[params.keep]

    def rank(document: Document, number: int) -> tuple[int, int]:
        length = len(document.text) - sum(map(document.text.count, _BLANKS))
        values = {
            "quality": qualities.get(document.quality, len(qualities)),
            "source": sources.get(document.source, len(sources) + number),
            "length": (1 << 32) - 1 - length,
        }
        order = 0 if earlier else 1
        for name in fields:
            order = order << _WIDTHS[name] | max(0, min(values[name], (1 << _WIDTHS[name]) - 1))
        return order << 63 - sum(_WIDTHS.values()), content_number(document)

    return rank


def content_number(document: Document) -> int:
    """64 bits: the upper half tells of the row but for its id, the lower of the id.

    In files without ids the id is the place, which must not decide between different texts.
    """
    row = document.row()
    name = row.pop("id")
    return _half("\0".join(row.values())) << 32 | _half(name)


def _half(text: str) -> int:
    encoded = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=4).digest(), "little")


def best_of_groups(records: np.ndarray, group: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For N records with `order`, `tie` and `at`: (sorted [N], first [N], starts [G]).

    `sorted` are places that bring equal values of the fields `group` together, the best of each group first;
    `first[k]` is the place in `records` of the best of the group of `sorted[k]`; group g begins at `starts[g]`.
    """
    sorted_N = np.lexsort([records[name] for name in ("at", "tie", "order", *reversed(group))])
    new_N = np.ones(len(records), bool)
    if len(records) > 1:
        new_N[1:] = False
        for name in group:
            values = records[name][sorted_N]
            new_N[1:] |= values[1:] != values[:-1]
    starts_G = np.flatnonzero(new_N)
    sizes_G = np.diff(np.append(starts_G, len(records)))
    return sorted_N, np.repeat(sorted_N[starts_G], sizes_G), starts_G
