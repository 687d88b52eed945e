"""Vocabularies of the models of a merge: whose to keep, and which row of each model stands for which token.

Rows are matched by token, not by number. `Alignment` says for every row of the result which row of each model it is
and, for models that lack the token, of which models' rows the mean stands in; the rows themselves are read while the
merge streams (`lanes.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError, RecipeError, did_you_mean
from ..core.identity import digest_file
from .folders import EMBEDDINGS, Folder
from .params import HERE, ModelToken, Params, TokenSource
from .unite import merges_of, tokens_of, unite

Pick = Callable[[int | str], Folder]
"""The folder that params name by place, name or `base`."""


@dataclass(frozen=True)
class Alignment:
    """Which rows make up the rows of the result. By folder path, int64 of V rows each, -1 for none."""

    rows: int
    """V."""
    own: Mapping[Path, np.ndarray]
    """A model's own row of a token."""
    default: Mapping[Path, np.ndarray]
    """What a model without an own row takes: the mean of the rows named here, zeros if there are none."""

    def moves(self, folder: Folder, tensor: str) -> bool:
        """Whether the folder's rows are not just the result's."""
        own_V = self.own[folder.path]
        return folder.tensors[tensor].shape[0] != self.rows or not np.array_equal(own_V, np.arange(self.rows))


@dataclass(frozen=True)
class Vocabulary:
    """The result's vocabulary."""

    source: Folder
    """Whose config and tokenizer files are copied."""
    alignment: Alignment | None = None
    """None where all rows are matched by number."""
    united: dict[str, Any] | None = None
    """The tokenizer.json to write instead of the source's."""


def plan_vocabulary(
    given: Params, reference: Folder, others: Sequence[Folder], pick: Pick, log: Callable[[str], None]
) -> Vocabulary:
    """Decide the vocabulary; InputError if tokenizers differ and the params do not say how to go on."""
    source = (
        reference
        if given.tokenizer in ("base", "union")
        else pick(0 if given.tokenizer == "first" else given.tokenizer)
    )
    everyone = [reference, *others]
    differences = match_tokenizers(reference, others)
    if not given.same_tokenizer:
        for difference in differences:
            log(f"note: {difference}")
        return Vocabulary(source)
    padded = given.missing_tokens != "error" and len({_height(folder) for folder in everyone}) > 1
    if not differences and not given.tokens and given.pad_to_multiple_of == 1 and not padded:
        return Vocabulary(source)
    for folder in everyone:
        if not (folder.path / "tokenizer.json").is_file():
            raise InputError(
                f"{differences[0] if differences else 'rows are to be matched by token'}, and {folder.label} has no "
                "tokenizer.json to match tokens by",
                where=HERE,
            )
    specs = {folder.path: read_spec(folder.path) for folder in everyone}
    ids = {path: tokens_of(spec) for path, spec in specs.items()}
    if differences and given.missing_tokens == "error":
        same_tokens = len({frozenset(tokens) for tokens in ids.values()}) == 1
        if not same_tokens or any("merges" in difference for difference in differences):
            raise InputError(
                f"{differences[0]}, so the rows of '{embedding(reference)}' do not stand for the same tokens",
                where=HERE,
                how="Say whose vocabulary to keep (`tokenizer: base`, a model's name, or `union`) and what a model "
                "without a token takes (`missing_tokens: base_row`, `mean` or `zero`); if the differing tokens are "
                "unused, set `same_tokenizer: false`.",
            )
    for difference in differences:
        log(f"note: {difference}; rows are matched by token")
    united = (
        unite(specs[reference.path], [(f.label, specs[f.path]) for f in others], log)
        if given.tokenizer == "union"
        else None
    )
    tokens = tokens_of(united) if united else ids[source.path]
    return Vocabulary(source, _align(given, tokens, ids, source, reference, everyone, pick), united)


def embedding(folder: Folder) -> str:
    """The name of a folder's input embedding; InputError if it has none."""
    found = next((name for name in folder.tensors if name.endswith(EMBEDDINGS)), None)
    if found is None:
        raise InputError("no input embedding is known in this model", where=f"{folder.label} ({folder.path})")
    return found


def _height(folder: Folder) -> int:
    """How many rows a folder's input embedding has: more than its tokenizer has tokens where it is padded."""
    return folder.tensors[embedding(folder)].shape[0]


def _align(
    given: Params,
    tokens: Mapping[str, int],
    ids: Mapping[Path, Mapping[str, int]],
    source: Folder,
    base: Folder,
    everyone: Sequence[Folder],
    pick: Pick,
) -> Alignment:
    heights = {folder.path: _height(folder) for folder in everyone}
    rows = max(tokens.values()) + 1 if given.tokenizer == "union" else heights[source.path]
    rows = -(-rows // given.pad_to_multiple_of) * given.pad_to_multiple_of
    paths = list(heights)
    own_FV = np.full((len(paths), rows), -1, np.int64)
    for f, path in enumerate(paths):
        for token, row in tokens.items():
            there = ids[path].get(token, -1)
            if row < rows and there < heights[path]:
                own_FV[f, row] = there
    default_FV = _defaults(given, own_FV, paths.index(base.path))
    if given.tokenizer != "union":  # rows without a token are the source's
        spare, keeper = np.setdiff1d(np.arange(heights[source.path]), list(tokens.values())), paths.index(source.path)
        own_FV[keeper, spare] = default_FV[keeper, spare] = spare
    for token, wanted in (given.tokens or {}).items():
        if token not in tokens:
            raise RecipeError(f"tokens: there is no token {token!r} in the result", where=HERE)
        _set_source(token, tokens[token], wanted, own_FV, default_FV, paths, ids, heights, pick)
    return Alignment(rows, dict(zip(paths, own_FV, strict=True)), dict(zip(paths, default_FV, strict=True)))


def _defaults(given: Params, own_FV: np.ndarray, base: int) -> np.ndarray:
    """Whose rows stand in where a model has none."""
    default_FV = np.full_like(own_FV, -1)
    if given.missing_tokens in ("mean", "base_row"):
        default_FV[:] = own_FV
    if given.missing_tokens == "base_row":
        others = np.arange(len(own_FV)) != base
        default_FV[np.ix_(others, own_FV[base] >= 0)] = -1
    return default_FV


def _set_source(
    token: str,
    row: int,
    wanted: TokenSource,
    own_FV: np.ndarray,
    default_FV: np.ndarray,
    paths: list[Path],
    ids: Mapping[Path, Mapping[str, int]],
    heights: Mapping[Path, int],
    pick: Pick,
) -> None:
    """Write one token's wished source into the tables."""
    if wanted.source is not None:
        default_FV[:, row] = -1
    if wanted.source not in (None, "zero"):
        given = wanted.source
        asked = given if isinstance(given, ModelToken) else ModelToken(model=given, token=token)
        folder = pick(asked.model)
        known = ids[folder.path]
        if (asked.token is None) == (asked.id is None):
            raise RecipeError(f"tokens.{token}: give either a token or an id of the model", where=HERE)
        if asked.token is not None and asked.token not in known:
            raise RecipeError(
                f"tokens.{token}: {folder.label} has no token {asked.token!r}",
                where=HERE,
                how=did_you_mean(asked.token, list(known)) if len(known) < 100_000 else "",
            )
        found = known[asked.token] if asked.token is not None else asked.id
        if not 0 <= found < heights[folder.path]:
            raise RecipeError(f"tokens.{token}: {folder.label} has no embedding row {found}", where=HERE)
        default_FV[paths.index(folder.path), row] = found
    if wanted.force:
        own_FV[:, row] = -1


def read_spec(folder: Path) -> dict[str, Any]:
    """A folder's tokenizer.json; InputError if it is damaged."""
    try:
        spec = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        tokens_of(spec)
        return spec
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise InputError("this tokenizer.json is damaged", where=str(folder / "tokenizer.json")) from None


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
    """Token by id and the merges of a tokenizer.json."""
    spec = read_spec(path.parent)
    return {i: token for token, i in tokens_of(spec).items()}, merges_of(spec)
