"""Read MergeKit's YAML as a plan for `merge.weights`; what has no counterpart here is refused by name.

MergeKit's defaults of early 2025 are made explicit: `normalize` by method, `k` = 1 for consensus_ta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InputError, RecipeError, did_you_mean
from .methods import METHODS

_TOP = ("merge_method", "base_model", "models", "parameters", "dtype", "out_dtype", "tokenizer_source", "tokenizer")
_KNOBS = {"normalize": bool, "weight": float, "density": float, "epsilon": float, "lambda": float, "k": int}
_IGNORED = {"int8_mask": None, "rescale": True}
"""Parameters without effect here, with the only value that is allowed (None: any). Masks never cost precision."""
_DTYPES = ("float32", "bfloat16", "float16")
_WHY = {
    "slices": "layers cannot be taken from different models",
    "modules": "sub-modules cannot be merged apart",
    "chat_template": "the chat template comes with the tokenizer; see the parameter `tokenizer`",
}


@dataclass(frozen=True)
class MergePlan:
    """What a MergeKit file asks for. Model names are as written: paths or hub names for the caller to resolve."""

    base: str | None
    models: list[str]
    params: dict[str, Any]
    """Params of merge.weights."""


def read_mergekit(path: Path) -> MergePlan:
    """Parse a MergeKit file. RecipeError names the key that is wrong, missing or unsupported."""
    import yaml

    try:
        config = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", where=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"this is not YAML ({' '.join(str(error).split())})", where=str(path)) from None
    return _Reader(str(path)).plan(config)


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path

    def plan(self, config: Any) -> MergePlan:
        if not isinstance(config, Mapping) or "merge_method" not in config:
            raise self._wrong("merge_method", "a MergeKit file must be a mapping with the key")
        self._check_keys(config)
        method = config["merge_method"]
        if method not in METHODS:
            known = did_you_mean(str(method), METHODS)
            raise RecipeError(f"merge_method '{method}' is not supported", where=self._path, how=known)
        base = self._model(config["base_model"], "base_model") if config.get("base_model") else None
        if base is None and method != "linear":
            raise self._wrong("base_model", f"merge_method {method} needs the key")
        common = self._knobs(config.get("parameters"), "parameters")
        names, each = self._models(config.get("models"), base, method)
        return MergePlan(base, names, self._params(config, method, base, names, common, each))

    def _check_keys(self, config: Mapping[str, Any]) -> None:
        for key in config:
            if key in _TOP:
                continue
            how = _WHY.get(key) or did_you_mean(str(key), _TOP)
            raise RecipeError(f"the key '{key}' is not supported", where=self._path, how=how[0].upper() + how[1:])

    def _models(self, given: Any, base: str | None, method: str) -> tuple[list[str], list[tuple[dict[str, Any], str]]]:
        """The models to merge and, for each, its knobs and where they stand. The base may be listed and is passed."""
        if not isinstance(given, list) or not given:
            raise self._wrong("models", "a non-empty list is needed under the key")
        names, each = [], []
        for i, item in enumerate(given):
            where = f"models[{i}]"
            if not isinstance(item, Mapping) or "model" not in item:
                raise self._wrong(f"{where}.model", "a mapping with the name of a model is needed under the key")
            for key in item:
                if key not in ("model", "parameters"):
                    raise self._wrong(f"{where}.{key}", "there is no support for the key")
            name = self._model(item["model"], f"{where}.model")
            if name == base and method != "linear":
                continue
            names.append(name)
            each.append((self._knobs(item.get("parameters"), f"{where}.parameters"), f"{where}.parameters"))
        if not names:
            raise self._wrong("models", "no model besides the base is given under the key")
        return names, each

    def _model(self, given: Any, key: str) -> str:
        if not isinstance(given, str):
            raise self._wrong(key, "a single path or name is needed under the key")
        if "+" in given:
            raise RecipeError(
                f"'{key}' names an adapter ({given}), which cannot be merged as it is",
                where=self._path,
                how="Merge the adapter into its base first.",
            )
        return given

    def _knobs(self, given: Any, where: str) -> dict[str, Any]:
        """Plain values of known parameters; gradients (lists) and filters are refused."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise self._wrong(where, "a mapping is needed under the key")
        out = {}
        for key, value in given.items():
            name = f"{where}.{key}"
            if isinstance(value, list):
                kind = "per-tensor filters" if any(isinstance(v, Mapping) for v in value) else "gradients over layers"
                raise RecipeError(
                    f"'{name}' is a list: {kind} are not supported", where=self._path, how="Give one number."
                )
            if key in _IGNORED:
                if _IGNORED[key] is not None and value is not _IGNORED[key]:
                    raise self._wrong(name, f"only {str(_IGNORED[key]).lower()} is supported under the key")
                continue
            if key not in _KNOBS:
                raise RecipeError(f"the key '{name}' is not supported", where=self._path, how=did_you_mean(key, _KNOBS))
            out[key] = self._value(key, value, name)
        return out

    def _value(self, key: str, value: Any, name: str) -> Any:
        kind = _KNOBS[key]
        if kind is bool:
            if isinstance(value, bool) or value in (0, 1):
                return bool(value)
            raise self._wrong(name, "true or false is needed under the key")
        if isinstance(value, bool) or not isinstance(value, int | float) or kind(value) != value:
            raise self._wrong(name, f"{'an integer' if kind is int else 'a number'} is needed under the key")
        return kind(value)

    def _params(
        self,
        config: Mapping[str, Any],
        method: str,
        base: str | None,
        names: Sequence[str],
        common: Mapping[str, Any],
        each: Sequence[tuple[Mapping[str, Any], str]],
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"method": method}
        for knobs, where in each:
            if "weight" not in {**common, **knobs}:
                raise self._wrong(f"{where}.weight", "MergeKit needs a number under the key")
            if "normalize" in knobs:
                raise self._wrong(f"{where}.normalize", "it belongs in the top level's parameters, not under the key")
        values = [{**common, **knobs} for knobs, _ in each]
        params["weights"] = [value["weight"] for value in values]
        densities = [value.get("density", 1.0) for value in values]
        if any(d != 1 for d in densities):
            params["density"] = densities if len(set(densities)) > 1 else densities[0]
        for key, name in (("epsilon", "epsilon"), ("lambda", "lambda_"), ("k", "k")):
            found = {value[key] for value in values if key in value}
            if len(found) > 1:
                raise self._wrong(key, "all models must have one value under the key")
            if found:
                params[name] = found.pop()
        if method == "consensus_ta":
            params.setdefault("k", 1)
        params["normalize"] = common.get("normalize", METHODS.load(method).normalize)
        params |= self._dtype(config)
        params |= self._tokenizer(config, base, names)
        return params

    def _dtype(self, config: Mapping[str, Any]) -> dict[str, Any]:
        key = "out_dtype" if config.get("out_dtype") else "dtype"
        dtype = config.get(key)
        if dtype is None:
            return {}
        if dtype not in _DTYPES:
            raise RecipeError(
                f"'{key}: {dtype}' is not supported", where=self._path, how=f"Known: {', '.join(_DTYPES)}."
            )
        return {"dtype": dtype}

    def _tokenizer(self, config: Mapping[str, Any], base: str | None, names: Sequence[str]) -> dict[str, Any]:
        key, source = "tokenizer_source", config.get("tokenizer_source")
        tokenizer = config.get("tokenizer")
        if tokenizer is not None:
            if not isinstance(tokenizer, Mapping) or set(tokenizer) - {"source"}:
                raise self._wrong("tokenizer", "only `source` is supported under the key")
            key, source = "tokenizer.source", tokenizer.get("source")
        if source in (None, "base") or source == base:
            return {}
        if source == names[0]:
            return {"tokenizer": "first"}
        raise RecipeError(
            f"'{key}: {source}' is not supported",
            where=self._path,
            how="Known: base, or the name of the first model. Vocabularies are not united: expand the smaller first.",
        )

    def _wrong(self, key: str, says: str) -> RecipeError:
        return RecipeError(f"{says} '{key}'", where=self._path)
