"""Which language a document is taken for, from what it was declared to be and what the identifier says."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..lang.identify import Guess
from ..lang.profile import Profile, load_profile
from ..lang.scripts import WRITTEN_IN, own_script_share, weighted_script_shares
from ..lang.segment import words

MIN_DECLARED_SCRIPT_SHARE = 0.15
"""How much of a labelled document's letters must be in the label's script for the label to stand against the
identifier. Ours: documentation in small languages is often two thirds commands and names."""
SURE_OF_SISTERS = 0.9
"""Confidence from which an answer stands against a page that declares a sister language. Ours."""
MIN_STOP_WORD_SHARE = 0.12
"""Share of a text's words among the label's stop words at which the label stands, whatever the identifier says: running
text has 0.2 and more in every spaced language here, text of another language next to none. Ours."""


def decide_language(
    text: str,
    declared: str,
    guess: Guess,
    *,
    wanted: Collection[str],
    trust_label: bool,
    floor: Callable[[str], float],
    page: str = "",
) -> tuple[str, str]:
    """(language, '') or (best guess, reason to drop). `floor` gives the least confidence for a language.

    A trusted label stands if its script is there and the identifier agrees, answers a sister language (lid.176 calls
    most Malay Indonesian) or is unsure. Reasons: `unsure_language`, `other_language`, `mislabelled`,
    `unwanted_language`.

    `page` is what a web page declares, which is often wrong: it only decides where the identifier is unsure, or not
    sure between sisters.
    """
    if declared and trust_label:
        stands = _label_stands(text, load_profile(declared), guess, floor(declared))
        language, reason = declared, "" if stands else "mislabelled"
    elif not guess.language:
        language, reason = "", "other_language"
    else:
        language = guess.language
        reason = "" if guess.confidence >= floor(language) else "unsure_language"
        if page and page != language and _page_decides(text, load_profile(page), guess, sure=not reason):
            language, reason = page, ""
    if not reason and wanted and language not in wanted:
        reason = "unwanted_language"
    return language, reason


def _page_decides(text: str, profile: Profile, guess: Guess, *, sure: bool) -> bool:
    between_sisters = guess.language in profile.sisters and guess.confidence < SURE_OF_SISTERS
    return (between_sisters or not sure) and own_script_share(text, profile.script) >= MIN_DECLARED_SCRIPT_SHARE


def _label_stands(text: str, profile: Profile, guess: Guess, floor: float) -> bool:
    shares = weighted_script_shares(text)
    if shares and shares.get(WRITTEN_IN.get(profile.script, profile.script), 0.0) < MIN_DECLARED_SCRIPT_SHARE:
        return False
    if (
        guess.language == profile.code
        or guess.language in profile.sisters
        or guess.label in (*profile.lid_labels, *profile.sister_labels)
    ):
        return True
    if guess.confidence < floor or (profile.script != "Latn" and guess.language == "eng_Latn"):
        return True
    return profile.spaced and _stop_word_share(text, profile) >= MIN_STOP_WORD_SHARE


def _stop_word_share(text: str, profile: Profile) -> float:
    found = [word.lower() for word in words(text, profile.code)]
    known = set(profile.stop_words)
    return sum(word in known for word in found) / len(found) if found else 0.0
