"""Build every stage that is missing, independent ones side by side. What is published is never built again; after a
failure, an interrupt or a kill, the same command goes on where it stopped. A recipe's variants are built with it, and
what they share with it is built once; --variant chooses among them."""

from __future__ import annotations

import argparse
import sys

from ..recipe.ranks import refuse_joined
from ..recipe.run import Engine, Outcome, run_plan
from ..store.shared import SharedAt
from .engine import add_engine, add_shared, add_spread, engine_options, spread_of
from .main import add_recipe, at_least
from .opening import open_plan
from .plan import render
from .progress import Progress
from .text import duration

EXAMPLES = """examples:
  sampan run recipes/village.yaml
  sampan run recipes/village.yaml --to cpt --set cpt.lr=1e-3
  sampan run recipes/real-mini.yaml --set inputs.data=DIR --workers 1 --threads 2
  sampan run recipes/village.yaml --dry-run
  sampan run ablations.yaml --variant no_replay
  sampan run recipes/village.yaml --processes 2 --recompute 1
  sampan run corpus.yaml --engine ray --engine-option address=auto --workers 64
  sampan run corpus.yaml --remote s3://bucket/team
  sampan run corpus.yaml --engine slurm --engine-option slurm_partition=cpu --engine-option timeout_min=240"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show the plan")
    parser.add_argument(
        "--workers",
        type=at_least(0),
        default=0,
        metavar="N",
        help="stages, and shards of stages, side by side (default: cores/threads)",
    )
    parser.add_argument("--threads", type=at_least(1), default=1, metavar="N", help="threads a stage (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    add_engine(parser)
    add_spread(parser)
    add_shared(parser)
    parser.add_argument("--keep-going", action="store_true", help="after a failure, build what does not depend on it")
    parser.add_argument("--wait", action="store_true", help="wait for another run of this recipe instead of refusing")
    parser.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="the most work that a kill may cost (default 30)",
    )


def call(options: argparse.Namespace) -> int:
    plan, store = open_plan(options)
    if options.dry_run:
        print(render(plan))
        return 0
    engine = Engine(
        workers=options.workers,
        threads=options.threads,
        device=options.device,
        shards=options.engine,
        options=engine_options(options.engine_options),
        checkpoint_seconds=options.checkpoint_seconds,
        spread=spread_of(options),
        keep_going=options.keep_going,
        wait=options.wait,
        shared=SharedAt(options.remote, options.lease_seconds) if options.remote else None,
    )
    refuse_joined()
    engine.place(store).runner()  # an engine that cannot be had is said before anything runs
    progress = Progress(len(plan.steps))
    try:
        outcome = run_plan(plan, store, engine, progress)
    finally:
        progress.close()
    print(_summary(plan.recipe.name, outcome), file=sys.stdout if outcome.ok else sys.stderr)
    return 0 if outcome.ok else 1


def _summary(recipe: str, outcome: Outcome) -> str:
    text = f"{recipe}: {len(outcome.built)} built, {len(outcome.hits)} hits in {duration(outcome.seconds)}"
    if outcome.ok:
        return text
    lines = [f"{text}, {len(outcome.failed)} failed, {len(outcome.skipped)} not started"]
    lines += [f"sampan: stage '{name}': {error}" for name, error in outcome.failed.items()]
    lines.append(
        "All that was built stays. Mend the cause and give the same command again; --keep-going builds the rest."
    )
    return "\n".join(lines)
