"""Random rows: drawn from a normal with the mean and deviation of the old rows, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..initialisation import Init, Table, moments

REVISION = 1


def random(table: Table, prepared: Any) -> np.ndarray:
    """Rows [N, D]: mean + deviation · noise per column, the diagonal form of Hewitt 2021."""
    centre_D, spread_D = moments(table.old_VD)
    noise_ND = table.draw().standard_normal((len(table.new.parts), len(centre_D)), np.float32)
    return centre_D + spread_D * noise_ND


INIT = Init(
    rows=random, revision=REVISION, paper="Hewitt 2021, Initializing New Word Embeddings for Pretrained Language Models"
)
