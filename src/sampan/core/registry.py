"""Registries are literal tables of lazy strings: greppable, cheap to import, and a typo gets a did-you-mean."""

from __future__ import annotations

import ast
import functools
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
        found = _REVISION.search(_source(module))
        return found[1] if found else ""

    def arguments(self, name: str) -> frozenset[str]:
        """Names of the arguments of the function that is called `name`, read from its source as `revision` is; empty
        where the source does not show them."""
        node = self._definition(name)
        if not isinstance(node, ast.FunctionDef):
            return frozenset()
        given = node.args
        return frozenset(each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs))

    def keywords(self, name: str) -> dict[str, Any]:
        """What the call that makes the object called `name` is given as plain values, read from its source as
        `revision` is; a set stands in `frozenset(…)`. What is no plain value is left out."""
        node = self._definition(name)
        call = node.value if isinstance(node, ast.Assign) else None
        return _plain_keywords(call) if isinstance(call, ast.Call) else {}

    def _definition(self, name: str) -> ast.stmt | None:
        module, _, attribute = self[name].partition(":") if name in self else ("", "", "")
        return _definitions(module).get(attribute)

    def check(self, name: str, *, where: str = "") -> None:
        """RecipeError with the nearest name if there is no `name`; imports nothing."""
        if name not in self:
            raise RecipeError(f"there is no {self.what} '{name}'", where=where, how=did_you_mean(name, self))

    def load(self, name: str, *, where: str = "") -> Any:
        """Import and return the object called `name`; RecipeError with the nearest name if there is none."""
        self.check(name, where=where)
        module, _, attribute = self[name].partition(":")
        return getattr(importlib.import_module(module), attribute)


@functools.cache
def _source(module: str) -> str:
    """The text of a module that is not imported; '' where there is none."""
    spec = importlib.util.find_spec(module) if module else None
    return Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""


@functools.cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """Functions and assignments of a module's first level, by name."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node
    return found


def _plain_keywords(call: ast.Call) -> dict[str, Any]:
    found = {}
    for keyword in call.keywords:
        value = keyword.value
        is_set = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "frozenset"
        if is_set:
            value = value.args[0] if value.args else ast.Tuple([], ast.Load())
        try:
            plain = ast.literal_eval(value)
        except ValueError:
            continue
        found[keyword.arg] = frozenset(plain) if is_set else plain
    return found
