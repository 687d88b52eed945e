"""ROUGE-L as SEA-HELM's multilingual fork computes it: F1 of the longest common subsequence of words.

Lower case; control and zero-width characters dropped; punctuation dropped and words parted there. Then Thai is cut by
newmm, whose blanks count as words, and Burmese (in SEA-HELM from 1.2 on) into syllables; the rest as OpenNMT's
"aggressive" tokenizer does: letters parted from digits and from symbols, marks kept with what they stand on, every Han
character a word of its own. No stemming. Lao and Khmer, which are not in its XL-Sum, are cut by their profile's
segmenter instead of being one word to a phrase: ours.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import regex

from .words import spaced_words

_CONTROL = regex.compile(r"[\p{C}\uFFFD--[\t\n\r]]", regex.V1)
_PUNCTUATION = regex.compile(r"[\p{P}$+<=>^`|~]")
_HAN = regex.compile(r"[\u4E00-\u9FFF\u3400-\u4DBF\U00020000-\U0002CEAF\uF900-\uFAFF\U0002F800-\U0002FA1F]")
_UNIT = regex.compile(r"(?:\p{L}\p{M}*)+|(?:\p{N}\p{M}*)+|\S\p{M}*")
_LONE_MARK = regex.compile(r"(?<= )(?=\p{M})")
_BLANK_SIGN = "\uff050020"
"""What OpenNMT's tokenizer writes for the blank that a mark stands on."""
_BURMESE_SIGN = r"\u102B-\u1032\u1036-\u1038\u103A-\u103E"
_BURMESE_UNIT = regex.compile(rf"\S[{_BURMESE_SIGN}]*")
_ASAT, _DOT, _STACKER = "\u103a", "\u1037", "\u1039"
_BOOTSTRAPS, _SEED = 1000, 4156


def tokens(text: str, language: str) -> list[str]:
    """The words that count."""
    plain = " ".join(_PUNCTUATION.sub(" ", _CONTROL.sub("", text.lower())).split())
    if language == "tha_Thai":
        return _thai(plain)
    if language == "mya_Mymr":
        return burmese_syllables(plain)
    if language in ("lao_Laoo", "khm_Khmr"):
        plain = spaced_words(plain, language)
    return _units(plain)


def burmese_syllables(text: str) -> list[str]:
    """Syllables as Ding et al. (ACM TALLIP 2019) part them: signs stay with their letter, a letter under asat and the
    parts of a stack with what is before."""
    text = text.replace("\u200c", " ").replace(_DOT + _ASAT, _ASAT + _DOT)
    units: list[str] = []
    for unit in _BURMESE_UNIT.findall("".join(text.split())):
        if units and _ASAT in unit and len(unit) < 4:  # longer ones are vowels such as au
            units[-1] += unit
        else:
            units.append(unit)
    return " ".join(units).replace(f" {_STACKER} ", _STACKER).split()


def rouge_l(output: str, references: Sequence[str], language: str) -> float:
    """F1 with the best reference, 0..1; 0 for an empty answer."""
    ours = tokens(output, language)
    return max(_f1(ours, tokens(reference, language)) for reference in references)


def sea_helm_mean(values: Sequence[float]) -> float:
    """The corpus figure of SEA-HELM: the median of 1,000 bootstrap means (NumPy's seed 4156), not the mean."""
    import numpy as np

    draws = np.random.RandomState(_SEED)
    sample_N = np.asarray(values, dtype=float)
    return statistics.median(
        float(sample_N[draws.choice(np.arange(len(sample_N)), len(sample_N))].mean()) for _ in range(_BOOTSTRAPS)
    )


def _units(plain: str) -> list[str]:
    """OpenNMT's aggressive units, then Han characters parted."""
    found = []
    for word in _LONE_MARK.sub("\0", plain).split():
        units = _UNIT.findall(word.removeprefix("\0"))
        if word[0] == "\0":
            units[0] = _BLANK_SIGN + units[0]
        found += units
    return _HAN.sub(r" \g<0> ", " ".join(found)).split()


def _thai(plain: str) -> list[str]:
    """newmm's words, blanks among them."""
    try:
        from pythainlp.tokenize import word_tokenize
    except ImportError:
        return _units(spaced_words(plain, "tha_Thai"))
    return word_tokenize(plain, engine="newmm") if plain else []


def _f1(ours: list[str], theirs: list[str]) -> float:
    common = _common(ours, theirs)
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


def _common(ours: list[str], theirs: list[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(theirs) + 1)
    for word in ours:
        before = 0
        for place, other in enumerate(theirs, 1):
            kept = row[place]
            row[place] = before + 1 if word == other else max(row[place], row[place - 1])
            before = kept
    return row[-1]
