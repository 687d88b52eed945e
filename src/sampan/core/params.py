"""Typed parameters: frozen dataclasses whose fields are documented by the string below them."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

from .errors import RecipeError, SampanError, did_you_mean

T = TypeVar("T")
MISSING = dataclasses.MISSING


@dataclass_transform(frozen_default=True, kw_only_default=True)
def params(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only dataclass that refuses unknown keys when it is parsed."""
    cls.__pydantic_config__ = {"extra": "forbid"}
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


@params
class NoParams:
    """For stages with nothing to set."""


@functools.cache
def _adapter(cls: type):
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def parse_params(cls: type[T], given: Mapping[str, Any] | None, *, where: str, how: str = "") -> T:
    """Validate `given` as `cls`; a misspelt or ill-typed key is a RecipeError that names it.

    `where` is the place to show the user, such as `recipes/x.yaml:12, stage 'cpt'`; `how` is where to read more.
    """
    from pydantic import ValidationError

    try:
        return _adapter(cls).validate_python(dict(given or {}))
    except ValidationError as error:
        raise RecipeError(_explain(cls, error), where=where, how=how) from None
    except SampanError as error:  # of a `__post_init__`, which names the parameter
        what = f"{error.where}: {error.what}" if error.where else error.what
        raise RecipeError(what, where=where, how=error.how or how) from None


def _explain(cls: type, error: Any) -> str:
    known = [f.name for f in dataclasses.fields(cls)]
    says = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            says.append(f"there is no parameter '{name}'. {did_you_mean(name, known)}")
        elif item["type"] in ("missing", "missing_argument"):
            says.append(f"parameter '{name}' is required")
        elif not name:  # a `__post_init__`, which says what is wrong with which parameter
            says.append(item["msg"].removeprefix("Value error, "))
        else:
            says.append(f"parameter '{name}' = {item.get('input')!r}: {item['msg']}")
    return "; ".join(says)


def all_values(value: Any) -> dict[str, Any]:
    """Every field with its value, defaults filled in, as plain JSON values."""
    return _adapter(type(value)).dump_python(value, mode="json")


def non_default(value: Any) -> dict[str, Any]:
    """The fields that differ from their defaults: the only ones that enter a stage's key."""
    full = all_values(value)
    out = {}
    for field in dataclasses.fields(value):
        current = getattr(value, field.name)
        if field.default is not MISSING:
            same = current == field.default and isinstance(current, bool) is isinstance(field.default, bool)
        elif field.default_factory is not MISSING:
            same = current == field.default_factory()
        else:
            same = False
        if not same:
            out[field.name] = full[field.name]
    return out


def describe(cls: type) -> list[dict[str, str]]:
    """Name, type, default and doc of every field, for --help, the reference and the golden schemas."""
    docs = field_docs(cls)
    rows = []
    for field in dataclasses.fields(cls):
        if field.default is not MISSING:
            default = repr(field.default)
        elif field.default_factory is not MISSING:
            default = repr(field.default_factory())
        else:
            default = "required"
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        rows.append({"name": field.name, "type": kind, "default": default, "doc": docs.get(field.name, "")})
    return rows


def field_docs(cls: type) -> dict[str, str]:
    """The string literal below each annotated field of a dataclass and of the classes it builds on, by field name."""
    docs: dict[str, str] = {}
    for owner in reversed(cls.__mro__[:-1]):
        docs |= _own_field_docs(owner)
    return docs


def _own_field_docs(cls: type) -> dict[str, str]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    except (OSError, TypeError):
        return {}
    docs = {}
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            docs[node.target.id] = inspect.cleandoc(str(after.value.value))
    return docs
