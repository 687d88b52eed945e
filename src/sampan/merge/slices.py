"""The layout of a merge: for every tensor of the result its inputs (as lanes) and settings, with or without slices."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError, RecipeError
from .folders import Folder, is_vocabulary, match_heads, match_place, match_tensors
from .lanes import Lane, Place
from .method import Settings
from .params import HERE, Params, Slice, Source
from .settings import Filler
from .vocabularies import Alignment

_LAYER = re.compile(r"^(.*?\b(?:layers|h|blocks?)\.)(\d+)(\..*)$")
_FIRST = re.compile(r"embed|wte|wpe")
_DEPTH_KEYS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


Placing = Callable[[Folder, Source], str]
"""The name, in a source's folder, of the tensor that goes to a certain place of the result."""


@dataclass(frozen=True)
class Layout:
    """All that the engine needs. Every lane has every tensor."""

    reference: Lane
    """Decides the stored dtypes and shapes."""
    base: Lane | None
    models: tuple[Lane, ...]
    settings: Mapping[str, Settings]
    layers: tuple[tuple[Folder, int], ...] | None = None
    """Of the result's layers, the folder and layer that the first source gives; None without slices."""


@dataclass(frozen=True)
class Cast:
    """The folders of a merge by their parts."""

    reference: Folder
    base: Folder | None
    """None if the method does not work on differences from it."""
    models: Sequence[Folder]

    def folders(self) -> list[Folder]:
        """All of them, the reference first."""
        return [self.reference, *(model for model in self.models if model is not self.reference)]

    def pick(self, name: int | str) -> Folder:
        """The folder that params name: a place among the models, `base`, or a name."""
        if isinstance(name, int) and 0 <= name < len(self.models):
            return self.models[name]
        if name == "base":
            return self.reference
        found = next((folder for folder in self.folders() if folder.label == name), None)
        if found is None:
            labels = ", ".join(dict.fromkeys(folder.label for folder in self.folders()))
            raise RecipeError(f"there is no model {name!r} in this merge", where=HERE, how=f"There are: {labels}.")
        return found


def layer_of(tensor: str) -> int | None:
    """The number of the layer that a tensor belongs to; None outside the layers."""
    found = _LAYER.match(tensor)
    return int(found[2]) if found else None


def _in_layer(tensor: str, layer: int) -> str:
    """The same tensor of another layer."""
    return _LAYER.sub(rf"\g<1>{layer}\g<3>", tensor)


def _same_place(name: str) -> Placing:
    return lambda folder, source: folder.source(name)


def _layer_place(tensor: str, at: int) -> Placing:
    return lambda folder, source: _in_layer(tensor, source.layers[0] + at)


def depth_of(folder: Folder) -> int:
    """How many layers a folder has."""
    return 1 + max((layer for name in folder.tensors if (layer := layer_of(name)) is not None), default=-1)


def _share(at: int, count: int) -> float:
    return at / (count - 1) if count > 1 else 1.0


def plan_layout(given: Params, filler: Filler, cast: Cast, alignment: Alignment | None) -> Layout:
    """Check that the folders fit together and lay the result out; InputError or RecipeError if they do not."""
    if given.slices is None:
        match_tensors(cast.reference, cast.folders()[1:], free_rows=alignment is not None)
        return _whole(filler, cast, alignment)
    return _Slicer(given, filler, cast, alignment).layout()


def _whole(filler: Filler, cast: Cast, alignment: Alignment | None) -> Layout:
    def lane(folder: Folder) -> Lane:
        places = {name: Place(folder, folder.source(name)) for name in cast.reference.tensors}
        return Lane(places, alignment, cast.folders())

    count = depth_of(cast.reference)
    settings = {}
    for name in cast.reference.tensors:
        layer = layer_of(name)
        settings[name] = filler.fill(name, 0.0 if layer is None else _share(layer, count))
    base = lane(cast.base) if cast.base else None
    return Layout(lane(cast.reference), base, tuple(lane(model) for model in cast.models), settings)


class _Slicer:
    """Lays out a merge of slices."""

    def __init__(self, given: Params, filler: Filler, cast: Cast, alignment: Alignment | None) -> None:
        self._slices, self._filler, self._cast, self._alignment = given.slices, filler, cast, alignment
        self._settings: dict[str, Settings] = {}
        self._base: dict[str, Place] = {}
        self._models: list[dict[str, Place]] = []
        self._layers: list[tuple[Folder, int]] = []

    def layout(self) -> Layout:
        for other in self._cast.folders()[1:]:
            match_heads(self._cast.reference, other)
        split = [self._split(part, f"slices[{i}]") for i, part in enumerate(self._slices)]
        counts = {len(sources) for _, sources in split}
        if len(counts) > 1:
            raise RecipeError("every slice needs the same number of sources", where=HERE)
        self._models = [{} for _ in range(counts.pop())]
        outside = [name for name in self._cast.reference.tensors if layer_of(name) is None]
        for name in outside:
            at = 0 if _FIRST.search(name) else -1
            self._put(name, 0.0, self._slices[at], *split[at], _same_place(name))
        for part, (base, sources) in zip(self._slices, split, strict=True):
            self._put_layers(part, base, sources)
        names = sorted(self._settings)
        lanes = [
            Lane({name: places[name] for name in names}, self._alignment, self._cast.folders())
            for places in ([self._base] if self._base else []) + self._models
        ]
        base = lanes[0] if self._base else None
        models = tuple(lanes[1:] if self._base else lanes)
        settings = {name: self._settings[name] for name in names}
        return Layout(lanes[0], base, models, settings, tuple(self._layers))

    def _split(self, part: Slice, where: str) -> tuple[Source | None, list[Source]]:
        """The base's source, if the method works with a base, and the models'."""
        if not part.sources:
            raise RecipeError(f"{where} has no sources", where=HERE)
        for i, source in enumerate(part.sources):
            folder, layers = self._cast.pick(source.model), source.layers
            if len(layers) != 2 or not 0 <= layers[0] < layers[1] <= depth_of(folder):
                raise RecipeError(
                    f"{where}.sources[{i}]: {layers} are not layers of {folder.label}, which has {depth_of(folder)}",
                    where=HERE,
                    how="Give [first, last + 1].",
                )
        if len({source.layers[1] - source.layers[0] for source in part.sources}) > 1:
            raise RecipeError(f"the sources of {where} have different numbers of layers", where=HERE)
        base = self._cast.base
        if base is None:
            return None, part.sources
        own = [source for source in part.sources if self._cast.pick(source.model) is base]
        models = [source for source in part.sources if self._cast.pick(source.model) is not base]
        if not models or len(own) > 1:
            raise RecipeError(f"{where} needs one source or more besides the base, and the base once", where=HERE)
        return own[0] if own else Source(model="base", layers=models[0].layers), models

    def _put_layers(self, part: Slice, base: Source | None, sources: Sequence[Source]) -> None:
        lead = sources[0]
        folder = self._cast.pick(lead.model)
        count = lead.layers[1] - lead.layers[0]
        for at in range(count):
            layer, result = lead.layers[0] + at, len(self._layers)
            for tensor in [name for name in folder.tensors if layer_of(name) == layer]:
                self._put(_in_layer(tensor, result), _share(at, count), part, base, sources, _layer_place(tensor, at))
            self._layers.append((folder, layer))

    def _put(
        self,
        name: str,
        depth: float,
        part: Slice,
        base: Source | None,
        sources: Sequence[Source],
        place: Placing,
    ) -> None:
        """Note the inputs and settings of the tensor `name`; InputError if one lacks it or has another shape."""
        found = []
        for source in ([base] if base else []) + list(sources):
            folder = self._cast.pick(source.model)
            tensor = place(folder, source)
            if tensor not in folder.tensors:
                raise InputError(
                    f"{folder.label} has no tensor '{tensor}', which '{name}' of the result is made of",
                    where="merge",
                    how="Only layers of one architecture can be merged or stacked.",
                )
            found.append(Place(folder, tensor))
        free = self._alignment is not None and is_vocabulary(name)
        for other in found[1:]:
            match_place((found[0].folder, found[0].tensor), (other.folder, other.tensor), free_rows=free)
        models = [self._cast.models.index(self._cast.pick(source.model)) for source in sources]
        names = [item.tensor for item in found[-len(sources) :]]
        self._settings[name] = self._filler.fill(name, depth, models=models, names=names, part=part, sources=sources)
        if base:
            self._base[name] = found[0]
        for places, item in zip(self._models, found[-len(sources) :], strict=True):
            places[name] = item


def deep_config(config: Mapping[str, Any], layers: Sequence[tuple[Folder, int]]) -> dict[str, Any]:
    """A config for these layers: their number, and every list with one entry per layer (layer_types) anew."""
    out = dict(config)
    key = next((key for key in _DEPTH_KEYS if key in config), None)
    if key is None:
        return out
    for name, value in config.items():
        if "layer" in name and isinstance(value, list) and len(value) == config[key]:
            out[name] = [_entry(folder, name, layer, value) for folder, layer in layers]
    out[key] = len(layers)
    return out


def _entry(folder: Folder, name: str, layer: int, otherwise: list[Any]) -> Any:
    own = folder.config.get(name, otherwise)
    return own[layer] if isinstance(own, list) and layer < len(own) else otherwise[min(layer, len(otherwise) - 1)]
