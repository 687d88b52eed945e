"""YAML with line numbers: plain values, and the line of every key, so that an error can name its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import RecipeError

Lines = dict[tuple[str, ...], int]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2's view of numbers and booleans: `200e9` is a number, `no` and `off` are words."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, forms in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|false|False"), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def parse(text: str, name: str) -> tuple[Any, Lines]:
    """The document's value and the line (from 1) of each key by its path; RecipeError names the line of bad YAML."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: Lines = {}
            if node is not None:
                _walk(node, (), lines, name)
            return (loader.construct_document(node) if node is not None else None), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line + 1
        raise RecipeError(f"not valid YAML ({error.problem or error.context})", where=f"{name}:{line}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"not valid YAML ({str(error).splitlines()[0]})", where=name) from None


def parse_value(text: str, *, where: str) -> Any:
    """One value as it would be read in a recipe; used for `--set` and `--with`."""
    return parse(text, where)[0]


def read(path: Path) -> tuple[Any, Lines]:
    """Parse a file; RecipeError if it is missing or not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError("no such recipe", where=str(path), how="Start one with `sampan new NAME`.") from None
    except IsADirectoryError:
        raise RecipeError("this is a folder, not a recipe", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"not UTF-8 text (byte {error.start})", where=str(path)) from None
    return parse(text, str(path))


def _walk(node: yaml.Node, path: tuple[str, ...], lines: Lines, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                raise RecipeError(
                    f"'{key.value}' is given twice, first on line {lines[here]}",
                    where=f"{name}:{key.start_mark.line + 1}",
                )
            lines[here] = key.start_mark.line + 1
            _walk(value, here, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _walk(value, (*path, str(number)), lines, name)
