"""Averages of the weights over a run: exponential, or the mean of the last points.

The average lies beside the optimiser's moments, so that checkpoints hold it and processes divide it as they do those.
"""

from __future__ import annotations

import torch

from .masters import exact, local, put
from .resume import Progress
from .settings import Optimisation

AVERAGE = "average"
"""Its name among the optimiser's state of a parameter."""


class Average:
    """Adds the weights after each step; when the run ends, the average takes their place."""

    def __init__(self, params: Optimisation, optimiser: torch.optim.Optimizer, steps: int) -> None:
        self._params, self._optimiser, self._steps = params, optimiser, steps

    def add(self, progress: Progress) -> None:
        """Take in the weights as they are after `progress.step` steps."""
        left = self._steps - progress.step
        if self._params.ema_decay:
            share = 1 - self._params.ema_decay if progress.averaged else 1.0
        elif left % self._params.average_every == 0 and left // self._params.average_every < self._params.average_last:
            share = 1 / (progress.averaged + 1)
        else:
            return
        self._take_in(share)
        progress.averaged += 1

    @torch.no_grad()
    def _take_in(self, share: float) -> None:
        for parameter in self._trained():
            state = self._optimiser.state[parameter]
            if AVERAGE in state:
                local(state[AVERAGE]).lerp_(exact(parameter, state).float(), share)
            else:
                state[AVERAGE] = torch.empty_like(parameter, dtype=torch.float32, requires_grad=False)
                local(state[AVERAGE]).copy_(exact(parameter, state))

    @torch.no_grad()
    def finish(self) -> None:
        """Put the average in the weights' place."""
        for parameter in self._trained():
            if AVERAGE in (state := self._optimiser.state[parameter]):
                put(parameter, state, local(state[AVERAGE]))

    def _trained(self) -> list[torch.Tensor]:
        """Parameters that have had a step."""
        members = (parameter for group in self._optimiser.param_groups for parameter in group["params"])
        return [parameter for parameter in members if self._optimiser.state.get(parameter)]
