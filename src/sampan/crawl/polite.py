"""HTTP as a guest: a named agent, a bound on requests a second, and patience with servers that are busy."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from ..core.errors import StageError
from ..store.web import AGENT, BUSY, wait_seconds

_TIMEOUT_SECONDS = 60


@dataclass
class Polite:
    """Requests one after another. `base_wait` seconds after a first refusal, twice that after the next, and so on; or
    what the server's Retry-After says."""

    per_second: float
    base_wait: float
    tries: int
    requests: int = 0
    waits: int = 0
    _next: float = 0.0

    def get(self, url: str, *, max_bytes: int, span: tuple[int, int] | None = None) -> tuple[int, bytes]:
        """(status, body up to `max_bytes`) of a GET, of the bytes `span` = (first, last) if given. Statuses that
        waiting does not mend, such as 404, are returned; StageError after `tries` refusals or broken answers."""
        said = ""
        for attempt in range(self.tries):
            self._wait_turn()
            headers = {"User-Agent": AGENT, **({"Range": f"bytes={span[0]}-{span[1]}"} if span else {})}
            after = ""
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS
                ) as answer:
                    return answer.status, _whole(answer, max_bytes)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in BUSY:
                        return error.code, error.read(max_bytes)
                    said, after = f"HTTP {error.code}", error.headers.get("Retry-After", "")
            except (OSError, http.client.HTTPException) as error:
                said = str(error) or type(error).__name__
            self._wait(attempt, after)
        raise StageError(
            f"no answer after {self.tries} tries ({said})",
            where=url,
            how="Run again later: what was fetched is kept.",
        )

    def _wait_turn(self) -> None:
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / self.per_second
        self.requests += 1

    def _wait(self, attempt: int, after: str) -> None:
        self.waits += 1
        time.sleep(wait_seconds(attempt, self.base_wait, after))


def _whole(answer: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """The body up to `max_bytes`; IncompleteRead if the connection ended before what was announced, which the client
    does not say of itself."""
    announced = answer.length
    body = answer.read(max_bytes)
    if announced is not None and len(body) < min(announced, max_bytes):
        raise http.client.IncompleteRead(body, announced - len(body))
    return body
