"""Rows of instruction tables to conversations and preferences; what cannot be used is counted by reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import regex

from ..artifacts.conversations import (
    Conversation,
    Preference,
    conversation_of,
    preference_of,
    write_conversations,
    write_preferences,
)
from ..artifacts.tables import file_kind, read_rows
from ..core.errors import InputError, RecipeError, did_you_mean
from ..core.identity import unit_interval
from ..core.stage import Artifact, Runtime
from ..lang.codes import normalise_code
from .files import matching_files, row_name

_PLACE = regex.compile(r"\{([^{}]+)\}")
_TEMPLATE_ROLES = {
    "conversations": ("system", "user", "assistant"),
    "preferences": ("system", "user", "chosen", "rejected"),
}


class _Unusable(Exception):
    """A row that is left out; the argument is the reason."""


def crawl(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write the artifact of `params.part` and return metrics; InputError if no row is left."""
    _check(params)
    dropped: Counter[str] = Counter()
    write = write_conversations if params.part == "conversations" else write_preferences
    summary = write(runtime.out, _rows(params, sources, runtime, dropped))
    summary["dropped"] = dict(sorted(dropped.items()))
    (runtime.out / "summary.json").write_text(
        json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True), "utf-8"
    )
    if not summary["rows"]:
        raise InputError(
            f"no row became a {params.part[:-1]} (left out: {summary['dropped'] or 'the tables are empty'})",
            where=", ".join(source.name for source in sources),
            how="Give rows in a known shape, or say with `template` how to make them.",
        )
    return {"rows": summary["rows"], "documents": summary["rows"], "dropped": summary["dropped"]}


def _check(params: Any) -> None:
    known = _TEMPLATE_ROLES[params.part]
    for role in params.template:
        if role not in known:
            raise RecipeError(f"a template for {params.part} has no '{role}'", how=did_you_mean(role, known))
    missing = [role for role in known[1:] if role not in params.template]
    if params.template and missing:
        raise RecipeError(f"the template lacks {', '.join(missing)}")
    if not 0 <= params.held_out_share <= 1:
        raise RecipeError(f"held_out_share is a share in 0..1, not {params.held_out_share}")


def _rows(
    params: Any, sources: Sequence[Artifact], runtime: Runtime, dropped: Counter[str]
) -> Iterator[Conversation | Preference]:
    files = [(s, f) for s in sources for f in matching_files(s, params.paths, lambda p: file_kind(p) != "")]
    for number, (source, file) in enumerate(files):
        runtime.progress(number, len(files), "files")
        kept = 0
        for place, row in read_rows(file):
            name = row_name(source, file, place)
            try:
                item = _item(params, row, name)
            except _Unusable as reason:
                dropped[str(reason)] += 1
                continue
            yield item
            kept += 1
            if params.max_rows and kept >= params.max_rows:
                break


def _item(params: Any, row: dict[str, Any], name: str) -> Conversation | Preference:
    row = {**row, "id": str(row["id"]) if row.get("id") not in (None, "") else name}
    if params.split != "all" and (params.split == "held_out") != held_out(
        row["id"], params.held_out_share, params.salt
    ):
        raise _Unusable("other_split")
    if params.language_field:
        row["language"] = row.get(params.language_field)
    if params.template:
        row = {**{k: row[k] for k in ("id", "language", "lang", "source", "license") if k in row}, **_fill(params, row)}
    try:
        item = conversation_of(row, name) if params.part == "conversations" else preference_of(row, name)
    except (InputError, AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise _Unusable("malformed") from error
    _refuse_empty(item)
    try:
        item.language = normalise_code(params.language or item.language) if params.language or item.language else ""
    except RecipeError:
        if params.language:
            raise
        raise _Unusable("unknown_language") from None
    if params.languages and item.language not in {normalise_code(code) for code in params.languages}:
        raise _Unusable("unwanted_language")
    item.license, item.source = params.license or item.license, params.source or item.source
    return item


def held_out(id_: str, share: float, salt: str) -> bool:
    """Whether a row of this id falls on the held-out side, as a document of this id does in corpus.split."""
    return unit_interval(salt, id_) < share


def _fill(params: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {}
    for role, pattern in params.template.items():
        for column in _PLACE.findall(pattern):
            if row.get(column) in (None, ""):
                raise _Unusable(f"no_column_{column}")
        texts[role] = _PLACE.sub(lambda match: str(row[match[1]]), pattern)
    system = [{"role": "system", "content": texts["system"]}] if "system" in texts else []
    prompt = [*system, {"role": "user", "content": texts["user"]}]
    if params.part == "conversations":
        return {"messages": [*prompt, {"role": "assistant", "content": texts["assistant"]}]}
    return {"prompt": prompt, "chosen": texts["chosen"], "rejected": texts["rejected"]}


def _refuse_empty(item: Conversation | Preference) -> None:
    messages = item.messages if isinstance(item, Conversation) else item.prompt
    roles = [m["role"] for m in messages if m["role"] != "system"]
    last = "assistant" if isinstance(item, Conversation) else "user"
    if not roles or roles[-1] != last:
        raise _Unusable(f"does_not_end_with_{last}")
    if any(not m["content"].strip() for m in messages):
        raise _Unusable("empty_message")
    if isinstance(item, Preference):
        if not item.chosen.strip() or not item.rejected.strip():
            raise _Unusable("empty_answer")
        if item.chosen == item.rejected:
            raise _Unusable("equal_answers")
