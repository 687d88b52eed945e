"""Open any tokenizer that can be measured: an artifact, a Hugging Face folder, `tokenizer.model` or tiktoken ranks."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, RecipeError
from ..core.stage import Artifact

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PLAIN_NAMES = ("tokenizer.model", "tokenizer.json")
"""Files that are always called so: their folder's name says more."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A tokenizer ready to encode. `ids` are those that a text can come to: added tokens left out."""

    name: str
    digest: str
    tokenizer: Tokenizer
    ids: dict[str, int]
    size: int


def open_tokenizer(source: Artifact, state: Path, *, name: str, pretokenizer: str = "auto") -> Opened:
    """The tokenizer of `source`; what is no Hugging Face folder yet is converted into the folder `state` first.

    `pretokenizer` names the word expression of tiktoken ranks (`vocab.import` lists them). InputError if it is none.
    """
    from tokenizers import Tokenizer

    file = tokenizer_file(source.path, state, pretokenizer=pretokenizer)
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise InputError(f"the tokenizer does not load ({str(error)[:200]})", where=str(source.path)) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    ids = {token: number for token, number in vocabulary.items() if token not in added}
    return Opened(name=name, digest=source.digest, tokenizer=tokenizer, ids=ids, size=max(vocabulary.values()) + 1)


def tokenizer_file(source: Path, state: Path, *, pretokenizer: str = "auto") -> Path:
    """The tokenizer.json of a file or folder, converted into `state` where it has none."""
    from .adopt import adopt

    if source.name == "tokenizer.json":
        return source
    if (source / "tokenizer.json").is_file():
        return source / "tokenizer.json"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    adopt(source, state, pretokenizer=pretokenizer)
    return state / "tokenizer.json"


def read_spec(file: Path) -> dict[str, Any]:
    """The JSON of a tokenizer.json; InputError unless it is of type BPE."""
    spec = json.loads(file.read_text(encoding="utf-8"))
    if spec.get("model", {}).get("type") != "BPE":
        raise InputError("only BPE vocabularies have a budget curve", where=str(file))
    return spec


def names_of(sources: Sequence[Artifact], labels: Sequence[str]) -> list[str]:
    """A different name for each tokenizer: the labels if given, else what the recipe calls it, else its folder."""
    if labels:
        if len(labels) != len(sources) or len(set(labels)) != len(labels):
            raise RecipeError(f"{len(labels)} labels for {len(sources)} tokenizers: give each one its own, in order")
        return list(labels)
    names = [source.path.parent.name if source.name in _PLAIN_NAMES else source.name for source in sources]
    names = [name.removesuffix(".tiktoken").removesuffix(".model") for name in names]
    counts: Counter[str] = Counter()
    out = []
    for name in names:
        counts[name] += 1
        out.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return out
