"""Vectors of words or tokens from outside: a text file (.vec), numpy arrays (.npz) or another model's embedding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import InputError

FORMS = (
    "a .vec file (a word and its numbers on each line), an .npz with arrays `tokens` and `vectors`, or a model folder"
)


def read_vectors(path: Path, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(ids [K], vectors [K, E], float32) of those of `texts` that the file names, by their exact text or without the
    blank before it. InputError for another form, numbers that do not parse, or lines of unequal length."""
    wanted = _wanted(texts)
    if path.is_dir() and not (path / "config.json").is_file():
        files = sorted(path.glob("*.vec")) + sorted(path.glob("*.npz"))
        if len(files) != 1:
            raise InputError(f"{len(files)} files of vectors in this folder", where=str(path), how=f"Give {FORMS}.")
        path = files[0]
    if path.is_dir():
        pairs = _of_model(path, wanted)
    elif path.suffix == ".vec":
        pairs = _of_text(path, wanted)
    elif path.suffix == ".npz":
        pairs = _of_arrays(path, wanted)
    else:
        raise InputError("this is no file of vectors", where=str(path), how=f"Give {FORMS}.")
    found: dict[int, np.ndarray] = {}
    for name, vector_E in pairs:
        for number in wanted[name]:
            if number not in found or texts[number] == name:
                found[number] = vector_E
    if len({len(vector_E) for vector_E in found.values()}) > 1:
        raise InputError("the vectors are of unequal length", where=str(path))
    ids = sorted(found)
    vectors_KE = np.array([found[number] for number in ids], np.float32).reshape(len(ids), -1)
    if not np.isfinite(vectors_KE).all():
        raise InputError("the vectors hold numbers that are not finite", where=str(path))
    return np.array(ids, np.int64), vectors_KE


def _wanted(texts: Sequence[str]) -> dict[str, list[int]]:
    """Ids by the names under which a file may know them."""
    wanted: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for name in {text, text.removeprefix(" ")} - {"", " "}:
            wanted.setdefault(name, []).append(number)
    return wanted


def _of_text(path: Path, wanted: dict[str, list[int]]) -> Iterable[tuple[str, np.ndarray]]:
    with open(path, encoding="utf-8", errors="replace") as file:
        for line, text in enumerate(file, 1):
            name, *numbers = text.rstrip().split(" ")
            if name not in wanted or (line == 1 and len(numbers) == 1):  # the first line may give the counts
                continue
            try:
                yield name, np.array(numbers, np.float32)
            except ValueError:
                raise InputError(f"line {line} is not a word and its numbers", where=str(path)) from None


def _of_arrays(path: Path, wanted: dict[str, list[int]]) -> Iterable[tuple[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names, vectors_KE = arrays["tokens"], arrays["vectors"]
    except (ValueError, OSError, KeyError) as error:
        raise InputError(f"no arrays `tokens` and `vectors` ({error})", where=str(path), how=f"Give {FORMS}.") from None
    if names.ndim != 1 or vectors_KE.ndim != 2 or len(names) != len(vectors_KE):
        raise InputError(f"{names.shape} names and {vectors_KE.shape} vectors do not agree", where=str(path))
    return ((str(name), vectors_KE[n]) for n, name in enumerate(names) if str(name) in wanted)


def _of_model(path: Path, wanted: dict[str, list[int]]) -> Iterable[tuple[str, np.ndarray]]:
    from ..model.tensors import TensorFolder
    from .growth import open_growth

    growth = open_growth(path, scripts=())
    with TensorFolder(path) as tensors:
        table = next((name for name in tensors if name.endswith(("embed_tokens.weight", "wte.weight"))), "")
        if not table:
            raise InputError("no embedding among the weights", where=str(path))
        rows, width = tensors[table].shape
        for token, number in sorted(growth.vocab.items(), key=lambda item: item[1]):
            name = growth.raw(token).decode("utf-8", "ignore")
            if name in wanted and number < rows:
                yield name, tensors.read_flat(table, number * width, (number + 1) * width)
