"""One optimisation step: gradients summed over micro-batches and divided by the whole step's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..core.errors import StageError
from ..core.stage import Runtime
from .averaging import Average
from .batches import count_units
from .distributed import Scorer, attention_free_cost, join, rows, turns
from .guard import Guard
from .masters import local
from .optimiser import clip, embeddings, set_rate
from .packing import Piece, pack
from .resume import Keeper, Progress
from .selection import Selection
from .settings import Optimisation
from .task import Task
from .tensor_parallel import add_partial


class Stepper:
    """Makes the steps of one run and records them in its Progress."""

    def __init__(
        self,
        scorer: Scorer,
        optimiser: torch.optim.Optimizer,
        keeper: Keeper,
        task: Task,
        params: Optimisation,
        runtime: Runtime,
        selection: Selection | None = None,
    ) -> None:
        self._selection = selection
        self.scorer, self.optimiser, self._keeper = scorer, optimiser, keeper
        self._task, self._params, self._runtime = task, params, runtime
        self._world, self._linear = join(runtime), attention_free_cost(scorer.model)
        self._average = Average(params, optimiser, task.batches.steps)
        rows = embeddings(scorer.model)
        inner = {id(weight) for weight in rows}
        self._others = [p for p in scorer.model.parameters() if id(p) not in inner] if params.embeddings_first else []
        self._trainable = [p for p in scorer.model.parameters() if p.requires_grad]
        self.guard = Guard(params, scorer.model, optimiser)
        self._old_rows = [w for w in rows if w.requires_grad] if params.new_rows_from else []
        for name in ("new_rows_from", "embeddings_first"):
            if (value := getattr(params, name)) and not any(weight.requires_grad for weight in rows):
                raise StageError(
                    f"{name} = {value} is for the embeddings, which are not trained here",
                    how=f"Add '*embed_tokens*' to train_only, or leave {name} out.",
                )
        if params.new_rows_from >= (count := rows[0].shape[0]):
            raise StageError(f"new_rows_from = {params.new_rows_from}, and the embeddings have {count} rows")

    def step(self, progress: Progress, lr: float) -> None:
        """Make the next step at the rate `lr`, or leave it out if it breaks."""
        self.guard.before(progress)
        batches = self._task.batches
        pieces = batches.at(progress.step)
        units = count_units(pieces, batches.unit)
        sums: dict[str, float] = {}
        streams: dict[str, list[float]] = {}
        if units:
            sums, streams = self._gradients(pieces, units)
            self._mask_gradients(progress.step)
            norm = clip(self._trainable, self._params.max_grad_norm, self._world.tensor)
            if fault := self.guard.fault(progress, sums["loss"] / units, norm):
                self._leave_out(progress, fault, sum(len(piece.ids) for piece in pieces))
                return
            set_rate(self.optimiser, lr)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            sums["grad_norm"] = norm * units
        self._record(progress, pieces, units, sums, streams, lr)
        self._average.add(progress)

    def finish(self) -> None:
        """After the last step: the weights that are to be written."""
        self._average.finish()

    def _gradients(self, pieces: list[Piece], units: int) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Add up gradients of the step's mean loss; returns loss and metrics summed over all pieces, and by stream the
        loss and count of its units."""
        sums: dict[str, Any] = {"loss": 0.0}
        names = self._task.batches.names if self._task.losses else ()
        loss_S, count_S = (torch.zeros(len(names), dtype=torch.float64, device=self._world.device) for _ in range(2))
        if self._task.prepare:
            self._task.prepare(pieces, self.scorer)
        size = self._params.micro_batch_tokens
        for turn in turns(pieces, self._world, micro_batch_tokens=size, linear=self._linear):
            if self._world.weights.size > 1:
                self.scorer.set_requires_gradient_sync(turn.last or self._runtime.spread.sync == "each")
                self.scorer.set_is_last_backward(turn.last)
            batch = pack(turn.pieces, self._world.device)
            scores = self.scorer(batch)
            loss, metrics = self._task.loss(scores, batch)
            (loss / units if turn.counts else loss * 0.0).backward()
            for name, value in {"loss": loss.detach(), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + value.double() * turn.counts
            if names and turn.counts:
                losses_U, piece_U = self._task.losses(scores.detach(), batch)
                source_U = batch.sources[piece_U]
                loss_S.index_add_(0, source_U, losses_U.double())
                count_S.index_add_(0, source_U, torch.ones_like(losses_U, dtype=torch.float64))
        add_partial(self._trainable, self._world.tensor)
        totals = self._world.data.sum({name: float(value) for name, value in sums.items()})
        pairs = self._world.data.sum_tensor(torch.stack([loss_S, count_S]).cpu()).T.tolist() if names else []
        return totals, {name: pair for name, pair in zip(names, pairs, strict=True) if pair[1]}

    def _mask_gradients(self, step: int) -> None:
        """Nothing for what is not trained in this step, and for the rows of embeddings that never are."""
        if step < self._params.embeddings_first:
            for parameter in self._others:
                parameter.grad = None
        if self._selection:
            self._selection.mask(self.scorer.model, self._world)
        for weight in self._old_rows:
            first, _ = rows(weight, self._world)
            local(weight.grad)[: max(0, self._params.new_rows_from - first)] = 0

    def _leave_out(self, progress: Progress, fault: str, tokens: int) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        step = progress.step
        try:
            self.guard.leave_out(progress, fault, tokens)
        except StageError:
            self._keeper.save(self.scorer.model, self.optimiser, progress)
            self._keeper.finish()
            raise
        skip = progress.skips[-1]
        self._runtime.log(f"step {step} broke ({fault}); left out steps {skip['first']} to {step}")

    def _record(
        self,
        progress: Progress,
        pieces: Sequence[Piece],
        units: int,
        sums: Mapping[str, float],
        streams: Mapping[str, list[float]],
        lr: float,
    ) -> None:
        names = self._task.batches.names
        for piece in pieces:
            name = names[piece.source]
            progress.by_stream[name] = progress.by_stream.get(name, 0) + len(piece.ids)
        progress.step += 1
        progress.tokens += sum(len(piece.ids) for piece in pieces)
        progress.trained_tokens += sum(piece.trained for piece in pieces)
        for name, value in {"units": units, **sums}.items():
            progress.window[name] = progress.window.get(name, 0.0) + value
        for name, (loss, count) in streams.items():
            before = progress.stream_window.get(name, [0.0, 0.0])
            progress.stream_window[name] = [before[0] + loss, before[1] + count]
        if progress.step % self._params.log_every and progress.step < self._task.batches.steps:
            return
        window, progress.window = progress.window, {}
        by_stream, progress.stream_window = progress.stream_window, {}
        losses = {name: _short(loss / count) for name, (loss, count) in sorted(by_stream.items())}
        progress.stream_loss |= losses
        if total := window.pop("units"):
            means = {name: _short(value / total) for name, value in window.items()}
            row = {"step": progress.step, "tokens": progress.tokens, "lr": lr, **means}
            progress.rows.append({**row, "stream_loss": losses} if self._params.log_streams and losses else row)


def _short(value: float) -> float:
    return float(f"{value:.7g}")
