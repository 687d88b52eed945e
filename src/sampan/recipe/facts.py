"""What is known of an input before anything is built: what forecasts are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import InputError
from ..core.stage import Artifact
from ..store.outside import input_bytes
from .given import MODEL, Given

MEASURED = ("documents", "text_bytes", "tokens", "parameters", "vocab_size")
"""Metrics of a stage that later stages forecast from."""


TEXTS = ("documents", "conversations", "preferences")
"""Kinds whose tokens and documents are those of their inputs, less what a stage says that it takes away."""


def carried(kind: str, known: Mapping[str, Sequence[Mapping[str, Any]]], estimate: Mapping[str, float]) -> dict:
    """Facts that pass from inputs to what a stage of this output kind makes, where its forecast does not say: the shape
    of a model, and the tokens and documents of text that were given with an input, in proportion to its bytes."""
    if kind == "checkpoint":
        facts = [fact for role in ("base", "model", "models", "files") for fact in known.get(role, [])]
        first = next((fact for fact in facts if "hidden_size" in fact), {})
        return {name: first[name] for name in MODEL if name in first}
    read = [fact for role in ("files", "documents", "conversations") for fact in known.get(role, [])]
    if kind not in TEXTS or not read or not all("tokens" in fact for fact in read):
        return {}
    size = sum(fact.get("text_bytes", 0) for fact in read)
    share = min(1.0, (estimate.get("text_bytes") or size) / size) if size else 1.0
    out = {"tokens": share * sum(fact["tokens"] for fact in read)}
    documents = sum(fact.get("documents", 0) for fact in read)
    return {**out, "documents": share * documents} if documents else out


def of_input(given: Given, artifact: Artifact | None) -> dict[str, Any]:
    """Of an input: what is measured of it where it is here, and else what the recipe says of it."""
    if artifact is None or not artifact.path.exists():
        return given.forecast()
    return of_outside(artifact)


def of_outside(artifact: Artifact) -> dict[str, Any]:
    """Of a file or folder from outside: its bytes and `path`, size and shape of a model, and what its stage measured
    where Sampan made it."""
    size = input_bytes(artifact)
    facts: dict[str, Any] = {"text_bytes": size, "disk_bytes": size, "path": str(artifact.path)}
    if parameters := _parameters(artifact):
        facts |= {"parameters": parameters, **_shape(artifact)}
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


def _shape(artifact: Artifact) -> dict[str, float]:
    """What a model's config.json says of its shape; nothing where it does not."""
    try:
        config = json.loads((artifact.path / "config.json").read_text(encoding="utf-8"))
        heads, width = config["num_attention_heads"], config["hidden_size"]
        return {
            "vocab_size": config["vocab_size"],
            "hidden_size": width,
            "num_layers": config["num_hidden_layers"],
            "attention_size": heads * (config.get("head_dim") or width // heads),
            "kv_heads": config.get("num_key_value_heads") or heads,
            "tied": int(config.get("tie_word_embeddings", False)),
            **({"window": config["max_position_embeddings"]} if "max_position_embeddings" in config else {}),
        }
    except (OSError, ValueError, LookupError, TypeError):
        return {}
