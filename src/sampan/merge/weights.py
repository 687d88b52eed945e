"""Merge checkpoints of one lineage into one: `merge.weights`.

The arithmetic is in `methods/`, the layout in `slices.py` and `vocabularies.py`, the streaming in `stream.py`; this
file is the stage: its order of work and its report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.stage import Inputs, Role, Runtime, Stage
from .methods import METHODS
from .params import HERE, Params
from .refusals import check, check_base

_MEMORY_BYTES = 2.4e8
"""Beside the blocks: 250 MB were measured in all while the fused kernels are compiled, 180 MB after that, 55 MB without
them."""
_SECONDS_PER_ELEMENT = 1.5e-8
"""Per parameter and folder read on one core: ties and della_linear, the slowest, took 1e-8 in bfloat16; rounded up."""


def run(given: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    """Merge `models` on `base` into a checkpoint in `runtime.out`; resumes after the last synced tensor."""
    from .folders import match_configs, open_folder
    from .output import chat_template, write_rest, write_weights
    from .settings import Filler
    from .slices import Cast, plan_layout
    from .vocabularies import plan_vocabulary

    base_input, models_given = inputs.optional("base"), inputs.many("models")
    method = METHODS.load(given.method, where=HERE)
    filler = Filler(given, method, len(models_given))
    check_base(given.method, method, base_input is not None)
    opened = []
    try:
        for item in [*([base_input] if base_input else []), *models_given]:
            opened.append(open_folder(item.name, item.path))
        uses_base = base_input is not None and (method.needs_base or method.base_optional)
        models = opened[1:] if base_input else opened
        cast = Cast(opened[0], opened[0] if uses_base else None, models)
        vocabulary = plan_vocabulary(given, opened[0], opened[1:], cast.pick, runtime.log)
        layout = plan_layout(given, filler, cast, vocabulary.alignment)
        for note in match_configs(opened[0], opened[1:], free_depth=given.slices is not None):
            runtime.log(f"note: {note}")
        template = chat_template(given.chat_template, cast.folders())
        tally = write_weights(given, method, layout, runtime)
        write_rest(given, cast, layout, vocabulary, template, runtime)
    finally:
        for folder in opened:
            folder.tensors.close()
    return _report(given, tally, method, uses_base)


def _report(given: Params, tally: Any, method: Any, has_base: bool) -> dict[str, Any]:
    """The merge's metrics. Norms are Euclidean, over all parameters."""
    metrics: dict[str, Any] = {
        "parameters": tally.elements,
        "normalize": method.normalize if given.normalize is None else given.normalize,
        "kept_share": [int(kept) / max(tally.elements, 1) for kept in tally.kept_M],
    }
    if not has_base:
        return metrics
    norms = [max(float(square), 0.0) ** 0.5 for square in tally.gram_MM.diagonal()]
    metrics["task_vector_norms"] = norms
    metrics["delta_norm"] = tally.merged_sq**0.5
    metrics["delta_norm_relative"] = (tally.merged_sq / tally.base_sq) ** 0.5 if tally.base_sq else 0.0
    metrics["extrapolation"] = metrics["delta_norm"] / max(norms) if max(norms) else 0.0
    metrics["cosines"] = [
        [float(dot) / (a * b) if a * b else 0.0 for dot, b in zip(row, norms, strict=True)]
        for row, a in zip(tally.gram_MM, norms, strict=True)
    ]
    return metrics


def estimate(given: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """Parameters of the base (or first model), and its size on disk where its dtype is kept; memory does not grow with
    the model.
    """
    models = len(facts.get("models", []))
    first = [*facts.get("base", []), *facts.get("models", [])]
    parameters = next((item["parameters"] for item in first if "parameters" in item), None)
    block_bytes = 4 * (1 << 16)
    forecast = {"memory_bytes": _MEMORY_BYTES + 16 * block_bytes * (models + 1)}
    if given.dtype == "same" and first and first[0].get("disk_bytes"):
        forecast["disk_bytes"] = first[0]["disk_bytes"]
    if parameters:
        each = 2 if given.dtype in ("bfloat16", "float16") else 4
        forecast["parameters"] = parameters
        forecast.setdefault("disk_bytes", parameters * each)
        forecast["seconds"] = parameters * (models + 1) * _SECONDS_PER_ELEMENT
    return forecast


def _roles() -> dict[str, Role]:
    return {
        "base": Role(kinds=("checkpoint",), help="the common ancestor; only linear works without", required=False),
        "models": Role(kinds=("checkpoint",), help="what to merge, in the order of `weights`", many=True),
    }


def reads(params: Params) -> Mapping[str, str]:
    """The method's revision."""
    return {"method": METHODS.revision(params.method)}


STAGE = Stage(
    name="merge.weights",
    revision=1,
    summary="Merge checkpoints that descend from one base, tensor by tensor.",
    params=Params,
    inputs=_roles(),
    output="checkpoint",
    run=run,
    estimate=estimate,
    reads=reads,
    check=check,
    paper="arXiv:2504.05747 (SEA-LION v3, sections 3.2 and 3.3); each method names its own",
)
