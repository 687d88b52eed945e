"""Trained scorers behind one method: `score(text, language)`, higher for better text, None where it cannot say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import InputError

FORMAT = "sampan-scorer/1"
SCORER = "scorer.json"


class Scorer(Protocol):
    method: str

    def score(self, text: str, language: str) -> float | None: ...


def write_scorer(folder: Path, method: str, **fields: Any) -> None:
    """Write scorer.json: what made the scorer, and the facts that its loader needs."""
    row = {"format": FORMAT, "method": method, **fields}
    (folder / SCORER).write_text(json.dumps(row, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def load_scorer(folder: Path) -> Scorer:
    """The scorer in a folder: one of ours, or KenLM models `LANGUAGE.bin` or `LANGUAGE.arpa`. InputError for others."""
    from .kenlm_models import KenlmModels
    from .linear_text import LinearQuality
    from .lm_training import LanguageModels

    if not (folder / SCORER).is_file():
        return KenlmModels(folder)
    try:
        row = json.loads((folder / SCORER).read_text(encoding="utf-8"))
        kind = {"ngram_lm": LanguageModels, "linear_quality": LinearQuality}.get(row.get("method"))
        if kind is None or row.get("format") != FORMAT:
            raise InputError(
                f"a scorer of the method '{row.get('method')}' does not judge quality",
                where=str(folder),
                how="Give one made by corpus.train_lm or corpus.train_quality.",
            )
        return kind(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a readable scorer ({error})", where=str(folder), how="Build it again.") from None
