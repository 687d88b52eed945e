"""Algorithm 1 on the toy cases worked out by hand, literal and corrected, and what makes counting safe to divide."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sampan.vocab.algorithm1 import BARRIER, count_corrected, count_literally, joins, merge_literally

TARGET = frozenset({"ab", "abc", "abcd", "cd", "de"})
CORPUS = ["abcd"] * 5 + ["ab"] * 3 + ["de"]
TOKENS = st.lists(st.sampled_from([*"abcde", BARRIER]), max_size=40)
TARGETS = st.frozensets(st.text("abcde", min_size=2, max_size=5), max_size=20)


def from_the_start_again(tokens, target):
    """EXHAUSTIVE_MERGE without its early stop, as slow as it is written."""
    tokens, made = list(tokens), []
    while True:
        for at in range(len(tokens) - 1):
            if (joined := tokens[at] + tokens[at + 1]) in target:
                tokens[at : at + 2] = [joined]
                made.append(joined)
                break
        else:
            return made


def test_literal_merge_stops_at_a_repeated_pair():
    assert merge_literally("ab ab ab de", TARGET) == ["ab"]
    assert Counter(joins("ab ab ab de", TARGET)) == {"ab": 3, "de": 1}


def test_literal_frequencies_stay_at_one():
    assert count_literally(CORPUS, TARGET) == {"ab": 1, "abc": 1, "abcd": 1, "de": 1}


def test_corrected_counts_every_join():
    once = ((tokens, 1) for tokens in CORPUS)
    assert count_corrected(once, TARGET) == {"ab": 8, "abc": 5, "abcd": 5, "de": 1}
    distinct = Counter(CORPUS).items()
    assert count_corrected(distinct, TARGET) == {"ab": 8, "abc": 5, "abcd": 5, "de": 1}


@given(TOKENS, TARGETS)
def test_one_pass_makes_what_starting_again_makes(tokens, target):
    assert list(joins(tokens, target)) == from_the_start_again(tokens, target)


@given(st.lists(TOKENS, max_size=6), TARGETS, st.randoms())
def test_corrected_counts_do_not_depend_on_order_or_division(documents, target, random):
    whole = count_corrected([([token for some in documents for token in (*some, BARRIER)], 1)], target)
    random.shuffle(documents)
    assert count_corrected(((some, 1) for some in documents), target) == whole


@given(st.lists(TOKENS, max_size=6), TARGETS)
def test_literal_counts_never_pass_corrected_ones(documents, target):
    """A document's joins are at most the corrected ones where the added pieces do not change how it is read: the first
    document of all."""
    first = documents[:1]
    corrected = count_corrected(((some, 1) for some in first), target)
    literal = count_literally(first, target)
    assert all(literal[piece] <= corrected[piece] for piece in literal)
    assert set(literal.values()) <= {1}
