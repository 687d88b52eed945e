"""The options that say where the shards of a stage run, and how a stage that trains uses the machine."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from ..core.errors import RecipeError
from ..core.spread import Spread
from ..recipe import yaml
from ..recipe.engines import ENGINES
from ..recipe.ranks import joined
from .main import at_least


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


def add_shared(parser: argparse.ArgumentParser) -> None:
    """--remote and --lease-seconds; see store.shared."""
    parser.add_argument(
        "--remote",
        default=os.environ.get("SAMPAN_REMOTE", ""),
        metavar="URL",
        help="a bucket that other machines build into too, s3://BUCKET/FOLDER: each stage is built by one of them and "
        "taken by the others (default: $SAMPAN_REMOTE)",
    )
    parser.add_argument(
        "--lease-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="after so long without a sign of life, another machine takes over a stage (default 60)",
    )


def add_spread(parser: argparse.ArgumentParser) -> None:
    """--processes and what goes with it; see core.spread."""
    group = parser.add_argument_group("stages that train or evaluate")
    group.add_argument(
        "--processes",
        type=at_least(1),
        default=joined(),
        metavar="N",
        help="processes that train or evaluate together, one for each GPU; in training, weights and moments are "
        "divided among them (default 1)",
    )
    group.add_argument(
        "--launcher",
        default="",
        metavar="COMMAND",
        help="what starts them on several machines: 'ray', or a command such as 'srun torchrun …' (default: here)",
    )
    group.add_argument(
        "--restarts", type=at_least(0), default=0, metavar="N", help="start again, when a process dies, up to N times"
    )
    group.add_argument(
        "--tensor-parallel",
        type=at_least(1),
        default=1,
        metavar="N",
        help="divide every matrix among N of the processes, for models or contexts that are too large for one GPU",
    )
    group.add_argument(
        "--context-parallel",
        type=at_least(1),
        default=1,
        metavar="N",
        help="divide every document among N of the processes, for contexts that are too long for one GPU",
    )
    group.add_argument(
        "--recompute",
        type=at_least(0),
        default=0,
        metavar="K",
        help="activation checkpointing of every K-th block: 1 = all, 0 = none (default)",
    )
    group.add_argument(
        "--sync",
        choices=("last", "each"),
        default="last",
        help="sum gradients over processes after a step's last micro-batch (default), or after each to save memory",
    )
    group.add_argument("--compile", action="store_true", help="compile the model's blocks with torch.compile")
    group.add_argument(
        "--liger",
        action="store_true",
        help="Liger's kernels for norms and feed-forward layers, on a GPU (sampan[liger])",
    )


def spread_of(options: argparse.Namespace) -> Spread:
    """The Spread that the options of `add_spread` ask for."""
    return Spread(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Spread)})
