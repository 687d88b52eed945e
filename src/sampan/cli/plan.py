"""Show for every stage whether it is there (hit), will be built (run) or waits for another (pending), why, and the
forecast of its tokens, FLOPs, memory and disk. Reads digests only; builds nothing."""

from __future__ import annotations

import argparse
import json

from ..recipe import licence_gate
from ..recipe.plan import HIT, PENDING, RUN, Plan, Step
from .main import add_recipe
from .opening import open_plan
from .text import duration, quantity, size, table

EXAMPLES = """examples:
  sampan plan recipes/village.yaml
  sampan plan recipes/village.yaml --set cpt.lr=1e-3
  sampan plan recipes/real-mini.yaml --set inputs.data=DIR --to cpt --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def call(options: argparse.Namespace) -> int:
    plan, _ = open_plan(options)
    print(json.dumps(_as_json(plan), ensure_ascii=False, indent=1) if options.json else render(plan))
    return 1 if any(finding.refused for finding in plan.licence_findings()) else 0


def render(plan: Plan) -> str:
    """The plan as a table with totals of what is still to be done."""
    rows = [
        [
            step.status,
            name,
            step.node.decl.kind,
            _show(step, "tokens", quantity),
            _show(step, "flops", quantity),
            _show(step, "memory_bytes", size),
            _show(step, "disk_bytes", size),
            _show(step, "seconds", duration),
            step.why,
        ]
        for name, step in plan.steps.items()
    ]
    header = ["", "stage", "kind", "tokens", "FLOPs", "memory", "disk", "CPU time", "why"]
    todo = [step for step in plan.steps.values() if step.status != HIT]
    lines = [table(header, rows, right=(3, 4, 5, 6, 7)), ""]
    lines.append(f"{plan.count(HIT)} hit, {plan.count(RUN)} to run, {plan.count(PENDING)} pending")
    if todo:
        total = {key: sum(s.estimate.get(key, 0) for s in todo) for key in ("flops", "disk_bytes", "seconds")}
        peak = max(s.estimate.get("memory_bytes", 0) for s in todo)
        lines[-1] += (
            f"; to do: about {quantity(total['flops'])} FLOPs, {size(peak)} memory at the peak of one stage,"
            f" {size(total['disk_bytes'])} disk, {duration(total['seconds'])} on one core like this one"
        )
    lines += [f"warning: {name}: {step.warning}" for name, step in plan.steps.items() if step.warning]
    lines.append(licence_gate.summary_line(plan.recipe, plan.manifests))
    lines += [f"licence: {finding}" for finding in plan.licence_findings()]
    return "\n".join(lines)


def _show(step: Step, key: str, form) -> str:
    metrics = (step.manifest or {}).get("metrics", {})
    if step.status == HIT:
        if key == "disk_bytes":
            return form(step.manifest["bytes"])
        if key == "seconds":
            return form(step.manifest["times"]["seconds"])
        if isinstance(metrics.get(key), int | float):
            return form(metrics[key])
    value = step.estimate.get(key)
    return f"~{form(value)}" if value else ""


def _as_json(plan: Plan) -> dict:
    return {
        "recipe": plan.recipe.name,
        "use": plan.recipe.use or "research",
        "licences": [
            {"stage": f.stage, "source": f.source, "license": f.license, "class": f.license_class, "refused": f.refused}
            for f in plan.licence_findings()
        ],
        "stages": [
            {
                "name": name,
                "stage": step.node.decl.kind,
                "kind": step.node.kind,
                "status": step.status,
                "why": step.why,
                "key": step.key,
                "digest": (step.manifest or {}).get("digest"),
                "estimate": step.estimate,
                "warning": step.warning,
            }
            for name, step in plan.steps.items()
        ],
    }
