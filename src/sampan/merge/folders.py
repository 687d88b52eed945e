"""Check that model folders can be merged at all: same tensors, shapes, architecture and vocabulary.

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
from ..core.identity import digest_file
from ..model.tensors import FLOATS, TensorFolder

HEADS = ("lm_head.weight", "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
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

    def reader(self, name: str) -> Reader:
        """Reads the tensor that stands for the reference's tensor `name`."""
        source = self.source(name)
        return lambda start, stop: self.tensors.read_flat(source, start, stop)


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


def match_tensors(reference: Folder, others: Sequence[Folder]) -> None:
    """InputError unless every folder has the reference's tensors in the same shapes.

    A head missing in a tied folder is read from its embedding; a head the tied reference lacks must be a copy of the
    embedding. Integer tensors (buffers) must be equal.
    """
    for other in others:
        _match_heads(reference, other)
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
            _match_shape(name, reference, other)


def _match_heads(reference: Folder, other: Folder) -> None:
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
        if no_place and other.tensors.read_bytes(head) != other.tensors.read_bytes(embedding):
            raise InputError(
                f"'{head}' of {other.label} has learnt its own values, but {reference.label} ties it to "
                f"'{embedding}' and has no place for them",
                where="merge",
                how=f"Untie {reference.label} (store '{head}' as a copy of its embedding and set "
                "tie_word_embeddings to false in its config.json), or leave this model out.",
            )


def _match_shape(name: str, reference: Folder, other: Folder) -> None:
    a, b = reference.tensors[name], other.tensors[other.source(name)]
    if a.shape != b.shape:
        rows_differ = a.shape[1:] == b.shape[1:] and (name.endswith(EMBEDDINGS) or name in HEADS)
        raise InputError(
            f"tensor '{name}' is {_shape(a.shape)} in {reference.label} but {_shape(b.shape)} in {other.label}",
            where="merge",
            how="Their vocabularies differ in size: expand the smaller model's vocabulary to the other's tokenizer "
            "first, or merge models that share one."
            if rows_differ
            else "Only checkpoints of one architecture and size can be merged.",
        )
    floats = [info.dtype in FLOATS.values() for info in (a, b)]
    if not any(floats) and a.dtype == b.dtype:
        if reference.tensors.read_bytes(name) != other.tensors.read_bytes(other.source(name)):
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


def match_configs(reference: Folder, others: Sequence[Folder]) -> list[str]:
    """InputError if equal shapes mean different things (heads, layers, type); returns what else differs, as notes."""
    notes = []
    for other in others:
        for key in _SAME + _SHOULD_BE_SAME:
            a, b = reference.config.get(key), other.config.get(key)
            if a == b or a is None or b is None:
                continue
            says = f"{key} is {a!r} in {reference.label} but {b!r} in {other.label}"
            if key in _SAME:
                raise InputError(says, where="merge", how="Only checkpoints of one architecture can be merged.")
            notes.append(says)
    return notes


def match_tokenizers(reference: Folder, others: Sequence[Folder]) -> list[str]:
    """What differs between the tokenizers, one sentence per folder that differs; [] if all agree or have none.

    Equal files agree at once; otherwise tokens, ids and merges are compared, since two versions of one library may
    spell the same tokenizer.json in two ways.
    """
    differences = []
    file = next((name for name in ("tokenizer.json", "tokenizer.model") if (reference.path / name).is_file()), None)
    for other in others:
        if file is None or not (other.path / file).is_file():
            continue
        a, b = reference.path / file, other.path / file
        if digest_file(a) == digest_file(b):
            continue
        says = _compare_json(a, b) if file == "tokenizer.json" else "their tokenizer.model files differ"
        if says:
            differences.append(f"the tokenizers of {reference.label} and {other.label} differ: {says}")
    return differences


def _compare_json(a: Path, b: Path) -> str:
    """How two tokenizer.json differ in tokens, ids or merges; "" if they do not."""
    tokens_a, merges_a = _tokens(a)
    tokens_b, merges_b = _tokens(b)
    differ = [i for i in sorted(set(tokens_a) | set(tokens_b)) if tokens_a.get(i) != tokens_b.get(i)]
    if differ:
        i = differ[0]
        total = max(len(tokens_a), len(tokens_b))
        return f"{len(differ)} of {total} ids, first {i}: {tokens_a.get(i)!r} and {tokens_b.get(i)!r}"
    return "" if merges_a == merges_b else "the same tokens, but other merges"


def _tokens(path: Path) -> tuple[dict[int, str], list[tuple[str, ...]]]:
    """Token by id and the merges (spelt "a b" or ["a", "b"]) of a tokenizer.json."""
    try:
        spec = json.loads(path.read_text("utf-8"))
        vocab = spec["model"]["vocab"]
        pairs = vocab.items() if isinstance(vocab, dict) else ((item[0], i) for i, item in enumerate(vocab))
        tokens = {int(i): token for token, i in pairs}
        tokens |= {item["id"]: item["content"] for item in spec.get("added_tokens", [])}
        merges = spec["model"].get("merges") or []
        return tokens, [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise InputError("this tokenizer.json is damaged", where=str(path)) from None
