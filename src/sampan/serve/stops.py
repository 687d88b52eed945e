"""Stop strings: text passes through until one begins, and none of it leaks, however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Feed pieces with `push`, end with `flush`. `stopped` is True once a stop string was whole; then nothing follows.

    Text that could still become a stop string is held back until it is sure.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """The part of the text so far that surely comes before any stop string."""
        if self.stopped:
            return ""
        text = self._held + piece
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, once it is sure that no more text comes."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops):
                return size
        return 0
