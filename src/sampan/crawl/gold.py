"""Pages whose main text is known: reading them, halving them, and the scores of the two public benchmarks.

A folder of pages is `gold.jsonl` with a row per page (`id`, `file`, `url`, `lang` and what is known: `gold_text`,
`gold_html`, or the strings `with` and `without`) and the gzipped pages it names.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.lines import lines_of

_TOKEN = re.compile(r"\w+")


@dataclass(frozen=True)
class GoldPage:
    """A page as bytes, and what is known of its main text."""

    set: str
    id: str
    url: str
    language: str
    payload: bytes
    row: dict[str, Any]

    @property
    def host(self) -> str:
        """The host without `www.`; the page's id where its address is not known, and the number of the story where all
        pages of a set come from one host."""
        if self.set == "storybooks":
            return "tale " + self.id.rpartition("-")[2]
        return (urlsplit(self.url).hostname or self.id).removeprefix("www.")

    @property
    def held_out(self) -> bool:
        """Whether training must not see the page; all pages of one host fall on the same side."""
        return bool(host_share(self.host, 0) & 1)


def host_share(host: str, number: int) -> int:
    """A number from 0 to 255 by a hash of the host; `number` gives several independent ones."""
    return hashlib.sha256(host.encode()).digest()[number]


def read_gold(folder: Path) -> Iterator[GoldPage]:
    """The pages of a folder, in the order of its list."""
    for line in lines_of(folder / "gold.jsonl"):
        row = json.loads(line)
        payload = gzip.decompress((folder / row["file"]).read_bytes())
        yield GoldPage(folder.name, row["id"], row.get("url") or "", row.get("lang") or "", payload, row)


def string_score(pairs: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, float]:
    """Trafilatura's evaluation: which `with` strings are in the text and which `without` strings are not."""
    found = missed = wrong = 0
    for text, row in pairs:
        hits = sum(string in text for string in row["with"])
        found += hits
        missed += len(row["with"]) - hits
        wrong += sum(string in text for string in row["without"])
    return _score(found / max(1, found + wrong), found / max(1, found + missed))


def shingle_score(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """The article extraction benchmark's: mean precision and recall over 4-word shingles of (text, gold), and the F1 of
    the two means. Pages without a shingle on one side are left out of that side's mean, as there."""
    precisions, recalls = [], []
    for text, gold in pairs:
        got, wanted = shingles(text), shingles(gold)
        shared = sum((got & wanted).values())
        if got:
            precisions.append(shared / sum(got.values()))
        if wanted:
            recalls.append(shared / sum(wanted.values()))
    mean = [sum(values) / max(1, len(values)) for values in (precisions, recalls)]
    return _score(*mean)


def shingles(text: str, size: int = 4) -> Counter[tuple[str, ...]]:
    """Runs of `size` words; a shorter text is one run."""
    words = _TOKEN.findall(text)
    runs = (tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1)))
    return Counter(run for run in runs if run)


def letter_digests(text: str, size: int = 8, keep: int = 4) -> set[int]:
    """64-bit digests of one in `keep` of the text's runs of `size` letters, digits and marks, blanks left out.

    Which runs are kept hangs on the digest alone, so that the sets of two texts can be compared. They serve for scripts
    that do not space their words, and can be published where the text itself cannot.
    """
    letters = "".join(char for char in text.casefold() if char.isalnum() or unicodedata.category(char)[0] == "M")
    runs = {letters[i : i + size] for i in range(len(letters) - size + 1)}
    digests = (int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big") for run in runs)
    return {digest for digest in digests if digest % keep == 0}


def digest_score(pairs: Iterable[tuple[str, set[int], set[int]]]) -> dict[str, float]:
    """Mean precision and recall of (text, wanted digests, allowed digests): allowed ones count neither way."""
    precisions, recalls = [], []
    for text, wanted, allowed in pairs:
        got = letter_digests(text) - (allowed - wanted)
        if got:
            precisions.append(len(got & wanted) / len(got))
        recalls.append(len(got & wanted) / len(wanted))
    return _score(*(sum(values) / max(1, len(values)) for values in (precisions, recalls)))


def _score(precision: float, recall: float) -> dict[str, float]:
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}
