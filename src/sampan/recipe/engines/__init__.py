"""Where the shards of a stage run: worker processes of this machine, a Ray cluster, or a Slurm array.

Every engine finishes the same jobs by the same function, so results do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.registry import Registry
from ...core.shards import ShardEngine

ENGINES = Registry(
    "engine",
    {
        "local": "sampan.recipe.engines.local:local",
        "ray": "sampan.recipe.engines.ray:ray_cluster",
        "slurm": "sampan.recipe.engines.slurm:slurm_array",
    },
    group="sampan.engines",
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where shards run. Plain values, so that it can be sent to the stage's process; none of it is identity."""

    engine: str = "local"
    """A name of ENGINES."""
    workers: int = 1
    """Worker processes, or tasks at a time on a cluster."""
    threads: int = 1
    """Compute threads of one shard."""
    slots: str = ""
    """Local: a folder of locks by which all stages of this machine share its `workers`; '' to count for itself."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The engine's own settings: see its module."""

    def runner(self) -> ShardEngine:
        """The engine, ready for a stage's Runtime; RecipeError if it is not known or not installed."""
        return ENGINES.load(self.engine, where="--engine")(self)
