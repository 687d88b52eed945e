"""The filters count the same with compiled loops and without."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.corpus.characters import DIGIT, LETTER
from sampan.corpus.filters import ORDER
from sampan.corpus.filters.boilerplate import _ALL_CUES
from sampan.corpus.number_runs import number_runs
from sampan.corpus.phrases import Phrases
from sampan.corpus.rules import rules_of
from sampan.corpus.view import TextView
from sampan.lang import kernels
from sampan.lang.profile import load_profile
from sampan.lang.units import codepoints

WORDS = [
    *(
        "saya",
        "kami",
        "Rumah",
        "dan",
        "besar.",
        "\n",
        "\n\n",
        " \n\u00a0\n",
        "ภาษา",
        "read more",
        "© 2020",
        "log in",
        "x",
    ),
    *(
        "slot online",
        "situs slot",
        "judi online",
        "slot gacor maxwin",
        "viagra",
        "0812 3456 7890",
        "…",
        "•",
        "12-34",
        "é",
    ),
]
SPANS = ("starts_L", "ends_L", "hashes_L")
texts = st.lists(st.sampled_from(WORDS), max_size=150).map(" ".join)


@given(texts, st.sampled_from(["ind_Latn", "tha_Thai"]))
@settings(max_examples=100, deadline=None)
def test_statistics_of_all_filters_are_the_same(text, code):
    profile, rules = load_profile(code), rules_of(ORDER)
    found = []
    for worth in (1 << 60, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "WORTH", worth)
            view = TextView(text, profile, profile.thresholds, Phrases(["rumah dan", "x"], profile.spaced))
            found.append([rule.statistic(view) for rule in rules] if text.strip() else [])
            found.append(_ALL_CUES.places(text, codepoints(text)))
            found.append([number_runs.__wrapped__(text, least) for least in (6, 7)])
            found.append([getattr(spans, name).tolist() for spans in (view.lines, view.paragraphs) for name in SPANS])
            found.append([view.units_with(LETTER), view.count_by_line(DIGIT).tolist()])
    assert found[:5] == found[5:]


@given(st.text("0123456789๓ .-()/\u00a0‐‑–x\n", max_size=60))
@settings(max_examples=300, deadline=None)
def test_runs_of_digits_are_the_same(text):
    found = []
    for worth in (1 << 60, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "WORTH", worth)
            found.append([number_runs.__wrapped__(text, least) for least in (6, 7)])
    assert found[0] == found[1]


def test_repeats_are_counted_in_compiled_loops(monkeypatch):
    """Else the test above would compare the plain code with itself."""
    from sampan.corpus.kernels import loops

    monkeypatch.setattr(kernels, "WORTH", 0)
    assert loops("repeats").repeats.__class__.__module__.startswith("numba"), "numba is missing"
