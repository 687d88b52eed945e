"""Which tokens are trained: rows of packed tokens, conversations or preferences as the training stages see them.
Trained tokens are green, the rest grey; where the output is no terminal, trained ones stand between ⟦ and ⟧."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..core.errors import InputError, StoreError
from ..store.store import Store
from .main import add_store, at_least
from .models import model_folder

EXAMPLES = """examples:
  sampan inspect village/tokens                     packed documents
  sampan inspect village/sft                        what a training stage was given, with its own settings
  sampan inspect chats.jsonl --model village/cpt    conversations, through that model's chat template
  sampan inspect chats.jsonl --model ./my-model --loss-on last"""

_GREENS, _GREY, _PLAIN = ("\x1b[30;42m", "\x1b[30;102m"), "\x1b[90m", "\x1b[0m"
_ROLES = ("tokens", "conversations", "preferences")
_OVERLAP = 8
"""Tokens decoded again before each one, so that blanks and split characters come out as in the whole text."""

Row = tuple[str, Sequence[int], Sequence[int]]
"""Name, ids [T] and mask [T]: 1 where the token is trained."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", help="tokens, conversations, preferences or a trained checkpoint of the store, or a file"
    )
    parser.add_argument("--model", help="the model or tokenizer whose template and vocabulary count")
    parser.add_argument("--rows", type=at_least(1), default=3, metavar="N", help="rows to show (default 3)")
    parser.add_argument(
        "--loss-on", choices=("all", "last", "none"), help="trained turns (default: as the stage, or all)"
    )
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="default auto")
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    kind, folders, tokenizer, stage = _find(options)
    from ..model.tokenizer import load_tokenizer

    loaded = load_tokenizer(tokenizer) if tokenizer else None
    rows = _rows(kind, folders, loaded, options.loss_on or stage.get("loss_on", "all"))
    colour = options.colour == "always" or (options.colour == "auto" and sys.stdout.isatty())
    print(_legend(colour))
    total = trained = 0
    for name, ids, mask in islice(_within(kind, rows, stage.get("context_len")), options.rows):
        total, trained = total + len(ids), trained + sum(map(int, mask))
        print(f"\n{name}: {len(ids)} tokens, {sum(map(int, mask))} trained")
        print(paint(loaded, ids, mask, colour=colour))
    share = f"{trained / total:.0%}" if total else "none"
    print(f"\nshown: {total} tokens, {trained} trained ({share})")
    return 0


def _legend(colour: bool) -> str:
    if not colour:
        return "⟦trained⟧, the rest only read"
    first, second = _GREENS
    return f"{first}trai{second}ned{_PLAIN} (shades change from token to token), {_GREY}only read{_PLAIN}"


def _within(kind: str, rows: Iterator[Row], context_len: int | None) -> Iterator[Row]:
    """Rows as a stage of this context takes them: packed documents whole, in parts; conversations without what is
    longer; answers that are longer not at all."""
    for name, ids, mask in rows:
        if kind == "tokens" or context_len is None or len(ids) <= context_len:
            yield name, ids, mask
        elif kind == "conversations":
            yield f"{name}, cut from {len(ids)} tokens (context_len)", ids[:context_len], mask[:context_len]
        else:
            yield f"{name}, left out as longer than {context_len} tokens (context_len)", ids, [0] * len(ids)


def _find(options: argparse.Namespace) -> tuple[str, list[Path], Path | None, Mapping[str, Any]]:
    """(kind of rows, their folders or files, folder of the tokenizer, settings of the stage that trains on them)."""
    own = _model(options)
    path = Path(options.source)
    if path.exists():
        kind = "tokens" if (path / "index.json").is_file() else _kind_of_rows(path)
        return kind, [path], _needed(own, options.source), {}
    store = Store(options.store, create=False)
    manifest = store.find(options.source)
    if manifest["kind"] in _ROLES:
        tokenizer = own or _first(store, manifest, "tokenizer")
        return manifest["kind"], [_folder(store, manifest)], _needed(tokenizer, options.source), {}
    for role in _ROLES:
        if manifest["kind"] == "checkpoint" and manifest["inputs"].get(role):
            folders = [_folder(store, item) for item in manifest["inputs"][role]]
            model = own or _first(store, manifest, "model")
            return role, folders, _needed(model, options.source), manifest["params"]
    raise StoreError(
        f"'{options.source}' is {manifest['kind']} and was not trained on tokens, conversations or preferences",
        where=str(store.root),
        how="Give one of these, or a checkpoint that a training stage made.",
    )


def _model(options: argparse.Namespace) -> Path | None:
    if not options.model:
        return None
    path = Path(options.model)
    if (path / "tokenizer_config.json").is_file() or (path / "tokenizer.json").is_file():
        return path
    store = Store(options.store, create=False)
    manifest = store.find(options.model)
    return _folder(store, manifest) if manifest["kind"] == "tokenizer" else model_folder(options)[0]


def _needed(tokenizer: Path | None, source: str) -> Path:
    if tokenizer is None:
        raise InputError(
            f"whose tokens are meant cannot be told from '{source}'", how="Add --model NAME, or a model's folder."
        )
    return tokenizer


def _folder(store: Store, item: Any) -> Path:
    """The files of an artifact of the store; StoreError if they are not there."""
    folder = store.object_path(item["kind"], item["digest"])
    if not folder.exists():
        raise StoreError(
            f"'{item.get('name', '')}' is not in the store any more",
            where=str(folder),
            how="Give the file it came from, with --model.",
        )
    return folder


def _first(store: Store, manifest: Any, role: str) -> Path | None:
    items = manifest["inputs"].get(role)
    return _folder(store, items[0]) if items else None


def _kind_of_rows(path: Path) -> str:
    from ..artifacts.tables import read_rows

    for _, row in read_rows(path):
        judged = {"chosen", "rejected"} <= row.keys() or not {"label", "kto_tag"}.isdisjoint(row)
        return "preferences" if judged else "conversations"
    raise InputError("there is no row in it", where=str(path))


def _rows(kind: str, folders: Sequence[Path], tokenizer: Any, loss_on: str) -> Iterator[Row]:
    for folder in folders:
        if kind == "tokens":
            yield from _packed(folder)
        elif kind == "conversations":
            yield from _said(folder, tokenizer, loss_on)
        else:
            yield from _judged(folder, tokenizer)


def _packed(folder: Path) -> Iterator[Row]:
    from ..artifacts.tokens import read_tokens

    shards = read_tokens(folder)
    for number in range(len(shards)):
        ids, mask = shards.document(number)
        predicted = [0, *mask.tolist()[1:]]  # nothing predicts a document's first token
        yield f"document {number}, {shards.stream_names[shards.streams[number]]}", ids.tolist(), predicted


def _said(folder: Path, tokenizer: Any, loss_on: str) -> Iterator[Row]:
    from ..artifacts.conversations import read_conversations
    from ..train.dialogues import answer_mask

    for row in read_conversations(folder):
        yield row.id, *answer_mask(tokenizer, row.messages, loss_on=loss_on, where=row.id)


def _judged(folder: Path, tokenizer: Any) -> Iterator[Row]:
    from ..artifacts.conversations import read_judged
    from ..train.dialogues import judged_mask

    for row in read_judged(folder):
        sort = "chosen or desirable" if row.desirable else "rejected or undesirable"
        yield f"{row.id}, {sort}", *judged_mask(tokenizer, row.prompt, row.answer, where=row.id)


def paint(tokenizer: Any, ids: Sequence[int], mask: Sequence[int], *, colour: bool) -> str:
    """The text of `ids` with the trained tokens marked, by colour or by ⟦ ⟧."""
    out, shade, before = [], 0, 0
    for text, trained in _pieces(tokenizer, ids, mask):
        if colour:
            shade = 1 - shade
            style = _GREENS[shade] if trained else _GREY
            out += [style, text.replace("\n", "⏎"), _PLAIN, "\n" * text.count("\n")]
        else:
            out += ["⟦" if trained and not before else "", "⟧" if before and not trained else "", text]
        before = trained
    return "".join(out) + ("⟧" if before and not colour else "")


def _pieces(tokenizer: Any, ids: Sequence[int], mask: Sequence[int]) -> Iterator[tuple[str, int]]:
    """(text, trained) of each token; tokens that are parts of one character come together."""
    start = 0
    for end in range(1, len(ids) + 1):
        begin = max(0, start - _OVERLAP)
        before, whole = (
            tokenizer.decode(list(ids[begin:stop]), clean_up_tokenization_spaces=False) for stop in (start, end)
        )
        broken = whole.endswith("�") and end < len(ids) and mask[end] == mask[start]
        if not broken:
            yield whole[len(before) :], int(mask[start])
            start = end
