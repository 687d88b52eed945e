"""One tokenizer.json from several: the base's tokens and ids as they are, then what the others have besides.

A piece of a BPE vocabulary is only reached by its merges, so the others' merges are appended, too; coming after the
base's, they leave the base's own pieces where they were. Unigram pieces bring their scores.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import InputError

_RULES = ("normalizer", "pre_tokenizer", "decoder")


def tokens_of(spec: Mapping[str, Any]) -> dict[str, int]:
    """Id by token, added ones included."""
    vocab = spec["model"]["vocab"]
    pairs = vocab.items() if isinstance(vocab, dict) else ((item[0], i) for i, item in enumerate(vocab))
    tokens = {str(token): int(i) for token, i in pairs}
    return tokens | {item["content"]: int(item["id"]) for item in spec.get("added_tokens", [])}


def merges_of(spec: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The merges, spelt "a b" or ["a", "b"] in the file; [] where the model has none."""
    merges = spec["model"].get("merges") or []
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]


def unite(
    base: Mapping[str, Any], others: Sequence[tuple[str, Mapping[str, Any]]], log: Callable[[str], None]
) -> dict[str, Any]:
    """The united tokenizer.json of `base` and `others` (label and content); InputError if they are of two types.

    Normalizer, pre-tokenizer and decoder are the base's; a note says where another's differ.
    """
    out = copy.deepcopy(dict(base))
    kind = out["model"].get("type")
    for label, spec in others:
        if spec["model"].get("type") != kind:
            raise InputError(
                f"the base's tokenizer is of type {kind} and that of {label} of type {spec['model'].get('type')}: they "
                "have no union",
                where="merge.weights",
                how="Keep one of them: `tokenizer: base` or a model's name.",
            )
        for rule in _RULES:
            if spec.get(rule) != base.get(rule):
                log(f"note: the {rule} of {label} differs; the united tokenizer has the base's")
        _add(out, spec)
    return out


def _add(out: dict[str, Any], spec: Mapping[str, Any]) -> None:
    """Append one tokenizer's pieces, merges and added tokens to `out`. Ids go on after the greatest so far."""
    _place_added(out)
    known = tokens_of(out)
    added = {item["content"]: item for item in spec.get("added_tokens", [])}
    fresh = [token for token, _ in sorted(tokens_of(spec).items(), key=lambda pair: pair[1]) if token not in known]
    vocab = out["model"]["vocab"]
    scores = dict(map(tuple, spec["model"]["vocab"])) if isinstance(vocab, list) else {}
    for number, token in enumerate(fresh, max(known.values(), default=-1) + 1):
        if token in added:
            out.setdefault("added_tokens", []).append({**added[token], "id": number})
        if isinstance(vocab, list):
            vocab.append([token, scores.get(token, 0.0)])
        else:
            vocab[token] = number
    if "merges" in out["model"]:
        merges = merges_of(out)
        have = set(merges)
        out["model"]["merges"] = [list(m) for m in (*merges, *(m for m in merges_of(spec) if m not in have))]


def _place_added(out: dict[str, Any]) -> None:
    """Enter the added tokens into the model's vocabulary, too.

    Readers give an added token that the model lacks the id after the model's last, so that its own would not hold once
    the vocabulary grows.
    """
    vocab = out["model"]["vocab"]
    by_id = {item["id"]: item["content"] for item in out.get("added_tokens", [])}
    if isinstance(vocab, dict):
        vocab.update({token: i for i, token in by_id.items()})
        return
    while len(vocab) in by_id:
        vocab.append([by_id[len(vocab)], 0.0])
