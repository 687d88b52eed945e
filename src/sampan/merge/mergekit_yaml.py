"""Read MergeKit's YAML as a plan for `merge.weights`; what has no counterpart here is refused by name.

MergeKit's defaults of early 2025 are made explicit: `normalize` by method, `k` = 1 for consensus_*. Its precedence
holds: a source's parameters before its slice's, those before the file's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import InputError, RecipeError, did_you_mean
from .mergekit_knobs import READS, Knobs, first_of
from .mergekit_tokenizer import tokenizer_params
from .methods import METHODS, WITHOUT_NORMALIZE

_TOP = (
    "merge_method",
    "base_model",
    "models",
    "slices",
    "parameters",
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
)
_DTYPES = ("float32", "bfloat16", "float16")
_WHY = {"modules": "Sub-modules cannot be merged apart."}
_BASE_IS_MODEL = ("linear", "slerp", "karcher", "passthrough")
"""Methods that mix a base among the other models instead of taking differences from it."""
_PER_MODEL = {"weight": "weights", "density": "density", "gamma": "gamma"}
_SHARED = {"lambda": "lambda_", "t": "t", "epsilon": "epsilon", "k": "k"}
_MIN = {"weight": 1.0, "density": 1.0, "gamma": 0.01}


@dataclass(frozen=True)
class MergePlan:
    """What a MergeKit file asks for. Model names are as written: paths or hub names for the caller to resolve."""

    base: str | None
    models: list[str]
    params: dict[str, Any]
    """Params of merge.weights."""
    notes: list[str] = field(default_factory=list)
    """What the file says without effect."""


def read_mergekit(path: Path) -> MergePlan:
    """Parse a MergeKit file. RecipeError names the key that is wrong, missing or unsupported."""
    import yaml

    try:
        config = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", where=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"this is not YAML ({' '.join(str(error).split())})", where=str(path)) from None
    if not isinstance(config, Mapping) or "merge_method" not in config:
        raise RecipeError("a MergeKit file must be a mapping with the key 'merge_method'", where=str(path))
    return _Reader(str(path), config).plan()


class _Reader:
    def __init__(self, path: str, config: Mapping[str, Any]) -> None:
        self._path, self._config, self._method = path, config, config["merge_method"]
        self._notes: list[str] = []

    def plan(self) -> MergePlan:
        config, method = self._config, self._method
        self._check_keys(config, _TOP, "", _WHY)
        if method not in METHODS or method not in READS:
            known = did_you_mean(str(method), [name for name in METHODS if name in READS])
            raise RecipeError(f"merge_method '{method}' is not supported", where=self._path, how=known)
        self._base = self._model(config["base_model"], "base_model") if config.get("base_model") else None
        if self._base is None and (method not in _BASE_IS_MODEL or method == "slerp") and method != "nuslerp":
            raise self._wrong("base_model", f"merge_method {method} needs the key")
        if ("models" in config) == ("slices" in config):
            raise self._wrong("slices", "a non-empty list is needed under one of the keys 'models' and")
        self._common = self._knobs(config.get("parameters"), "parameters")
        params: dict[str, Any] = {"method": method}
        names = self._models(params) if "models" in config else self._slices(params)
        params |= self._switches()
        params |= self._dtype()
        params |= tokenizer_params(config, self._path, self._base, names, self._model)
        if config.get("chat_template"):
            params["chat_template"] = str(config["chat_template"])
        return MergePlan(self._base, names, params, list(dict.fromkeys(self._notes)))

    def _knobs(self, given: Any, where: str) -> Knobs:
        return Knobs(given, where, self._path, self._method, self._notes)

    def _check_keys(
        self, given: Mapping[str, Any], known: Sequence[str], where: str, why: Mapping[str, str] | None = None
    ) -> None:
        for key in given:
            if key not in known:
                how = (why or {}).get(str(key)) or did_you_mean(str(key), known)
                raise RecipeError(f"the key '{where}{key}' is not supported", where=self._path, how=how)

    def _model(self, given: Any, key: str) -> str:
        if isinstance(given, Mapping) and set(given) == {"model"}:
            given = given["model"]
        if isinstance(given, Mapping) and set(given) == {"path"}:
            given = given["path"]
        if not isinstance(given, str):
            raise self._wrong(key, "a single path or name is needed under the key")
        if "+" in given:
            raise RecipeError(
                f"'{key}' names an adapter ({given}), which cannot be merged as it is",
                where=self._path,
                how="Merge the adapter into its base first.",
            )
        return given

    # -- models ------------------------------------------------------------------------------------------------------

    def _models(self, params: dict[str, Any]) -> list[str]:
        """The models to merge, their knobs written to `params`."""
        given = self._config["models"]
        if not isinstance(given, list) or not given:
            raise self._wrong("models", "a non-empty list is needed under the key")
        found: list[tuple[str, Knobs]] = []
        for i, item in enumerate(given):
            where = f"models[{i}]"
            if not isinstance(item, Mapping) or "model" not in item:
                raise self._wrong(f"{where}.model", "a mapping with the name of a model is needed under the key")
            self._check_keys(item, ("model", "parameters"), f"{where}.")
            knobs = self._knobs(item.get("parameters"), f"{where}.parameters")
            if knobs.get("normalize") is not None:
                raise self._wrong(f"{where}.parameters.normalize", "it belongs in the file's parameters, not under")
            found.append((self._model(item["model"], f"{where}.model"), knobs))
        found = self._with_base(found)
        chains = [[knobs, self._common] for _, knobs in found]
        for key, name in _PER_MODEL.items():
            values = [self._each(key, chain) for chain in chains]
            if key == "weight" and "weight" not in READS[self._method] and "scale" not in READS[self._method]:
                continue
            if name == "weights":
                params[name] = values if set(map(str, values)) != {"1.0"} or "weight" in READS[self._method] else None
            elif any(value != _MIN[key] for value in values):
                params[name] = values[0] if isinstance(values[0], float) and len(set(map(str, values))) == 1 else values
        if params.get("weights", 0) is None:
            del params["weights"]
        self._shared(params, chains)
        return [name for name, _ in found]

    def _with_base(self, found: list[tuple[str, Knobs]]) -> list[tuple[str, Knobs]]:
        """The base among the models where the method wants it (first for slerp), and out of them where not."""
        base = self._base
        mixed = self._method in _BASE_IS_MODEL
        others = [(name, knobs) for name, knobs in found if name != base]
        if not mixed:
            if not others:
                raise self._wrong("models", "no model besides the base is given under the key")
            return others
        own = [(name, knobs) for name, knobs in found if name == base]
        if base is not None and not own and self._method in ("slerp", "karcher", "linear"):
            own = [(base, self._knobs(None, "base_model"))]
            return own + others if self._method == "slerp" else others + own
        return own + others if self._method == "slerp" else found

    def _each(self, key: str, chain: Sequence[Knobs]) -> Any:
        """A model's knob: `scale` stands for the weight of passthrough, `select_topk` for the density of sce."""
        stands = {("weight", "passthrough"): "scale", ("density", "sce"): "select_topk"}.get((key, self._method), key)
        value = first_of(stands, chain)
        if value is None:
            if key == "weight" and "weight" in READS[self._method]:
                raise self._wrong(f"{chain[0].where}.weight", "MergeKit needs a number under the key")
            return _MIN[key]
        return value

    def _shared(self, params: dict[str, Any], chains: Sequence[Sequence[Knobs]]) -> None:
        for key, name in _SHARED.items():
            found = [value for chain in chains if (value := first_of(key, chain)) is not None]
            if any(value != found[0] for value in found):
                raise self._wrong(key, "all models must have one value under the key")
            if found:
                params[name] = found[0]
        if self._method == "slerp" and "t" not in params:
            raise self._wrong("parameters.t", "MergeKit needs a number under the key")
        if self._method.startswith("consensus_"):
            params.setdefault("k", 1)

    # -- slices ------------------------------------------------------------------------------------------------------

    def _slices(self, params: dict[str, Any]) -> list[str]:
        """The models in the order in which slices name them, and the slices with their knobs written to `params`."""
        given = self._config["slices"]
        if not isinstance(given, list) or not given:
            raise self._wrong("slices", "a non-empty list is needed under the key")
        names: list[str] = []
        params["slices"] = [self._slice(item, f"slices[{i}]", names) for i, item in enumerate(given)]
        if not names:
            raise self._wrong("slices", "no model besides the base is given under the key")
        chain = [self._common]
        if self._method.startswith("consensus_"):
            params["k"] = self._common.get("k") or 1
        for key in ("lambda", "epsilon", "t"):
            if (value := first_of(key, chain)) is not None:
                params[_SHARED[key]] = value
        if self._method == "slerp" and "t" not in params and not all("t" in part for part in params["slices"]):
            raise self._wrong("parameters.t", "MergeKit needs a number under the key")
        return names

    def _slice(self, given: Any, where: str, names: list[str]) -> dict[str, Any]:
        sources = given.get("sources") if isinstance(given, Mapping) else None
        if not isinstance(sources, list) or not sources:
            raise self._wrong(f"{where}.sources", "a non-empty list is needed under the key")
        self._check_keys(given, ("sources", "parameters", "base_model"), f"{where}.")
        if given.get("base_model") and self._model(given["base_model"], f"{where}.base_model") != self._base:
            raise self._wrong(f"{where}.base_model", "all slices must have the file's base_model, not one under")
        own = self._knobs(given.get("parameters"), f"{where}.parameters")
        read = [self._source(item, f"{where}.sources[{i}]", own, names) for i, item in enumerate(sources)]
        if self._method == "slerp":
            read.sort(key=lambda source: names[source["model"]] != self._base)
        part: dict[str, Any] = {"sources": read}
        for key in ("lambda", "t", "epsilon"):
            if own.get(key) is not None:
                part[_SHARED[key]] = first_of(key, [own, self._common])
        return part

    def _source(self, given: Any, where: str, part: Knobs, names: list[str]) -> dict[str, Any]:
        if not isinstance(given, Mapping) or "model" not in given or "layer_range" not in given:
            raise self._wrong(f"{where}.layer_range", "a mapping is needed with 'model' and")
        self._check_keys(given, ("model", "layer_range", "parameters"), f"{where}.")
        layers = given["layer_range"]
        if not isinstance(layers, list) or len(layers) != 2 or not all(type(layer) is int for layer in layers):
            raise self._wrong(f"{where}.layer_range", "two whole numbers are needed under the key")
        name = self._model(given["model"], f"{where}.model")
        if name == self._base and self._method not in _BASE_IS_MODEL:
            return {"model": "base", "layers": layers}
        if name not in names:
            names.append(name)
        chain = [self._knobs(given.get("parameters"), f"{where}.parameters"), part, self._common]
        source: dict[str, Any] = {"model": names.index(name), "layers": layers}
        for key in _PER_MODEL:
            value = self._each(key, chain)
            if value != _MIN[key] or (key == "weight" and "weight" in READS[self._method]):
                source[key] = value
        return source

    # -- the rest ----------------------------------------------------------------------------------------------------

    def _switches(self) -> dict[str, Any]:
        common, method, out = self._common, self._method, {}
        if common.get("rescale") is False:
            raise self._wrong("parameters.rescale", "only true is supported under the key")
        if method not in WITHOUT_NORMALIZE:
            normalize = common.get("normalize")
            out["normalize"] = METHODS.load(method).normalize if normalize is None else normalize
        if common.get("filter_wise"):
            out["per_row"] = True
        if common.get("nuslerp_flatten") is False:
            if common.get("nuslerp_row_wise"):
                raise self._wrong("parameters.nuslerp_row_wise", "only false is supported under the key")
            out["per_row"] = True
        return out

    def _dtype(self) -> dict[str, Any]:
        key = "out_dtype" if self._config.get("out_dtype") else "dtype"
        dtype = self._config.get(key)
        if dtype is None:
            return {}
        if dtype not in _DTYPES:
            raise RecipeError(
                f"'{key}: {dtype}' is not supported", where=self._path, how=f"Known: {', '.join(_DTYPES)}."
            )
        return {"dtype": dtype}

    def _wrong(self, key: str, says: str) -> RecipeError:
        return RecipeError(f"{says} '{key}'", where=self._path)
