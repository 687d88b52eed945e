"""One training loop. Stages differ in where the pieces come from and in what is made of their log-probabilities."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..core.errors import StageError
from ..core.stage import Artifact, Runtime
from ..model.checkpoint import count_parameters, load_model, read_config, save_model
from .batches import ListBatches, ShardBatches, count_units
from .checks import check_context, pack_and_check
from .distributed import Scorer, attention_free_cost, gather, join, local, prepare_blocks, rows, shard, turns
from .optimiser import clip, embeddings, freeze, make_optimiser, set_rate
from .packing import MicroBatch, Piece, pack
from .resume import Keeper, Progress
from .schedules import make_schedule
from .settings import Optimisation

Score = Callable[[Any, MicroBatch, torch.dtype], torch.Tensor]
"""From model, micro-batch and number format to what the loss reads, by default the log-probabilities [N]."""
Loss = Callable[[torch.Tensor, MicroBatch], tuple[torch.Tensor, Mapping[str, torch.Tensor]]]
"""From the log-probabilities [N] of a micro-batch's trained tokens to the summed loss and summed metrics."""


@dataclass(frozen=True)
class Task:
    """What to learn: `batches` give the pieces of every step, `loss` is summed over them and divided by their units.

    `uniform` promises that the loss weighs all log-probabilities equally (see linear_logprobs). `prepare` is called
    before each step with its pieces and a function from micro-batch to log-probabilities; `score` gives the loss
    something else to read than log-probabilities.
    """

    batches: ShardBatches | ListBatches
    loss: Loss
    uniform: bool
    prepare: Callable[[Sequence[Piece], Callable[[MicroBatch], torch.Tensor]], None] | None = None
    score: Score | None = None


def open_model(source: Artifact, params: Optimisation, runtime: Runtime) -> Any:
    """The model to train, float32, on the device, attending inside documents; StageError if it cannot."""
    torch.set_num_threads(runtime.threads)
    model = load_model(source.path, dtype="float32", device=join(runtime).device)
    check_context(model, params.context_len)
    pack_and_check(model)
    return model


def compute_dtype(choice: str, device: str) -> torch.dtype:
    """The number format of the computation; `auto` asks the device."""
    if choice == "auto":
        choice = "bfloat16" if device.startswith("cuda") and torch.cuda.is_bf16_supported() else "float32"
    return getattr(torch, choice)


def train(model: Any, source: Artifact, task: Task, params: Optimisation, runtime: Runtime) -> dict[str, Any]:
    """Train `model` to the end of `task`, write the checkpoint and its log, return the metrics.

    Of several processes the first one writes.
    """
    progress, metrics = fit(model, task, params, runtime)
    _write(model, source, progress, runtime)
    return metrics


def fit(model: Any, task: Task, params: Optimisation, runtime: Runtime) -> tuple[Progress, dict[str, Any]]:
    """Train `model` in place to the end of `task`; returns what was done and the metrics.

    Resumes from `runtime.state`; an interrupted run ends with the same bits as an uninterrupted one.
    """
    steps = task.batches.steps
    world = join(runtime)
    trained = set(freeze(model, params.train_only))
    dtype = compute_dtype(params.dtype, runtime.device)
    scorer = Scorer(model, dtype, uniform=task.uniform, score=task.score)
    prepare_blocks(model, runtime.spread)
    shard(scorer, world, dtype)
    optimiser = make_optimiser(model, params)
    rate = make_schedule(
        params.schedule,
        steps,
        warmup_steps=params.warmup_steps,
        warmup_share=params.warmup_share,
        decay_share=params.decay_share,
        final=params.final_lr_ratio,
    )
    keeper = Keeper(runtime.state, world)
    progress = keeper.load(model, optimiser)
    if progress.step:
        runtime.log(f"resuming at step {progress.step} of {steps}")
    stepper = _Stepper(scorer, optimiser, keeper, task, params, runtime)
    first, began = progress.tokens, time.monotonic()
    saved = began
    while progress.step < steps:
        stepper.step(progress, params.lr * rate(progress.step))
        runtime.progress(progress.tokens, task.batches.tokens, "tokens")
        if progress.step < steps and world.first(time.monotonic() - saved) >= runtime.checkpoint_seconds:
            keeper.save(model, optimiser, progress)
            saved = time.monotonic()
    keeper.finish()
    seconds = max(time.monotonic() - began, 1e-9)
    return progress, {
        **_metrics(progress, count_parameters(model)),
        "trained_parameters": sum(p.numel() for n, p in model.named_parameters() if n in trained),
        "tokens_per_second": round((progress.tokens - first) / seconds, 1),
    }


class _Stepper:
    """One optimisation step: gradients summed over micro-batches and divided by the whole step's units."""

    def __init__(
        self, scorer: Scorer, optimiser, keeper: Keeper, task: Task, params: Optimisation, runtime: Runtime
    ) -> None:
        self._scorer, self._optimiser, self._keeper = scorer, optimiser, keeper
        self._task, self._params, self._spread = task, params, runtime.spread
        self._world, self._linear = join(runtime), attention_free_cost(scorer.model)
        self._trainable = [p for p in scorer.model.parameters() if p.requires_grad]
        self._old_rows = [w for w in embeddings(scorer.model) if w.requires_grad] if params.new_rows_from else []
        if params.new_rows_from and not self._old_rows:
            raise StageError(
                f"new_rows_from = {params.new_rows_from} chooses rows of the embeddings, which train_only freezes",
                how="Add '*embed_tokens*' to train_only, or leave new_rows_from out.",
            )

    def step(self, progress: Progress, lr: float) -> None:
        batches = self._task.batches
        pieces = batches.at(progress.step)
        units = count_units(pieces, batches.unit)
        sums = self._world.sum(self._gradients(pieces, units)) if units else {}
        if units:
            for weight in self._old_rows:
                first, _ = rows(weight, self._world)
                local(weight.grad)[: max(0, self._params.new_rows_from - first)] = 0
            norm = clip(self._trainable, self._params.max_grad_norm)
            self._refuse_nonfinite(progress, sums["loss"] / units, norm)
            set_rate(self._optimiser, lr)
            self._optimiser.step()
            self._optimiser.zero_grad(set_to_none=True)
            sums["grad_norm"] = norm * units
        self._record(progress, pieces, units, sums, lr)

    def _gradients(self, pieces: list[Piece], units: int) -> dict[str, float]:
        """Add up gradients of the step's mean loss; returns loss and metrics summed over this process's pieces."""
        sums: dict[str, Any] = {"loss": 0.0}
        if self._task.prepare:
            self._task.prepare(pieces, self._scorer)
        size = self._params.micro_batch_tokens
        for turn in turns(pieces, self._world, micro_batch_tokens=size, linear=self._linear):
            if self._world.size > 1:
                self._scorer.set_requires_gradient_sync(turn.last or self._spread.sync == "each")
                self._scorer.set_is_last_backward(turn.last)
            batch = pack(turn.pieces, self._world.device)
            loss, metrics = self._task.loss(self._scorer(batch), batch)
            (loss / units if turn.counts else loss * 0.0).backward()
            for name, value in {"loss": loss.detach(), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + value.double() * turn.counts
        return {name: float(value) for name, value in sums.items()}

    def _refuse_nonfinite(self, progress: Progress, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self._optimiser.zero_grad(set_to_none=True)
        self._keeper.save(self._scorer.model, self._optimiser, progress)
        self._keeper.finish()
        last = ", ".join(f"{row['loss']:.4g}" for row in progress.rows[-5:]) or "none"
        raise StageError(
            f"training broke at step {progress.step}: loss {loss:.4g}, gradient norm {norm:.4g}; losses before: {last}",
            how="Lower lr, lengthen the warm-up or lower max_grad_norm; the weights before this step are kept.",
        )

    def _record(self, progress: Progress, pieces: list[Piece], units: int, sums: dict[str, float], lr: float) -> None:
        names = self._task.batches.names
        for piece in pieces:
            name = names[piece.source]
            progress.by_stream[name] = progress.by_stream.get(name, 0) + len(piece.ids)
        progress.step += 1
        progress.tokens += sum(len(piece.ids) for piece in pieces)
        progress.trained_tokens += sum(piece.trained for piece in pieces)
        for name, value in {"units": units, **sums}.items():
            progress.window[name] = progress.window.get(name, 0.0) + value
        if progress.step % self._params.log_every and progress.step < self._task.batches.steps:
            return
        window, progress.window = progress.window, {}
        if total := window.pop("units"):
            means = {name: float(f"{value / total:.7g}") for name, value in window.items()}
            progress.rows.append({"step": progress.step, "tokens": progress.tokens, "lr": lr, **means})


def _write(model: Any, source: Artifact, progress: Progress, runtime: Runtime) -> None:
    """The checkpoint in the number format of the one it started from, with its tokenizer, and the log."""
    config = read_config(source.path)
    kept = config.get("dtype") or config.get("torch_dtype") or "float32"
    world = join(runtime)
    if world.size > 1:
        model = gather(model, source.path, world)
    if world.rank == 0:
        model.set_attn_implementation("eager")  # which every model has; none of this is saved
        save_model(model.to(getattr(torch, kept)), runtime.out, tokenizer_from=source.path)
        lines = (json.dumps(row) + "\n" for row in progress.rows)
        (runtime.out / "train_log.jsonl").write_text("".join(lines), encoding="utf-8")
    world.wait()


def _metrics(progress: Progress, parameters: int) -> dict[str, Any]:
    losses = [row["loss"] for row in progress.rows] or [0.0]
    shares = {name: round(count / progress.tokens, 6) for name, count in sorted(progress.by_stream.items()) if count}
    return {
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
