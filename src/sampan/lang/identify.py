"""Which language a text is in: script first, letters of rarer languages of that script, then models for Latin text.

Latin text goes through our n-gram model on three windows (`identifier`). Where it is not sure, lid.176 is the second
opinion on whether the text is in the region's group at all; it is not asked which member of the group, because it
takes Malay for Indonesian and Javanese and Sundanese for anything.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import regex

from .codes import known_language
from .identifier import Identifier, general_identifier, shipped_identifier
from .neighbours import neighbour_of
from .profile import languages, load_profile, per_profiles
from .scripts import CHARACTER_WEIGHT, WRITTEN_IN, script_counts, simplified_share

WINDOW = 400
"""Characters of one window; texts up to three windows are read whole."""
SECOND_WINDOW = 600
"""Characters that the second opinion reads, from the middle."""
SURE = 0.95
"""From this probability of a language with its sisters on, our model needs no second opinion."""
SECOND_WEIGHT, SECOND_FLOOR = 1.5, 0.01
"""Weight of the second opinion's log-probability, and the least probability it can give. Ours, set on real text."""
SECOND_MOST = 2.0
"""More than the second opinion's probabilities, which are rounded up, come to in all."""
MIN_VIETNAMESE_SHARE = 0.04
"""Vietnamese has 0.08 and more of its own letters; at half of that a page of names and references is Vietnamese still.
Other languages that use some of them stay below 0.01."""
MIN_FOREIGN_SCRIPT_SHARE = 0.25
"""Latin letters abound in the region's texts (names, code, addresses): another script at this share of letters
decides, unless most of the text is lines of its own in a language of the region (`SURE_BESIDE`)."""
SURE_BESIDE = 0.8
"""Confidence from which lines in Latin script beside lines in another stand for the page; English, which names and code
may be taken for, does not. Ours."""
CHINESE_LABELS = frozenset({"zh", "zho", "cmn", "cmn_Hani", "zho_Hani"})
"""Labels of models that do not tell the two forms of Chinese apart."""

# Each alternative looks at a character once, whatever comes: scripts without spaces make runs of millions of \S.
_NOISE = regex.compile(
    r"https?://\S++|www\.\S++|(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}+@\S++|`[^`]*+`|\{\{[^{}\n]*+\}\}"
)

# Letters with a hook, a horn, or two marks; without those of Yoruba, Igbo and Guarani.
_VIETNAMESE = regex.compile("[ƠơƯưẢảẤ-ặẺẻẾ-ỉỎỏỐ-ợỦ-ỷ]")


@dataclass(frozen=True, slots=True)
class Guess:
    """The answer: a profile code, or '' when it is no language of ours, with a confidence in 0..1."""

    language: str
    confidence: float
    label: str = ""
    """What the model that decided said (`ind`, `id`), or the script that decided (`Thai`), or a language outside the
    profiles (`shn`, `zh-Hant`)."""


def identify(text: str, identifier: Identifier | None = None, *, name_others: bool = True) -> Guess:
    """The language of `text`; Guess('', 0) for a text without letters. Deterministic and offline.

    `identifier` replaces the shipped model (`identifier.load_identifier`): one of `lang.train_identifier` answers for
    the script it was trained on, a fastText file for every script. Without `name_others` the label and the confidence
    of a text that is in no language of ours may be anything, which saves the second opinion on most such texts.
    """
    text = without_noise(text)
    counts = script_counts(text)
    if not counts:
        return Guess("", 0.0)
    shares = _weighted(counts)
    script, share = _deciding_script(shares)
    if identifier is not None and getattr(identifier, "script", "") in ("", script):
        return _by_model(text, identifier)
    if script != "Latn" and share < shares.get("Latn", 0.0) and (beside := _beside(text, script)):
        return beside
    if script == "Latn":
        return _latin(text, name_others)
    confidence = min(1.0, 2 * share)  # half of the letters is certain: Latin names and code prove nothing
    if script in ("Hani", "Kana"):
        return _chinese(text, counts, confidence)
    if neighbour := neighbour_of(text, script, counts[script]):
        return Guess("", confidence, neighbour)
    return Guess(_by_script().get(script, ""), confidence, script)


def _weighted(counts: Counter[str]) -> dict[str, float]:
    weights = {script: number * CHARACTER_WEIGHT.get(script, 1) for script, number in counts.items()}
    total = sum(weights.values())
    return {script: weight / total for script, weight in weights.items()}


def _deciding_script(shares: dict[str, float]) -> tuple[str, float]:
    """The largest script, or a smaller one that a profile alone uses, if Latin is the largest."""
    script = max(shares, key=lambda name: (shares[name], name))
    others = [name for name in shares if name in _by_script()]
    if script == "Latn" and others:
        other = max(others, key=lambda name: (shares[name], name))
        script = other if shares[other] >= MIN_FOREIGN_SCRIPT_SHARE else script
    return script, shares[script]


def _beside(text: str, script: str) -> Guess | None:
    """The language of the lines without `script`, where they hold most of the letters and are surely in one of the
    region's Latin-script languages: such a page is mixed."""
    alone, letters, all_letters = [], 0.0, 0.0
    for line in text.splitlines():
        counts = script_counts(line)
        weight = sum(number * CHARACTER_WEIGHT.get(name, 1) for name, number in counts.items())
        all_letters += weight
        if not counts[script]:
            alone.append(line)
            letters += weight
    if letters < 0.5 * all_letters:
        return None
    guess = identify("\n".join(alone))
    return guess if guess.language not in ("", "eng_Latn") and guess.confidence >= SURE_BESIDE else None


@per_profiles
def _by_script() -> dict[str, str]:
    """Scripts other than Latin that one profile alone uses, to its code."""
    uses = [(WRITTEN_IN.get(p.script, p.script), p.code) for p in map(load_profile, languages())]
    counts = Counter(script for script, _ in uses)
    return {script: code for script, code in uses if counts[script] == 1 and script != "Latn"}


def _chinese(text: str, counts: Counter[str], confidence: float) -> Guess:
    if counts["Kana"] > 0.1 * counts["Hani"]:
        return Guess("", confidence, "ja")
    simplified = simplified_share(text)
    if simplified < 0.5:
        return Guess("", confidence * (1 - simplified), "zh-Hant")
    if neighbour := neighbour_of(text, "Hani", counts["Hani"]):
        return Guess("", confidence, neighbour)
    return Guess("zho_Hans", confidence, "zh")


def _latin(text: str, name_others: bool) -> Guess:
    sample = window_text(text)
    marked = len(_VIETNAMESE.findall(sample)) / len(sample)
    if marked >= MIN_VIETNAMESE_SHARE:
        return Guess("vie_Latn", min(1.0, marked / (2 * MIN_VIETNAMESE_SHARE)), "vie")
    ours = shipped_identifier().probabilities(sample)
    if not ours:
        return Guess("", 0.0)
    by_code: dict[str, float] = {}
    by_group: dict[str, float] = {}
    for label, share in ours.items():
        code, group = _code_and_group(label)
        by_code[code] = by_code.get(code, 0.0) + share
        by_group[group] = by_group.get(group, 0.0) + share
    best = max(by_code, key=lambda code: (by_code[code], code))
    if not best and not name_others and _beyond_doubt(by_code):
        return Guess("", by_code[""])
    if not best or by_group[_group_of(best)] < SURE:
        return _with_second_opinion(sample, by_code, max(ours, key=lambda label: (ours[label], label)))
    return Guess(best, by_code[best], best)


def _beyond_doubt(ours: dict[str, float]) -> bool:
    """Whether '' stands whatever the second opinion is on it: all for a language and nothing for ''."""
    most = max((share for code, share in ours.items() if code), default=0.0)
    return ours[""] * SECOND_FLOOR**SECOND_WEIGHT > most * (SECOND_MOST + SECOND_FLOOR) ** SECOND_WEIGHT


def _with_second_opinion(sample: str, ours: dict[str, float], top: str) -> Guess:
    """Our probabilities by language times lid.176's for the language's group, to the power SECOND_WEIGHT."""
    start = max(0, (len(sample) - SECOND_WINDOW) // 2)
    theirs = general_identifier().probabilities(sample[start : start + SECOND_WINDOW])
    masses: Counter[str] = Counter()
    for label, share in theirs.items():
        masses[_groups().get(label, "")] += share
    scores = {code: share * (masses[_group_of(code)] + SECOND_FLOOR) ** SECOND_WEIGHT for code, share in ours.items()}
    best = max(scores, key=lambda code: (scores[code], code))
    label = best or max(theirs, key=lambda name: (theirs[name], name), default=top)
    return Guess(best, scores[best] / math.fsum(scores.values()), label)


@per_profiles
def _groups() -> dict[str, str]:
    """lid.176's labels to the group of profiles that they speak for."""
    table = {}
    for profile in map(load_profile, languages()):
        for label in (*profile.lid_labels, *profile.sister_labels):
            table[label] = _group_of(profile.code)
    return table


@per_profiles
def _code_and_group(label: str) -> tuple[str, str]:
    """The profile that a model's label means, and its group."""
    code = profile_code(label)
    return code, _group_of(code)


@per_profiles
def _group_of(code: str) -> str:
    """The first of a profile, its sisters and theirs, which stands for all of them; '' for no profile. A profile of
    one's own names its sisters and need not be named by them."""
    found, todo = set(), {code} & set(languages())
    while todo:
        found |= todo
        named = {sister for each in todo for sister in load_profile(each).sisters}
        naming = {each for each in languages() if todo & set(load_profile(each).sisters)}
        todo = ((named | naming) & set(languages())) - found
    return min(found, default="")


def _by_model(text: str, identifier: Identifier) -> Guess:
    """What `identifier` says by itself: labels of one language add up."""
    found = identifier.probabilities(window_text(text))
    if not found:
        return Guess("", 0.0)
    scores: Counter[str] = Counter()
    for label, share in found.items():
        scores[profile_code(label)] += share
    best = max(scores, key=lambda code: (scores[code], code))
    label = max((name for name in found if profile_code(name) == best), key=lambda name: (found[name], name))
    if label in CHINESE_LABELS and simplified_share(text) < 0.5:
        return Guess("", min(1.0, scores[best]), "zh-Hant")
    return Guess(best, min(1.0, scores[best]), label)


@per_profiles
def profile_code(label: str) -> str:
    """The profile that a model's label means, '' for none: `ms`, `zsm_Latn`, `fil`, `zho_Hans` and the like."""
    return "zho_Hans" if label in CHINESE_LABELS else known_language(label)


def window_text(text: str) -> str:
    """Up to three windows of WINDOW characters, at the beginning, one third and two thirds.

    Not at the end: there stand references, footers and other languages.
    """
    if len(text) > 3 * WINDOW:
        third = (len(text) - WINDOW) // 3
        text = " ".join(text[start : start + WINDOW] for start in (0, third, 2 * third))
    return text


def without_noise(text: str) -> str:
    """`text` without addresses, code and templates; as it is if nothing else is in it."""
    if not _may_be_noisy(text):
        return text
    if "`" in text:  # code may run over lines
        bare = _NOISE.sub(" ", text)
    else:
        lines = text.split("\n")
        bare = "\n".join(_NOISE.sub(" ", line) if _may_be_noisy(line) else line for line in lines)
    return bare if bare.strip() else text


def _may_be_noisy(text: str) -> bool:
    """Whether a sign of `_NOISE` is there, which is found faster than the pattern says that it is not."""
    return "@" in text or "`" in text or "://" in text or "www." in text or "{{" in text
