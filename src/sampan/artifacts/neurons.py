"""Neurons of a language: rows and columns of a model's matrices, by parameter name, in `neurons.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.stage import Artifact

FILE = "neurons.json"


@dataclass(frozen=True)
class Neurons:
    """`rows` and `columns` list what belongs to `language`, by the name of the matrix."""

    language: str
    rows: Mapping[str, Sequence[int]]
    columns: Mapping[str, Sequence[int]]


def write_neurons(folder: Path, neurons: Neurons) -> None:
    value = {"format": 1, "language": neurons.language, "rows": neurons.rows, "columns": neurons.columns}
    (folder / FILE).write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_neurons(source: Artifact | Path) -> Neurons:
    """InputError if the folder has no list of neurons."""
    path = (source.path if isinstance(source, Artifact) else source) / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Neurons(value["language"], value["rows"], value["columns"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            "this is no list of neurons", where=str(path), how="Make one with the stage train.find_neurons."
        ) from None
