"""The page of benchmark results, from the files that the benchmarks wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Benchmarks

Each is a script in `benchmarks/` that runs ours and the peer in turn on the same input, checks that both did the same
work, and ends with an exit status that says whether its bar was reached. `make bench` runs those against a peer, the
others are run by hand; most read a folder of real text and tokenizers that is not part of the repository
(`SAMPAN_SHARED`). Figures are of two shared cores without a GPU; the files in `benchmarks/results/` have versions,
dates and all that was measured.

| benchmark | what is compared | ours | peer | ratio | bar | reached |
|---|---|---|---|---|---|---|
"""


def benchmarks_page() -> str:
    """Markdown of all results, one row each."""
    files = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    return HEAD + "".join(_row(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in files)


def _row(name: str, result: dict[str, Any]) -> str:
    ratio, bar = result.get("ratio"), result.get("bar")
    parts = result.get("peers") or result.get("methods")
    if ratio is None and isinstance(parts, dict):  # several peers or methods, each with its own
        parts = {key: part for key, part in parts.items() if isinstance(part, dict) and "ratio" in part}
        ratio = {key: part["ratio"] for key, part in parts.items()}
        bar = bar if bar is not None else {key: part["bar"] for key, part in parts.items()}
    ratio, bar = [_text(ratio)], [_text(bar)]
    for key in (key for key in result if f"{key}_bars" in result):  # further bars, such as those of F1
        ratio.append(f"{key}: {_text(result[key])}")
        bar.append(f"{key}: {_text(result[f'{key}_bars'])}")
    peer = [_text(result.get("peer")), result.get("peer_is", "")]
    cells = [
        _link(name),
        result["claim"],
        _text(result.get("ours")),
        ": ".join(filter(None, reversed(peer))),
        "; ".join(filter(None, ratio)),
        "; ".join(filter(None, bar)),
        "yes" if result["ok"] else "**no**",
    ]
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


def _link(name: str) -> str:
    """The result's name with a link to the script that wrote it, whose name it begins with."""
    scripts = [script for script in (ROOT / "benchmarks").glob("*.py") if name.startswith(script.stem)]
    script = max(scripts, key=lambda each: len(each.stem), default=None)
    return f"[`{name}`](../../benchmarks/{script.name})" if script else f"`{name}`"


def _text(value: Any) -> str:
    """A number to four digits, a mapping as a list of its entries; nothing where that would be long."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items()) if len(value) <= 4 else ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
    return "" if value is None else str(value)
