"""Language models in KenLM's files, as CCNet and others publish them, if the library `kenlm` is installed.

KenLM is LGPL and not among what Sampan installs. A folder holds `LANGUAGE.bin` or `LANGUAGE.arpa` (also `.arpa.bin`),
and `LANGUAGE.sp.model` beside it where the model reads SentencePiece pieces, as CCNet's do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..lang.codes import known_language
from ..lang.segment import words

_SUFFIXES = (".arpa.bin", ".arpa", ".bin")


class KenlmModels:
    """A scorer of the models in a folder, by the language that their names begin with."""

    method = "kenlm"

    def __init__(self, folder: Path) -> None:
        self._files = {
            code: file
            for suffix in reversed(_SUFFIXES)
            for file in sorted(folder.glob(f"*{suffix}"))
            if (code := known_language(file.name.partition(".")[0]))
        }
        if not self._files:
            raise InputError(
                "neither a scorer nor a folder of KenLM models",
                where=str(folder),
                how="Make one with corpus.train_lm or corpus.train_quality, or name KenLM files LANGUAGE.bin.",
            )
        try:
            import kenlm
        except ImportError:
            raise InputError(
                "these are KenLM models, and kenlm is not installed", where=str(folder), how="pip install kenlm"
            ) from None
        self._open = kenlm.Model
        self._models: dict[str, tuple[Any, Any]] = {}

    def score(self, text: str, language: str) -> float | None:
        """Minus bits per unit, sentence ends not counted; None for a language without a model."""
        if language not in self._files:
            return None
        if language not in self._models:
            self._models[language] = self._load(language)
        model, pieces = self._models[language]
        units = pieces.encode(text.casefold(), out_type=str) if pieces else words(text.casefold(), language)
        if not units:
            return None
        return model.score(" ".join(units), bos=True, eos=False) / len(units) * 3.321928094887362  # log10 to log2

    def _load(self, language: str) -> tuple[Any, Any]:
        file = self._files[language]
        pieces = file.with_name(f"{file.name.partition('.')[0]}.sp.model")
        if not pieces.is_file():
            return self._open(str(file)), None
        from sentencepiece import SentencePieceProcessor

        return self._open(str(file)), SentencePieceProcessor(model_file=str(pieces))
