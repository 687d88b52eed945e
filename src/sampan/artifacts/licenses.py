"""The licences of the rows that a stage reads: rows from outside bring theirs with them, and no manifest names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class Licensed(Protocol):
    license: str


Row = TypeVar("Row", bound=Licensed)


def noting_licenses(rows: Iterable[Row], found: set[str]) -> Iterator[Row]:
    """The rows as they are; the licence of each one that has passed is added to `found`."""
    for row in rows:
        if row.license:
            found.add(row.license)
        yield row
