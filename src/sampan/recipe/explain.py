"""Why two results differ: the params and inputs that are not the same, traced to where the difference began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..store.store import Store


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two manifests of one step, in words; [] if nothing does."""
    says = []
    if old["stage"] != new["stage"]:
        says.append(f"stage: {old['stage']} -> {new['stage']}")
    elif old["revision"] != new["revision"]:
        says.append(f"revision of {new['stage']}: {old['revision']} -> {new['revision']}")
    for name in sorted(old["params"].keys() | new["params"].keys()):
        before, after = old["params"].get(name, "(unset)"), new["params"].get(name, "(unset)")
        if before != after:
            says.append(f"param {name}: {before!r} -> {after!r}")
    for name in sorted(old.get("reads", {}).keys() | new.get("reads", {}).keys()):
        if old.get("reads", {}).get(name) != new.get("reads", {}).get(name):
            says.append(f"the package's {name} changed")
    for role in sorted(old["inputs"].keys() | new["inputs"].keys()):
        before, after = old["inputs"].get(role, []), new["inputs"].get(role, [])
        if [item["digest"] for item in before] == [item["digest"] for item in after]:
            continue
        if len(before) != len(after):
            says.append(f"input {role}: {_names(before)} -> {_names(after)}")
        else:
            changed = [b for a, b in zip(before, after, strict=True) if a["digest"] != b["digest"]]
            says.append(f"input {role}: {_names(changed)} has other content")
    return says


def trace(store: Store, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(step, what differs) from the steps where the difference began to the two manifests themselves.

    Follows differing inputs upwards through the manifests by key; a difference whose inputs are equal is a cause.
    """
    found: list[tuple[str, str]] = []
    seen: set[tuple[str, str]] = set()

    def visit(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
        if (a["key"], b["key"]) in seen or a["key"] == b["key"]:
            return
        seen.add((a["key"], b["key"]))
        for role, items in b["inputs"].items():
            for before, after in zip(a["inputs"].get(role, []), items, strict=False):
                if before["digest"] == after["digest"]:
                    continue
                older = store.lookup(before["key"]) if before.get("key") else None
                newer = store.lookup(after["key"]) if after.get("key") else None
                if older and newer:
                    visit(older, newer)
        found.extend((b["name"], text) for text in difference(a, b))

    visit(old, new)
    return found


def _names(items: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{item['name']} ({item['digest'][:8]})" for item in items) or "nothing"
