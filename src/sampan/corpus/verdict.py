"""What a filter answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Kept, or dropped for a reason. It has no truth value, so that a test cannot pass by accident: read `.kept`."""

    kept: bool
    reason: str = ""

    def __bool__(self) -> bool:
        raise TypeError("a Verdict has no truth value; read .kept or .reason")


KEEP = Verdict(True)


def drop(reason: str) -> Verdict:
    """A verdict against a document; `reason` is a short stable name such as `too_short`."""
    return Verdict(False, reason)
