"""Which documents a vocabulary is learned from, by language, and which are held out to measure it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from ..core.errors import RecipeError, StageError
from ..core.stage import Artifact, Runtime

if TYPE_CHECKING:
    from ..artifacts.documents import Document

_CONVERSATIONS = "conversations"
_DOCUMENT_BYTES = 3000.0
_LANGUAGES = 12
"""For forecasts, where the number is not known: a page's text, and the languages of a region."""


@dataclass
class Sample:
    """Texts of one language: to learn from, and held out."""

    learn: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    """Where each of `learn` comes from."""
    held_out: list[str] = field(default_factory=list)
    licenses: set[str] = field(default_factory=set)

    @property
    def measured(self) -> list[str]:
        """The held-out texts, or what there is when too few documents were given to hold any out."""
        return self.held_out or self.learn

    @property
    def by_source(self) -> dict[str, list[str]]:
        """The texts to learn from by source."""
        out: dict[str, list[str]] = {}
        for text, source in zip(self.learn, self.sources, strict=True):
            out.setdefault(source, []).append(text)
        return out

    @property
    def texts(self) -> list[str]:
        return self.learn + self.held_out


def licenses_of(found: Mapping[str, Sample]) -> list[str]:
    """The licences of all samples' rows, sorted."""
    return sorted(set().union(*(sample.licenses for sample in found.values())))


def normalised(languages: Iterable[str]) -> tuple[str, ...]:
    """Full codes (tha_Thai) of any accepted spelling; RecipeError for an unknown one."""
    from ..lang.codes import normalise_code

    return tuple(normalise_code(language) for language in languages)


@lru_cache
def known_code(language: str) -> str:
    """The full code of a row's language, '' where it is missing or unknown."""
    try:
        return normalised([language])[0] if language else ""
    except RecipeError:
        return ""


def documents_in(sources: Sequence[Artifact], runtime: Runtime) -> Iterator[tuple[str, Document]]:
    """Documents with the full code of their language, '' where it is missing or unknown."""
    from ..artifacts.documents import read_documents

    number = 0
    for source in sources:
        for document in read_documents(source):
            number += 1
            runtime.progress(number, None, "documents")
            yield known_code(document.language), document


def conversations_in(sources: Sequence[Artifact], keep_languages: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """The words of conversations, one text each, with the full code of their language before, the licence and what
    they count as a source of after.

    Those in a kept language are left out: they quote other languages (a sentence to translate), and a text that must
    keep its ids would forbid every piece that it quotes.
    """
    from ..artifacts.conversations import read_conversations

    for source in sources:
        for conversation in read_conversations(source):
            language = known_code(conversation.language)
            if language not in keep_languages:
                words = "\n".join(m["content"] for m in conversation.messages)
                yield language, words, conversation.license, _CONVERSATIONS


def samples(
    documents: Sequence[Artifact],
    conversations: Sequence[Artifact],
    runtime: Runtime,
    *,
    keep_languages: Sequence[str],
    max_documents: int,
    hold_out: int,
) -> dict[str, Sample]:
    """Texts by language, languages in order of code; at most `max_documents` of each, of which one in `hold_out` (0:
    none) of each source is held out: of a source that comes in several languages, the same documents in all of them.
    StageError if none has a language."""
    found: dict[str, Sample] = {}
    counts: Counter[str] = Counter()
    by_source: Counter[tuple[str, str]] = Counter()
    texts = ((language, d.text, d.license, d.source) for language, d in documents_in(documents, runtime))
    words = conversations_in(conversations, normalised(keep_languages))
    for language, text, license_, source in chain(texts, words):
        if not language or counts[language] >= max_documents or not text.strip():
            continue
        counts[language] += 1
        by_source[language, source] += 1
        sample = found.setdefault(language, Sample())
        sample.licenses |= {license_} - {""}
        if hold_out and by_source[language, source] % hold_out == 0:
            sample.held_out.append(text)
        else:
            sample.learn.append(text)
            sample.sources.append(source)
    if not found:
        raise StageError(
            "no document says its language",
            how="Identify languages first (corpus.clean), or give a column `language` such as tha_Thai.",
        )
    return dict(sorted(found.items()))


def read_bytes(facts: Sequence[Mapping[str, float]], max_documents: int) -> tuple[float, float]:
    """For forecasts, of documents with these facts: bytes that are gone through, and bytes that `samples` takes."""
    size = sum(fact.get("text_bytes", 0.0) for fact in facts)
    count = sum(fact.get("documents", 0.0) for fact in facts)
    each = size / count if count else _DOCUMENT_BYTES
    return size, min(size, max_documents * _LANGUAGES * each)
