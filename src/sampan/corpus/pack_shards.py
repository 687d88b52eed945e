"""The jobs of corpus.pack: one writes the token shards of some documents, the other those of some conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.conversations import conversation_of
from ..artifacts.licenses import noting_licenses
from ..artifacts.tables import parquet_rows, read_rows, with_id
from ..artifacts.tokens import TokenWriter
from ..core.errors import InputError
from ..core.identity import digest_text
from ..core.params import parse_params
from .encoders import open_encoder
from .text_batches import TextBatch, stream_name, text_batches


def pack_documents(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Token shards of a job's documents; the facts are the licences met."""
    params, writer = _open(job, out)
    licenses: set[str] = set()
    for batch, ids_N, lengths_D in _encoded(job, params):
        licenses |= batch.licenses
        writer.write_batch(
            ids_N,
            lengths_D,
            streams=batch.streams,
            stream_D=batch.stream_D,
            bytes_D=batch.bytes_D,
            head=job["head"],
            tail=job["tail"],
        )
    writer.close()
    return {"licenses": sorted(licenses)}


def _encoded(job: Mapping[str, Any], params: Any) -> Iterator[tuple[TextBatch, np.ndarray, np.ndarray]]:
    """Every batch of the job with the ids of its texts end to end, and the ids of each."""
    spec, folder = Path(job["spec"]), Path(job["tokenizer"])
    if not params.bpe_dropout:
        encode = open_encoder(job["engine"], spec, folder)
        for part in job["parts"]:
            for batch in text_batches(part, params):
                yield batch, *encode(batch.texts)
        return
    from tokenizers import Tokenizer

    from .bpe_dropout import DropoutEncoder

    encoder = DropoutEncoder(Tokenizer.from_file(str(spec)), params.bpe_dropout)
    for part in job["parts"]:
        for batch in text_batches(part, params, documents=True):
            seeds = [digest_text(f"{params.seed}\0{job['turn']}\0{d.id}\0{d.text}") for d in batch.documents or ()]
            ids = [encoder.encode(text, seed) for text, seed in zip(batch.texts, seeds, strict=True)]
            lengths_D = np.fromiter(map(len, ids), np.int64, len(ids))
            yield batch, np.concatenate([np.asarray(item, np.uint32) for item in ids]), lengths_D


def pack_conversations(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Token shards of a job's conversations, rendered and masked as their turns say; the facts are the licences met."""
    from ..model.chat import render, trained_turns
    from ..model.tokenizer import load_tokenizer

    params, writer = _open(job, out)
    tokenizer = load_tokenizer(Path(job["tokenizer"]))
    licenses: set[str] = set()
    for part in job["parts"]:
        file = Path(part["file"])
        rows = parquet_rows(file, part["groups"]) if "groups" in part else read_rows(file)
        found = (conversation_of(with_id(row, Path(part["root"]), place), place) for place, row in rows)
        for conversation in noting_licenses(found, licenses):
            try:
                ids, mask = render(tokenizer, conversation.messages, turns=trained_turns(conversation.messages))
            except InputError as error:
                where = f"{job['names'][part['source']]}, conversation {conversation.id}"
                raise InputError(error.what, where=where, how=error.how) from None
            size = sum(len(message["content"].encode()) for message in conversation.messages)
            stream = stream_name(params, conversation.language, "")
            writer.write(ids, stream=stream, text_bytes=size, mask=mask)
    writer.close()
    return {"licenses": sorted(licenses)}


def _open(job: Mapping[str, Any], out: Path) -> tuple[Any, TokenWriter]:
    from .pack import Params

    params = parse_params(Params, job["params"], where="corpus.pack")
    return params, TokenWriter(out, vocab_size=job["vocab_size"], tokenizer_digest=job["tokenizer_digest"])
