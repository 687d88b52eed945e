"""Conversations as token ids, rendered once and kept on disk: what a run of train.sft takes its steps from.

Files in a folder of the run's unfinished work: `ids.bin` (the smallest integers that hold the vocabulary), `mask.bin`
(a bit for each id, 1 where it is trained), `ends.bin` (int64: where each conversation ends), `sources.bin` (uint16: its
language) and `rendered.json`. They are memory-mapped, so that all processes of a machine share one copy in the system's
cache and none holds the text; a run that is resumed finds them again.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..artifacts.conversations import Conversation
from ..artifacts.tokens import id_dtype
from ..core.errors import StageError
from ..store.locks import locked
from .dialogues import answer_mask, masked_piece
from .packing import Piece

_NAME = "rendered"
_TOLD = 10_000
"""Conversations between two signs of life."""


class Rendered(Sequence):
    """The kept conversations of a folder: number n is a list of one piece."""

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / f"{_NAME}.json").read_text(encoding="utf-8"))
        self.names: list[str] = about["names"]
        """Languages that the pieces' `source` counts."""
        self.dropped: dict[str, int] = about["dropped"]
        """How many conversations were cut or left out, and why."""
        self.licenses: list[str] = about["licenses"]
        self._ids = np.memmap(folder / "ids.bin", about["dtype"], "r")
        self._mask = np.memmap(folder / "mask.bin", np.uint8, "r")
        self._ends = np.memmap(folder / "ends.bin", np.int64, "r")
        self._sources = np.memmap(folder / "sources.bin", np.uint16, "r")

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each."""
        return np.diff(self._ends, prepend=0)

    def __getitem__(self, number: int) -> list[Piece]:
        start, end = int(self._ends[number - 1]) if number else 0, int(self._ends[number])
        bits = np.unpackbits(self._mask[start // 8 : -(-end // 8)])[start % 8 :]
        return [masked_piece(self._ids[start:end], bits[: end - start], int(self._sources[number]))]


def open_rendered(
    state: Path,
    rows: Callable[[set[str]], Iterable[Conversation]],
    tokenizer: Any,
    *,
    context_len: int,
    loss_on: str,
    tell: Callable[[int, None, str], None],
) -> Rendered:
    """What is kept in `state`, or render it first: one process of a machine does, and the others wait for it.

    `rows(licenses)` gives the conversations and adds their licences to the set. A conversation longer than the context
    loses its end; one without a trained token is left out. StageError if none is left.
    """
    home = state / _NAME
    with locked(state / f"{_NAME}.lock", what="these conversations", wait=True):
        if not home.is_dir():
            mine = f"{_NAME}-{socket.gethostname()}-"
            for left in state.glob(f"{mine}*"):  # of a process that was killed, since the lock is ours
                shutil.rmtree(left)
            part = state / f"{mine}{os.getpid()}"
            part.mkdir()
            _write(part, rows, tokenizer, context_len, loss_on, tell)
            try:
                os.rename(part, home)
            except OSError:  # another machine, which our lock does not keep out, was faster with the same bytes
                if not home.is_dir():
                    raise
                shutil.rmtree(part)
    return Rendered(home)


def _write(
    folder: Path,
    rows: Callable[[set[str]], Iterable[Conversation]],
    tokenizer: Any,
    context_len: int,
    loss_on: str,
    tell: Callable[[int, None, str], None],
) -> None:
    licenses: set[str] = set()
    names: dict[str, int] = {}
    notes: Counter[str] = Counter()
    dtype, end, kept = id_dtype(len(tokenizer)), 0, 0
    with ExitStack() as stack:
        ids_file, mask_file, ends, sources = (
            stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in ("ids", "mask", "ends", "sources")
        )
        bits = _Bits(mask_file)
        for number, row in enumerate(rows(licenses)):
            if number % _TOLD == _TOLD - 1:
                tell(number + 1, None, "conversations")
            ids, mask = answer_mask(tokenizer, row.messages, loss_on=loss_on, where=row.id)
            source = names.setdefault(row.language, len(names))
            notes["cut"] += len(ids) > context_len
            ids, mask = ids[:context_len], mask[:context_len]
            if not any(mask[1:]):
                notes["untrained"] += 1
                continue
            end, kept = end + len(ids), kept + 1
            ids_file.write(np.asarray(ids, dtype).tobytes())
            bits.write(mask)
            ends.write(np.int64(end).tobytes())
            sources.write(np.uint16(source).tobytes())
        bits.finish()
        for file in (ids_file, mask_file, ends, sources):
            file.flush()
            os.fsync(file.fileno())
    if not kept:
        raise StageError(
            f"no token of these {notes['untrained']} conversations would be trained",
            how="Check that they hold assistant turns, that context_len reaches them, and the chat template.",
        )
    about = {"names": list(names), "dropped": dict(notes), "licenses": sorted(licenses), "dtype": dtype.name}
    (folder / f"{_NAME}.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


class _Bits:
    """Flags end to end, eight a byte."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._rest = file, np.zeros(0, np.uint8)

    def write(self, flags: Sequence[int]) -> None:
        flags = np.concatenate([self._rest, np.asarray(flags, np.uint8)])
        whole = len(flags) // 8 * 8
        self._file.write(np.packbits(flags[:whole]).tobytes())
        self._rest = flags[whole:]

    def finish(self) -> None:
        self._file.write(np.packbits(self._rest).tobytes())
