"""What stands before every request: known Host names, the token, the size of the body, no surprises in browsers."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.requests import Request

from .requests import ApiError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_host(request: Request, allowed: Sequence[str] | None) -> None:
    """ApiError if the Host header names none of `allowed` (None: any).

    A web page may point a name of its own at 127.0.0.1 (DNS rebinding); its requests then carry that name.
    """
    if allowed is None:
        return
    host = request.headers.get("host", "").lower()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    if name not in allowed:
        raise ApiError(403, f"this server does not answer to the name '{name[:100]}'", code="host_not_allowed")


def check_token(request: Request, token: str | None) -> None:
    """ApiError 401 unless the request carries `token` as its bearer; compared in constant time."""
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise ApiError(401, "this server wants a token: Authorization: Bearer …", code="invalid_api_key")


async def read_body(request: Request, limit: int) -> bytes:
    """The body, ApiError 413 as soon as it is longer than `limit` bytes, 415 if it is not declared as JSON.

    Requiring JSON makes browsers ask before another site's page may post here, and they are not allowed.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "the body must be sent as Content-Type: application/json")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise ApiError(413, f"the body is longer than {limit:,} bytes", code="body_too_large")
        parts.append(part)
    return b"".join(parts)
