"""Text that was decoded with the wrong charset, turned back where that is certain.

UTF-8 read as Latin-1 or Windows-1252 (`à¸ªà¸§à¸±à¸ªà¸”à¸µ`) leaves byte patterns that good text has not; ftfy
(Speer, 2019) decides and repairs. Thai read as Latin-1 from its old one-byte charset (`ÊÇÑÊ´Õ`) has no such pattern,
so there the result must be flawless Thai, every mark on a consonant, and the line must hold no accented Latin word.
"""

from __future__ import annotations

import re

# Second and later bytes of UTF-8, as Latin-1 and as Windows-1252 show them.
_LATER = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
# One class comes first, so that the search can pass over all else quickly.
UTF8_HEAD, UTF8_LATER = "[\xc2-\xf4]", f"[{_LATER}]"
_UTF8 = re.compile(
    f"{UTF8_HEAD}(?:(?<=[\xc2-\xdf])[{_LATER}]|(?<=[\xe0-\xef])[{_LATER}]{{2}}|(?<=[\xf0-\xf4])[{_LATER}]{{3}})"
)
C1 = "[\x80-\x84\x86-\x9f]"
_C1 = re.compile(C1)
_WINDOWS = {point: bytes([point]).decode("cp1252", "ignore") or chr(point) for point in range(0x80, 0xA0)}
_WINDOWS.pop(0x85)  # a line end of its own, in text that is not Windows-1252

# A run of Thai letters as Latin-1 shows them; a Latin word never has five such signs side by side.
THAI, THAI_RUN = "[\xa1-\xda\xdf-\xfb]", 5
_THAI_RUN = re.compile(f"{THAI}{{{THAI_RUN},}}")
_THAI_PIECE = re.compile(f"{THAI}+")
_LATIN_WORD = re.compile("[A-Za-z][\xc0-\xfb]|[\xc0-\xfb][A-Za-z]")
_THAI_CLUSTERS = re.compile(
    "(?:[\u0e40-\u0e44]?[\u0e01-\u0e2e][\u0e31\u0e34-\u0e3a\u0e47]?[\u0e48-\u0e4e]?[\u0e30\u0e32\u0e33\u0e45]*|[\u0e2f\u0e46\u0e50-\u0e59\u0e3f])+"
)
_THAI_MARK = re.compile("[\u0e31\u0e34-\u0e39\u0e47-\u0e4d]")
_LETTERS = re.compile("[\xc0-\xd6\xd8-\xf6\xf8-\xfb]")
_MIN_MARK_SHARE = 0.04
"""Ours. Real Thai has a mark above or below at 15 to 25 % of its characters; short lines vary."""
_LETTER_SHARES = (0.3, 0.95)
"""Ours. About half of Thai falls on accented letters and half on signs; lists of accents or of signs are one-sided."""


def repair_mojibake(text: str, language: str = "") -> str:
    """`text` with wrongly decoded lines repaired; anything doubtful stays as it is.

    `language` other than Thai (and other than unknown) turns the guess at one-byte Thai off.
    """
    if text.isascii():
        return text
    if _UTF8.search(text):
        text = "\n".join(_from_utf8(line) if _UTF8.search(line) else line for line in text.split("\n"))
    if language in ("", "tha_Thai") and _THAI_RUN.search(text):
        text = "\n".join(_from_tis620(line) for line in text.split("\n"))
    if _C1.search(text):
        # Controls that nobody types: quotes, dashes and the euro sign of Windows-1252.
        text = text.translate(_WINDOWS)
    return text


def _from_utf8(line: str) -> str:
    import ftfy

    return ftfy.fix_encoding(line)


def _from_tis620(line: str) -> str:
    runs = _THAI_RUN.findall(line)
    if not runs or _LATIN_WORD.search(line):
        return line
    latin = "".join(runs)
    thai = [_thai(run) for run in runs]
    marks = sum(len(_THAI_MARK.findall(run)) for run in thai)
    letters = len(_LETTERS.findall(latin)) / len(latin)
    flawless = all(map(_THAI_CLUSTERS.fullmatch, thai))
    if not flawless or not _LETTER_SHARES[0] <= letters <= _LETTER_SHARES[1] or marks < _MIN_MARK_SHARE * len(latin):
        return line
    return _THAI_PIECE.sub(lambda match: _thai(match[0]), line)


def _thai(latin: str) -> str:
    return latin.encode("latin-1").decode("tis-620")
