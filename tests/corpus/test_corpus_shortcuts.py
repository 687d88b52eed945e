"""What cleaning asks only where it can matter gives what asking everywhere gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sampan.corpus import national_ids, pii
from sampan.corpus.filters import boilerplate
from sampan.corpus.number_runs import matches_near, number_runs
from sampan.corpus.view import TextView
from sampan.lang import identify, normalise, units
from sampan.lang.profile import load_profile

PIECES = [
    *("tel: ", "Call ", "hotline", "โทร. ", "ဖုန်း", "phone no", " wa ", "TIN ", "PhilID: ", "ISBN", "S", "D", "v", "X"),
    *("081-234-5678", "0212345678", "+66 81 234 5678", "1-2345-67890-12-3", "123-456-789", "1234567", "12345678901234"),
    *("๐๘๑๒๓๔๕๖๗๘", "2020-2021", "(02) 123 4567", "1", "22", "333", "4444444", "12/ABC(N)123456", " ", "\n", ".", ")"),
    *("-", "\u00a0", "/", "ก", "é", "203.113.130.44", "8.8.8.8", "2405:4800:52a1:9::17", ":", "::", "a.b@c.co.th"),
    *("http://x.y/z?a@b", "www.a", "`code", "`", "{{t}}", "Cookie Policy", "Log In", "© 2020", "SİGN İN", "ſign in"),
    *(
        "read more",
        "Subscribe",
        "All rights reserved",
        "word " * 20,
        "COOKıE polıcy",
        "\u200d",
        "\U000e0100",
        "\u0301" * 40,
    ),
    *("Ã©", "â€™", "ÊÇÑÊ´Õ¤ÃÑº", "éà", "«é»", "\x85", "\x93", "\t", "a  b", "c \n", "\u200b", "\u1039\u1000", "เเ"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
PATTERNS = [("cue", pii._CUE, pii._BEFORE_NUMBER)] + [
    (form.name, form.pattern, form.before) for form in national_ids.FORMATS if form.before >= 0
]


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_numbers_are_found_where_the_whole_text_has_them(text):
    text = pii.ascii_digits(text)
    runs = number_runs(text)
    for name, pattern, before in PATTERNS:
        near = [match.span() for match in matches_near(pattern, text, runs, before)]
        assert near == [match.span() for match in pattern.finditer(text)], name


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_an_address_has_the_part_that_is_looked_for_first(text):
    for may_hold, pattern in ((pii.may_hold_ipv4, pii._IPV4), (pii.may_hold_ipv6, pii._IPV6)):
        assert may_hold(text) or not pattern.search(text)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example("ſign in now\nſign in again\ncopyright © 2020")
@example("SİGN İN\nLOG İN\n© 2020")
def test_lines_about_the_site_are_those_that_the_patterns_find(text):
    view = TextView(text, load_profile("eng_Latn"), load_profile("eng_Latn").thresholds)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    about = [len(line) for line in lines if boilerplate.about_the_site(line)]
    known = any(cue in text.lower() for cue in boilerplate._CUES) and len(about) >= boilerplate.MIN_LINES
    assert boilerplate._about_share(view) == (sum(about) / sum(map(len, lines)) if known else 0.0)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_noise_is_taken_out_of_lines_as_of_the_whole(text):
    bare = identify._NOISE.sub(" ", text)
    assert identify.without_noise(text) == (bare if bare.strip() else text)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_steps_that_are_left_out_would_change_nothing(text):
    found = normalise.normalise(text)
    for _, _, step in normalise._steps("", ""):
        assert step(found) == found


def test_no_step_but_that_of_blanks_is_about_plain_text():
    """The loops also pass over its characters unseen."""
    plain = "\n" + "".join(map(chr, range(0x20, 0x7F)))
    assert normalise._work_in(plain) & ~normalise._SPACED == 0
    assert sum(wanted is not None for _, wanted, _ in normalise._steps("", "")) >= 9


@settings(max_examples=100, deadline=None)
@given(TEXTS)
@example("Der schnelle braune Fuchs springt über den faulen Hund und läuft dann weiter in den Wald.")
@example("Saya pergi ke pasar untuk membeli sayur dan ikan.")
def test_what_is_not_named_is_the_same_where_it_is_ours(text):
    named, unnamed = identify.identify(text), identify.identify(text, name_others=False)
    assert named.language == unnamed.language
    assert not named.language or named == unnamed


def test_characters_beyond_the_table_may_need_any_step():
    assert normalise._work_in("\U0001f600") == normalise._ANY


@pytest.mark.parametrize("table", [units.word_kinds, units._cluster_classes])
def test_lower_case_begins_and_ends_units_where_upper_case_does(table):
    """So units of a text in lower case stand at the places of the text's own."""
    points = np.arange(0x40000)
    lower = [chr(point).lower() for point in points]
    same = np.array([ord(char) if len(char) == 1 else point for point, char in zip(points, lower, strict=True)])
    changed = points[same != points]
    assert len(changed) > 1000
    assert (table()[changed] == table()[same[changed]]).all()


def test_characters_hash_alike_from_the_table_and_one_by_one():
    text = "Aก中\uffff"
    assert units.unit_hash(text) != units.unit_hash(text[:-1])
    high = units.Points(units.codepoints(text + "\U00010000")).hashes(np.array([0]), np.array([4]))
    assert int(high[0]) == units.unit_hash(text)
