"""Which files of an external input a crawl stage reads, and names for their rows that do not depend on the machine."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..core.errors import InputError, RecipeError, SampanError
from ..core.identity import tree_files
from ..core.stage import EXTERNAL, Artifact


def matching_files(source: Artifact, patterns: Sequence[str], accepts: Callable[[Path], bool]) -> list[Path]:
    """The files of `source` that match any of `patterns` (all that `accepts` takes when there is none), sorted.

    Patterns are relative to the input folder, `*` within a folder and `**` across folders. RecipeError for a pattern
    that leaves the folder or matches nothing; InputError if the input holds no such file. Links out of it are not read.
    """
    root = source.path
    if root.is_file():
        if patterns:
            raise RecipeError("`paths` selects files in a folder, but this input is one file", where=source.name)
        return [root]
    if not root.is_dir():
        raise InputError("no such file or folder", where=str(root))
    names = [name for name in tree_files(root) if _inside(root, name)]
    if not patterns:
        found = [name for name in names if accepts(root / name)]
        if not found:
            how = f"{_held(names)} Name other files with `paths`." if names else _held(names)
            raise InputError("no file of a kind that this stage reads", where=str(root), how=how)
        return [root / name for name in found]
    chosen = set()
    for pattern in patterns:
        if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise RecipeError(f"the pattern '{pattern}' leaves the input folder", where=source.name)
        matches = [name for name in names if _matches(name, pattern)]
        if not matches:
            raise RecipeError(
                f"no file matches '{pattern}'",
                where=source.name,
                how=_held(names),
            )
        chosen.update(matches)
    return [root / name for name in sorted(chosen)]


def _held(names: Sequence[str]) -> str:
    """What a folder holds, in a sentence."""
    return (
        f"The folder has {', '.join(names[:8])}{' …' if len(names) > 8 else ''}." if names else "The folder is empty."
    )


def forecast_bytes(
    facts: Sequence[Mapping[str, Any]], patterns: Sequence[str], accepts: Callable[[Path], bool]
) -> float:
    """Text to expect from the inputs' facts: the size of the files that would be read, packed ones counted thrice."""
    total = 0.0
    for fact in facts:
        if "path" not in fact:
            total += fact.get("text_bytes", fact.get("disk_bytes", 0))
            continue
        source = Artifact(path=Path(fact["path"]), kind=EXTERNAL, digest="", name="")
        try:
            files = matching_files(source, patterns, accepts)
        except SampanError:  # said properly when the stage runs
            continue
        total += sum(file.stat().st_size * (3 if file.suffix in (".gz", ".zst") else 1) for file in files)
    return total


def row_name(source: Artifact, file: Path, place: str) -> str:
    """A name for a row without an id of its own, from the input's digest and the row's place in it.

    `place` is a reader's `file:line`; the path of the machine is cut off it.
    """
    inside = "" if file == source.path else file.relative_to(source.path).as_posix()
    return f"{source.digest[:12]}/{inside}{place.removeprefix(str(file))}"


def _inside(root: Path, name: str) -> bool:
    return (root / name).resolve().is_relative_to(root.resolve())


def _matches(name: str, pattern: str) -> bool:
    return _match_parts(name.split("/"), pattern.split("/"))


def _match_parts(name: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_match_parts(name[cut:], pattern[1:]) for cut in range(len(name) + 1))
    return bool(name) and fnmatch.fnmatchcase(name[0], pattern[0]) and _match_parts(name[1:], pattern[1:])
