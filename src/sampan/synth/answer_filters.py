"""Which sampled answers are worth judging, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass

from ..lang.scripts import own_script_share, script_shares


@dataclass(frozen=True, slots=True)
class Answer:
    """One sampled answer; `ended` tells whether the model ended its turn by itself."""

    text: str
    ended: bool


def refuse_pair(first: Answer, second: Answer, language: str, *, min_script_share: float | None) -> str:
    """Why a pair is not judged, '' if it is: the reason of either answer, or that they are identical."""
    reason = refuse(first, language, min_script_share=min_script_share)
    reason = reason or refuse(second, language, min_script_share=min_script_share)
    return reason or ("identical" if first.text.strip() == second.text.strip() else "")


def refuse(answer: Answer, language: str, *, min_script_share: float | None) -> str:
    """`empty`, `not_ended` or `wrong_script`, '' if the answer may be judged.

    `language` is like tha_Thai; without one, or with `min_script_share` None, the script is not looked at. An answer
    without any letters (a number, a formula) has no wrong script.
    """
    if not answer.text.strip():
        return "empty"
    if not answer.ended:
        return "not_ended"
    script = language.partition("_")[2]
    if min_script_share is None or not script or not script_shares(answer.text):
        return ""
    return "" if own_script_share(answer.text, script) >= min_script_share else "wrong_script"
