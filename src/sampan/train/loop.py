"""One training loop. Stages differ in where the pieces come from and in what is made of their log-probabilities."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..artifacts.neurons import read_neurons
from ..core.stage import Artifact, Inputs, Runtime
from ..model.checkpoint import count_parameters, load_model, read_config, save_model
from .adapters import attach, merge, trained_names
from .attention import find_flex, varlen_missing
from .carry import read_moments, write_moments
from .checks import check_context, check_divided, check_written, pack_and_check
from .distributed import Scorer, gather, join, prepare_blocks, shard
from .liger import use_liger_parts
from .opening import Unsuited, check_numbers, fill, is_empty, materialise, missing, open_empty, prove
from .optimiser import freeze, make_optimiser
from .pace import Pace
from .resume import Keeper, Progress
from .schedules import schedule_of
from .selection import Selection
from .settings import Optimisation
from .stepping import Stepper
from .task import Task
from .tensor_parallel import divide
from .trackers import open_trackers
from .watch import Watch, open_watch


def open_model(source: Artifact, params: Optimisation, runtime: Runtime, *, whole: bool = False) -> Any:
    """The model to train, attending inside documents; StageError if it cannot.

    Where it will be divided, or is held in bfloat16, its weights are read by `fit`, from its folder; `whole` are all of
    them read now, on the device, for a model that computes before or beside.
    """
    torch.set_num_threads(runtime.threads)
    world = join(runtime)
    model = _open(source, params, runtime, whole)
    check_context(model, params.context_len)
    if reason := varlen_missing(world.device):
        runtime.log(f"attention without torch's variable-length kernel: {reason}")
    dtype = compute_dtype(params.computation, runtime.device)
    if reason := find_flex(model.config, world.device, dtype, parts=world.tensor.size):
        runtime.log(f"attention without FlexAttention: {reason}")
    return model


def _open(source: Artifact, params: Optimisation, runtime: Runtime, whole: bool) -> Any:
    world = join(runtime)
    if (world.size > 1 or params.weights_dtype == "bfloat16") and not whole and not params.lora_rank:
        try:
            return open_empty(source.path, getattr(torch, params.weights_dtype), world.device)
        except Unsuited as reason:
            runtime.log(f"every process loads the whole model: {reason}")
    model = load_model(source.path, dtype=params.weights_dtype, device=world.device)
    if params.weights_dtype == "float32":
        check_numbers(model.parameters())
        pack_and_check(model)
    else:
        prove(model)
    return model


def compute_dtype(choice: str, device: str) -> torch.dtype:
    """The number format of the computation; `auto` asks the device."""
    if choice == "auto":
        choice = "bfloat16" if device.startswith("cuda") and torch.cuda.is_bf16_supported() else "float32"
    return getattr(torch, choice)


def train(model: Any, inputs: Inputs, task: Task, params: Optimisation, runtime: Runtime) -> dict[str, Any]:
    """Train `model`, the input of that name, to the end of `task`; write checkpoint and log, return the metrics.

    Of several processes the first one writes.
    """
    source = inputs.one("model")
    neurons = inputs.optional("neurons")
    selection = Selection(read_neurons(neurons), model) if neurons else None
    progress, metrics, optimiser = fit(
        model, task, params, runtime, watch=open_watch(inputs, params), selection=selection, source=source.path
    )
    _write(model, optimiser, source, progress, params, runtime)
    return metrics


def fit(
    model: Any,
    task: Task,
    params: Optimisation,
    runtime: Runtime,
    *,
    watch: Watch | None = None,
    selection: Selection | None = None,
    source: Path | None = None,
) -> tuple[Progress, dict[str, Any], torch.optim.Optimizer]:
    """Train `model` in place to the end of `task`; returns what was done, the metrics and the optimiser.

    `source` is the folder that the model came from, which a model without weights is read from. Resumes from
    `runtime.state`; an interrupted run ends with the same bits as an uninterrupted one.
    """
    world = join(runtime)
    parameters = count_parameters(model)
    attach(model, params)
    trained = freeze(model, selection.names if selection else trained_names(model, params))
    check_divided(model, params, world, selection)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    dtype = compute_dtype(params.computation, runtime.device)
    divide(model, world)
    scorer = Scorer(model, dtype, uniform=task.uniform, score=task.score, world=world)
    if runtime.spread.liger:
        runtime.log(f"{use_liger_parts(model, world.device, dtype)} modules use Liger's kernels")
    prepare_blocks(model, runtime.spread)
    shard(scorer, world, dtype)
    empty = is_empty(model)
    if empty:
        materialise(scorer, model, world.device)
    exact = params.weights_dtype == "bfloat16" and source and not missing(model, source)
    optimiser = make_optimiser(model, replace(params, weight_decay=0.0) if selection else params)
    if empty or exact:
        fill(model, source, world, optimiser)
    keeper = Keeper(runtime.state, world)
    progress = keeper.load(model, optimiser)
    if params.with_moments and source and not progress.step:
        read_moments(model, optimiser, source, world)
    if progress.step:
        runtime.log(f"resuming at step {progress.step} of {task.batches.steps}")
    stepper = Stepper(scorer, optimiser, keeper, task, params, runtime, selection)
    pace = Pace(model, params, progress.tokens, task.batches.tokens, world, dtype)
    _run(stepper, progress, keeper, task, params, runtime, pace, watch)
    if params.keep_moments:
        write_moments(model, optimiser, runtime.out, world)
    now = pace.now(progress)
    del now["seconds_left"]
    count = selection.parameters if selection else sum(sizes[name] for name in trained)
    return progress, {**_metrics(progress, parameters), "trained_parameters": count, **now}, optimiser


def _run(
    stepper: Stepper,
    progress: Progress,
    keeper: Keeper,
    task: Task,
    params: Optimisation,
    runtime: Runtime,
    pace: Pace,
    watch: Watch | None,
) -> None:
    """Step after step to the end, with what is looked at, told and kept between them."""
    steps, world, saved = task.batches.steps, join(runtime), time.monotonic()
    rate = schedule_of(params, steps)
    with open_trackers(runtime, world, progress.rows) as track:
        if watch and not progress.step:
            watch.look(stepper.scorer, progress, steps, world)
        while progress.step < steps:
            stepper.step(progress, params.lr * rate(progress.step))
            if progress.step == steps:
                stepper.finish()
            if watch:
                watch.look(stepper.scorer, progress, steps, world)
            runtime.progress(progress.tokens + progress.skipped_tokens, task.batches.tokens, "tokens")
            track(progress.rows, pace.now(progress))
            pace.tell(progress, runtime)
            if progress.step >= steps or not stepper.guard.may_save(progress):
                continue
            if world.first(time.monotonic() - saved) >= runtime.checkpoint_seconds:
                keeper.save(stepper.scorer.model, stepper.optimiser, progress)
                saved = time.monotonic()
        keeper.finish()


def _write(
    model: Any,
    optimiser: torch.optim.Optimizer,
    source: Artifact,
    progress: Progress,
    params: Optimisation,
    runtime: Runtime,
) -> None:
    """The checkpoint in the number format of the one it started from, with its tokenizer, and the log."""
    config = read_config(source.path)
    kept = config.get("dtype") or config.get("torch_dtype") or "float32"
    world = join(runtime)
    if world.size > 1 or params.weights_dtype == "bfloat16":
        dtype = "float32" if params.lora_rank else kept  # adapters are merged as exactly as they can be
        model = gather(
            model, source.path, world, dtype=dtype, states=optimiser.state, prepare=lambda plain: attach(plain, params)
        )
    if world.rank == 0:
        merge(model, params, runtime.out)
        model.set_attn_implementation("eager")  # which every model has; none of this is saved
        check_written(model.to(getattr(torch, kept)))
        save_model(model, runtime.out, tokenizer_from=source.path)
        lines = (json.dumps(row) + "\n" for row in progress.rows)
        (runtime.out / "train_log.jsonl").write_text("".join(lines), encoding="utf-8")
    world.wait()


def _metrics(progress: Progress, parameters: int) -> dict[str, Any]:
    losses = [row["loss"] for row in progress.rows if "loss" in row] or [0.0]
    total = max(1, progress.tokens)
    shares = {name: round(count / total, 6) for name, count in sorted(progress.by_stream.items()) if count}
    out = {
        "tokens": progress.tokens,
        "trained_tokens": progress.trained_tokens,
        "steps": progress.step,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "parameters": parameters,
        "mixture": shares,
        "text": f"{progress.tokens:,} tokens ({progress.trained_tokens:,} trained) in {progress.step:,} steps; "
        f"loss {losses[0]:.4f} → {losses[-1]:.4f}",
    }
    if progress.stream_loss:
        out["loss_by_stream"] = dict(sorted(progress.stream_loss.items()))
    if told := [row["held_out"] for row in progress.rows if "held_out" in row]:
        out["held_out_bits_per_byte"] = {"first": told[0], "last": told[-1]}
    if progress.skips:
        out["left_out"] = progress.skips
        out["text"] += f"; {len(progress.skips)} times steps were left out ({progress.skipped_tokens:,} tokens)"
    return out
