"""The teacher beside the student, or its likeliest tokens computed before training and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..core.stage import Runtime
from .distributed import join
from .divergence import FullTeacher, Lesson, TopTeacher, lesson_losses, lumped
from .logprobs import spans
from .packing import MicroBatch, Piece, pack, split
from .resume import save_tensors


class Distillation:
    """Score and loss of a Task. `teacher` is a model in memory or a TopStore."""

    def __init__(self, teacher: Any, lesson: Lesson) -> None:
        self._teacher, self._lesson = teacher, lesson

    def score(self, model: Any, batch: MicroBatch, dtype: torch.dtype) -> torch.Tensor:
        """[3, N]: losses, divergences and negative log-likelihoods of the batch's scored tokens."""
        if isinstance(self._teacher, TopStore):
            teacher = self._teacher.of(batch)
        else:
            with torch.no_grad():
                teacher = FullTeacher(self._teacher, batch, dtype=dtype, temperature=self._lesson.temperature)
        return lesson_losses(model, batch, teacher, self._lesson, dtype=dtype)

    def __call__(self, scores_3N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        loss, apart, nll = scores_3N.sum(1)
        return loss, {"divergence": apart.detach(), "nll": nll.detach()}

    @staticmethod
    def losses(scores_3N: torch.Tensor, batch: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Each trained token's negative log-likelihood, and its piece."""
        return scores_3N[2], batch.piece_N


class TopStore:
    """The teacher's likeliest tokens and their log-probabilities at every scored token, in files of one step
    each, found again by the content of the piece."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._where: dict[str, tuple[Path, int, int]] = {}

    def _index(self, path: Path) -> None:
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            for key, (start, count) in json.loads(file.metadata()["pieces"]).items():
                self._where[key] = (path, start, count)

    def of(self, batch: MicroBatch) -> TopTeacher:
        """What the teacher says of a batch, whose pieces must all have been computed."""
        from safetensors import safe_open

        ids, logprobs = [], []
        for piece in batch.pieces:
            if not piece.trained:
                continue
            path, start, count = self._where[_key(piece)]
            with safe_open(path, "pt") as file:
                ids.append(file.get_slice("ids")[start : start + count])
                logprobs.append(file.get_slice("logprobs")[start : start + count])
        device = batch.ids_T.device
        return TopTeacher(torch.cat(ids).to(device), torch.cat(logprobs).to(device))

    @torch.no_grad()
    def fill(
        self,
        model: Any,
        batches: Any,
        *,
        count: int,
        temperature: float,
        micro_batch_tokens: int,
        dtype: torch.dtype,
        runtime: Runtime,
    ) -> None:
        """Compute what is missing for every step of `batches`, in files that a killed run finds again. Processes take
        turns; a piece belongs to the first step that has it, so that the files do not depend on how many they are."""
        world, seen = join(runtime), set()
        for step in range(batches.steps):
            missing = {_key(piece): piece for piece in batches.at(step) if piece.trained}
            missing = {key: piece for key, piece in missing.items() if key not in seen}
            seen |= missing.keys()
            own = step % world.size == world.rank and not self._file(step).is_file()
            if missing and own:
                ids, logprobs, pieces, done = [], [], {}, 0
                for part in split(list(missing.values()), micro_batch_tokens):
                    batch = pack(part, world.device)
                    for found, out in zip(_top(model, batch, count, temperature, dtype), (ids, logprobs), strict=True):
                        out.append(found)
                    for piece in part:
                        pieces[_key(piece)] = (done, piece.trained)
                        done += piece.trained
                tensors = {"ids": torch.cat(ids), "logprobs": torch.cat(logprobs)}
                save_tensors(self._file(step), tensors, {"pieces": json.dumps(pieces)})
            runtime.progress(step + 1, batches.steps, "steps of the teacher")
        world.wait()
        for path in sorted(self._folder.glob("top-*.safetensors")):
            self._index(path)

    def _file(self, step: int) -> Path:
        return self._folder / f"top-{step:07d}.safetensors"


def _top(model: Any, batch: MicroBatch, count: int, temperature: float, dtype: torch.dtype) -> Sequence[torch.Tensor]:
    """Ids [N, K] (int32) of the teacher's likeliest tokens, and log-probabilities [N, K + 1] (see TopTeacher)."""
    teacher = FullTeacher(model, batch, dtype=dtype, temperature=temperature)
    ids, logprobs = [], []
    for span in spans(len(batch.labels_N), model.get_output_embeddings().weight):
        logprobs_CV = teacher.logprobs(span, teacher.rows)
        ids_CK = logprobs_CV.topk(min(count, teacher.rows - 1), -1).indices
        logprobs.append(lumped(logprobs_CV, ids_CK))
        ids.append(ids_CK)
    return torch.cat(ids).int().cpu(), torch.cat(logprobs).cpu()


def _key(piece: Piece) -> str:
    """The piece's content."""
    return hashlib.sha256(piece.ids.astype("<i8").tobytes() + b"|" + piece.labels.astype("<i8").tobytes()).hexdigest()
