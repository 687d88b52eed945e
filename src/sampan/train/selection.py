"""Training some rows and columns of matrices only: all other numbers of the model stay as they are, bit by bit.

Gradients are zeroed before they are clipped, and the matrices have no weight decay: with a gradient of zero from the
first step on, AdamW's moments are zero and its update is too.
"""

from __future__ import annotations

from typing import Any

import torch

from ..artifacts.neurons import Neurons
from ..core.errors import StageError
from .distributed import World, rows
from .masters import local


class Selection:
    """What of which parameters is trained. StageError if the model has no such rows."""

    def __init__(self, neurons: Neurons, model: Any) -> None:
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        self._chosen = {}
        for dim, chosen in enumerate((neurons.rows, neurons.columns)):
            for name, numbers in chosen.items():
                if name not in shapes or not all(0 <= number < shapes[name][dim] for number in numbers):
                    raise StageError(
                        f"the neurons do not fit this model: {name}", how="Find them in this model or its ancestor."
                    )
                self._chosen[name] = (dim, sorted(set(numbers)))
        self.parameters = sum(
            len(numbers) * shapes[name].numel() // shapes[name][dim] for name, (dim, numbers) in self._chosen.items()
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the matrices that have something to train."""
        return tuple(self._chosen)

    def mask(self, model: Any, world: World) -> None:
        """Zero the gradients of everything else."""
        for name, parameter in model.named_parameters():
            if name in self._chosen and parameter.grad is not None:
                dim, numbers = self._chosen[name]
                keep = torch.zeros(parameter.shape[dim], dtype=torch.bool, device=parameter.device)
                keep[numbers] = True
                grad = local(parameter.grad)
                if dim == 0:
                    first, end = rows(parameter, world)
                    grad[~keep[first:end]] = 0
                else:
                    grad[:, ~keep] = 0
