"""What TRL's own trainers make of fixed logits: the numbers of tests/golden/trl_losses.json.

    VENV_WITH_TRL/bin/python benchmarks/peers/trl_losses.py > tests/golden/trl_losses.json

Three pairs of answers after a prompt of one token. The model is a table of logits, so that only the losses speak. Every
loss comes with its derivative by the logit of each label.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import defaultdict
from types import SimpleNamespace

import torch

B, T, V = 3, 6, 7
CHOSEN, REJECTED = (4, 4, 4), (2, 5, 3)
"""Tokens of the answers. Chosen ones are equally long because TRL's ORPO takes the mean over the batch's tokens."""
IGNORE = -100


def logits(shift: float) -> torch.Tensor:
    """[2B, T, V] numbers without pattern, to four digits."""
    place = torch.arange(2 * B * T * V, dtype=torch.float64)
    return (
        (2 * torch.sin(place * 12.9898 + shift) + torch.cos(place * place * 0.37 + shift))
        .round(decimals=4)
        .view(2 * B, T, V)
    )


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [2B, T], chosen then rejected, and the mask of their answers."""
    ids = (torch.arange(2 * B * T) * 5 % V).view(2 * B, T)
    mask = torch.arange(T)[None] < torch.tensor([1 + n for n in (*CHOSEN, *REJECTED)])[:, None]
    ids = ids * mask
    return ids, mask & (torch.arange(T)[None] > 0)


class Table(torch.nn.Module):
    """A model whose logits are given; a batch whose prompt token is 1 gets `mismatched` ones."""

    is_gradient_checkpointing = False

    def __init__(self, values: torch.Tensor, mismatched: torch.Tensor | None = None) -> None:
        super().__init__()
        self.values = torch.nn.Parameter(values.clone())
        self.mismatched = mismatched

    def forward(self, input_ids, labels=None, **_):
        values = self.mismatched if self.mismatched is not None and input_ids[0, 0] == 1 else self.values
        if labels is None:
            return SimpleNamespace(logits=values)
        after, known = labels[:, 1:], labels[:, 1:] != IGNORE
        scores = values[:, :-1].log_softmax(-1).gather(2, after.clamp(min=0)[..., None])[..., 0] * known
        blank = torch.zeros_like(scores)
        return SimpleNamespace(log_probs=scores, entropy=blank, mean_logits=blank, is_top1=known, logits=values)


def bare(trainer: type, **values):
    """A trainer without its constructor: only what its loss reads."""
    made = object.__new__(trainer)
    same = lambda tensor: tensor  # noqa: E731
    made.accelerator = SimpleNamespace(device=torch.device("cpu"), gather=same, gather_for_metrics=same)
    made._metrics = {"train": defaultdict(list)}
    made._total_train_tokens, made._tp_size = 0, 1
    made.aux_loss_enabled = False
    for name, value in values.items():
        setattr(made, name, value)
    return made


def told(loss: torch.Tensor, model: Table) -> dict:
    """The loss and its derivative by the logit of every label [2B, T - 1]."""
    ids, mask = batch()
    loss.backward()
    slope = model.values.grad[:, :-1].gather(2, ids[:, 1:, None])[..., 0] * mask[:, 1:]
    return {"loss": round(loss.item(), 9), "slopes": [[round(x, 9) for x in row] for row in slope.tolist()]}


def dpo(loss_type: str, beta: float, label_smoothing: float = 0.0) -> dict:
    from trl import DPOTrainer

    ids, mask = batch()
    model, reference = Table(logits(0.0)), Table(logits(1.0))
    trainer = bare(
        DPOTrainer,
        model=model,
        ref_model=reference,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        beta=beta,
        label_smoothing=label_smoothing,
        loss_types=[loss_type],
        loss_weights=[1.0],
        ld_alpha=None,
        precompute_ref_logps=False,
        f_divergence_type="reverse_kl",
        use_weighting=False,
    )
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask.long()}
    return told(trainer._compute_loss(model, inputs, False), model)


def paired(trainer: type, **values) -> dict:
    """CPOTrainer and ORPOTrainer, which take chosen and rejected apart."""
    ids, mask = batch()
    model = Table(logits(0.0))
    made = bare(trainer, is_encoder_decoder=False, pad_token_id=0, padding_value=0, **values)
    inputs = {}
    for name, rows in (("chosen", slice(0, B)), ("rejected", slice(B, 2 * B))):
        seen = mask[rows].clone()
        seen[:, 0] = True
        inputs[f"{name}_input_ids"] = ids[rows]
        inputs[f"{name}_attention_mask"] = seen.long()
        inputs[f"{name}_labels"] = ids[rows].masked_fill(~mask[rows], IGNORE)
    return told(made.get_batch_loss_metrics(model, inputs)[0], model)


def kto(beta: float, desirable: float, undesirable: float) -> dict:
    from trl import KTOTrainer

    ids, mask = batch()
    model, reference = Table(logits(0.0), logits(2.0)), Table(logits(1.0), logits(3.0))
    trainer = bare(
        KTOTrainer,
        model=model,
        ref_model=reference,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        calculate_KL=True,
        precompute_ref_logps=False,
        loss_type="kto",
        beta=beta,
        desirable_weight=desirable,
        undesirable_weight=undesirable,
    )
    other = ids.clone()
    other[:, 0] = 1
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "completion_mask": mask.long(),
        "KL_input_ids": other,
        "KL_attention_mask": torch.ones_like(ids),
        "KL_completion_mask": mask.long(),
        "label": torch.tensor([True] * B + [False] * B),
    }
    result = told(trainer._compute_loss(model, inputs, False), model)
    return {**result, "kl": trainer._metrics["train"]["kl"][0]}


def divergence(beta: float) -> dict:
    """TRL's distillation loss: 0 forward KL, 1 reverse KL, between a mixture; summed over tokens."""
    from trl.experimental.gkd import GKDTrainer

    ids, mask = batch()
    model = Table(logits(0.0))
    labels = ids[:, 1:].masked_fill(~mask[:, 1:], IGNORE)
    loss = GKDTrainer.generalized_jsd_loss(
        model.values[:, :-1], logits(1.0)[:, :-1], labels=labels, beta=beta, reduction="sum"
    )
    return told(loss, model)


def main() -> None:
    import transformers
    import trl
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    ids, mask = batch()
    simpo = {"loss_type": "simpo", "cpo_alpha": 0.0, "alpha": 0.0, "label_smoothing": 0.0}
    cases = [
        ("dpo", {"beta": 0.3}, dpo("sigmoid", 0.3)),
        ("dpo_norm", {"beta": 2.0}, dpo("sigmoid_norm", 2.0)),
        ("dpo_robust", {"beta": 0.3, "label_smoothing": 0.2}, dpo("robust", 0.3, 0.2)),
        ("ipo", {"beta": 0.5}, dpo("ipo", 0.5)),
        ("apo_zero", {"beta": 0.3}, dpo("apo_zero", 0.3)),
        ("apo_down", {"beta": 0.3}, dpo("apo_down", 0.3)),
        ("simpo", {"beta": 2.0, "gamma": 1.0}, paired(CPOTrainer, beta=2.0, simpo_gamma=1.0, **simpo)),
        ("orpo", {"beta": 0.4}, paired(ORPOTrainer, beta=0.4)),
        (
            "kto",
            {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5},
            kto(0.3, 1.0, 1.5),
        ),
        ("forward_kl", {}, divergence(0.0)),
        ("reverse_kl", {}, divergence(1.0)),
        ("jensen_shannon", {}, divergence(0.5)),
    ]
    document = {
        "made_by": "benchmarks/peers/trl_losses.py",
        "versions": {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
        "ids": ids.tolist(),
        "answers": mask.long().tolist(),
        "logits": {name: logits(shift).tolist() for name, shift in (("policy", 0.0), ("reference", 1.0))},
        "mismatched": {name: logits(shift).tolist() for name, shift in (("policy", 2.0), ("reference", 3.0))},
        "losses": [{"objective": name, "settings": settings, **found} for name, settings, found in cases],
    }
    json.dump(document, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
