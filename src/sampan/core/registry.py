"""Registries are literal tables of lazy strings: greppable, cheap to import, and a typo gets a did-you-mean."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .errors import RecipeError, did_you_mean

_REVISION = re.compile(r"^REVISION = (\d+)$", re.MULTILINE)


class Registry(Mapping[str, str]):
    """Names to `package.module:attribute`, loaded only when asked for.

    `group` names the entry-point group in which other packages may add their own.
    """

    def __init__(self, what: str, table: Mapping[str, str], *, group: str | None = None) -> None:
        self.what, self._table, self._group = what, dict(table), group

    def __getitem__(self, name: str) -> str:
        if name in self._table:
            return self._table[name]
        for entry in self._outside():
            if entry.name == name:
                return entry.value
        raise KeyError(name)

    def _outside(self):
        return entry_points(group=self._group) if self._group else ()

    def __iter__(self) -> Iterator[str]:
        yield from self._table
        yield from (entry.name for entry in self._outside() if entry.name not in self._table)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def revision(self, name: str) -> str:
        """The `REVISION = N` that the entry's module declares, read from its source: `plan` must not import it."""
        module = self[name].partition(":")[0] if name in self else ""
        spec = importlib.util.find_spec(module) if module else None
        found = _REVISION.search(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else None
        return found[1] if found else ""

    def check(self, name: str, *, where: str = "") -> None:
        """RecipeError with the nearest name if there is no `name`; imports nothing."""
        if name not in self:
            raise RecipeError(f"there is no {self.what} '{name}'", where=where, how=did_you_mean(name, self))

    def load(self, name: str, *, where: str = "") -> Any:
        """Import and return the object called `name`; RecipeError with the nearest name if there is none."""
        self.check(name, where=where)
        module, _, attribute = self[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
