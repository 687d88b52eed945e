"""Licences: those of the rows that a stage reads, and what each permits.

Rows from outside bring their licences with them as people write them ('CC BY-NC 4.0 (Alpaca)', 'mit', a URL), and no
manifest names them. `license_class` reads such text by a table of words. It is a reading aid, not legal advice.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

PERMISSIVE, SHARE_ALIKE, UNKNOWN, RESTRICTED, NON_COMMERCIAL = CLASSES = (
    "permissive",
    "share-alike",
    "unknown",
    "restricted",
    "non-commercial",
)
"""From the freest to the least free. `restricted`: commercial use is granted under terms of the maker's own (Llama,
Gemma, OpenRAIL, no derivatives). `non-commercial`: it is not granted (CC BY-NC, research only, all rights reserved)."""

_CC = re.compile(
    r"(?:\bcc|creative commons|creativecommons\.org/licenses/)[\s-]*(?:by|attribution)\b"
    r"((?:[\s-]*(?:nc|sa|nd|non-?commercial|share-?alike|no-?deriv\w*)\b)*)"
)
_WORDS = (
    (
        NON_COMMERCIAL,
        r"non[\s-]?commercial|\bnc\b|(?:not?|without) (?:for )?commercial|commercial use (?:is )?(?:not|prohibited)|"
        r"research[\s-](?:only|use|purposes?|licen[cs]e)|(?:academic|research|personal|evaluation)(?: use)? only|"
        r"all rights reserved|proprietary|mistral(?: ai)? (?:research|non)|\bmnpl\b|qwen[\s-]research",
    ),
    (
        RESTRICTED,
        r"\bllama[\s-]?\d|\bllama[\w\s.-]*communit|\bgemma\b|qwen[\w\s.-]*licen|tongyi|deepseek[\w\s-]*licen|"
        r"falcon[\w\s-]*licen|\bopenrail|\brail\b|bigscience|creativeml|imagen|(?:openai|anthropic|google)[\w\s'-]*terms|"
        r"terms of (?:use|service)|business source|\bbusl\b|\bbsl[\s-]1\.1|elastic[\s-]licen|\bsspl\b|no[\s-]deriv",
    ),
    (UNKNOWN, r"\bunknown|\bunstated|\bstates? none|\bno licen[cs]e|\bnot stated|\bunclear"),
    (
        SHARE_ALIKE,
        r"share[\s-]?alike|\b[al]?gpl|\bgfdl|gnu (?:general|lesser|affero|free)|\bmpl\b|mozilla public|\bodbl|"
        r"open database|\beupl|\bepl\b|eclipse public|cdla[\s-]sharing|\bcecill\b|\bosl\b",
    ),
    (
        PERMISSIVE,
        r"\bcc[\s-]?0|cc[\s-]zero|public[\s-]?domain|\bpddl\b|\bunlicense\b|\bmit\b|\bapache|\bbsd\b|\bisc\b|\bzlib\b|"
        r"\b0bsd\b|\bodc[\s-]by|\bpsf|python software|\bofl\b|\bboost|\bbsl[\s-]1\.0|\bw3c\b|"
        r"cdla[\s-]permissive|artistic[\s-]2|\bncsa\b|\bwtfpl\b|\bogl\b|open government|freely usable|"
        r"\bafl\b|\bunicode\b.*licen|\bms-pl\b",
    ),
)
_TABLE = tuple((name, re.compile(words)) for name, words in _WORDS)


@functools.lru_cache(maxsize=4096)
def license_class(license: str) -> str:
    """One of CLASSES for a licence as people write it: an SPDX expression, a hub identifier, a name or a URL.

    Where several are named the least free counts, as each may hold for a part of the rows; `A OR B` of SPDX leaves the
    choice and counts as the freer. What the table does not know is `unknown`.
    """
    return max((_freest(part) for part in re.split(r"\s+AND\s+", license)), key=CLASSES.index)


def _freest(expression: str) -> str:
    return min((_named(part) for part in re.split(r"\s+OR\s+", expression)), key=CLASSES.index)


def _named(license: str) -> str:
    text = license.casefold().replace("_", "-")
    found = [_cc(match[1]) for match in _CC.finditer(text)]
    found += [name for name, words in _TABLE if words.search(text)]
    return max(found, key=CLASSES.index, default=UNKNOWN)


def _cc(elements: str) -> str:
    """The class of a Creative Commons licence by what follows BY."""
    for name, words in ((NON_COMMERCIAL, r"nc|non"), (RESTRICTED, r"nd|no-?deriv"), (SHARE_ALIKE, r"sa|share")):
        if re.search(rf"\b(?:{words})", elements):
            return name
    return PERMISSIVE


class Licensed(Protocol):
    license: str


Row = TypeVar("Row", bound=Licensed)


def noting_licenses(rows: Iterable[Row], found: set[str]) -> Iterator[Row]:
    """The rows as they are; the licence of each one that has passed is added to `found`."""
    for row in rows:
        if row.license:
            found.add(row.license)
        yield row
