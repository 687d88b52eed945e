"""The pieces of any vocabulary as plain text: SentencePiece (BPE or Unigram), tokenizer.json, or tiktoken ranks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..model import byte_letters
from ..model.sentencepiece_bpe import SPACE
from .from_sentencepiece import NORMAL
from .from_tiktoken import looks_like_ranks, parse_ranks

_BYTE_LEVEL = '"ByteLevel"'
_PATTERNS = ("tokenizer.json", "tokenizer.model", "*.tiktoken", "*.model")


def read_target(path: Path) -> frozenset[str]:
    """The pieces of the vocabulary in a file or folder that are whole characters, a blank where they have ▁.

    Special tokens, single bytes and pieces that end inside a character are left out. InputError if it is no vocabulary.
    """
    if path.is_dir():
        found = [file for pattern in _PATTERNS for file in sorted(path.glob(pattern))]
        if not found:
            raise InputError(f"no vocabulary here (looked for {', '.join(_PATTERNS)})", where=str(path))
        path = found[0]
    if not path.is_file():
        raise InputError("no such file or folder", where=str(path))
    raw = path.read_bytes()
    if raw.lstrip()[:1] == b"{":
        pieces = _from_json(raw, where=str(path))
    elif looks_like_ranks(raw):
        pieces = _whole(parse_ranks(raw, where=str(path)))
    else:
        pieces = _from_sentencepiece(raw, where=str(path))
    return frozenset(piece for piece in pieces if piece.strip() and piece.isprintable())


def characters(target: Iterable[str]) -> frozenset[str]:
    """The characters that the pieces of a vocabulary are written in."""
    return frozenset().union(*target)


def _from_sentencepiece(raw: bytes, *, where: str) -> Iterator[str]:
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    try:
        proto.ParseFromString(raw)
    except DecodeError:
        proto.Clear()
    if not proto.pieces or not proto.HasField("trainer_spec"):
        raise InputError("neither a SentencePiece model nor tokenizer.json nor tiktoken ranks", where=where)
    return (item.piece.replace(SPACE, " ") for item in proto.pieces if item.type == NORMAL)


def _from_json(raw: bytes, *, where: str) -> Iterator[str]:
    try:
        spec = json.loads(raw)
        kind, vocabulary = spec["model"]["type"], spec["model"]["vocab"]
    except (ValueError, KeyError, TypeError):
        raise InputError("not a tokenizer.json", where=where) from None
    if kind not in ("BPE", "Unigram"):
        raise InputError(f"vocabularies of type {kind} are not read as targets; only BPE and Unigram are", where=where)
    special = {token["content"] for token in spec.get("added_tokens", [])}
    names = [name for name in _names(vocabulary) if name not in special]
    if _BYTE_LEVEL in json.dumps([spec.get("pre_tokenizer"), spec.get("decoder")]):
        return _whole(_unspelled(names))
    return (name.replace(SPACE, " ") for name in names if not _is_byte(name))


def _names(vocabulary: Any) -> Iterable[str]:
    """BPE: {piece: id}. Unigram: [[piece, log probability], …]."""
    return vocabulary if isinstance(vocabulary, dict) else [name for name, _ in vocabulary]


def _unspelled(names: Iterable[str]) -> Iterator[bytes]:
    for name in names:
        try:
            yield byte_letters.unspell(name)
        except KeyError:  # a token outside the byte letters, such as a special one
            continue


def _whole(tokens: Iterable[bytes]) -> Iterator[str]:
    for token in tokens:
        try:
            yield token.decode("utf-8")
        except UnicodeDecodeError:
            continue


def _is_byte(name: str) -> bool:
    return len(name) == 6 and name.startswith("<0x") and name.endswith(">")
