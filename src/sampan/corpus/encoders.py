"""Text to ids by the engine that is fastest for a tokenizer: `tokenizers`, fastokens, tiktoken or SentencePiece's own.

`tokenizers` is the reference and always there. The other engines give the same ids sooner; whether they do is checked
on the corpus itself (`encoder_choice`), and none of them is asked about a text that it is known to read otherwise.

Every encoder is a function from D texts to (ids of all texts end to end [N], uint32; the number of each one's [D],
int64), without BOS and EOS; added tokens in a text are matched whole.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..model.byte_letters import unspell

REFERENCE = "tokenizers"
SPACE = "▁"

Encode = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]


class Reference:
    """The `tokenizers` library itself."""

    def __init__(self, spec: str) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # cores are used by running several jobs
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(spec)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def added(self) -> list[str]:
        """The added tokens in the order of their ids."""
        return [token.content for _, token in sorted(self._tokenizer.get_added_tokens_decoder().items())]

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return _flat([item.ids for item in found])


class WithReference:
    """An engine that leaves to the reference what it cannot read: texts with added tokens, and texts it refuses."""

    def __init__(self, engine: Encode, reference: Callable[[], Encode], added: Sequence[str]) -> None:
        self._engine, self._reference = engine, reference
        self._added, self._start = added, _common_start(added)

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        others = [n for n, text in enumerate(texts) if self._holds_added(text)] if self._added else []
        try:
            if not others:
                return self._engine(texts)
            if len(others) < len(texts):
                skipped = set(others)
                mine = [n for n in range(len(texts)) if n not in skipped]
                found = self._engine([texts[n] for n in mine])
        except BaseException as error:  # a limit of the engine's own, such as backtracking in a hostile text
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # what Rust raises
                raise
            return self._reference()(texts)
        if len(others) == len(texts):
            return self._reference()(texts)
        return _interleave(len(texts), (mine, found), (others, self._reference()([texts[n] for n in others])))

    def _holds_added(self, text: str) -> bool:
        return self._start in text and any(token in text for token in self._added)


def _common_start(words: Sequence[str]) -> str:
    """What all the words begin with: looked for first, as hundreds of words would take long."""
    first, last = min(words, default=""), max(words, default="")
    return "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def _fastokens(spec: str, folder: Path) -> tuple[Encode, bool]:
    # One thread: cores are used by running several jobs, and every further thread fills a cache of words of its own.
    for name in ("FASTOKENS_BPE_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import fastokens

    described = json.loads(spec)
    moved = _prefix_in_normaliser(described)
    tokenizer = fastokens.Tokenizer.from_json_str(spec if moved is described else json.dumps(moved))

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        ids, offsets = tokenizer.encode_batch_flat(list(texts))
        return np.frombuffer(ids, np.uint32), np.diff(np.frombuffer(offsets, np.uint64).astype(np.int64))

    return encode, moved is described


def _prefix_in_normaliser(spec: dict[str, Any]) -> dict[str, Any]:
    """The same tokenizer with SentencePiece's dummy blank put before the text by the normaliser, for an engine without
    the Metaspace step. Only for texts without added tokens, and only where the blank is put before every text: where a
    leading blank is doubled first, so that Metaspace would leave it alone."""
    steps = (spec.get("normalizer") or {}).get("normalizers", [])
    own = spec.get("pre_tokenizer") or {}
    doubled = {"type": "Replace", "pattern": {"Regex": rf"\A[ {SPACE}]"}, "content": SPACE * 2}
    if own.get("type") != "Metaspace" or own.get("split", True) or doubled not in steps:
        return spec
    steps = [{"type": "Prepend", "prepend": SPACE} if step == doubled else step for step in steps]
    return {**spec, "normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}


def _tiktoken(spec: str, folder: Path) -> tuple[Encode, bool]:
    import tiktoken

    described = json.loads(spec)
    added = {token["content"] for token in described["added_tokens"]}
    steps = (described.get("pre_tokenizer") or {}).get("pretokenizers", [])
    kinds = [step["type"] for step in steps]
    if described["model"].get("type") != "BPE" or described.get("normalizer") or kinds != ["Split", "ByteLevel"]:
        raise ValueError("not a byte-level tokenizer of one expression")
    ranks = {unspell(token): rank for token, rank in described["model"]["vocab"].items() if token not in added}
    encoding = tiktoken.Encoding(
        "corpus", pat_str=steps[0]["pattern"]["Regex"], mergeable_ranks=ranks, special_tokens={}
    )

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return _flat([encoding.encode_ordinary(text) for text in texts])

    return encode, False


def _sentencepiece(spec: str, folder: Path) -> tuple[Encode, bool]:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_proto=(folder / "tokenizer.model").read_bytes())

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return _flat(model.encode(list(texts), return_type="numpy", num_threads=1))

    return encode, False


ENGINES: dict[str, Callable[[str, Path], tuple[Encode, bool]]] = {
    "fastokens": _fastokens,
    "tiktoken": _tiktoken,
    "sentencepiece": _sentencepiece,
}
"""Engines that may stand in for the reference, the fastest first; each is made from tokenizer.json's text and the
tokenizer's folder, says whether it matches added tokens in a text, and raises if it cannot read the tokenizer."""


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@functools.lru_cache(maxsize=4)
def open_reference(spec: Path) -> Reference:
    """The reference of a tokenizer, read once in a process."""
    return Reference(spec.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=4)
def open_encoder(engine: str, spec: Path, folder: Path) -> Encode:
    """The engine's encoder of a tokenizer: `spec` is its tokenizer.json as the stage wrote it, `folder` its folder.

    A machine that lacks the engine uses the reference, which gives the same ids. InputError if the engine does not read
    the tokenizer.
    """
    if engine == REFERENCE or not installed(engine):
        return open_reference(spec)
    text = spec.read_text(encoding="utf-8")
    try:
        fast, reads_added = ENGINES[engine](text, folder)
    except Exception as error:
        what = f"{engine} does not read this tokenizer ({type(error).__name__}: {str(error)[:200]})"
        raise InputError(what, where=str(folder)) from None
    added = [] if reads_added else [token["content"] for token in json.loads(text).get("added_tokens") or []]
    return WithReference(fast, functools.partial(open_reference, spec), added)


def _interleave(
    count: int, *given: tuple[Sequence[int], tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """One result from several, each with the places of its texts among the `count`."""
    parts: list[np.ndarray] = [np.empty(0, np.uint32)] * count
    for places, (ids_N, lengths_D) in given:
        for place, part in zip(places, np.split(ids_N, np.cumsum(lengths_D)[:-1]), strict=True):
            parts[place] = part
    return _flat(parts)


def _flat(lists: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Lists or arrays of ids end to end, and the length of each."""
    lengths_D = np.fromiter(map(len, lists), np.int64, len(lists))
    if len(lists) and isinstance(lists[0], np.ndarray):
        return np.concatenate(lists).astype(np.uint32), lengths_D
    return np.fromiter(itertools.chain.from_iterable(lists), np.uint32, int(lengths_D.sum())), lengths_D
