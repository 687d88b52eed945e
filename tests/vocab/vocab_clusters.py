"""Which new pieces cut inside a cluster: a check of a grown vocabulary against the text that it was grown on."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from sampan.lang.segment import clusters
from sampan.model.byte_letters import spell, unspell

SCRIPTS = [(0x0B80, 0x0BFF), (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)]
"""Tamil, Thai and Lao, Burmese, Khmer: scripts with signs around their letters."""


def bytes_of(tokens: Iterable[str], *, byte_level: bool) -> list[bytes]:
    """The bytes of tokens that hold text of SCRIPTS, the blank before them left out."""
    raw = [unspell(token) if byte_level else token.replace("▁", " ").encode() for token in tokens]
    return [piece.removeprefix(b" ") for piece in raw if _of_scripts(piece)]


def _of_scripts(piece: bytes) -> bool:
    points = map(ord, piece.decode("utf-8", "ignore"))
    return any(low <= point <= high for point in points for low, high in SCRIPTS)


def cut_inside(pieces: Iterable[bytes], texts: Iterable[str]) -> list[bytes]:
    """The pieces that neither lie in one cluster of the texts nor are, in some place, clusters from end to end.

    Signs after a blank, as they occur in damaged text, begin a cluster: no piece reaches over a blank.
    """
    parted = [clusters(word) for text in texts for word in text.split()]
    single = "\0".join({cluster for word in parted for cluster in word}).encode()
    whole = "\0\0".join("\0".join(word) for word in {tuple(word) for word in parted})
    whole = f"\0{whole}\0"

    def good(piece: bytes) -> bool:
        if piece in single:
            return True
        try:
            inner = "\0".join(clusters(piece.decode()))
        except UnicodeDecodeError:  # part of a character, and more than one cluster
            return False
        return f"\0{inner}\0" in whole

    return [piece for piece in pieces if not good(piece)]


def made_of_one_that_cuts(piece: bytes, base: Any) -> bool:
    """Whether the byte-level `base` spells the piece with a token that reaches over a cluster's end: a sign and (some
    bytes of) the letter after it. The merge of such a token comes first, whatever is added."""

    def over(token: bytes) -> bool:
        text = token.decode("utf-8", "replace")
        broken = text.strip("\ufffd") != "" and "\ufffd" in text
        return broken or (unicodedata.category(text[0]) == "Mn" and len(clusters(text)) > 1)

    return any(over(unspell(token.value)) for token in base.backend_tokenizer.model.tokenize(spell(piece)))
