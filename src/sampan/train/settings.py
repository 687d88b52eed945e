"""Optimisation parameters that every training stage shares."""

from __future__ import annotations

from typing import Literal

from ..core.params import params


@params
class Optimisation:
    """How weights move. Defaults are SEA-LION v3's published settings where there are any (arXiv:2504.05747)."""

    lr: float = 1e-5
    """Peak learning rate."""
    final_lr_ratio: float = 0.01
    """Learning rate at the end of the schedule, as a share of the peak (alpha_f)."""
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "wsd"
    """Shape of the learning rate: warm-up, then stable and linear decay (wsd), cosine, linear or constant."""
    warmup_share: float = 0.1
    """Share of the steps in which the rate rises linearly from 0."""
    warmup_steps: int = 0
    """Warm-up in steps; when above 0 it wins over warmup_share."""
    decay_share: float = 0.1
    """Share of the steps in which a wsd schedule decays."""
    context_len: int = 4096
    """Longest piece of a document that attends to itself, in tokens; at most the model's own window."""
    micro_batch_tokens: int = 8192
    """Tokens that go through the model at once (ours); it bounds memory and changes results only by rounding."""
    weight_decay: float = 0.1
    """Decoupled decay, as torch counts it (per step lr × weight_decay), of matrices other than embeddings; ours, not
    the paper's. Composer's λ is weight_decay × lr."""
    beta1: float = 0.9
    """AdamW's decay of the first moment."""
    beta2: float = 0.95
    """AdamW's decay of the second moment."""
    eps: float = 1e-15
    """AdamW's ε; large models' gradients come near the usual 1e-8."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it; 0 = never. Ours, not the paper's."""
    embedding_lr_scale: float = 1.0
    """Factor on the learning rate of the input and output embeddings (ours)."""
    train_only: tuple[str, ...] = ()
    """Patterns of parameter names, such as `*embed_tokens*`; the rest is frozen. Empty = train everything."""
    new_rows_from: int = 0
    """Train only the embedding rows from this id on, for a warm-up of added tokens (ours); 0 = all rows."""
    seed: int = 0
    """Seed of the order of documents."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the computation; weights and moments are kept in float32. `auto` is bfloat16 on a GPU that has
    it and float32 on a CPU, where bfloat16 is slower at small widths and would make results depend on the processor."""
    log_every: int = 1
    """Steps between rows of train_log.jsonl."""

    def __post_init__(self) -> None:
        for name in ("context_len", "micro_batch_tokens", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("warmup_share", "decay_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1")
        for name in ("lr", "weight_decay", "final_lr_ratio"):
            if not getattr(self, name) >= 0:  # said so that NaN fails
                raise ValueError(f"{name} must be 0 or more")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1")
        if not self.eps > 0:
            raise ValueError("eps must be above 0")
