"""From a plan to the report's data: what every stage of the recipe is, and where it lies."""

from __future__ import annotations

from ..core.identity import digest_file
from ..lang.profile import load_profile
from ..store.store import Store
from .plan import HIT, Plan
from .report import ReportData, StageSource, VariantView, collect
from .resolve import identity_params


def report_data(plan: Plan, store: Store) -> ReportData:
    """Everything that a page can show of a plan, built or not."""
    recipe = plan.recipe
    sources = [
        StageSource(name=name, kind=item.kind, digest=item.digest, status="given")
        for name, item in plan.outside.items()
    ]
    for name, step in plan.steps.items():
        built = step.status == HIT and step.manifest is not None
        sources.append(
            StageSource(
                name=name,
                stage=step.node.decl.kind,
                kind=step.node.kind,
                path=store.artifact(step.manifest).path if built else None,
                manifest=step.manifest or {},
                status="hit" if built else "pending",
                reason=step.why,
                inputs=step.node.decl.sources,
                params=identity_params(step.node),
                key=step.key or "",
            )
        )
    lock = store.root / "refs" / recipe.name / "recipe.lock.yaml"
    return collect(
        recipe=recipe.name,
        stages=sources,
        variants=[
            VariantView(
                name=each.name, about=each.about, stages=each.stages, changed=each.changed, replaced=each.replaced
            )
            for each in recipe.variants.values()
        ],
        languages=tuple(recipe.languages),
        language_names={code: load_profile(code).name for code in recipe.languages},
        recipe_file=recipe.path.name,
        recipe_digest=digest_file(recipe.path),
        recipe_text=lock.read_text(encoding="utf-8") if lock.is_file() else "",
    )
