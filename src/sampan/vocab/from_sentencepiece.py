"""A SentencePiece-BPE model (`tokenizer.model`) as a Hugging Face folder whose tokenizer.json gives the same ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2


def parse_model(raw: bytes, *, where: str) -> Any:
    """The protobuf of a SentencePiece model; InputError if it is none, or not a BPE model with ▁ before words."""
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    try:
        proto.ParseFromString(raw)
    except DecodeError:
        proto = None
    if proto is None or not proto.pieces or not proto.HasField("trainer_spec"):
        raise InputError("not a SentencePiece model", where=where)
    names = {piece.piece for piece in proto.pieces}
    # protobuf hands over what is not UTF-8 as bytes
    whole = all(isinstance(name, str) for name in names) and any(piece.type == UNKNOWN for piece in proto.pieces)
    if not whole or len(names) != len(proto.pieces):
        raise InputError("this SentencePiece model is damaged", where=where, how="Copy it again from its source.")
    if proto.trainer_spec.model_type != _BPE:
        raise InputError("this SentencePiece model is not of type BPE; only BPE models are read", where=where)
    if proto.trainer_spec.treat_whitespace_as_suffix or not proto.normalizer_spec.escape_whitespaces:
        raise InputError("this SentencePiece model writes blanks in a way that is not read here", where=where)
    return proto


def hugging_face_tokenizer(proto: Any) -> Tokenizer:
    """The Rust tokenizer of a SentencePiece model: same normalisation, merges, byte fallback and ids.

    Control, unknown and user-defined pieces become added tokens, matched whole in the text (SentencePiece itself never
    reads control pieces from text). The dummy blank goes before the text only, not after every added token. One
    difference is left: text that follows an added token and starts with a blank gets one blank more.
    """
    from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

    from ..model.sentencepiece_bpe import SPACE, build_tokenizer

    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    prefix = proto.normalizer_spec.add_dummy_prefix
    tokenizer = build_tokenizer(
        pieces,
        unk=next(piece.piece for piece in proto.pieces if piece.type == UNKNOWN),
        specials=[piece.piece for piece in proto.pieces if piece.type in (UNKNOWN, CONTROL)],
        prefix_space=prefix,
        mergeable=[piece.type == NORMAL for piece in proto.pieces],
    )
    own = [piece.piece for piece in proto.pieces if piece.type == USER_DEFINED]
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=_is_marker(name)) for name in own])
    steps: list[Any] = []
    if proto.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
    if proto.normalizer_spec.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r" +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
        if not prefix:
            steps.append(normalizers.Replace(Regex(r"\A +"), ""))
    elif prefix:
        # Metaspace adds no dummy blank where the text starts with a blank; SentencePiece does, unless it strips blanks.
        steps.append(normalizers.Replace(Regex(rf"\A[ {SPACE}]"), SPACE * 2))
    if prefix:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "first", split=False)
    steps.append(normalizers.Replace(" ", SPACE))
    tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


def _is_marker(name: str) -> bool:
    """Whether an added token is markup such as <|im_start|>, left out when decoding skips special tokens."""
    return name.startswith("<") and name.endswith(">")


def write_folder(raw: bytes, out: Path, *, where: str = "tokenizer.model") -> None:
    """Write tokenizer.model (unchanged), tokenizer.json and tokenizer_config.json into `out`."""
    proto = parse_model(raw, where=where)
    (out / "tokenizer.model").write_bytes(raw)
    hugging_face_tokenizer(proto).save(str(out / "tokenizer.json"))
    spec = proto.trainer_spec
    known = {piece.piece for piece in proto.pieces}
    named = {"unk_token": spec.unk_piece, "bos_token": spec.bos_piece, "eos_token": spec.eos_piece}
    write_config(out, {role: name for role, name in named.items() if name in known})


def write_config(out: Path, special: Mapping[str, str]) -> None:
    """tokenizer_config.json naming the special tokens by role (bos_token, eos_token, …)."""
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **special}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")
