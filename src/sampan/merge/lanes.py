"""One input of a merge as the result sees it: under the result's names, with the result's rows.

A lane may read its tensors from several folders and layers (slices), from an embedding in a head's stead (tied models),
and by token instead of by number (vocabularies). Whatever it is, it is read piece by piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..model.tensors import FlatTensor, TensorInfo
from .folders import Folder, Reader, is_vocabulary
from .vocabularies import Alignment


@dataclass(frozen=True)
class Place:
    """A tensor in a folder."""

    folder: Folder
    tensor: str


@dataclass(frozen=True)
class Lane:
    """One model of a merge, or its base."""

    places: Mapping[str, Place]
    """Where each tensor of the result is read."""
    alignment: Alignment | None = None
    everyone: Sequence[Folder] = ()
    """All folders whose rows may stand in for a missing token's."""

    def label(self, name: str) -> str:
        """What messages call the model that gives the tensor."""
        return self.places[name].folder.label

    def info(self, name: str) -> TensorInfo:
        """The tensor's dtype and the shape that it has here."""
        place = self.places[name]
        info = place.folder.tensors[place.tensor]
        shape = (self.alignment.rows, *info.shape[1:]) if self._by_token(name) else info.shape
        return replace(info, name=name, shape=shape)

    def read_bytes(self, name: str) -> bytes:
        """The stored bytes (for tensors that are not of floats)."""
        place = self.places[name]
        return place.folder.tensors.read_bytes(place.tensor)

    def reader(self, name: str) -> Reader:
        """Reads elements [start, stop) of the flattened tensor as float32."""
        place = self.places[name]
        if not self._by_token(name):
            return FlatTensor(place.folder.tensors, place.tensor)
        columns = int(np.prod(self.info(name).shape[1:], dtype=np.int64))

        def read(start: int, stop: int) -> np.ndarray:
            first, last = start // columns, -(-stop // columns)
            rows_RC = self._rows(name, first, last, columns)
            return rows_RC.ravel()[start - first * columns : stop - first * columns]

        return read

    def _by_token(self, name: str) -> bool:
        place = self.places[name]
        return self.alignment is not None and is_vocabulary(name) and self.alignment.moves(place.folder, place.tensor)

    def _rows(self, name: str, first: int, last: int, columns: int) -> np.ndarray:
        """Rows [first, last) of the result's vocabulary: a model's own, and stand-ins where it has none."""
        place = self.places[name]
        own_R = self.alignment.own[place.folder.path][first:last]
        rows_RC = gather(place.folder, place.tensor, own_R, columns)
        missing = own_R < 0
        if missing.any():
            rows_RC[missing] = self._stand_ins(name, first, last, columns)[missing]
        return rows_RC

    def _stand_ins(self, name: str, first: int, last: int, columns: int) -> np.ndarray:
        """The mean of the rows that `Alignment.default` names."""
        total_RC, count_R = np.zeros((last - first, columns), np.float32), np.zeros(last - first, np.float32)
        for folder in {folder.path: folder for folder in self.everyone}.values():
            ids_R = self.alignment.default[folder.path][first:last]
            if (ids_R >= 0).any():
                total_RC += gather(folder, folder.source(name), ids_R, columns)
                count_R += ids_R >= 0
        total_RC /= np.maximum(count_R, 1)[:, None]
        return total_RC


def gather(folder: Folder, tensor: str, ids_R: np.ndarray, columns: int) -> np.ndarray:
    """The rows `ids_R` of a tensor, zeros for -1. Neighbouring rows are read at once."""
    rows_RC = np.zeros((len(ids_R), columns), np.float32)
    breaks = np.flatnonzero((np.diff(ids_R) != 1) | (ids_R[:-1] < 0)) + 1
    for run in np.split(np.arange(len(ids_R)), breaks):
        start = int(ids_R[run[0]])
        if start >= 0:
            flat = folder.tensors.read_flat(tensor, start * columns, (start + len(run)) * columns)
            rows_RC[run[0] : run[-1] + 1] = flat.reshape(-1, columns)
    return rows_RC
