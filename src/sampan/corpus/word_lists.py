"""Word lists that users bring, one text file per language."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import InputError
from ..lang.profile import languages


def read_word_list(path: Path, code: str) -> tuple[str, ...]:
    """The words and phrases of `CODE.txt` in the folder `path` (or `path` itself, so named), one a line; () if there is
    none for this language. Lines that start with # are comments. InputError if no file is named after a language."""
    files = {file.stem: file for file in (sorted(path.glob("*.txt")) if path.is_dir() else [path])}
    if not files.keys() & set(languages()):
        raise InputError(
            "no word list is named after a language", where=str(path), how="Call it like its language: tha_Thai.txt."
        )
    if code not in files:
        return ()
    try:
        lines = files[code].read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"not readable as UTF-8 text ({error})", where=str(files[code])) from None
    return tuple(word for line in lines if (word := line.strip()) and not word.startswith("#"))
