"""A mixture: shares of token streams by key, as train.mixture_search finds them and train.causal_lm follows them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.stage import Artifact

FORMAT = "mixture/1"
FILE = "mixture.json"


def write_mixture(folder: Path, weights: Mapping[str, Mapping[str, float]], about: Mapping[str, Any]) -> None:
    """Write `weights` ({key: {"share": s, …}}, keys as in train.causal_lm's `mixture`) with whatever else is known."""
    text = json.dumps({"format": FORMAT, "weights": weights, **about}, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_mixture(source: Artifact | Path) -> dict[str, float]:
    """Shares by key, from an artifact or a file from outside, where `weights` may also be plain numbers by key.

    InputError if it is not such a file or a share is not a number of 0 or more.
    """
    path = source.path if isinstance(source, Artifact) else source
    file = path / FILE if path.is_dir() else path
    try:
        weights = json.loads(file.read_text(encoding="utf-8"))["weights"]
        shares = {str(k): float(v["share"] if isinstance(v, Mapping) else v) for k, v in weights.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "not a mixture",
            where=str(file),
            how='Make one with train.mixture_search, or write {"weights": {"tha_Thai": 0.5, …}}.',
        ) from None
    bad = next((key for key, share in shares.items() if not (math.isfinite(share) and share >= 0)), None)
    if bad is not None or not shares:
        raise InputError(
            f"the weight of '{bad}' is not a number of 0 or more" if shares else "no weight", where=str(file)
        )
    return shares
