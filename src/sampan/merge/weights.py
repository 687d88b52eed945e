"""Merge checkpoints of one lineage into one: `merge.weights`.

The arithmetic is in `methods/`, the streaming in `stream.py`; this file is the stage: its params, checks and report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..core.errors import InputError, RecipeError, did_you_mean
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .methods import METHODS

_HERE = "merge.weights"
_SECONDS_PER_ELEMENT = 1.5e-8
"""Per parameter and folder read on one core: ties and della_linear, the slowest, took 1e-8 in bfloat16; rounded up."""


@params
class Params:
    method: str
    """One of linear, task_arithmetic, ties, dare_linear, dare_ties, della, della_linear, consensus_ta."""
    normalize: bool | None = None
    """Whether to divide by the sum of the (surviving) weights: a mean rather than a sum. Papers seldom say and sums of
    related models step far past both, so a strict merge must state it. None with `strict: false` means MergeKit's
    default: true for linear, ties and della, false for the others."""
    weights: list[float] | None = None
    """One weight per model, in order; 1 each if left out."""
    density: float | list[float] = 1.0
    """Share of each task vector kept (ties, dare_*, della*): one value, or one per model. 1 keeps everything and draws
    nothing at random. TIES' paper keeps 0.2."""
    epsilon: float = 0.15
    """DELLA's keep probability runs from density - epsilon to density + epsilon. MergeKit's epsilon, half the paper's;
    its default."""
    lambda_: float = 1.0
    """Scale of the merged task vector (λ in the papers); for consensus_ta the factor of its mask's threshold."""
    k: int = 2
    """consensus_ta: how many models must claim an element. The paper's 2; MergeKit's default was 1."""
    seed: int = 0
    """Seed of the random drops (dare_*, della*)."""
    dtype: Literal["same", "float32", "bfloat16", "float16"] = "same"
    """What to store; `same` is each tensor's dtype in the base. The arithmetic is always in float32."""
    tokenizer: Literal["base", "first"] = "base"
    """Whose config, tokenizer and chat template to copy: the base's or the first model's."""
    same_tokenizer: bool = True
    """Refuse models whose tokenizers give other ids. Set to false only where the differing tokens are unused."""
    strict: bool = True
    """Refuse a merge that does not state `normalize`."""
    shard_bytes: int = 5_000_000_000
    """Largest weights file; above it the model is written in several."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RecipeError(
                f"there is no merge method '{self.method}'", where=_HERE, how=did_you_mean(self.method, METHODS)
            )
        if self.strict and self.normalize is None:
            raise RecipeError(
                "this merge does not say whether it normalizes",
                where=_HERE,
                how="Add `normalize: true` (a mean of the models' changes) or `normalize: false` (their sum), or "
                "`strict: false` for MergeKit's default of this method.",
            )
        if self.shard_bytes < 1 or self.k < 1 or (not self.weights and self.weights is not None):
            raise RecipeError("shard_bytes and k must be at least 1, and weights not an empty list", where=_HERE)


def settings_for(given: Params, models: int) -> tuple[Any, Any]:
    """The method and its filled-in settings for so many models; RecipeError for a knob out of range or unused."""
    from .method import Method, Settings

    method: Method = METHODS.load(given.method, where=_HERE)
    weights = given.weights if given.weights is not None else [1.0] * models
    density = given.density if isinstance(given.density, list) else [given.density] * models
    for name, values in (("weights", weights), ("density", density)):
        if len(values) != models:
            raise RecipeError(f"{name} has {len(values)} values for {models} models", where=_HERE)
    _check_unused(given, method)
    if not all(1 / 65536 <= d <= 1 for d in density):
        raise RecipeError(f"density = {given.density} must be above 0 (at least 1/65536) and at most 1", where=_HERE)
    if "epsilon" in method.knobs:
        for d in density:
            if d < 1 and not 0 <= given.epsilon < min(d, 1 - d):
                raise RecipeError(
                    f"epsilon = {given.epsilon} does not fit density = {d}: keep probabilities would leave (0, 1)",
                    where=_HERE,
                    how=f"Take an epsilon below {min(d, 1 - d):g}.",
                )
    normalize = method.normalize if given.normalize is None else given.normalize
    settings = Settings(
        weights=tuple(weights),
        density=tuple(density),
        epsilon=given.epsilon,
        lambda_=given.lambda_,
        k=given.k,
        normalize=normalize,
    )
    return method, settings


def _check_unused(given: Params, method: Any) -> None:
    for knob in ("density", "epsilon", "lambda_", "k"):
        default = Params.__dataclass_fields__[knob].default
        value = getattr(given, knob)
        values = value if isinstance(value, list) else [value]
        if knob not in method.knobs and any(v != default for v in values):
            raise RecipeError(
                f"{given.method} has no {knob}, but {knob} = {value} was set",
                where=_HERE,
                how=f"Remove it. {given.method} reads: {', '.join(sorted(method.knobs)) or 'only the weights'}.",
            )


def run(given: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    """Merge `models` on `base` into a checkpoint in `runtime.out`; resumes after the last synced tensor."""
    from .folders import match_configs, match_tensors, match_tokenizers, open_folder

    base_input, models_given = inputs.optional("base"), inputs.many("models")
    method, settings = settings_for(given, len(models_given))
    if base_input is None and method.needs_base:
        raise RecipeError(f"{given.method} needs a base", where=_HERE, how="Add `base: NAME` under `from:`.")
    opened = []
    try:
        for item in [*([base_input] if base_input else []), *models_given]:
            opened.append(open_folder(item.name, item.path))
        models = opened[1:] if base_input else opened
        reference = opened[0]
        match_tensors(reference, opened[1:])
        for note in match_configs(reference, opened[1:]):
            runtime.log(f"note: {note}")
        for difference in match_tokenizers(reference, opened[1:]):
            if given.same_tokenizer:
                raise InputError(
                    difference,
                    where=_HERE,
                    how="Merge models that share a tokenizer; if the differing tokens are unused, set "
                    "`same_tokenizer: false` and choose whose to keep with `tokenizer: base` or `first`.",
                )
            runtime.log(f"note: {difference}")
        tally = _write_weights(given, method, settings, reference, base_input is not None, models, runtime)
        _write_rest(given, reference, models[0] if given.tokenizer == "first" else reference, runtime)
    finally:
        for folder in opened:
            folder.tensors.close()
    return _report(tally, settings, method.needs_base and base_input is not None)


def _write_weights(
    given: Params, method: Any, settings: Any, reference: Any, has_base: bool, models: Sequence[Any], runtime: Runtime
) -> Any:
    import json
    import os
    import shutil
    import time

    from ..model.tensors import FLOATS, TensorPlan, TensorWriter
    from .stream import merge_folders
    from .tally import Tally

    def stored(info: Any) -> str:
        return info.dtype if given.dtype == "same" or info.dtype not in FLOATS.values() else FLOATS[given.dtype]

    plan = [TensorPlan(name, stored(info), info.shape) for name, info in reference.tensors.items()]
    work, journal = runtime.state / "weights", runtime.state / "merged.json"
    work.mkdir(exist_ok=True)
    done, tally, last = 0, Tally.empty(len(models)), time.monotonic()
    if journal.is_file():
        saved = json.loads(journal.read_text("utf-8"))
        done, tally = saved["done"], Tally.from_json(saved["tally"])
        runtime.log(f"resuming after {done} of {len(plan)} tensors")
    writer = TensorWriter(work, plan, shard_bytes=given.shard_bytes, done=done)

    def after_tensor(count: int) -> None:
        nonlocal last
        runtime.progress(count, len(plan), "tensors")
        if time.monotonic() - last >= runtime.checkpoint_seconds:
            writer.sync()
            aside = journal.with_suffix(".new")
            aside.write_text(json.dumps({"done": count, "tally": tally.to_json()}), "utf-8")
            os.replace(aside, journal)
            last = time.monotonic()

    base = reference if has_base and method.needs_base else None
    try:
        merge_folders(
            method,
            reference,
            base,
            models,
            settings,
            writer,
            seed=given.seed,
            tally=tally,
            threads=runtime.threads,
            after_tensor=after_tensor,
        )
    except BaseException:
        writer.abandon()
        raise
    names = writer.close()
    journal.unlink(missing_ok=True)  # before the files leave: a kill between the two must start afresh
    for name in names:
        shutil.move(work / name, runtime.out / name)
    return tally


def _write_rest(given: Params, reference: Any, source: Any, runtime: Runtime) -> None:
    """config.json (with the merged weights' dtype and tying), generation config, tokenizer and chat template."""
    import json
    import shutil

    from ..model.tokenizer import copy_tokenizer
    from .folders import is_tied

    config = dict(source.config)
    if is_tied(source) != is_tied(reference):
        config["tie_word_embeddings"] = is_tied(reference)
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    if given.dtype != "same":
        config[key] = given.dtype
    elif source is not reference and (same := reference.config.get("dtype", reference.config.get("torch_dtype"))):
        config[key] = same
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (runtime.out / "config.json").write_text(text, "utf-8")
    if (source.path / "generation_config.json").is_file():
        shutil.copyfile(source.path / "generation_config.json", runtime.out / "generation_config.json")
    copy_tokenizer(source.path, runtime.out)


def _report(tally: Any, settings: Any, has_base: bool) -> dict[str, Any]:
    """The merge's metrics. Norms are Euclidean, over all parameters."""
    metrics: dict[str, Any] = {
        "parameters": tally.elements,
        "normalize": settings.normalize,
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
    block_bytes = 4 * (1 << 17)
    forecast = {"memory_bytes": 1.2e8 + 16 * block_bytes * (models + 1)}
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
    paper="arXiv:2504.05747 (SEA-LION v3, sections 3.2 and 3.3); each method names its own",
)
