"""Held-out text by domain: where a language's documents are from several, each has bits per byte of its own.

A document's domain is the `domain` of its meta, or where it names none its source. The bits are those of the whole
language's documents, computed once: models differ by domain long before they differ over all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..artifacts.documents import Document

HELD_OUT = "held_out"
"""Task name of the rows about held-out text; a domain's is HELD_OUT_NAME."""
DOMAIN = "domain"
"""Key of a document's meta."""


@dataclass(frozen=True)
class Part:
    """Documents that have a score together: all of a language, or those of one domain."""

    task: str
    language: str
    places: tuple[int, ...]
    """Which of the language's documents they are."""

    @property
    def metric(self) -> str:
        """Domains have a metric of their own, so that means over bits per byte count every text once."""
        return "bits_per_byte" if self.task == HELD_OUT else "domain_bits_per_byte"


def parts(documents: Mapping[str, Sequence[Document]], most: int) -> list[Part]:
    """Every language as a whole, and behind it its `most` largest domains if it has several."""
    found = []
    for language, texts in documents.items():
        found.append(Part(HELD_OUT, language, tuple(range(len(texts)))))
        places: dict[str, list[int]] = {}
        for place, document in enumerate(texts):
            places.setdefault(_domain(document), []).append(place)
        if len(places) > 1:
            size = {name: sum(len(texts[n].text.encode()) for n in own) for name, own in places.items()}
            largest = sorted(places, key=lambda name: (-size[name], name))[:most]
            found += [Part(f"{HELD_OUT}_{name}", language, tuple(places[name])) for name in sorted(largest)]
    return found


def _domain(document: Document) -> str:
    name = str(document.meta.get(DOMAIN) or document.source)
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "unnamed"
