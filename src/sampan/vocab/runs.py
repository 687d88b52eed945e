"""A language's text as counted runs of its script, and how a tokenizer cuts them: flat arrays, no Python per token.

A run is a stretch of one script's letters and marks with the blank before it, inside which tokens may be merged. Every
distinct run is kept once, with its count and its weight, so that each round of growing encodes it once, in batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..lang.segment import clusters
from .guard import Guard, is_sign, run_pattern

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from .growth import Growth

_BATCH = 20_000
_CHUNK = 1 << 20
_MAX_BALANCE = 2.0


@dataclass
class Runs:
    """Distinct runs R of one language; `ends` tells for every byte of the runs, end to end, whether a cluster ends.

    `counts_R`: how often each occurs. `weights_R`: the same with each source counted by its balanced size.
    """

    language: str
    guard: Guard
    texts: list[str]
    counts_R: np.ndarray
    weights_R: np.ndarray
    sizes_R: np.ndarray
    ends: np.ndarray
    signs: Counter[str]

    @property
    def bytes(self) -> float:
        """Weighted bytes of the text."""
        return float(self.weights_R @ self.sizes_R)


@dataclass
class Cut:
    """The tokens T of all runs, end to end: id, number of the run, and the byte after which each ends."""

    ids_T: np.ndarray
    run_T: np.ndarray
    end_T: np.ndarray


def collect(
    growth: Growth,
    guard: Guard,
    language: str,
    texts: Mapping[str, Sequence[str]],
    kept: set[str],
    balance: float,
    repeats: float = 1.0,
) -> Runs:
    """The runs of a language's texts, given by source. `kept`: characters of kept text, no signs for new pieces.

    With balance α a source of n bytes counts as (n / largest)^(α − 1) times itself, at most twice, so that a small
    source of another register is heard; a run that a source has n times counts as n^`repeats` of its runs, so that
    what it says again and again does not drown what it says. 1 and 1 take the text as it is.
    """
    import numpy as np

    sizes = {source: sum(map(len, some)) for source, some in texts.items()}
    counts: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    signs: Counter[str] = Counter()
    for source, some in texts.items():
        factor = min((max(sizes[source], 1) / max(*sizes.values(), 1)) ** (balance - 1), _MAX_BALANCE)
        found = _count(growth, guard.script, some, signs)
        for run, count in found.items():
            counts[run] += count
            weights[run] += count**repeats * factor
    runs = [run for run in counts if run.strip(" ")]
    ends, size_of = _cluster_ends(runs)
    return Runs(
        language=language,
        guard=guard,
        texts=runs,
        counts_R=np.array([counts[run] for run in runs], np.int64),
        weights_R=np.array([weights[run] for run in runs], np.float64),
        sizes_R=size_of,
        ends=ends,
        signs=Counter({char: count for char, count in signs.items() if _is_new(char, count, kept, guard)}),
    )


def _is_new(char: str, count: int, kept: set[str], guard: Guard) -> bool:
    return count > 0 and char not in kept and is_sign(char, guard.script)


def _count(growth: Growth, script: str, texts: Sequence[str], signs: Counter[str]) -> Counter[str]:
    pattern = run_pattern(script)
    whole: Counter[str] = Counter()
    blank = growth.normalised("\n").startswith(" ")
    for text in texts:
        text = growth.normalised(text)
        if blank:  # before a text, and so before each line of it, which may come as a text of its own
            text = text.replace("\n", "\n ")
        whole.update(pattern.findall(text.replace(growth.left_out, "") if growth.left_out else text))
        signs.update(text)
    out: Counter[str] = Counter()
    for run, count in whole.items():
        for char in run:
            signs[char] -= count
        for part in growth.fragments(run):
            out[part] += count
    return out


def _cluster_ends(runs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For every byte of the runs whether a cluster ends after it, and the bytes of each run. A leading blank belongs to
    the first cluster."""
    import numpy as np

    ends, sizes = [], []
    for some in _chunks(runs):
        text = "".join(some)
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        widths = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)
        after = np.cumsum(widths)
        lengths = np.fromiter(map(len, some), np.int64, len(some))
        last = np.cumsum(lengths) - 1
        # Cut run by run (a line feed apart), so that no cluster reaches over the end of a run.
        parts = np.fromiter(map(len, clusters("\n".join(some))), np.int64)
        stop = np.cumsum(parts) - 1
        line = np.zeros(len(text) + len(some) - 1, bool)
        line[stop] = True
        feeds = last[:-1] + 1 + np.arange(len(some) - 1)
        final = np.delete(line, feeds)
        final[last] = True
        starts = last - lengths + 1
        final[starts[points[starts] == 0x20]] = False
        here = np.zeros(int(after[-1]), bool)
        here[after[final] - 1] = True
        ends.append(here)
        sizes.append(np.diff(after[last], prepend=0))
    if not ends:
        return np.zeros(0, bool), np.zeros(0, np.int64)
    return np.concatenate(ends), np.concatenate(sizes)


def _chunks(runs: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for run in runs:
        chunk.append(run)
        size += len(run)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def letters(growth: Growth, tables: Sequence[Runs]) -> frozenset[str]:
    """The letters that spell all runs, for `growth.bare`; none where tokens are not spelled in byte letters."""
    if growth.whole_characters:
        return frozenset()
    return frozenset(growth.spell("".join(set().union(*(run for runs in tables for run in runs.texts)))))


def cut(growth: Growth, tokenizer: Tokenizer, runs: Runs, widths_V: np.ndarray) -> Cut:
    """The runs as `tokenizer` (from `growth.bare()`) cuts them; `widths_V` are the bytes of every token.

    A run that the tokens do not spell (a vocabulary without byte fallback met an unknown character) is left out.
    """
    import numpy as np

    ids, numbers = [], []
    for start in range(0, len(runs.texts), _BATCH):
        batch = [growth.bare_spelling(run) for run in runs.texts[start : start + _BATCH]]
        lists = [item.ids for item in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        flat = np.fromiter((i for some in lists for i in some), np.int32, int(lengths.sum()))
        ids.append(flat)
        numbers.append(np.repeat(np.arange(start, start + len(lists), dtype=np.int32), lengths))
    if not ids:
        none = np.zeros(0, np.int64)
        return Cut(none, none, none)
    ids_T, run_T = np.concatenate(ids), np.concatenate(numbers)
    width_T = widths_V[ids_T]
    spelled_R = np.bincount(run_T, weights=width_T, minlength=len(runs.texts)).astype(np.int64)
    good_R = spelled_R == runs.sizes_R
    if not good_R.all():
        keep_T = good_R[run_T]
        ids_T, run_T, width_T = ids_T[keep_T], run_T[keep_T], width_T[keep_T]
    before_R = np.cumsum(runs.sizes_R) - runs.sizes_R
    done_R = np.where(good_R, runs.sizes_R, 0)
    shift_R = before_R - (np.cumsum(done_R) - done_R)
    return Cut(ids_T, run_T, np.cumsum(width_T) + shift_R[run_T])
