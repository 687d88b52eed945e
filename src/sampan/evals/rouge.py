"""ROUGE-L as SEA-HELM's multilingual fork computes it: F1 of the longest common subsequence of words.

Lower case; control and zero-width characters dropped; punctuation and symbols dropped and words parted there; letters
parted from digits and every Han character its own word (the "aggressive" tokenizer); Thai cut by newmm. No stemming.
Two small differences from the fork: its OpenNMT tokenizer is not used, only its rule, and Lao, Khmer and Burmese,
which are not in its XL-Sum, are cut by their profile's segmenter instead of being one word to a phrase.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import regex

from .words import spaced_words

_CONTROL = regex.compile(r"[\p{C}--[\s]]", regex.V1)
_TOKEN = regex.compile(r"\p{Han}|[[\p{L}\p{M}]--\p{Han}]+|\p{N}+", regex.V1)
_BOOTSTRAPS, _SEED = 1000, 4156


def tokens(text: str, language: str) -> list[str]:
    """The words that count."""
    plain = _CONTROL.sub("", text.lower())
    if language != "zho_Hans":
        plain = spaced_words(plain, language)
    return _TOKEN.findall(plain)


def rouge_l(output: str, references: Sequence[str], language: str) -> float:
    """F1 with the best reference, 0..1; 0 for an empty answer."""
    ours = tokens(output, language)
    return max(_f1(ours, tokens(reference, language)) for reference in references)


def sea_helm_mean(values: Sequence[float]) -> float:
    """The corpus figure of SEA-HELM 1.0: the median of 1,000 bootstrap means (NumPy's seed 4156), not the mean."""
    import numpy as np

    draws = np.random.RandomState(_SEED)
    sample_N = np.asarray(values, dtype=float)
    return statistics.median(
        float(sample_N[draws.choice(np.arange(len(sample_N)), len(sample_N))].mean()) for _ in range(_BOOTSTRAPS)
    )


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
