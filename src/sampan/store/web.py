"""Files of web servers, read with patience: a busy server or a broken connection is not the end of a download."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from .. import __version__

AGENT = f"sampan/{__version__} (+https://github.com/sampan-ml/sampan)"
BUSY = (408, 429, 500, 502, 503, 504)
"""Statuses that waiting may mend."""
TRIES = 5
_BASE_WAIT = 1.0
_LONGEST_WAIT = 600.0
_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20
_JITTER = (1.0, 0.83, 1.21, 0.91, 1.13, 0.87, 1.29, 0.96)
"""Waits are stretched by these in turn, so that many guests do not come back at once."""


def wait_seconds(attempt: int, base_wait: float, after: str) -> float:
    """How long to wait after refusal number `attempt` (0 for the first): `base_wait`, then twice that, and so on, or
    what the server's Retry-After `after` says; ten minutes at most."""
    wait = base_wait * 2**attempt * _JITTER[attempt % len(_JITTER)]
    if after.isascii() and after.isdigit():
        wait = max(wait, float(after))
    return min(wait, _LONGEST_WAIT)


def web_blocks(url: str) -> Iterator[bytes | None]:
    """The bytes of the file at an http(s) address, in order; None where what was read so far counts no more.

    After a broken connection it goes on where it was, if the server says that the file is still the same
    (`If-Range`), and begins anew otherwise. The error of the last of TRIES attempts, or the first that waiting does not
    mend: a status such as 404, a host that is not known or refuses.
    """
    done, mark = 0, ""
    for attempt in range(TRIES):
        after = ""
        try:
            with _ask(url, done, mark) as answer:
                if done and not _goes_on(answer, done):
                    done = 0
                    yield None
                mark = _mark(answer.headers)
                for block in _whole(answer):
                    done += len(block)
                    yield block
                return
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in BUSY or attempt + 1 == TRIES:
                    raise
                after = error.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            if _is_final(error) or attempt + 1 == TRIES:
                raise
        time.sleep(wait_seconds(attempt, _BASE_WAIT, after))


def _ask(url: str, done: int, mark: str) -> http.client.HTTPResponse:
    headers = {"User-Agent": AGENT}
    if done and mark:
        headers |= {"Range": f"bytes={done}-", "If-Range": mark}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)


def _goes_on(answer: http.client.HTTPResponse, done: int) -> bool:
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _mark(headers: http.client.HTTPMessage) -> str:
    """By what a server tells whether a file is still the same; "" if it gives nothing that is sure to change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _whole(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body by pieces; ConnectionError if it is shorter than announced, which the client does not say of itself."""
    left = answer.length or 0
    while block := answer.read(_CHUNK):
        left -= len(block)
        yield block
    if left > 0:  # 0 and below: the server did not say how much there is
        raise ConnectionError(f"{left} bytes are missing")


def _is_final(error: Exception) -> bool:
    """Whether asking again is vain: no such host, nobody there, a certificate that does not hold, no web address."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, socket.gaierror):
        return reason.errno != socket.EAI_AGAIN
    return isinstance(reason, (ConnectionRefusedError, ssl.SSLCertVerificationError, str))
