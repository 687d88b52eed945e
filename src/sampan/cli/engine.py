"""The options that say where the shards of a stage run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..core.errors import RecipeError
from ..recipe import yaml
from ..recipe.engines import ENGINES


def add_engine(parser: argparse.ArgumentParser) -> None:
    """--engine and --engine-option."""
    parser.add_argument(
        "--engine",
        default="local",
        metavar="NAME",
        help=f"where the shards of corpus stages run: {', '.join(ENGINES)} (default local)",
    )
    parser.add_argument(
        "--engine-option",
        dest="engine_options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the engine, such as address=auto (ray) or slurm_partition=cpu (slurm); repeatable",
    )


def engine_options(given: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` options as a mapping, values read as in a recipe."""
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise RecipeError("a setting of the engine is NAME=VALUE", where=f"--engine-option {item}")
        found[name] = yaml.parse_value(value, where=f"--engine-option {item}")
    return found
