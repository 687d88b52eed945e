"""What is known of an input before anything is built: what forecasts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import InputError
from ..core.stage import Artifact
from ..store.outside import input_bytes

MEASURED = ("documents", "text_bytes", "tokens", "parameters", "vocab_size")
"""Metrics of a stage that later stages forecast from."""


def of_outside(artifact: Artifact) -> dict[str, Any]:
    """Of a file or folder from outside: its bytes and `path`, the parameters of a model, and what its stage measured
    where Sampan made it."""
    size = input_bytes(artifact)
    facts: dict[str, Any] = {"text_bytes": size, "disk_bytes": size, "path": str(artifact.path)}
    if parameters := _parameters(artifact):
        facts["parameters"] = parameters
    return {**facts, **of_manifest(artifact.manifest)}


def of_manifest(manifest: Mapping[str, Any]) -> dict[str, float]:
    """What the stage that made an artifact measured of it."""
    metrics = manifest.get("metrics") or {}
    return {fact: metrics[fact] for fact in MEASURED if isinstance(metrics.get(fact), int | float)}


def _parameters(artifact: Artifact) -> int:
    """Elements of a model folder's tensors, by their headers; 0 for anything else, and for a damaged one, which the
    stage that reads it will refuse."""
    if not any(artifact.path.glob("*.safetensors")):
        return 0
    from ..model.tensors import TensorFolder

    try:
        with TensorFolder(artifact.path) as tensors:
            return sum(info.size for info in tensors.values())
    except (InputError, OSError):
        return 0
