"""One model, many askers: replies are made one at a time, first come first served, each in the worker thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

_END = object()
_LOOK_SECONDS = 0.25
"""How often to look whether anybody still waits, while no piece comes."""


class Work(Protocol):
    """What a job gives: pieces to iterate, and a way to end early."""

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class QueueFull(Exception):
    """Too many requests are waiting."""


class Gone(Exception):
    """Nobody waits for this work any more."""


class ModelQueue:
    """Runs jobs one after another in one thread. `waiting` counts those not finished."""

    def __init__(self, *, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._closing = threading.Event()
        self.waiting = 0

    async def pieces(self, work: Work, is_gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        """The work's pieces as they are made. QueueFull if too many wait, Gone once `is_gone` says so.

        Leaving the loop early, being cancelled or Gone ends the work after the token it is at, or before its first if
        it was still waiting.
        """
        if self.waiting >= self._max_waiting:
            raise QueueFull
        loop, ready, gone = asyncio.get_running_loop(), asyncio.Queue(), threading.Event()
        self.waiting += 1

        def put(item: object) -> None:
            try:
                loop.call_soon_threadsafe(ready.put_nowait, item)
            except RuntimeError:  # the loop is closed: nobody listens
                gone.set()

        future = self._thread.submit(self._make, work, gone, put)
        future.add_done_callback(lambda _: _on_loop(loop, self._finished))
        try:
            while True:
                item = None
                with contextlib.suppress(TimeoutError):
                    item = await asyncio.wait_for(ready.get(), _LOOK_SECONDS)
                if item is _END:
                    return
                if isinstance(item, BaseException):
                    raise item
                if await is_gone():
                    raise Gone
                if item is not None:
                    yield item
        finally:
            gone.set()

    def close(self) -> None:
        """End what runs after its token, drop what waits."""
        self._closing.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _make(self, work: Work, gone: threading.Event, put: Callable[[object], None]) -> None:
        try:
            if not gone.is_set():
                for piece in work:
                    put(piece)
                    if gone.is_set() or self._closing.is_set():
                        break
            put(_END)
        except Exception as error:
            put(error)
        finally:
            work.close()

    def _finished(self) -> None:
        self.waiting -= 1


def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)
