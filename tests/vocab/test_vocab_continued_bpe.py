"""Continued BPE against counting pairs one by one, and the guard against its definition."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.core.errors import StageError
from sampan.vocab.continued_bpe import learn_merges, letter, number_of
from sampan.vocab.guard import Guard, alphabet


def brute_force(words, budget, min_frequency):
    """Merge the most frequent pair, recounting everything each time; ties as learn_merges promises."""
    ids = {token: n for n, token in enumerate(sorted(set().union(*words)))}
    work = {word: list(word) for word in words}
    merges = []
    while len(merges) < budget:
        pairs = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(work[word]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], ids[p[0]], ids[p[1]]))
        if pairs[best] < min_frequency:
            break
        merges.append(best)
        ids.setdefault(best[0] + best[1], len(ids))
        for tokens in work.values():
            at = 0
            while at < len(tokens) - 1:
                if (tokens[at], tokens[at + 1]) == best:
                    tokens[at : at + 2] = [best[0] + best[1]]
                at += 1
    return merges


@pytest.mark.parametrize("seed", range(8))
def test_same_merges_as_brute_force(seed):
    rng = random.Random(seed)
    # No token twice in a word, because the trainer and a plain recount differ in how they count overlapping repeats.
    tokens = [letter(number) for number in (0, 1, 7, 0xD800, 32_000, 128_255, 151_642, 200_000, 260_000, 400_000)]
    words = Counter("".join(rng.sample(tokens, rng.randint(1, 7))) for _ in range(150))
    got = learn_merges(words, 60, min_frequency=2, max_tokens=99)
    assert len(got) > 20
    assert got == brute_force(words, 60, 2)


def test_frequency_length_and_budget_bound_the_merges():
    words = {"abcd": 5, "ef": 2}
    assert learn_merges(words, 9, min_frequency=3, max_tokens=2) == [("a", "b"), ("c", "d")]
    assert learn_merges(words, 1, min_frequency=1, max_tokens=9) == [("a", "b")]
    assert learn_merges(words, 0, min_frequency=1, max_tokens=9) == []
    assert learn_merges({}, 5, min_frequency=1, max_tokens=9) == []


def test_a_letter_stands_for_its_token():
    assert all(number_of(letter(number)) == number for number in (0, 31_999, 262_143, 1_000_000))
    with pytest.raises(StageError, match="cannot be continued"):
        letter(1_200_000)


def test_guard_wants_a_letter_of_the_script():
    guard = Guard("Thai")
    assert guard.allows("กา".encode())
    assert guard.allows(" ก".encode() + b"\xe0\xb8")
    assert guard.allows(b"\xe0\xb8")  # only Thai letters (and ฿) begin so
    assert not guard.allows(b"\xb8\x81")  # the end of characters of many scripts
    assert not guard.allows(b"\xe0")  # begins every Indic script
    assert not guard.allows(b" the")
    assert not Guard("Mymr").allows(b"\xe1\x82")  # Burmese and Georgian begin so
    assert not guard.allows("ກ".encode())


def test_guard_in_a_shared_script_wants_a_letter_of_its_own():
    kept = alphabet(["the café " * 2, "river " * 9000], "Latn")
    assert "é" not in kept  # one letter in ten thousand is a foreign word, not the alphabet
    guard = Guard("Latn", kept)
    assert guard.allows("ông".encode())
    assert not guard.allows(b"ang")
    assert Guard("Latn", kept, free=True).allows(b"ang")


@settings(max_examples=200)
@given(st.binary(max_size=5))
def test_guarded_bytes_never_occur_in_ascii_or_other_letters(raw):
    """If the guard allows bytes, no text without Thai letters holds them (checked on every letter of two scripts)."""
    if Guard("Thai").allows(raw):
        others = "".join(map(chr, [*range(0x20, 0x500), *range(0xE80, 0xF00), *range(0x1780, 0x1800), 0x4E00]))
        assert raw not in others.encode()
