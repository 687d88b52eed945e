"""Texts for the deduplication benchmarks: real text by language, and copies of it with edits.

The text is a folder of `<two-letter language>/<set>.jsonl.gz`, rows with `text` (see --text); sets that hold copies on
purpose, or the same page under many names, are not taken for unique: SKIPPED.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import regex
from shared_data import SHARED

from sampan.lang.units import units

LANGUAGES = {
    "en": "eng_Latn",
    "id": "ind_Latn",
    "ms": "msa_Latn",
    "jv": "jav_Latn",
    "su": "sun_Latn",
    "tl": "tgl_Latn",
    "vi": "vie_Latn",
    "ta": "tam_Taml",
    "th": "tha_Thai",
    "lo": "lao_Laoo",
    "km": "khm_Khmr",
    "my": "mya_Mymr",
    "zh": "zho_Hans",
}
SKIPPED = ("tldr", "oscar_web", "voa_zawgyi")
"""Command help whose alias pages differ in one word; a crawl with its duplicates; text in another encoding."""
DEFAULT = SHARED / "data" / "text"


def real_texts(folder: Path, language: str, *, skipped: tuple[str, ...] = SKIPPED) -> list[str]:
    texts = []
    for file in sorted((folder / language).glob("*.jsonl.gz")):
        if not file.name.startswith(skipped):
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                texts += [json.loads(line)["text"] for line in lines]
    return texts


def edited(chance: random.Random, text: str, share: float, pool: list[str]) -> str:
    """`share` of the text's units (words, or clusters where the script has no spaces) edited at random places: a third
    replaced by units of `pool`, a third taken out, a third new ones put in. All else stays as it is."""
    found = units(text, False)
    starts, ends = found.starts_U.tolist(), found.ends_U.tolist()
    edits = {}
    for number in chance.sample(range(len(starts)), min(len(starts), max(1, round(share * len(starts))))):
        old, new = text[starts[number] : ends[number]], chance.choice(pool)
        edits[number] = chance.choice((new, "", old + (" " if old.isascii() else "") + new))
    out, last = [], 0
    for number in sorted(edits):
        out += [text[last : starts[number]], edits[number]]
        last = ends[number]
    return "".join([*out, text[last:]])


def characters_edited(chance: random.Random, text: str, share: float) -> str:
    """The same for single characters, taken from the text itself; blanks stay."""
    letters = [place for place, char in enumerate(text) if not char.isspace()]
    changed = list(text)
    for place in chance.sample(letters, max(1, round(share * len(letters)))):
        new = text[chance.choice(letters)]
        changed[place] = chance.choice((new, "", changed[place] + new))
    return "".join(changed)


def pool_of(texts: list[str]) -> list[str]:
    """Units to edit with, as frequent as they are in the texts."""
    pool = []
    for text in texts[:200]:
        found = units(text[:5000], False)
        pool += [text[a:b] for a, b in zip(found.starts_U.tolist(), found.ends_U.tolist(), strict=True)]
    return pool


def pages(chance: random.Random, texts: list[str], number: int, size: int) -> list[str]:
    """Texts of `size` bytes put together at random from sentences or lines of `texts`: no two alike."""
    lines = [piece for text in texts for piece in regex.split(r"(?<=[.!?။។])\s+|\n", text) if len(piece) > 20]
    made = []
    for _ in range(number):
        page, length = [], 0
        while length < size:
            page.append(chance.choice(lines))
            length += len(page[-1].encode()) + 1
        made.append("\n".join(page).encode()[:size].decode("utf-8", "ignore"))
    return made
