"""What a run says while it runs: live lines with rate and time left on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from ..recipe.plan import Step
from .text import duration, quantity

BAR = 20
QUIET_SECONDS = 20.0


def progress_line(name: str, done: int, total: int | None, unit: str, elapsed: float) -> str:
    """A name, a bar where the total is known, the rate and the time left."""
    if not total:
        return f"       {name}  {quantity(done)} {unit}  {duration(elapsed)}"
    rate = done / elapsed if elapsed > 0 else 0
    full = min(BAR, int(BAR * done / total))
    left = duration((total - done) / rate) if rate else "?"
    return (
        f"       {name}  {'█' * full + '░' * (BAR - full)} {100 * done / total:3.0f} %"
        f"  {quantity(done)}/{quantity(total)} {unit}  {quantity(rate)} {unit}/s  {left} left"
    )


class Progress:
    """An `on_event` for `run_plan`. On a terminal the running stages are redrawn below the finished ones."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.total, self.done, self.hits = total, 0, 0
        self.running: dict[str, dict[str, Any]] = {}
        self.drawn = 0

    def __call__(self, what: str, step: Step, detail: Any) -> None:
        name = step.node.name
        if what == "hit":
            self.hits += 1
            self.done += 1
        elif what == "started":
            self.running[name] = {"since": time.monotonic(), "said": time.monotonic(), "state": (0, None, "")}
            if not self.live:
                self._say(f"start  {name} ({step.node.decl.kind})")
        elif what == "progress" and name in self.running:
            self.running[name]["state"] = detail
            self._tick(name)
        elif what == "log":
            self._say(f"       {name}: {detail}")
        elif what in ("built", "failed"):
            self.running.pop(name, None)
            self.done += what == "built"
            self._say(self._ended(what, step, detail))
        self._draw()

    def close(self) -> None:
        self._erase()

    def _ended(self, what: str, step: Step, detail: Any) -> str:
        if what == "failed":
            return f"FAILED {step.node.name} ({step.node.decl.kind})"
        seconds = duration(detail["times"]["seconds"])
        return f"[{self.done}/{self.total}] {step.node.name}  {step.node.decl.kind}  {detail['digest'][:8]}  {seconds}"

    def _tick(self, name: str) -> None:
        entry = self.running[name]
        if not self.live and time.monotonic() - entry["said"] > QUIET_SECONDS:
            entry["said"] = time.monotonic()
            self._say(self._line(name))

    def _line(self, name: str) -> str:
        entry = self.running[name]
        return progress_line(name, *entry["state"], time.monotonic() - entry["since"])

    def _say(self, text: str) -> None:
        self._erase()
        print(text, file=self.stream, flush=True)

    def _draw(self) -> None:
        if self.live:
            self._erase()
            lines = [self._line(name) for name in self.running]
            self.stream.write("".join(f"\x1b[2K{line}\n" for line in lines))
            self.stream.flush()
            self.drawn = len(lines)

    def _erase(self) -> None:
        if self.drawn:
            self.stream.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0


class Bar:
    """One line of progress for one piece of work: redrawn on a terminal, said now and then in a log."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self.name, self.stream = name, stream or sys.stderr
        self.since = self.said = time.monotonic()
        self.live = self.stream.isatty()

    def progress(self, done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        if now - self.said < (0.2 if self.live else QUIET_SECONDS):
            return
        self.said = now
        line = progress_line(self.name, done, total, unit, now - self.since)
        self.stream.write(f"\r\x1b[2K{line}" if self.live else f"{line}\n")
        self.stream.flush()

    def log(self, text: str) -> None:
        self.close()
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        if self.live:
            self.stream.write("\r\x1b[2K")
