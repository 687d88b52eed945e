"""Optimisation parameters that every training stage shares."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Role

HELD_OUT = Role(
    kinds=("documents", "tokens"),
    help="text that is not trained on, on which bits per byte are measured while training goes on",
    many=True,
    required=False,
)
NEURONS = Role(
    kinds=("neurons",), help="train these neurons only; every other weight stays, bit by bit", required=False
)


@params
class Guarding:
    """What becomes of steps that break."""

    max_skips: int = 10
    """Steps that may be left out of a run because their loss or gradient is not a number, or a spike; the next one
    ends it. 0 = end at the first. On by default, since such an update can never be made (ours)."""
    spike_deviations: float = 0.0
    """A step whose loss or gradient norm lies this many robust deviations (1.4826 × median absolute deviation) above
    the median of the last ones is left out; 0 = never. Spikes of harmful size lie above 10 (ours)."""
    spike_window: int = 100
    """Steps that a spike is compared with (ours)."""
    rewind_steps: int = 0
    """Keep the state in memory every so many steps, go back to it from a step that breaks, and leave out the data of
    all steps since; 0 = leave out the broken step alone (ours; PaLM went back about 100)."""


@params
class Watching:
    """What is looked at while training goes on; it never changes the weights."""

    log_every: int = 1
    """Steps between rows of train_log.jsonl."""
    log_streams: bool = False
    """Write the loss of every stream into each row of train_log.jsonl; the last ones are always among the metrics."""
    held_out_every: int = 0
    """Steps between measurements of bits per byte on the input `held_out`, by language; 0 = before the first step and
    after the last only."""
    held_out_tokens: int = 100_000
    """Tokens of each held-out language that are read, at most, in whole documents (ours)."""
    prompts: tuple[str, ...] = ()
    """Beginnings that the model goes on from, greedily, before the first step and after the last; written to
    train_log.jsonl."""
    samples_every: int = 0
    """Steps between further samples; 0 = none."""
    sample_tokens: int = 48
    """Tokens of a sample, at most (ours)."""


@params
class Averaging:
    """Weights that are averaged over the run; what is written, and measured at the end, is the average."""

    ema_decay: float = 0.0
    """Exponential moving average of the weights, which keeps this share at each step; 0 = none."""
    average_last: int = 0
    """Mean of the weights at this many points, the last of them the end; 0 = none (LAWA, arXiv:2209.14981)."""
    average_every: int = 1
    """Steps between these points."""


@params
class Adapting:
    """Training few parameters beside the model's own, and merging them at the end."""

    lora_rank: int = 0
    """Rank of LoRA's adapters; 0 = none, and all weights are trained. With them, `train_only` names what else is, and
    `new_rows_from` the rows of the embeddings."""
    lora_alpha: float = 0.0
    """The adapters' product is multiplied by lora_alpha / lora_rank; 0 = twice the rank (ours)."""
    lora_targets: tuple[str, ...] = ()
    """Patterns of linear layers that get an adapter, such as `*self_attn.q_proj`; empty = all in the blocks."""
    dora: bool = False
    """Learn the columns' lengths apart from their directions (DoRA)."""
    keep_adapter: bool = False
    """Write the adapters beside the merged model too, as `adapter/` in peft's format."""


@params
class Optimisation(Guarding, Watching, Averaging, Adapting):
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
    """Decoupled decay of matrices other than embeddings, as `decay` counts it; ours, not the paper's."""
    decay: Literal["torch", "composer"] = "torch"
    """torch: a step takes lr × weight_decay off a weight. composer: it takes lr / peak lr × weight_decay, so that a
    published λ of Composer's decoupled AdamW can be given as it is."""
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
    head_lr_scale: float | None = None
    """Factor on the learning rate of the output embeddings, where they are not tied; left out, embedding_lr_scale."""
    lr_scales: dict[str, float] = field(default_factory=dict)
    """Factor on the learning rate by pattern of parameter names, such as `{"*layers.0.*": 0.1}`; the first that matches
    wins, over the two above as well."""
    embeddings_first: int = 0
    """Steps at the beginning in which the embeddings and the head alone are trained (ours), for added tokens."""
    z_loss: float = 0.0
    """Weight of the squared logarithm of the softmax's sum, added to each token's loss; PaLM's is 1e-4."""
    keep_moments: bool = False
    """Write AdamW's moments beside the model, as `optimiser/`, for a stage that goes on from it."""
    with_moments: bool = False
    """Begin with the moments beside the input `model`, such as for a decay branched off a stable run."""
    moments: Literal["float32", "bfloat16", "int8"] = "float32"
    """Number format of AdamW's moments: bfloat16 halves their memory, int8 quarters it (arXiv:2110.02861)."""
    weights_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format in which weights are held while they are trained: bfloat16 halves weights and gradients, computes
    in bfloat16, and needs `weights_rounding`. What is written has the format of the input `model` either way."""
    weights_rounding: Literal["kept", "stochastic"] = "kept"
    """What becomes of the part of a weight that bfloat16 has no room for, and with it of every small update: `kept` by
    the optimiser in 2 bytes, which trains float32 weights; or rounded up or down by chance (ours), which needs none."""
    train_only: tuple[str, ...] = ()
    """Patterns of parameter names, such as `*embed_tokens*`; the rest is frozen. Empty = train everything."""
    new_rows_from: int = 0
    """Train only the embedding rows from this id on, for a warm-up of added tokens (ours); 0 = all rows."""
    seed: int = 0
    """Seed of the order of documents."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the computation. `auto` is bfloat16 on a GPU that has
    it and float32 on a CPU, where bfloat16 is slower at small widths and would make results depend on the processor."""

    def __post_init__(self) -> None:
        for name in ("context_len", "micro_batch_tokens", "log_every", "sample_tokens", "held_out_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("warmup_share", "decay_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1")
        if self.schedule == "wsd" and not self.warmup_steps and self.warmup_share + self.decay_share > 1:
            raise ValueError("warmup_share and decay_share are together more than the run")
        for name in ("lr", "weight_decay", "final_lr_ratio", "max_grad_norm", "warmup_steps", "new_rows_from"):
            if not 0 <= getattr(self, name) < math.inf:  # said so that NaN fails
                raise ValueError(f"{name} must be 0 or more, and finite")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1")
        self._check_parts()
        if self.held_out_every < 0 or self.samples_every < 0:
            raise ValueError("held_out_every and samples_every must be 0 or more")
        if self.samples_every and not self.prompts:
            raise ValueError("samples_every needs prompts")
        if self.max_skips < 0 or self.rewind_steps < 0 or self.spike_window < 10 or not self.spike_deviations >= 0:
            raise ValueError("max_skips, rewind_steps, spike_deviations must be 0 or more, spike_window at least 10")
        if not self.eps > 0:
            raise ValueError("eps must be above 0")

    @property
    def computation(self) -> str:
        """`dtype` with what the weights make of `auto`."""
        return "bfloat16" if self.weights_dtype == "bfloat16" else self.dtype

    @property
    def undivided(self) -> list[str]:
        """What of these settings does not go with matrices that are divided among processes (--tensor-parallel)."""
        known = {
            "lora_rank": self.lora_rank,
            "moments: int8": self.moments == "int8",
            "keep_moments": self.keep_moments,
            "with_moments": self.with_moments,
        }
        return [name for name, value in known.items() if value]

    def _check_parts(self) -> None:
        scales = [self.embedding_lr_scale, self.head_lr_scale or 0, *self.lr_scales.values(), self.z_loss]
        if not all(scale >= 0 for scale in scales) or self.embeddings_first < 0:
            raise ValueError("factors on the learning rate, z_loss and embeddings_first must be 0 or more")
        if not 0 <= self.ema_decay < 1 or self.average_last < 0 or self.average_every < 1:
            raise ValueError(
                "ema_decay must be at least 0 and below 1, average_last 0 or more, average_every 1 or more"
            )
        if self.ema_decay and self.average_last:
            raise ValueError("ema_decay and average_last are two averages: give one")
        if self.weights_dtype == "bfloat16" and self.dtype == "float32":
            raise ValueError("weights in bfloat16 are computed with in bfloat16: leave out dtype")
        if self.weights_dtype == "float32" and self.weights_rounding != "kept":
            raise ValueError("weights_rounding is for weights_dtype: bfloat16")
        if self.moments == "bfloat16" and self.beta2 > 0.99:
            raise ValueError("moments in bfloat16 lose what beta2 above 0.99 adds in a step: lower beta2")
        if self.lora_rank < 0 or not self.lora_alpha >= 0:
            raise ValueError("lora_rank and lora_alpha must be 0 or more")
        if not self.lora_rank and (self.lora_alpha or self.lora_targets or self.dora or self.keep_adapter):
            raise ValueError("lora_alpha, lora_targets, dora and keep_adapter need lora_rank")
        if (self.keep_moments or self.with_moments) and (self.moments == "int8" or self.lora_rank):
            raise ValueError("keep_moments and with_moments are not for moments in int8, nor for adapters")
        if self.decay == "composer" and not self.lr > 0:
            raise ValueError("decay: composer divides by lr, which must be above 0")
