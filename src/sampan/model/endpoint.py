"""Any server that speaks OpenAI's API: asked politely, its failures told apart, its key never written down.

A body with `messages` goes to `chat/completions`, one with `prompt` to `completions`; with `echo` and `logprobs` in it
the reply is how likely the prompt is, and not a text.

A busy or broken server is asked again, later each time, and as late as its Retry-After says; a request that no waiting
mends comes back as a `Reply` with a `failure`, so that a caller can count it. A wrong address or key ends the work.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..artifacts.tables import parse_json
from ..core.errors import InputError, StageError

FAILURES = ("refused", "too_long", "rejected", "outage")
"""refused: the server's filter or the model will not answer; too_long: no room in the window; rejected: any other
request that the server calls wrong; outage: no answer after all tries."""
_BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529)
_LONGEST_WAIT = 300.0
_MOST_BYTES = 16 << 20
_JITTER = (1.0, 0.83, 1.21, 0.91, 1.13, 0.87, 1.29, 0.96)
"""Waits are stretched by these in turn, so that requests that failed together do not come back together."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a text, or a failure with what is known of it in `text`. Tokens are as the server counts them."""

    text: str
    failure: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    at_limit: bool = False
    """Whether the text ends because it may not be longer."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a model is asked, and how patiently."""

    base_url: str
    """As OpenAI's client takes it, such as http://127.0.0.1:8000/v1."""
    model: str
    key_variable: str = ""
    """Environment variable with the key; '' for a server that wants none."""
    timeout_seconds: float = 120.0
    tries: int = 5
    retry_seconds: float = 1.0
    requests_per_minute: float = 0.0
    """0: as fast as the server answers."""
    concurrency: int = 4


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another address."""

    def redirect_request(self, *given: Any) -> None:
        return None


class Client:
    """Asks one endpoint. InputError if its address is none, its key is not in the environment, or nobody is there."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._key = _key(endpoint)
        self._open = urllib.request.build_opener(_NoRedirect).open
        self._lock, self._stop, self._next, self._waits = threading.Lock(), threading.Event(), 0.0, 0
        self.requests = 0
        knock(endpoint.base_url)

    def ask_all(self, bodies: Sequence[Mapping[str, Any]], on_reply: Callable[[int, Reply], None]) -> None:
        """`on_reply(number, reply)` for each request body, in this thread, in the order in which answers come."""
        with ThreadPoolExecutor(self.endpoint.concurrency) as pool:
            waiting = {pool.submit(self.ask, body): number for number, body in enumerate(bodies)}
            try:
                for done in as_completed(waiting):
                    on_reply(waiting[done], done.result())
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """The reply to one body, whose `model` is filled in.

        With `echo` its text is a JSON list: the log-probability (nats) of each token of the prompt given those before
        it, null for the first one. A server that gives none has rejected the request.
        """
        said = ""
        for attempt in range(self.endpoint.tries):
            self._wait_turn()
            try:
                return self._post({"model": self.endpoint.model, **body})
            except _Busy as busy:
                said = str(busy)
                if attempt + 1 < self.endpoint.tries:
                    self._wait(attempt, busy.after)
            if self._stop.is_set():
                break
        return Reply(said, "outage")

    def _post(self, body: Mapping[str, Any]) -> Reply:
        route = "chat/completions" if "messages" in body else "completions"
        url = f"{self.endpoint.base_url.rstrip('/')}/{route}"
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with self._open(request, timeout=self.endpoint.timeout_seconds) as answer:
                return _reply(body, parse_json(answer.read(_MOST_BYTES).decode("utf-8")))
        except urllib.error.HTTPError as error:
            with error:
                return self._refusal(route, error.code, error.headers.get("Retry-After", ""), error.read(_MOST_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise _Busy(str(error) or type(error).__name__) from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _Busy(f"an answer that is not one of OpenAI's {route} ({type(error).__name__})") from None

    def _refusal(self, route: str, status: int, after: str, raw: bytes) -> Reply:
        """What an HTTP error means: a failed reply, `_Busy`, or an error that ends the work."""
        code, message = _problem(raw)
        said = f"HTTP {status}: {message or code or 'no reason given'}"[:500]
        where = self.endpoint.base_url
        if code == "insufficient_quota":
            raise StageError(f"the account has nothing left ({said})", where=where, how="Run again when it has.")
        if status in _BUSY:
            raise _Busy(said, after)
        if status in (401, 403):
            how = "Check the key" + (f" in {self.endpoint.key_variable}." if self._key else ": set `key_variable`.")
            raise InputError(f"the server does not let us in (HTTP {status})", where=where, how=how)
        if status == 404 or 300 <= status < 400:
            how = f"Correct `base_url` (it ends before /{route}) or the model's name '{self.endpoint.model}'."
            if route == "completions":
                how += " A server that only chats is asked in chats."
            raise InputError(f"there is nothing to ask at this address ({said})", where=where, how=how)
        words = f"{code} {message}".lower()
        if "context_length" in words or "context length" in words or "maximum context" in words:
            return Reply(said, "too_long")
        return Reply(said, "refused" if "content_filter" in words or "content_policy" in words else "rejected")

    def _wait_turn(self) -> None:
        if self.endpoint.requests_per_minute:
            with self._lock:
                now = time.monotonic()
                mine = max(now, self._next)
                self._next = mine + 60 / self.endpoint.requests_per_minute
            self._stop.wait(mine - now)
        with self._lock:
            self.requests += 1

    def _wait(self, attempt: int, after: str) -> None:
        with self._lock:
            self._waits += 1
            stretch = _JITTER[self._waits % len(_JITTER)]
        wait = self.endpoint.retry_seconds * 2**attempt * stretch
        if after.isascii() and after.isdigit():
            wait = max(wait, float(after))
        self._stop.wait(min(wait, _LONGEST_WAIT))


class _Busy(Exception):
    """Worth asking again; `after` is the server's Retry-After."""

    def __init__(self, said: str, after: str = "") -> None:
        super().__init__(said)
        self.after = after


def _key(endpoint: Endpoint) -> str:
    if not endpoint.key_variable:
        return ""
    key = os.environ.get(endpoint.key_variable, "").strip()
    if not key:
        raise InputError(
            f"the environment has no {endpoint.key_variable}, which was to hold the key",
            where=endpoint.base_url,
            how=f"export {endpoint.key_variable}=…, or leave `key_variable` empty for a server that wants no key.",
        )
    if not key.isascii() or not key.isprintable():
        raise InputError(f"the key in {endpoint.key_variable} has characters that no header can carry")
    return key


def knock(base_url: str) -> None:
    """InputError unless somebody listens there, before any work is done for it."""
    try:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("not an http or https address")
        if url.username or url.password:
            raise InputError(
                "the endpoint's address holds a name or password, which would be written down",
                how="Put the key into the environment and name it in `key_variable`.",
            )
        port = url.port or (443 if url.scheme == "https" else 80)
        if not any(urllib.request.getproxies().get(name) for name in (url.scheme, "all")):
            socket.create_connection((url.hostname, port), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"nobody answers at the endpoint ({error})",
            where=base_url,
            how="Start the server, or correct `base_url`.",
        ) from None


def _reply(body: Mapping[str, Any], answer: Any) -> Reply:
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    tokens = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if body.get("echo"):
        values = (choice.get("logprobs") or {}).get("token_logprobs") or []
        count = len(body["prompt"])  # what is written behind the prompt does not count
        if len(values) < count or not all(isinstance(value, float | int) for value in values[1:count]):
            return Reply("the server gives no log-probabilities of a prompt's tokens", "rejected", *tokens)
        return Reply(json.dumps(values[:count]), "", *tokens)
    message = choice["message"] if "messages" in body else {"content": choice["text"]}
    text = message.get("content") or ""
    if isinstance(text, list):
        text = "".join(part.get("text", "") for part in text)
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        return Reply(str(message.get("refusal") or text), "refused", *tokens)
    return Reply(str(text), "", *tokens, at_limit=choice.get("finish_reason") == "length")


def _problem(raw: bytes) -> tuple[str, str]:
    """(code, message) of an error's body, as far as it says."""
    try:
        body = parse_json(raw.decode("utf-8", "replace"))
    except ValueError:
        return "", raw[:300].decode("utf-8", "replace").strip()
    error = body.get("error", body) if isinstance(body, dict) else {}
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")
