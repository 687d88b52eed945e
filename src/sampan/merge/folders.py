"""Check that model folders can be merged at all: same tensors, shapes and architecture.

The first folder is the reference (the base, or the first model where there is none); its tensors are those written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..model.tensors import FLOATS, TensorFolder

HEADS = ("lm_head.weight", "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
_PIECE = 1 << 20
_SAME = ("model_type", "num_attention_heads", "num_key_value_heads", "head_dim", "num_hidden_layers", "hidden_act")
_SHOULD_BE_SAME = ("rope_theta", "rope_scaling", "rope_parameters", "sliding_window", "rms_norm_eps")


Reader = Callable[[int, int], np.ndarray]
"""`read(start, stop)`: those elements of one flattened tensor as float32."""


@dataclass(frozen=True)
class Folder:
    """A model folder opened for merging."""

    label: str
    """What messages call it: its input's name."""
    path: Path
    tensors: TensorFolder
    config: dict[str, Any]
    alias: dict[str, str]
    """Reference tensor name to the tensor read in its stead (an output head tied to the embedding)."""

    def source(self, name: str) -> str:
        """The tensor of this folder that stands for the reference's tensor `name`."""
        return self.alias.get(name, name)


def open_folder(label: str, path: Path) -> Folder:
    """Open one folder's weights and config; InputError if either is missing or damaged."""
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"config.json cannot be read ({error})", where=f"{label} ({path})", how="Give a Hugging Face model folder."
        ) from None
    if not isinstance(config, dict):
        raise InputError("config.json is not an object", where=f"{label} ({path})")
    return Folder(label, path, TensorFolder(path), config, {})


def is_tied(folder: Folder) -> bool:
    """Whether the output head is the embedding: what config.json says or, if it is silent, whether a head is stored."""
    says = folder.config.get("tie_word_embeddings")
    return not any(name in folder.tensors for name in HEADS) if says is None else bool(says)


def embedding_of(folder: Folder, head: str) -> str | None:
    """The input embedding with the shape `folder` would need for its output head; None if there is none."""
    found = [name for name in folder.tensors if name.endswith(EMBEDDINGS)]
    if head in folder.tensors:
        found = [name for name in found if folder.tensors[name].shape == folder.tensors[head].shape]
    return found[0] if len(found) == 1 else None


def is_vocabulary(name: str) -> bool:
    """Whether a tensor has one row per token."""
    return name.endswith(EMBEDDINGS) or name in HEADS


def match_tensors(reference: Folder, others: Sequence[Folder], *, free_rows: bool = False) -> None:
    """InputError unless every folder has the reference's tensors in the same shapes (vocabularies' rows may be free).

    A head missing in a tied folder is read from its embedding; a head the tied reference lacks must be a copy of the
    embedding. Integer tensors (buffers) must be equal.
    """
    for other in others:
        match_heads(reference, other)
        missing = [name for name in reference.tensors if other.source(name) not in other.tensors]
        extra = [name for name in other.tensors if name not in reference.tensors and name not in HEADS]
        if missing or extra:
            sides = [
                f"{label} has {len(names)} tensor{'s' * (len(names) > 1)} more (such as '{names[0]}')"
                for label, names in ((reference.label, missing), (other.label, extra))
                if names
            ]
            raise InputError(
                f"{reference.label} and {other.label} are not of one architecture: {' and '.join(sides)}",
                where="merge",
                how="Only checkpoints that descend from one base model can be merged; an adapter must be merged into "
                "its base first.",
            )
        for name in reference.tensors:
            match_place((reference, name), (other, other.source(name)), free_rows=free_rows and is_vocabulary(name))


def match_heads(reference: Folder, other: Folder) -> None:
    """Read a tied folder's head from its embedding; refuse a head of its own where the reference has no place for it.

    A tied reference has none even if it stores a copy: whoever loads the merge would overwrite it.
    """
    for head in HEADS:
        embedding = embedding_of(other, head)
        if embedding is None:
            continue
        if is_tied(other):
            if head in reference.tensors:
                other.alias[head] = embedding
            continue
        no_place = head in other.tensors and (head not in reference.tensors or is_tied(reference))
        if no_place and not _equal(other.tensors, head, embedding):
            raise InputError(
                f"'{head}' of {other.label} has learnt its own values, but {reference.label} ties it to "
                f"'{embedding}' and has no place for them",
                where="merge",
                how=f"Untie {reference.label} (store '{head}' as a copy of its embedding and set "
                "tie_word_embeddings to false in its config.json), or leave this model out.",
            )


def _equal(tensors: TensorFolder, one: str, two: str) -> bool:
    """Whether two tensors of one shape hold the same numbers, compared a piece at a time."""
    pieces = ((start, min(start + _PIECE, tensors[one].size)) for start in range(0, tensors[one].size, _PIECE))
    return all(np.array_equal(tensors.read_flat(one, *piece), tensors.read_flat(two, *piece)) for piece in pieces)


def match_place(one: tuple[Folder, str], two: tuple[Folder, str], *, free_rows: bool = False) -> None:
    """InputError unless two tensors, each given by folder and name, can be mixed: shapes, floats, equal integers."""
    (reference, name), (other, source) = one, two
    a, b = reference.tensors[name], other.tensors[source]
    if a.shape != b.shape and not (free_rows and a.shape[1:] == b.shape[1:]):
        rows_differ = a.shape[1:] == b.shape[1:] and is_vocabulary(name)
        raise InputError(
            f"tensor '{name}' is {_shape(a.shape)} in {reference.label} but {_shape(b.shape)} in {other.label}",
            where="merge",
            how="Their vocabularies differ in size: say whose to keep (`tokenizer: base`, a model's name, or `union`) "
            "and what models without a token take (`missing_tokens: base_row`)."
            if rows_differ
            else "Only checkpoints of one architecture and size can be merged.",
        )
    floats = [info.dtype in FLOATS.values() for info in (a, b)]
    if not any(floats) and a.dtype == b.dtype:
        if reference.tensors.read_bytes(name) != other.tensors.read_bytes(source):
            raise InputError(
                f"tensor '{name}' ({a.dtype}) is not of floats and differs between {reference.label} and "
                f"{other.label}: there is no way to mix it",
                where="merge",
            )
    elif not all(floats):
        raise InputError(
            f"tensor '{name}' is {a.dtype} in {reference.label} and {b.dtype} in {other.label}; only float32, float16 "
            "and bfloat16 can be mixed",
            where="merge",
            how="Give unquantised checkpoints.",
        )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"


def match_configs(reference: Folder, others: Sequence[Folder], *, free_depth: bool = False) -> list[str]:
    """InputError if equal shapes mean different things (heads, type, layers unless their number is free); returns what
    else differs, as notes.
    """
    notes = []
    for other in others:
        for key in _SAME + _SHOULD_BE_SAME:
            if key == "num_hidden_layers" and free_depth:
                continue
            a, b = reference.config.get(key), other.config.get(key)
            if a == b or a is None or b is None:
                continue
            says = f"{key} is {a!r} in {reference.label} but {b!r} in {other.label}"
            if key in _SAME:
                raise InputError(says, where="merge", how="Only checkpoints of one architecture can be merged.")
            notes.append(says)
    return notes
