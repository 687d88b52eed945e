"""Errors a person can act on: what went wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SampanError(Exception):
    """A failure with its place and its remedy, printed as one paragraph and never as a traceback.

    `what` is a sentence, `where` a file and line, stage or option, `how` the way out.
    """

    def __init__(self, what: str, *, where: str = "", how: str = "") -> None:
        super().__init__(what, where, how)
        self.what, self.where, self.how = what, where, how

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        if not self.how:
            return head
        return f"{head} {self.how}" if head.endswith("?") else f"{head.rstrip('.')}. {self.how}"

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.how)


def _rebuild(cls: type[SampanError], what: str, where: str, how: str) -> SampanError:
    return cls(what, where=where, how=how)


class RecipeError(SampanError):
    """A recipe, or an option on the command line, says something that cannot be done."""


class InputError(SampanError):
    """A file or folder given from outside is missing, damaged or not what it claims to be."""


class StoreError(SampanError):
    """The store cannot be read, locked or written."""


class StageError(SampanError):
    """A stage started and could not finish."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest known word, or the list of known words when none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(known)}." if known else ""
