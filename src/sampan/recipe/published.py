"""Figures that others published of a lineage, beside what the plan says of the same stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core.errors import RecipeError, did_you_mean
from ..core.params import params, parse_params
from ..train.machines import implied_mfu, known_machines, open_machine, outlook, run_mfu
from .load import Recipe
from .plan import Step

_TIMES = ("hours", "device_hours")


@params
class Figure:
    """One published number of one or several stages together."""

    stages: list[str]
    """Names of the stages."""
    what: Literal["steps", "tokens", "hours", "device_hours"]
    """Hours are those of the whole machine; device_hours are hours × devices."""
    value: float
    """The published number."""
    source: str
    """Where it is published."""
    machine: str = ""
    """For times: on what, such as h200x64."""
    stack: str = ""
    """For times: a public run of the same stack, by its name in machines.json, whose MFU predicts this one."""
    mfu: float = 0.0
    """For times: or the MFU itself, where it is known from elsewhere; `source` says from where."""
    about: str = ""
    """What to know when comparing."""


@dataclass(frozen=True)
class Comparison:
    """A figure beside the plan's: `planned` at the machine's own MFU, `at_stack` at that of the figure's stack;
    `implied` is the MFU that the published time needs. None for what a figure has not."""

    figure: Figure
    planned: float
    mfu: float | None = None
    implied: float | None = None
    stack_mfu: float | None = None
    at_stack: float | None = None

    @property
    def error(self) -> float:
        """Of the better informed prediction, as a share of the published number."""
        return (self.planned if self.at_stack is None else self.at_stack) / self.figure.value - 1


def read_figures(recipe: Recipe) -> list[Figure]:
    """The section `published:`; RecipeError for what is not a figure of this recipe's stages."""
    where = recipe.published_where
    if recipe.published is not None and not isinstance(recipe.published, list):
        raise RecipeError("`published:` is a list of figures", where=where)
    figures = []
    for number, row in enumerate(recipe.published or [], 1):
        here = f"{where}, figure {number}"
        if not isinstance(row, Mapping):
            raise RecipeError("a figure is a mapping", where=here, how="{stages: [cpt], what: steps, value: 100, …}")
        figure = parse_params(Figure, row, where=here)
        for name in figure.stages:
            if name not in recipe.stages:
                raise RecipeError(f"there is no stage '{name}'", where=here, how=did_you_mean(name, recipe.stages))
        if (figure.what in _TIMES) != bool(figure.machine):
            raise RecipeError("times need `machine:`, and nothing else takes one", where=here)
        figures.append(figure)
    return figures


def compare(recipe: Recipe, steps: Mapping[str, Step]) -> list[Comparison]:
    """Every figure whose stages are all planned and have a forecast."""
    found = []
    for figure in read_figures(recipe):
        estimates = [steps[name].estimate for name in figure.stages if name in steps]
        if len(estimates) < len(figure.stages):
            continue
        if figure.what in _TIMES:
            found += _compare_times(figure, estimates)
        elif all(figure.what in estimate for estimate in estimates):
            found.append(Comparison(figure, sum(estimate[figure.what] for estimate in estimates)))
    return found


def _compare_times(figure: Figure, estimates: list[dict[str, Any]]) -> list[Comparison]:
    machine = open_machine(figure.machine)
    devices = machine.devices if figure.what == "device_hours" else 1
    looks = [outlook(estimate, machine) for estimate in estimates]
    if not all(looks):
        return []
    planned = sum(look.seconds for look in looks if look) / 3600 * devices
    implied = implied_mfu(sum(each["flops"] for each in estimates), figure.value / devices, machine)
    stack = figure.mfu or (_stack_mfu(figure.stack) if figure.stack else None)
    at_stack = planned * machine.mfu / stack if stack else None
    return [Comparison(figure, planned, machine.mfu, implied, stack, at_stack)]


def _stack_mfu(name: str) -> float:
    """The MFU of the public run `KIND/NAME`, such as h100/llm-foundry-7b-8192."""
    runs = {
        f"{kind}/{run['name']}": run_mfu(run, row["flops"])
        for kind, row in known_machines().items()
        for run in row["runs"]
    }
    if name not in runs:
        raise RecipeError(f"there is no public run '{name}'", where="published", how=did_you_mean(name, runs))
    return runs[name]
