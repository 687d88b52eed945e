"""TokenShards: token ids of documents end to end in one memory-mapped array, with a loss mask and an index."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.stage import Artifact

FORMAT = "token-shards/1"


class TokenWriter:
    """Appends documents' ids; one stream name (such as a language) per document.

    Files: `ids.bin` (uint16 or uint32 by vocabulary), `mask.bin` (uint8, 1 where the token is trained; only when some
    token is not), `offsets.bin` (int64, documents + 1), `streams.bin` (uint16 per document), `index.json`.
    """

    def __init__(self, folder: Path, *, vocab_size: int, tokenizer_digest: str) -> None:
        self._folder, self._dtype = folder, np.uint16 if vocab_size <= 1 << 16 else np.uint32
        self._meta = {
            "format": FORMAT,
            "vocab_size": vocab_size,
            "tokenizer_digest": tokenizer_digest,
            "dtype": np.dtype(self._dtype).name,
        }
        self._ids = open(folder / "ids.bin", "wb")
        self._mask = open(folder / "mask.bin", "wb")
        self._offsets, self._streams, self._names = [0], [], {}
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def write(
        self,
        ids: list[int] | np.ndarray,
        *,
        stream: str,
        text_bytes: int = 0,
        mask: list[int] | np.ndarray | None = None,
    ) -> None:
        """Add one document. `mask` (same length, 0/1) None means every token is trained."""
        array = np.asarray(ids, dtype=self._dtype)
        flags = np.ones(len(array), np.uint8) if mask is None else np.asarray(mask, np.uint8)
        if len(flags) != len(array):
            raise ValueError(f"{len(array)} ids but {len(flags)} mask flags")
        self._ids.write(array.tobytes())
        self._mask.write(flags.tobytes())
        self._offsets.append(self._offsets[-1] + len(array))
        self._streams.append(self._names.setdefault(stream, len(self._names)))
        count = self._counts[stream]
        count.update(documents=1, tokens=len(array), trained_tokens=int(flags.sum()), text_bytes=text_bytes)

    def close(self) -> dict[str, Any]:
        """Write the index; returns it."""
        self._ids.close()
        self._mask.close()
        total = sum(self._counts.values(), Counter())
        if total["trained_tokens"] == total["tokens"]:
            (self._folder / "mask.bin").unlink()
        np.asarray(self._offsets, np.int64).tofile(self._folder / "offsets.bin")
        np.asarray(self._streams, np.uint16).tofile(self._folder / "streams.bin")
        index = {
            **self._meta,
            **{k: total[k] for k in ("documents", "tokens", "trained_tokens", "text_bytes")},
            "streams": list(self._names),
            "by_stream": {k: dict(v) for k, v in sorted(self._counts.items())},
        }
        (self._folder / "index.json").write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
        return index


@dataclass(frozen=True)
class TokenShards:
    """A read view: `ids` [N], `mask` [N] or None, `offsets` [D+1], `streams` [D] indexes into `stream_names`."""

    ids: np.ndarray
    mask: np.ndarray | None
    offsets: np.ndarray
    streams: np.ndarray
    stream_names: list[str]
    index: dict[str, Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def document(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids [T] (int64) and mask [T] (uint8) of one document."""
        span = slice(self.offsets[number], self.offsets[number + 1])
        ids = self.ids[span].astype(np.int64)
        return ids, (np.ones(len(ids), np.uint8) if self.mask is None else np.asarray(self.mask[span]))


def read_tokens(source: Artifact | Path) -> TokenShards:
    """Open shards without reading them into memory; InputError if the folder is not TokenShards or is cut short."""
    folder = source.path if isinstance(source, Artifact) else source
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        raise InputError(
            "not a folder of token shards (no index.json)",
            where=str(folder),
            how="Make one with the stage corpus.pack.",
        ) from None
    if index.get("format") != FORMAT:
        raise InputError(f"format {index.get('format')} is not {FORMAT}", where=str(folder / "index.json"))
    dtype = np.dtype(index["dtype"])
    if (folder / "ids.bin").stat().st_size != index["tokens"] * dtype.itemsize:
        raise InputError("ids.bin is not as long as index.json says", where=str(folder), how="Build it again.")
    ids = np.memmap(folder / "ids.bin", dtype, "r") if index["tokens"] else np.empty(0, dtype)
    masked = (folder / "mask.bin").exists()
    return TokenShards(
        ids=ids,
        mask=np.memmap(folder / "mask.bin", np.uint8, "r") if masked and index["tokens"] else None,
        offsets=np.fromfile(folder / "offsets.bin", np.int64),
        streams=np.fromfile(folder / "streams.bin", np.uint16),
        stream_names=index["streams"],
        index=index,
    )
