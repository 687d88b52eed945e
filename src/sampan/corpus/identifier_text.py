"""Labelled text for an identifier: which documents are used, and the pieces that they are cut into."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..artifacts.documents import read_documents
from ..core.identity import unit_interval
from ..core.stage import Artifact
from ..lang.identify import profile_code, without_noise
from ..lang.ngrams import feature_places, letter_codes
from ..lang.profile import load_profile
from ..lang.scripts import own_script_share

MIN_SCRIPT_SHARE = 0.5
MIN_FEATURES = 12
"""A piece with fewer n-grams teaches nothing."""
SHORTEST, LONGEST, MEAN_LOG, SPREAD_LOG = 3, 80, 2.6, 0.8
"""Words of a piece: log-normal, around 13, so that single lines and whole windows are both met."""

Piece = tuple[np.ndarray, np.ndarray]
"""(int64[N] table rows, float32[N] count / sqrt(n-grams of the piece))."""


@dataclass(slots=True)
class Chosen:
    """Texts by label, and what was used and left out."""

    train: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    held_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    used: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Characters by (label, source, licence)."""
    refused: Counter[str] = field(default_factory=Counter)
    """Documents by licence that the list does not allow."""


def choose(params: Any, sources: Sequence[Artifact]) -> Chosen:
    """A sample of each label's documents, even over its sources. Reads the input twice and holds only the sample."""
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for label, origin, document in _labelled(params, sources, None):
        sizes[label][origin] += len(document.text)
    own = own_labels(params, sizes)
    chances = {}
    for label, by_origin in sizes.items():
        limit = params.max_characters_per_language if label in own else params.max_characters_per_other
        quotas = even_quotas(by_origin, limit)
        chances |= {(label, origin): quotas[origin] / size for origin, size in by_origin.items()}
    tested = held_out_chances(params, sizes)
    chosen = Chosen()
    for label, origin, document in _labelled(params, sources, chosen.refused):
        if unit_interval(held_out_salt(params), document.id) < params.held_out_share:
            if unit_interval(f"test {params.seed} {origin}", document.id) <= tested[label, origin]:
                chosen.held_out[label].append(document.text)
        elif unit_interval(f"sample {params.seed} {origin}", document.id) <= chances[label, origin]:
            chosen.train[label].append(document.text)
            chosen.used[label, origin, document.license] += len(document.text)
    return chosen


def held_out_chances(params: Any, sizes: Mapping[str, Counter[str]]) -> dict[tuple[str, str], float]:
    """By label and origin the share of the held-out documents that are read for the test: all of them, unless a label
    has more than `max_held_out_characters`."""
    chances = {}
    for label, by_origin in sizes.items():
        quotas = even_quotas(by_origin, params.max_held_out_characters / max(params.held_out_share, 1e-9))
        chances |= {(label, origin): quotas[origin] / size for origin, size in by_origin.items()}
    return chances


def held_out_salt(params: Any) -> str:
    """With a document's id, what decides its side."""
    return f"held out {params.seed}"


def own_labels(params: Any, labels: Iterable[str]) -> list[str]:
    """Labels with a class of their own, in the order of the recipe."""
    given = [profile_code(label) or label for label in params.languages]
    return given or sorted(labels)


def _labelled(params: Any, sources: Sequence[Artifact], refused: Counter[str] | None) -> Iterator:
    """(label, origin, document) of the documents that may be used. An origin is the folder part of the id, or else the
    source: collections differ in what they write about."""
    for source in sources:
        for document in read_documents(source):
            if not document.language or "," in document.language:
                continue
            if params.licenses and document.license not in params.licenses:
                if refused is not None:
                    refused[document.license] += 1
                continue
            if own_script_share(document.text, params.script) < MIN_SCRIPT_SHARE:
                continue
            label = profile_code(document.language) or document.language
            yield label, document.id.partition("/")[0] if "/" in document.id else document.source, document


def even_quotas(sizes: Counter[str], limit: float) -> dict[str, float]:
    """Share `limit` out evenly, small ones whole: the level of water over a floor of these heights."""
    quotas: dict[str, float] = {}
    room = limit
    for number, (name, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        quotas[name] = min(size, room / (len(sizes) - number))
        room -= quotas[name]
    return quotas


def pieces_of(text: str, draw: np.random.Generator, name_dropout: float) -> Iterator[str]:
    """Cut a text into runs of words of random length, some capitalised words left out."""
    words = without_noise(text).split()
    keep = draw.random(len(words)) >= name_dropout
    words = [word for word, kept in zip(words, keep.tolist(), strict=True) if kept or not word[:1].isupper()]
    start = 0
    while start < len(words):
        length = int(np.clip(draw.lognormal(MEAN_LOG, SPREAD_LOG), SHORTEST, LONGEST))
        yield " ".join(words[start : start + length])
        start += length


def word_pieces(label: str, draw: np.random.Generator, rounds: int) -> Iterator[str]:
    """Random runs of the words that the label's profile lists, if it has one."""
    if not profile_code(label):
        return
    profile = load_profile(label)
    words = sorted(profile.markers | set(profile.stop_words))
    for _ in range(rounds if words else 0):
        yield " ".join(draw.choice(words, int(draw.integers(3, 12))))


def larger_sister(label: str, own: Sequence[str], pieces: Mapping[str, Sequence[str]]) -> str:
    """The sister language with most pieces, if that is more than the label has itself; else ''."""
    if not profile_code(label):
        return ""
    sisters = [name for name in load_profile(label).sisters if name in own and name in pieces]
    largest = max(sisters, key=lambda name: (len(pieces[name]), name), default=label)
    return largest if len(pieces[largest]) > len(pieces[label]) else ""


def mixed_pieces(
    pieces: Sequence[str], lender: Sequence[str], draw: np.random.Generator, share: float
) -> Iterator[str]:
    """Pieces of which a run of words is another language's: small languages borrow what the large one calls its own,
    and their little text shows too little of it."""
    for number in np.flatnonzero(draw.random(len(pieces)) < share).tolist():
        words = pieces[number].split()
        borrowed = lender[int(draw.integers(len(lender)))].split()
        count = min(len(borrowed), int(len(words) * draw.uniform(0.2, 0.8)))
        start = int(draw.integers(len(words) + 1))
        yield " ".join([*words[:start], *borrowed[:count], *words[start:]])


def features_of(text: str, longest: int, bits: int) -> Piece | None:
    """The features of one piece, None if it has too few."""
    places = feature_places(letter_codes(text), longest, bits)
    if len(places) < MIN_FEATURES:
        return None
    rows, counts = np.unique(places, return_counts=True)
    return rows, (counts / np.sqrt(len(places))).astype(np.float32)
