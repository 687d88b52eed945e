"""Digests: one spelling for equal values, refusal of what has none, and keys that move with what they should."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.core.identity import canonical_json, digest_tree, digest_value, stage_key, unit_interval

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_order_of_keys_does_not_count(value):
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)


@given(plain, plain)
def test_different_values_have_different_spellings(a, b):
    """Equal in Python (1 == 1.0) means one spelling; True and 1 are told apart by type."""
    if a == b and repr(a) == repr(b):
        assert canonical_json(a) == canonical_json(b)
    if a != b:
        assert canonical_json(a) != canonical_json(b)


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), float("inf"), Path("x"), object(), {1: 2}, b"x"])
def test_values_without_one_spelling_are_refused(value):
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"value": [value]})


def test_whole_floats_are_integers():
    """200e9 in a recipe and 200000000000 mean the same number of tokens."""
    assert digest_value({"num_tokens": 200e9}) == digest_value({"num_tokens": 200_000_000_000})


def test_tree_digest_sees_names_and_bytes_only(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x.txt").write_text("text")
    (tmp_path / "b" / "empty").mkdir()
    assert digest_tree(tmp_path / "a") == digest_tree(tmp_path / "b"), "empty folders and times do not count"
    (tmp_path / "b" / "sub" / "x.txt").write_text("texT")
    assert digest_tree(tmp_path / "a") != digest_tree(tmp_path / "b")


def test_stage_key_moves_with_each_of_its_parts():
    base = ("corpus.clean", 1, {"x": 1}, {"documents": ["d1", "d2"]})
    keys = {
        stage_key(*base),
        stage_key("corpus.dedup", *base[1:]),
        stage_key(base[0], 2, *base[2:]),
        stage_key(*base[:2], {"x": 2}, base[3]),
        stage_key(*base[:3], {"documents": ["d2", "d1"]}),
        stage_key(*base[:3], {"other": ["d1", "d2"]}),
    }
    assert len(keys) == 6
    assert stage_key(*base) == stage_key(*base)


def test_unit_interval_is_what_published_splits_were_made_with():
    assert unit_interval("s", "th-1") == 0.5567039863542309  # the first 8 bytes of SHA-256 of "s\0th-1", over 2**64
    assert unit_interval("s", "th-1") != unit_interval("t", "th-1")
