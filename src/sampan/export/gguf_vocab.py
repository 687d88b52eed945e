"""A tokenizer.json as GGUF metadata, for llama.cpp's two tokenizers: SentencePiece BPE and byte-level BPE."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import StageError
from ..model.byte_letters import BLANKS, CONTRACTIONS, GPT2, LLAMA3, O200K, QWEN2, QWEN35

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""GGUF's token types."""
SPACE = "▁"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")

_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
)
# llama.cpp rewrites these two without combining marks, so that it cuts Thai, Burmese and Tamil words apart.
_CASED_LLAMA_CPP = (
    r"[^\r\n\p{L}\p{N}]?(?:(?=[\p{L}])(?:[^a-z]))*(?:(?=[\p{L}])(?:[^A-Z]))+%s"
    r"|[^\r\n\p{L}\p{N}]?(?:(?=[\p{L}])(?:[^a-z]))+(?:(?=[\p{L}])(?:[^A-Z]))*%s"
)
_TEKKEN_REST = r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + BLANKS
_O200K_REST = r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + BLANKS


@dataclass(frozen=True)
class PreType:
    """A pre-tokenizer that llama.cpp knows: its name there, the regex of tokenizer.json, and llama.cpp's if unlike."""

    name: str
    regex: str
    llama_cpp: str = ""
    ignore_merges: bool = False


PRE_TYPES = (
    PreType("gpt-2", GPT2),
    PreType("llama-bpe", LLAMA3, ignore_merges=True),
    PreType("qwen2", QWEN2),
    PreType("qwen35", QWEN35),
    PreType("tekken", _CASED % ("", "") + _TEKKEN_REST, _CASED_LLAMA_CPP % ("", "") + _TEKKEN_REST, ignore_merges=True),
    PreType("gpt-4o", O200K, _CASED_LLAMA_CPP % (CONTRACTIONS + "?", CONTRACTIONS + "?") + _O200K_REST),
)


@dataclass(kw_only=True)
class Vocabulary:
    """What GGUF stores of a tokenizer. `model` is llama (SentencePiece BPE) or gpt2 (byte-level BPE)."""

    model: str
    tokens: list[str]
    types: list[int]
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    pre: str = "default"
    pre_type: PreType | None = None
    add_space_prefix: bool = False


def read_vocabulary(folder: Path, size: int, *, pre_type: str = "") -> Vocabulary:
    """The vocabulary of the folder's tokenizer.json, padded to the embedding's `size` with unused tokens.

    `pre_type` overrides the name found for a byte-level pre-tokenizer. StageError for another kind of tokenizer.
    """
    spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = spec["model"]
    if model.get("type") != "BPE":
        raise StageError(f"a {model.get('type')} tokenizer: GGUF export knows BPE only", where=str(folder))
    _check_ids(spec, size, folder)
    tokens, types = _tokens(spec, size)
    merges = [pair.split(" ", 1) if isinstance(pair, str) else list(pair) for pair in model["merges"]]
    if _steps(spec.get("pre_tokenizer"), "ByteLevel"):
        found = _pre_type(spec, pre_type, folder)
        name = pre_type or found.name
        lines = [f"{left} {right}" for left, right in merges]
        return Vocabulary(model="gpt2", tokens=tokens, types=types, merges=lines, pre=name, pre_type=found)
    if not model.get("byte_fallback"):
        raise StageError("neither byte-level BPE nor SentencePiece BPE with byte fallback", where=str(folder))
    scores = _scores(tokens, types, merges)
    return Vocabulary(model="llama", tokens=tokens, types=types, scores=scores, add_space_prefix=_prefixes(spec))


def _check_ids(spec: dict[str, Any], size: int, folder: Path) -> None:
    ids = [*spec["model"]["vocab"].values(), *(added["id"] for added in spec.get("added_tokens") or [])]
    if max(ids, default=0) >= size:
        raise StageError(
            f"the tokenizer gives id {max(ids)} and the embedding has {size} rows",
            where=str(folder),
            how="The model needs the tokenizer it was trained with: see vocab.expand.",
        )


def _tokens(spec: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    tokens, types = [f"[PAD{number}]" for number in range(size)], [UNUSED] * size
    for token, number in spec["model"]["vocab"].items():
        tokens[number] = token
        types[number] = BYTE if spec["model"].get("byte_fallback") and _BYTE.fullmatch(token) else NORMAL
    for added in spec.get("added_tokens") or []:
        number, special = added["id"], added["special"]
        tokens[number] = added["content"] if special else added["content"].replace(SPACE, " ")
        types[number] = CONTROL if special else USER_DEFINED
    unk = spec["model"].get("unk_token")
    added_ids = {added["content"]: added["id"] for added in spec.get("added_tokens") or []}
    if (number := spec["model"]["vocab"].get(unk, added_ids.get(unk))) is not None:
        types[number] = UNKNOWN
    return tokens, types


def _scores(tokens: list[str], types: list[int], merges: list[list[str]]) -> list[float]:
    """SentencePiece's scores from a merge list: the earlier a piece is first built, the higher; others last."""
    rank: dict[str, int] = {}
    for number, (left, right) in enumerate(merges):
        rank.setdefault(left + right, number)
    last = len(merges)
    return [float(-rank.get(token, last)) if kind == NORMAL else 0.0 for token, kind in zip(tokens, types, strict=True)]


def _steps(step: dict[str, Any] | None, kind: str) -> list[dict[str, Any]]:
    """The steps of that type in a normalizer or pre-tokenizer, however nested."""
    if not step:
        return []
    inner = step.get("pretokenizers") or step.get("normalizers") or []
    return [found for item in inner for found in _steps(item, kind)] + ([step] if step.get("type") == kind else [])


def _prefixes(spec: dict[str, Any]) -> bool:
    if any(step["prepend"] == SPACE for step in _steps(spec.get("normalizer"), "Prepend")):
        return True
    return any(
        step.get("prepend_scheme", "always") != "never" for step in _steps(spec.get("pre_tokenizer"), "Metaspace")
    )


def _pre_type(spec: dict[str, Any], given: str, folder: Path) -> PreType | None:
    step = spec["pre_tokenizer"]
    byte_level = _steps(step, "ByteLevel")[-1]
    if byte_level.get("add_prefix_space"):
        raise StageError("llama.cpp adds no space before byte-level BPE, this tokenizer does", where=str(folder))
    splits = [item["pattern"].get("Regex", "") for item in _steps(step, "Split")]
    regexes = splits + ([GPT2] if byte_level.get("use_regex", True) else [])
    known = [pre for pre in PRE_TYPES if regexes == [pre.regex]]
    if known and not given:
        return known[0]
    if given:
        return next((pre for pre in PRE_TYPES if pre.name == given), None)
    raise StageError(
        f"llama.cpp has no name for this pre-tokenizer's regex: {' then '.join(regexes) or '(none)'}",
        where=str(folder),
        how=f"Known: {', '.join(pre.name for pre in PRE_TYPES)}. If llama.cpp has one that cuts text the same way, "
        "name it in `pre_type`; otherwise serve the `export.hf` folder with vLLM or `sampan serve`.",
    )
