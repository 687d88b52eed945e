"""How every benchmark ends: a line of JSON with the claim, both numbers and their ratio, kept as a file on request."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def conclude(
    result: Mapping[str, Any],
    out: Path | None,
    *,
    packages: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> int:
    """Print `result` as one line; write it, with `details`, to `out`. Both get machine, versions and date.

    `packages` are ours, whose versions are looked up; `versions` those of peers in other environments. Returns the exit
    status: 0 if `result["ok"]`.
    """
    line = {
        **result,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}}
        | dict(versions or {}),
        "date": datetime.date.today().isoformat(),
    }
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({**line, **(details or {})}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(line, ensure_ascii=False))
    return 0 if result["ok"] else 1
