"""Reading the tables that version 1.0 keeps in Python files, without running them.

Each metric class there sets `self.NAME = {language: value, …}[lang]`, with literals only.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from ...core.errors import InputError


def class_tables(file: Path, name: str) -> dict[str, dict[str, Any]]:
    """The tables by language of the class `name`, by attribute. InputError if the file or the class is not there."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"the task's metric file cannot be read ({error})",
            where=str(file),
            how="Give a whole copy of the repository, at the tag that the profile names.",
        ) from None
    found = next((node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        raise InputError(f"there is no class '{name}' in this file", where=str(file))
    tables = {}
    for node in ast.walk(found):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)):
            continue
        target = node.targets[0]
        if isinstance(target, ast.Attribute) and isinstance(node.value.value, ast.Dict):
            try:
                tables[target.attr] = ast.literal_eval(node.value.value)
            except ValueError:
                continue  # a table of functions
    return tables
