"""Compiled loops over text give what the array code gives, bit for bit."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.lang import kernels, normalise
from sampan.lang.identifier import shipped_identifier
from sampan.lang.scripts import _counts_of_long
from sampan.lang.units import units

LETTERS = "ab '-’‐\u200c1é\u0301. \nİſ한ภา\U00010400\U000e0041"
texts = st.one_of(st.text(LETTERS, max_size=60), st.text(max_size=40), st.text("saya dan kami ", max_size=400))


def both(monkeypatch, work):
    """What `work` gives without the loops, and with them."""
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "WORTH", 1 << 60)
        plain = work()
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "WORTH", 0)
        if kernels.loops("grams") is None:
            pytest.fail("numba is missing")
        return plain, work()


@given(texts)
@settings(max_examples=200, deadline=None)
def test_probabilities_are_the_same(text):
    plain, fast = both(pytest.MonkeyPatch(), lambda: shipped_identifier().probabilities(text))
    assert fast == plain


@given(texts)
@settings(max_examples=100, deadline=None)
def test_scripts_are_counted_the_same(text):
    plain, fast = both(pytest.MonkeyPatch(), lambda: _counts_of_long(text))
    assert fast == plain


SPACING = st.text("a  \n\n\t\u00a0\u3000\u2028\x1fÃ©ÊÇÑÊé\u0301\u1161가\U0001f600\x93", max_size=12)


@given(st.one_of(texts, SPACING))
@settings(max_examples=300, deadline=None)
def test_steps_with_work_are_the_same(text):
    """Blanks are looked at more closely in loops: where they say that there is nothing to do, there is nothing."""
    spaced = normalise._SPACED
    plain, fast = both(pytest.MonkeyPatch(), lambda: normalise._work_in(text))
    assert fast | spaced == plain
    assert fast & spaced or normalise._blanks(text) == text
    assert plain & normalise._COMPOSED or unicodedata.normalize("NFC", text) == text


@given(st.one_of(texts, SPACING))
@settings(max_examples=200, deadline=None)
def test_one_spelling_is_the_same(text):
    plain, fast = both(pytest.MonkeyPatch(), lambda: normalise.normalise(text))
    assert fast == plain


CLUSTERS = st.text(
    "กาิเ์ๆ๑ກະ\u17d2\u1780\u17b6\u1781\u200d\u1039\u1000\u103a\u1037\u102b\u1040\u1021中かa1 ", max_size=24
)


@given(st.one_of(texts, CLUSTERS), st.booleans())
@settings(max_examples=500, deadline=None)
def test_units_and_hashes_are_the_same(text, spaced):
    plain, fast = both(pytest.MonkeyPatch(), lambda: units(text, spaced))
    for name in ("starts_U", "ends_U", "hashes_U"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(plain, name))
        assert getattr(fast, name).dtype == getattr(plain, name).dtype


def test_loops_wait_until_there_is_enough_to_read(monkeypatch):
    monkeypatch.setattr(kernels, "_texts", 0)
    assert kernels.loops("grams") is None
    kernels.expect(kernels.WORTH)
    assert kernels.loops("grams") is not None


def test_no_pair_that_composes_is_passed_over():
    """Every character, and every pair that Unicode composes, after what may come before it."""
    starters = [chr(point) for point in range(0xC0, normalise._PLANE) if not 0xD800 <= point < 0xE000]
    pairs = [unicodedata.normalize("NFD", char) for char in starters] + ["각", "\u1100\u1161\u11a8", "a\u0323\u0307"]
    changed = [text for text in (*starters, *pairs) if unicodedata.normalize("NFC", text) != text]
    assert len(changed) > 10_000
    assert all(normalise._work_in(text) & normalise._COMPOSED for text in changed)
