"""Steps that break: a loss or gradient that is not a number, or far above what the last steps had.

The update of such a step is not made: the weights stay as the last good step left them, and the step's data are left
out. A run is deterministic, so going back to an earlier state and training again up to the broken step would end at
these very weights; where the steps before have done the harm, `rewind_steps` undoes them and leaves out their data too,
as PaLM did by hand (arXiv:2204.02311 §5.1).
"""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

import torch

from ..core.errors import StageError
from .masters import local
from .resume import Progress
from .settings import Optimisation

_LEAST = 10
"""Steps that must be known before one can be far from them (ours)."""
_NORMAL = 1.4826
"""Median absolute deviations of a normal distribution in its standard deviation."""
_FLOOR = 0.01
"""Least deviation, as a share of the median: a flat loss does not make every wobble a spike (ours)."""


class Guard:
    """Says which steps to leave out and keeps what they may need to undo."""

    def __init__(self, params: Optimisation, model: Any, optimiser: torch.optim.Optimizer) -> None:
        self._params, self._model, self._optimiser = params, model, optimiser
        self._kept: tuple[dict[str, Any], list[tuple[torch.Tensor, dict[str, Any]]]] | None = None

    def may_save(self, progress: Progress) -> bool:
        """Whether a checkpoint of now holds all that later steps need: what can be undone is not kept on disk."""
        return not self._params.rewind_steps or progress.step % self._params.rewind_steps == 0

    def before(self, progress: Progress) -> None:
        """Keep the state every `rewind_steps` steps."""
        if self._params.rewind_steps and (self._kept is None or self.may_save(progress)):
            state = [(p, self._copy(p)) for p in self._model.parameters() if p.requires_grad]
            self._kept = (json.loads(json.dumps(vars(progress))), state)

    def fault(self, progress: Progress, loss: float, norm: float) -> str:
        """What is wrong with a step, before its update; empty if nothing is."""
        values = {"loss": loss, "gradient norm": norm}
        if not all(map(math.isfinite, values.values())):
            return f"loss {loss:.4g}, gradient norm {norm:.4g}"
        if not self._params.spike_deviations:
            return ""
        for name, value in values.items():
            seen = progress.recent.setdefault(name, [])
            if fault := spike(value, seen, self._params.spike_deviations):
                return f"{name} {fault}"
        for name, value in values.items():
            progress.recent[name] = [*progress.recent[name], value][-self._params.spike_window :]
        return ""

    def leave_out(self, progress: Progress, fault: str, tokens: int) -> None:
        """Go on behind the step, of so many tokens, without it; StageError if too many have been left out."""
        if len(progress.skips) >= self._params.max_skips:
            before = f"; {len(progress.skips)} steps were left out before" if progress.skips else ""
            losses = [row["loss"] for row in progress.rows if "loss" in row][-5:]
            last = ", ".join(f"{value:.4g}" for value in losses) or "none"
            raise StageError(
                f"training broke at step {progress.step}: {fault}; losses before: {last}{before}",
                how="Lower lr, lengthen the warm-up or lower max_grad_norm, and look at the data of these steps. With "
                "other settings the stage begins anew; with these it goes on before this step.",
            )
        end, first = progress.step + 1, progress.step
        lost = tokens
        if self._kept is not None:
            known, state = self._kept
            first = known["step"]
            lost += progress.tokens - known["tokens"]
            self._put_back(state)
            vars(progress).update(json.loads(json.dumps(known)))
        skip = {"first": first, "end": end, "tokens": lost, "fault": fault}
        progress.step = end
        progress.skipped_tokens += lost
        progress.skips.append(skip)
        progress.rows.append({"step": end, "tokens": progress.tokens, "left_out": skip})
        if self._kept is not None:
            self._kept = (json.loads(json.dumps(vars(progress))), self._kept[1])

    def _copy(self, parameter: torch.Tensor) -> dict[str, Any]:
        values = {"weight": parameter.detach(), **self._optimiser.state.get(parameter, {})}
        return {name: local(value).to("cpu", copy=True) for name, value in values.items()}

    @torch.no_grad()
    def _put_back(self, state: list[tuple[torch.Tensor, dict[str, Any]]]) -> None:
        for parameter, values in state:
            local(parameter.detach()).copy_(values["weight"])
            held = self._optimiser.state.get(parameter, {})
            for name in list(held):
                if name in values:
                    local(held[name]).copy_(values[name])
                else:
                    del held[name]


def spike(value: float, seen: list[float], deviations: float) -> str:
    """Whether `value` lies more than so many robust deviations above the values seen; a text if it does."""
    if len(seen) < _LEAST:
        return ""
    middle = statistics.median(seen)
    spread = max(_NORMAL * statistics.median(abs(each - middle) for each in seen), _FLOOR * abs(middle))
    if value <= middle + deviations * spread:
        return ""
    return f"{value:.4g} where the last {len(seen)} steps had {middle:.4g} ± {spread:.2g}"
