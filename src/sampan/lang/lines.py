"""Languages of a mixed page, paragraph by paragraph: short lines are read together with their neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from .identify import Guess, identify
from .profile import load_profile
from .scripts import script_counts

MIN_LETTERS = 60
"""Letters that one reading needs: below this, identification of Latin-script text gets unsure."""


def identify_lines(text: str, guess: Callable[[str], Guess] = identify) -> list[tuple[int, int, Guess]]:
    """(start, end, guess) of the stretches of `text`: whole lines that together cover it, in order.

    Lines are put together until they hold MIN_LETTERS letters of one leading script; what is left over at the end of a
    run goes to the stretch before it. Neighbours with one answer become one stretch, with the smaller confidence.
    """
    found: list[tuple[int, int, Guess]] = []
    for start, end in _runs(text):
        said = guess(text[start:end])
        if found and found[-1][2].language == said.language:
            first, _, before = found.pop()
            said = min(before, said, key=lambda one: one.confidence)
            start = first
        found.append((start, end, said))
    return found


SURE = 0.8
"""Confidence from which a stretch counts as another language. Ours: on clean text of 13 languages, see
docs/why/language-identification.md."""
SURE_OF_SOME_SISTER = 0.5
"""The same for an answer with sisters, as what is missing is mostly theirs. Ours."""


def without_others(text: str, language: str, guess: Callable[[str], Guess] = identify) -> tuple[str, float]:
    """`text` without the lines that are surely in another language than `language` and its sisters, and the share of
    letters that stay, 1.0 of a text without letters."""
    own = {language, *load_profile(language).sisters}
    kept, letters, all_letters = [], 0, 0
    for start, end in _runs(text):
        run = text[start:end]
        count = script_counts(run).total()
        found = guess(run)
        other = count >= MIN_LETTERS and found.language not in own and found.label and found.confidence >= _sure(found)
        all_letters += count
        if not other:
            kept.append(run)
            letters += count
    return "".join(kept).strip(), letters / all_letters if all_letters else 1.0


def _sure(found: Guess) -> float:
    return SURE_OF_SOME_SISTER if found.language and load_profile(found.language).sisters else SURE


def main_language(text: str, guess: Callable[[str], Guess] = identify) -> tuple[str, float]:
    """The language of most letters of `text` and their share; ('', 0.0) without letters."""
    letters: Counter[str] = Counter()
    for start, end, said in identify_lines(text, guess):
        letters[said.language] += script_counts(text[start:end]).total()
    if not letters.total():
        return "", 0.0
    best = max(letters, key=lambda code: (letters[code], code))
    return best, letters[best] / letters.total()


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of whole lines that are long enough to read; a run ends early where the leading script changes."""
    runs: list[list] = []  # start, end, letters, leading script
    start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        counts = script_counts(line)
        letters, script = counts.total(), max(counts, key=lambda name: (counts[name], name), default="")
        last = runs[-1] if runs else None
        if last and (not letters or (last[2] < MIN_LETTERS and last[3] in ("", script))):
            last[1], last[2], last[3] = end, last[2] + letters, last[3] or script
        else:
            runs.append([start, end, letters, script])
        start = end
    for place in range(len(runs) - 1, 0, -1):
        before, run = runs[place - 1], runs[place]
        if run[2] < MIN_LETTERS and run[3] == before[3]:
            before[1], before[2] = run[1], before[2] + run[2]
            del runs[place]
    yield from ((run[0], run[1]) for run in runs)
