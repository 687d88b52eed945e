"""Which engine encodes a corpus: the fastest whose ids equal the reference's on a sample of this very corpus.

The sample depends on the input alone: rows spread evenly over the whole of it, and the first ones of every language.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .encoders import ENGINES, REFERENCE, Encode, installed, open_encoder, open_reference
from .text_batches import UNKNOWN_STREAM, text_batches

WORTH_CHOOSING = 8 << 20
"""Bytes of text below which the reference is done sooner than engines are opened and compared."""
DOCUMENTS = 256
"""Documents of the sample that are spread over the corpus."""
PLACES = 16
"""Row groups or files from which they are taken."""
PER_LANGUAGE = 8
"""Documents of each language that are in the sample at least, if it has so many."""
CHARACTERS = 2000
"""A sampled text is cut to this, so that checking takes well below a second."""
_BY_LANGUAGE = SimpleNamespace(stream_name="", stream_by="language")


@dataclass
class Choice:
    """The engine chosen, how many texts it was checked on, and why engines before it were not taken."""

    engine: str = REFERENCE
    checked: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def choose_engine(spec: Path, folder: Path, jobs: Sequence[Mapping[str, Any]]) -> Choice:
    """The engine for the documents of `jobs` (of `document_jobs`) under the tokenizer of `folder`.

    An engine that is not installed is passed over in silence, as none is needed.
    """
    choice = Choice()
    found = [name for name in ENGINES if installed(name)]
    if not found or sum(job["bytes"] for job in jobs) < WORTH_CHOOSING or not (texts := sample_texts(jobs)):
        return choice
    reference = open_reference(spec)
    texts.append(_marked(reference.added, texts[0]))
    wanted = reference(texts)
    for name in found:
        try:
            encode = open_encoder(name, spec, folder)
        except Exception as error:
            choice.refused[name] = str(error).partition("\n")[0]
            continue
        if difference := _difference(encode, texts, wanted):
            choice.refused[name] = difference
            continue
        choice.engine, choice.checked = name, len(texts)
        break
    return choice


def _marked(added: Sequence[str], text: str) -> str:
    """The text with an added token between its words, as long as there are any."""
    words = text.split(" ")
    return " ".join(word + (added[n] if n < len(added) else "") for n, word in enumerate(words))


def _difference(encode: Encode, texts: Sequence[str], wanted: tuple[np.ndarray, np.ndarray]) -> str:
    """'' if the ids are as wanted, else on how many texts they are not."""
    ids, lengths = encode(texts)
    if np.array_equal(lengths, wanted[1]) and np.array_equal(ids, wanted[0]):
        return ""
    mine, other = (np.split(flat, np.cumsum(sizes)[:-1]) for flat, sizes in ((ids, lengths), wanted))
    count = sum(not np.array_equal(a, b) for a, b in zip(mine, other, strict=True))
    return f"its ids differ from those of {REFERENCE} on {count} of {len(texts)} texts of this corpus"


def sample_texts(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """About DOCUMENTS texts spread over all jobs, and up to PER_LANGUAGE of every language, each cut to CHARACTERS.

    The languages of Parquet files are all looked up. Other files can only be read through; of those that are sampled,
    the first DOCUMENTS rows are read.
    """
    places = [place for job in jobs for part in job["parts"] for place in _places(part)]
    spread = np.unique(np.linspace(0, len(places) - 1, min(PLACES, len(places))).round().astype(int)).tolist()
    texts: list[str] = []
    seen: Counter[str] = Counter()
    for number in [*spread, *(n for n in range(len(places)) if n not in set(spread))]:
        part, languages, rows = places[number]
        wanted = number in spread or len(texts) < DOCUMENTS
        if not wanted and all(seen[name] >= PER_LANGUAGE for name in languages):
            continue
        step = max(1, rows * len(spread) // DOCUMENTS)
        for at, (text, language) in enumerate(islice(_rows(part), rows)):
            if (wanted and at % step == 0) or seen[language] < PER_LANGUAGE:
                texts.append(text[:CHARACTERS])
                seen[language] += 1
    return texts


def _rows(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(text, language) of every document of a part."""
    for batch in text_batches(part, _BY_LANGUAGE):
        yield from zip(batch.texts, (batch.streams[place] for place in batch.stream_D.tolist()), strict=True)


def _places(part: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], set[str], int]]:
    """The part row group by row group, with the languages and rows of each. A file that is not Parquet is one, of
    languages not known before and of which DOCUMENTS rows are read at most."""
    if "groups" not in part:
        return [(part, set(), DOCUMENTS)]
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(part["file"])
    found = []
    for group in range(*part["groups"]):
        languages: set[str] = set()
        if "language" in file.schema_arrow.names:
            column = file.read_row_group(group, columns=["language"]).column(0)
            languages = {value or UNKNOWN_STREAM for value in pc.unique(column).to_pylist() if isinstance(value, str)}
        found.append(({**part, "groups": [group, group + 1]}, languages, file.metadata.row_group(group).num_rows))
    return found
