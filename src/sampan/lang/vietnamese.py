"""Where Vietnamese writes the tone of oa, oe and uy: `hòa` (old style) or `hoà` (new style), which say the same."""

from __future__ import annotations

import re
import unicodedata

STYLES = ("keep", "old", "new")

_TONES = "\u0300\u0301\u0303\u0309\u0323"
_FIRST_TONED = {unicodedata.normalize("NFC", v + tone): (v, tone) for v in "oOuU" for tone in _TONES}
_SECOND_TONED = {unicodedata.normalize("NFC", v + tone): (v, tone) for v in "aAeEyY" for tone in _TONES}
# The pair ends its word: before another letter both styles tone the second vowel (`toàn`). After q, u is no vowel.
_ON_FIRST = re.compile(f"([{''.join(_FIRST_TONED)}])([aAeEyY])(?![^\\W\\d_])")
_ON_SECOND = re.compile(f"(?<![qQ])([oOuU])([{''.join(_SECOND_TONED)}])(?![^\\W\\d_])")
_PAIRS = frozenset(("oa", "oe", "uy"))


def place_tones(text: str, style: str) -> str:
    """NFC `text` with the tones of open oa, oe and uy in `style` (`old` or `new`); `keep` leaves them as typed."""
    if style == "new":
        return _ON_FIRST.sub(_to_second, text)
    if style == "old":
        return _ON_SECOND.sub(_to_first, text)
    if style != "keep":
        raise ValueError(f"unknown tone style {style!r}: one of {', '.join(STYLES)}")
    return text


def _to_second(match: re.Match[str]) -> str:
    first, tone = _FIRST_TONED[match[1]]
    if (first + match[2]).lower() not in _PAIRS:
        return match[0]
    return first + unicodedata.normalize("NFC", match[2] + tone)


def _to_first(match: re.Match[str]) -> str:
    second, tone = _SECOND_TONED[match[2]]
    if (match[1] + second).lower() not in _PAIRS:
        return match[0]
    return unicodedata.normalize("NFC", match[1] + tone) + second
