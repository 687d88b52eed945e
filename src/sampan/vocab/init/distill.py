"""Token distillation: new rows are trained until the model stands, after a new token, where the old spelling led it.

The model itself is frozen. Documents are read twice, in new tokens by the student and with every new token spelled in
its old parts by the teacher; where both have read the same text, their last hidden states are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import StageError
from ..initialisation import Init, NewTokens, Settings, Side, Table, subword_mean

if TYPE_CHECKING:
    import torch

REVISION = 1
WINDOW, BATCH = 64, 8
"""New tokens in a snippet, and snippets in a step; ours."""
STEP = 0.05
"""Peak learning rate as a share of the old rows' deviation; ours, for rows of any scale."""


@dataclass(frozen=True)
class _Pair:
    """A snippet: student ids, teacher ids, and for each student token the place of its last part in the teacher's."""

    student: list[int]
    teacher: list[int]
    ends: list[int]
    real: list[bool]


def learn_rows(new: NewTokens, settings: Settings) -> dict[Side, np.ndarray]:
    """New rows [N, D] by side, learnt on `settings.max_tokens` new tokens of text (once over the documents at most).

    The loss is that of Dobler et al. 2025, the mean squared distance of last hidden states, plus next-token loss scaled
    to the same size (their αNTP), from which output rows learn too. Adam, a rate that falls linearly to 0.
    """
    import torch

    from ...model.checkpoint import load_model

    model = load_model(new.base, device=settings.device)
    model.requires_grad_(False)
    pairs = list(_snippets(new, min(WINDOW, model.config.max_position_embeddings // 8), settings.max_tokens))
    if not pairs:
        raise StageError("distill found no new token in the documents", how="Give documents in the new languages.")
    order = np.random.default_rng(settings.seed).permutation(len(pairs))
    steps = -(-len(pairs) // BATCH)
    rows = _starting_rows(model, new)
    groups = [{"params": [row], "peak": STEP * float(old.std())} for row, old in _with_old(model, rows)]
    optimiser = torch.optim.Adam(groups, lr=0.0, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / (0.1 * steps)) * (1 - step / steps)
        _loss(model, rows, [pairs[n] for n in order[step * BATCH : (step + 1) * BATCH]]).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        new.progress(step + 1, steps)
    return {side: row.detach().cpu().numpy() for side, row in rows.items()}


def _snippets(new: NewTokens, window: int, max_tokens: int) -> Iterator[_Pair]:
    """Stretches of `window` tokens with a new one among them, up to `max_tokens` tokens."""
    left = max_tokens
    for start in range(0, len(new.documents), 64):
        for ids in new.encode(new.documents[start : start + 64]):
            for first in range(0, len(ids), window):
                part = ids[first : first + window]
                if left <= 0:
                    return
                if len(part) > 1 and max(part) >= new.first:
                    left -= len(part)
                    yield _pair(new, part)


def _pair(new: NewTokens, student: list[int]) -> _Pair:
    teacher: list[int] = []
    ends = []
    for number in student:
        teacher += [number] if number < new.first else new.parts[number - new.first]
        ends.append(max(0, len(teacher) - 1))
    return _Pair(student, teacher, ends, [True] * len(student))


def _with_old(model: Any, rows: dict[Side, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each side's new rows beside its old matrix."""
    matrices = {"output": model.get_output_embeddings().weight}
    return [(row, matrices.get(side, model.get_input_embeddings().weight)) for side, row in rows.items()]


def _starting_rows(model: Any, new: NewTokens) -> dict[Side, torch.Tensor]:
    """The means of the parts, to be trained; one matrix where the model's are tied."""
    import torch

    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    rows: dict[Side, torch.Tensor] = {}
    for side in ("tied",) if tied else ("input", "output"):
        old = (model.get_output_embeddings() if side == "output" else model.get_input_embeddings()).weight
        table = Table(old_VD=old.detach().cpu().numpy()[: new.first], side=side, new=new, seed=())
        rows[side] = torch.from_numpy(subword_mean(table)).to(old.device).requires_grad_()
    return rows


def _loss(model: Any, rows: dict[Side, torch.Tensor], batch: list[_Pair]) -> torch.Tensor:
    import torch
    from torch.nn.functional import cross_entropy, mse_loss

    inside, outside = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    input_VD = torch.cat([inside, rows["input"] if "input" in rows else rows["tied"]])
    output_VD = torch.cat([outside, rows["output"] if "output" in rows else rows["tied"]])
    # Padding is on the right, where causal attention never looks.
    student_BT, teacher_BT, ends_BT, real_BT = (
        _padded([getattr(pair, name) for pair in batch]).to(inside.device)
        for name in ("student", "teacher", "ends", "real")
    )
    with torch.no_grad():
        told_BTD = model.base_model(input_ids=teacher_BT, use_cache=False).last_hidden_state
        told_BTD = told_BTD.gather(1, ends_BT[..., None].expand(-1, -1, told_BTD.shape[-1]))
    said_BTD = model.base_model(inputs_embeds=_embed(model, input_VD, student_BT), use_cache=False).last_hidden_state
    distance = mse_loss(said_BTD[real_BT], told_BTD[real_BT])
    next_BT = real_BT[:, 1:]
    logits = said_BTD[:, :-1][next_BT] @ output_VD.T
    spoken = cross_entropy(logits, student_BT[:, 1:][next_BT])
    return distance + spoken * (distance.detach() / spoken.detach())


def _embed(model: Any, input_VD: torch.Tensor, ids_BT: torch.Tensor) -> torch.Tensor:
    """Rows of ids as the model's own embedding layer gives them (Gemma's scales what it looks up)."""
    from torch.nn.functional import embedding

    scale = getattr(model.get_input_embeddings(), "embed_scale", 1.0)
    return embedding(ids_BT, input_VD) * scale


def _padded(rows: list[list[int]]) -> torch.Tensor:
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[type(row[0])(0)] * (width - len(row))] for row in rows])


def distill(table: Table, prepared: dict[Side, np.ndarray]) -> np.ndarray:
    """Rows [N, D] as they were learnt."""
    return prepared[table.side]


INIT = Init(
    rows=distill,
    prepare=learn_rows,
    revision=REVISION,
    paper="Dobler et al. 2025 (arXiv:2505.20133), with αNTP; from means of the parts",
)
