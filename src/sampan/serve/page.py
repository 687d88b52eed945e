"""The chat page: one file, served with a policy that lets it talk to this server and to nobody else."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib.resources import files

from starlette.responses import HTMLResponse


def page_response() -> HTMLResponse:
    """The page, its script and style allowed by their digests, so that no other script could ever run in it."""
    html, policy = _page()
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(html, headers=headers)


@functools.cache
def _page() -> tuple[str, str]:
    html = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    script, style = (_digests(html, tag) for tag in ("script", "style"))
    rules = [
        "default-src 'none'",
        f"script-src {script}",
        f"style-src {style}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return html, "; ".join(rules)


def _digests(html: str, tag: str) -> str:
    found = re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found)
