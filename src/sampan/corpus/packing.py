"""The work of corpus.pack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..artifacts.conversations import read_conversations
from ..artifacts.documents import Document, read_documents, read_summary
from ..artifacts.licenses import noting_licenses
from ..artifacts.tokens import TokenWriter
from ..core.errors import InputError, RecipeError
from ..core.identity import digest_text
from ..core.stage import Inputs, Runtime

BATCH = 64
UNKNOWN_STREAM = "und"
"""Stream of texts without a language."""


def pack(params: Any, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Write token shards and return metrics; RecipeError without any text, InputError names what cannot be rendered."""
    from ..model.tokenizer import load_tokenizer, tokenizer_digest

    if not inputs.many("documents") and not inputs.many("conversations"):
        raise RecipeError("corpus.pack needs documents, conversations or both", how="Add them under `from:`.")
    if params.repeat < 1:
        raise RecipeError(f"repeat is at least 1, not {params.repeat}")
    folder = inputs.one("tokenizer").path
    tokenizer = load_tokenizer(folder)
    ids_end = max(tokenizer.get_vocab().values()) + 1  # not len(tokenizer): ids may have gaps
    licenses: set[str] = set()
    writer = TokenWriter(runtime.out, vocab_size=ids_end, tokenizer_digest=tokenizer_digest(folder))
    total = params.repeat * _count(inputs, "documents") + _count(inputs, "conversations")
    for done, (ids, mask, stream, size) in enumerate(_texts(params, inputs, tokenizer, licenses), 1):
        writer.write(ids, stream=params.stream_name or stream or UNKNOWN_STREAM, text_bytes=size, mask=mask)
        if done % BATCH == 0:
            runtime.progress(done, total or None, "documents")
    index = writer.close()
    if not index["tokens"]:
        raise InputError("there is no text to pack", where=", ".join(a.name for role in inputs for a in inputs[role]))
    names = ("documents", "tokens", "trained_tokens", "text_bytes")
    return {
        **{name: index[name] for name in names},
        "bytes_per_token": round(index["text_bytes"] / index["tokens"], 4),
        "licenses": sorted(licenses),
        "by_stream": {
            stream: {**counts, "bytes_per_token": round(counts["text_bytes"] / counts["tokens"], 4)}
            for stream, counts in index["by_stream"].items()
        },
    }


def _count(inputs: Inputs, role: str) -> int:
    summaries = [read_summary(source) for source in inputs.many(role)]
    return sum(summary.get("documents", summary.get("rows", 0)) for summary in summaries)


def _texts(
    params: Any, inputs: Inputs, tokenizer: Any, licenses: set[str]
) -> Iterator[tuple[list[int], list[int] | None, str, int]]:
    """(ids, loss mask or None for all, stream, UTF-8 bytes) of every document and conversation, in order.

    Their licences are added to `licenses`.
    """
    encode, head, tail = _encoder(params, tokenizer), *_ends(params, tokenizer)
    for turn in range(params.repeat):
        for source in inputs.many("documents"):
            for batch in _batches(noting_licenses(read_documents(source), licenses)):
                for document, ids in zip(batch, encode(batch, turn), strict=True):
                    yield head + ids + tail, None, _stream(params, document), len(document.text.encode())
    if inputs.many("conversations"):
        from ..model.chat import render

        for source in inputs.many("conversations"):
            for conversation in noting_licenses(read_conversations(source), licenses):
                try:
                    ids, mask = render(tokenizer, conversation.messages)
                except InputError as error:
                    raise InputError(
                        error.what, where=f"{source.name}, conversation {conversation.id}", how=error.how
                    ) from None
                size = sum(len(message["content"].encode()) for message in conversation.messages)
                yield ids, mask, conversation.language, size


def _stream(params: Any, document: Document) -> str:
    """Name of the document's stream, '' for the one of texts without a language."""
    if params.stream_by == "language" or not document.quality:
        return document.language
    return f"{document.language or UNKNOWN_STREAM}/{document.quality}"


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _encoder(params: Any, tokenizer: Any) -> Callable[[list[Document], int], list[list[int]]]:
    """A function from documents and the number of the repeat to ids without BOS and EOS."""
    fast = tokenizer.backend_tokenizer
    if not params.bpe_dropout:
        fast.no_truncation()
        fast.no_padding()

        def plain(batch: list[Document], turn: int) -> list[list[int]]:
            encoded = fast.encode_batch_fast([document.text for document in batch], add_special_tokens=False)
            return [item.ids for item in encoded]

        return plain
    from .bpe_dropout import DropoutEncoder

    encoder = DropoutEncoder(fast, params.bpe_dropout)

    def dropped(batch: list[Document], turn: int) -> list[list[int]]:
        return [encoder.encode(d.text, digest_text(f"{params.seed}\0{turn}\0{d.id}\0{d.text}")) for d in batch]

    return dropped


def _ends(params: Any, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids before and after each document."""
    if params.add_eos and tokenizer.eos_token_id is None:
        raise RecipeError(
            "the tokenizer has no EOS token, so documents would run into each other",
            how="Set `add_eos: false`, or give the tokenizer an eos_token.",
        )
    head = [tokenizer.bos_token_id] if params.add_bos and tokenizer.bos_token_id is not None else []
    return head, [tokenizer.eos_token_id] if params.add_eos else []
