"""The filters count the same with compiled loops and without."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.corpus.filters import ORDER
from sampan.corpus.filters.boilerplate import _ALL_CUES
from sampan.corpus.rules import rules_of
from sampan.corpus.view import TextView
from sampan.lang import kernels
from sampan.lang.profile import load_profile
from sampan.lang.units import codepoints

WORDS = ["saya", "kami", "Rumah", "dan", "besar.", "\n", "\n\n", "ภาษา", "read more", "© 2020", "log in", "x"]
texts = st.lists(st.sampled_from(WORDS), max_size=150).map(" ".join)


@given(texts, st.sampled_from(["ind_Latn", "tha_Thai"]))
@settings(max_examples=100, deadline=None)
def test_statistics_of_all_filters_are_the_same(text, code):
    profile, rules = load_profile(code), rules_of(ORDER)
    found = []
    for worth in (1 << 60, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "WORTH", worth)
            view = TextView(text, profile, profile.thresholds)
            found.append([rule.statistic(view) for rule in rules] if text.strip() else [])
            found.append(_ALL_CUES.places(text, codepoints(text)))
    assert found[:2] == found[2:]


def test_repeats_are_counted_in_compiled_loops(monkeypatch):
    """Else the test above would compare the plain code with itself."""
    from sampan.corpus.kernels import loops

    monkeypatch.setattr(kernels, "WORTH", 0)
    assert loops("repeats").repeats.__class__.__module__.startswith("numba"), "numba is missing"
