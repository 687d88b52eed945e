"""Word lists: a word a line, perhaps a tab and a count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..core.errors import InputError


def read_words(path: Path) -> Iterator[tuple[str, int]]:
    """(word, count) in order; 1 where no count is given. Empty lines and lines that begin with # are left out.

    InputError names the line with something else than a number after the tab, or the file if it is no UTF-8 text.
    """
    if not path.is_file():
        raise InputError("no such word list", where=str(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError("this word list is not UTF-8 text", where=str(path)) from None
    for number, line in enumerate(lines, 1):
        word, tab, count = line.partition("\t")
        if not (word := word.strip()) or word.startswith("#"):
            continue
        if tab and not count.strip().isdecimal():
            raise InputError(
                f"{count.strip()[:30]!r} is not a count",
                where=f"{path}:{number}",
                how="A line is a word, or a word, a tab and a whole number.",
            )
        yield word, int(count) if tab else 1
