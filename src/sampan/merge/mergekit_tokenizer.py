"""MergeKit's `tokenizer_source` and `tokenizer`: whose vocabulary, and sources of single tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import RecipeError, did_you_mean

_KEYS = ("source", "tokens", "pad_to_multiple_of")


def tokenizer_params(
    config: Mapping[str, Any],
    path: str,
    base: str | None,
    names: Sequence[str],
    model_of: Callable[[Any, str], str],
) -> dict[str, Any]:
    """The params of merge.weights that say the same; MergeKit's rule for missing tokens, `base_row`, is made explicit.

    Without either key MergeKit copies the base's tokenizer and matches rows by number, which is refused here where the
    tokenizers differ.
    """
    tokenizer, source = config.get("tokenizer"), config.get("tokenizer_source")
    if tokenizer is not None and source is not None:
        raise RecipeError("'tokenizer' and 'tokenizer_source' exclude each other", where=path)
    if tokenizer is None and source is None:
        return {}
    key = "tokenizer_source"
    params: dict[str, Any] = {"missing_tokens": "base_row"}
    if tokenizer is not None:
        if not isinstance(tokenizer, Mapping):
            raise RecipeError("a mapping is needed under the key 'tokenizer'", where=path)
        for name in tokenizer:
            if name not in _KEYS:
                how = did_you_mean(str(name), _KEYS)
                raise RecipeError(f"the key 'tokenizer.{name}' is not supported", where=path, how=how)
        key, source = "tokenizer.source", tokenizer.get("source", "union")
        if tokenizer.get("pad_to_multiple_of"):
            params["pad_to_multiple_of"] = tokenizer["pad_to_multiple_of"]
        if tokenizer.get("tokens"):
            params["tokens"] = _tokens(tokenizer["tokens"], path, base, names, model_of)
    if source == "union":
        params["tokenizer"] = "union"
    elif source != "base":
        params["tokenizer"] = _place(model_of(source, key), key, path, base, names)
    return params


def _place(name: str, key: str, path: str, base: str | None, names: Sequence[str]) -> int | str:
    """What params call a model of the file."""
    if name == base:
        return "base"
    if name in names:
        return names.index(name)
    how = did_you_mean(name, [*names, *([base] if base else []), "base", "union"])
    raise RecipeError(f"'{key}: {name}' is not one of the models that are merged", where=path, how=how)


def _tokens(
    given: Any, path: str, base: str | None, names: Sequence[str], model_of: Callable[[Any, str], str]
) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise RecipeError("a mapping from tokens is needed under the key 'tokenizer.tokens'", where=path)
    out: dict[str, Any] = {}
    for token, item in given.items():
        where = f"tokenizer.tokens.{token}"
        if not isinstance(item, Mapping) or set(item) - {"source", "force"}:
            raise RecipeError(f"only 'source' and 'force' are known under the key '{where}'", where=path)
        out[str(token)] = {"force": bool(item.get("force", False))}
        source = item.get("source")
        if isinstance(source, Mapping) and "kind" in source:
            if source["kind"] not in ("zero", "model_token"):
                how = did_you_mean(str(source["kind"]), ("zero", "model_token"))
                raise RecipeError(f"'{where}.source.kind: {source['kind']}' is not known", where=path, how=how)
            out[str(token)]["source"] = (
                "zero"
                if source["kind"] == "zero"
                else _model_token(source, f"{where}.source", path, base, names, model_of)
            )
        elif source == "zero":
            out[str(token)]["source"] = "zero"
        elif source is not None:
            name = f"{where}.source"
            out[str(token)]["source"] = _place(model_of(source, name), name, path, base, names)
    return out


def _model_token(
    source: Mapping[str, Any],
    where: str,
    path: str,
    base: str | None,
    names: Sequence[str],
    model_of: Callable[[Any, str], str],
) -> dict[str, Any]:
    if set(source) - {"kind", "model", "token", "token_id"} or "model" not in source:
        raise RecipeError(f"'{where}' needs 'model' and one of 'token' and 'token_id'", where=path)
    if ("token" in source) == ("token_id" in source):
        raise RecipeError(f"'{where}' needs one of 'token' and 'token_id'", where=path)
    out: dict[str, Any] = {"model": _place(model_of(source["model"], f"{where}.model"), where, path, base, names)}
    return out | ({"token": source["token"]} if "token" in source else {"id": source["token_id"]})
