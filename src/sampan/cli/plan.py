"""Show for every stage whether it is there (hit), will be built (run) or waits for another (pending), why, and the
forecast of its tokens, FLOPs, memory and disk; with --machine also what training takes there and which layout fits.
Figures that the recipe says were published stand beside it, and what each of its variants adds. Reads digests only;
builds and downloads nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict

from ..recipe import licence_gate
from ..recipe.plan import HIT, PENDING, RUN, Plan, Step
from ..recipe.published import Comparison, compare
from ..train.answering import answering
from ..train.machines import Machine, Outlook, open_machine, outlook
from .main import add_recipe, at_least
from .opening import open_plan
from .text import duration, quantity, size, table

COSTS = ("flops", "disk_bytes", "seconds")
"""Forecasts that add up over stages."""
EXAMPLES = """examples:
  sampan plan recipes/village.yaml
  sampan plan recipes/village.yaml --set cpt.lr=1e-3
  sampan plan recipes/village.yaml --machine h100x8 --price 2.5
  sampan plan sea-lion-v3-llama-8b --machine h200x64
  sampan plan recipes/real-mini.yaml --set inputs.data=DIR --to cpt --json
  sampan plan ablations.yaml --variant no_replay"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument(
        "--machine",
        metavar="KINDxN",
        help="forecast training on N devices: h100, h200, a100, a800 (GPUs) or core (one CPU core), such as h100x8",
    )
    parser.add_argument(
        "--mfu", type=float, metavar="SHARE", help="share of the peak FLOPs that training reaches there"
    )
    parser.add_argument("--price", type=at_least(0.0), default=0.0, metavar="P", help="price of a device and hour")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def call(options: argparse.Namespace) -> int:
    plan, _ = open_plan(options)
    machine = open_machine(options.machine, mfu=options.mfu, price=options.price) if options.machine else None
    if options.json:
        print(json.dumps(_as_json(plan, machine), ensure_ascii=False, indent=1))
    else:
        print(render(plan))
        if machine:
            print(f"\n{render_machine(plan, machine)}")
        if figures := compare(plan.recipe, plan.steps):
            print(f"\n{render_published(figures)}")
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
        total = _costs(todo)
        peak = max(s.estimate.get("memory_bytes", 0) for s in todo)
        lines[-1] += (
            f"; to do: about {quantity(total['flops'])} FLOPs, {size(peak)} memory at the peak of one stage,"
            f" {size(total['disk_bytes'])} disk, {duration(total['seconds'])} on one core like this one"
        )
    lines += [f"warning: {name}: {step.warning}" for name, step in plan.steps.items() if step.warning]
    lines.append(licence_gate.summary_line(plan.recipe, plan.manifests))
    lines += [f"licence: {finding}" for finding in plan.licence_findings()]
    lines += [_source_line(name, plan.steps[name]) for name in _with_sources(plan)]
    if plan.recipe.variants:
        lines += ["", render_variants(plan)]
    if plan.missing:
        lines.append(f"inputs to give before it can run: {', '.join(plan.missing)}")
    return "\n".join(lines)


def render_variants(plan: Plan) -> str:
    """What each variant adds to the plan: stages of its own and the forecast of those that are still to be done."""
    rows = []
    for name, variant in plan.recipe.variants.items():
        own = [plan.steps[copy] for copy in variant.stages.values() if copy in plan.steps]
        todo = [step for step in own if step.status != HIT]
        cost = _costs(todo)
        shown = [
            form(cost[key]) if cost[key] else "" for key, form in zip(COSTS, (quantity, size, duration), strict=True)
        ]
        changes = [*variant.changed, *(f"{stage} → {other}" for stage, other in variant.replaced.items())]
        rows.append([name, str(len(own)), str(len(todo)), *shown, ", ".join(changes), variant.about])
    header = ["variant", "its own stages", "to do", "FLOPs", "disk", "CPU time", "changes", ""]
    return table(header, rows, right=(1, 2, 3, 4, 5))


def _costs(steps: list[Step]) -> dict[str, float]:
    return {key: sum(step.estimate.get(key, 0) for step in steps) for key in COSTS}


def _with_sources(plan: Plan) -> list[str]:
    """Stages that tell where their tokens come from; a variant's copy only if that differs from the recipe's own."""
    parts = {name: step.estimate.get("tokens_by_source") for name, step in plan.steps.items()}
    owners = {copy: stage for variant in plan.recipe.variants.values() for stage, copy in variant.stages.items()}
    return [name for name, own in parts.items() if own and own != parts.get(owners.get(name, ""))]


def _source_line(name: str, step: Step) -> str:
    """Where the tokens of a stage come from, with their shares."""
    parts = step.estimate["tokens_by_source"]
    total = sum(parts.values())
    listed = ", ".join(f"{source} {count:,.0f} ({count / total:.4g})" for source, count in parts.items())
    return f"tokens of {name}, by source: {listed}"


def render_published(figures: list[Comparison]) -> str:
    """Figures that others published beside the plan's; times also at the MFU of a public run of the same stack."""
    rows = [
        [
            " + ".join(each.figure.stages),
            each.figure.what.replace("_", " "),
            each.figure.machine,
            f"{each.figure.value:,.0f}",
            f"{each.planned:,.0f}" + (f" at {each.mfu:.1%}" if each.mfu else ""),
            f"{each.at_stack:,.0f} at {each.stack_mfu:.1%}" if each.at_stack else "",
            f"{each.error:+.0%}" if each.error else "exact",
            f"{each.implied:.1%}" if each.implied else "",
            each.figure.source,
        ]
        for each in figures
    ]
    header = ["published", "", "on", "value", "plan, at MFU", "at the stack's", "off by", "MFU implied", "source"]
    told = [each.figure for each in figures if each.figure.about]
    notes = [f"{' + '.join(each.stages)}, {each.what.replace('_', ' ')}: {each.about}" for each in told]
    return "\n".join([table(header, rows, right=(3, 4, 5, 6, 7)), *notes])


def foresee(estimate: Mapping[str, float], machine: Machine) -> Outlook | None:
    """What a stage that trains, generates or evaluates takes on `machine`; None for others."""
    return outlook(estimate, machine) or answering(estimate, machine)


def render_machine(plan: Plan, machine: Machine) -> str:
    """What the stages that train, generate or evaluate, and are still to be done, take on `machine`."""
    found = {name: foresee(step.estimate, machine) for name, step in plan.steps.items() if step.status != HIT}
    found = {name: each for name, each in found.items() if each}
    each = f"{quantity(machine.flops)} FLOP/s and {size(machine.memory_bytes)} each"
    spread = f", FSDP over {machine.devices}" if machine.devices > 1 else ""
    head = f"on {machine.name} ({each}, MFU {machine.mfu:.0%}{spread})"
    if not found:
        return f"{head}: nothing to train, generate or evaluate"
    rows = [
        [
            name,
            f"{each.steps:,}" if each.steps else "",
            duration(each.seconds),
            size(each.memory_bytes),
            f"{each.cost:,.2f}" if machine.price else "",
            f"{each.seconds / 3600 * machine.devices:,.1f}",
            _layout(each),
        ]
        for name, each in found.items()
    ]
    header = [
        "stage",
        "steps",
        "time",
        "memory each",
        "cost" if machine.price else "",
        "device hours",
        "layout that fits",
    ]
    total = f"all: {duration(sum(each.seconds for each in found.values()))}"
    if machine.price:
        total += f", cost {sum(each.cost for each in found.values()):,.2f}"
    return "\n".join([head, table(header, rows, right=(1, 2, 3, 4, 5)), total])


def _layout(found: Outlook) -> str:
    if not found.fits:
        return "does not fit: take more or larger devices"
    if not found.micro_batch_tokens:
        return "a model on each"
    return f"{found.layout} ({found.why})" if found.why else found.layout


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


def _as_json(plan: Plan, machine: Machine | None = None) -> dict:
    return {
        "recipe": plan.recipe.name,
        "use": plan.recipe.use or "research",
        "licences": [
            {"stage": f.stage, "source": f.source, "license": f.license, "class": f.license_class, "refused": f.refused}
            for f in plan.licence_findings()
        ],
        "missing": plan.missing,
        "variants": [
            {**asdict(each), "to_do": _costs([s for n, s in plan.steps.items() if n in copies and s.status != HIT])}
            for each in plan.recipe.variants.values()
            for copies in [set(each.stages.values())]
        ],
        "published": [{**asdict(each), "error": each.error} for each in compare(plan.recipe, plan.steps)],
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
                **_on_machine(step, machine),
                "warning": step.warning,
            }
            for name, step in plan.steps.items()
        ],
    }


def _on_machine(step: Step, machine: Machine | None) -> dict:
    found = foresee(step.estimate, machine) if machine else None
    return {"on_machine": {"machine": machine.name, **asdict(found)}} if found else {}
