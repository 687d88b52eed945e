"""Log-probabilities of chosen tokens from hidden states, chunk by chunk: the [N, V] logits are never kept.

Shapes: N scored tokens, D width, V vocabulary, C a chunk of N.
"""

from __future__ import annotations

from typing import Any

import torch

from .products import multiply, packs
from .rows import pick_rows

_CHUNK_BYTES = 4 << 20
_CACHED = 1 << 18
"""Logits that a softmax is made of at once: 1 MiB in float32, half of a core's cache."""


class _Logprobs(torch.autograd.Function):
    """log softmax(cap(h W^T))[y] - z · lse², and lse, the logarithm of the softmax's sum.

    Where the gradient of every log-probability is the same number (`uniform`: a summed cross-entropy), gradients are
    made during the forward pass from logits that are still in cache; otherwise the logits are computed again in the
    backward pass."""

    @staticmethod
    def forward(ctx, hidden_ND, weight_VD, labels_N, cap: float | None, uniform: bool, z: float):
        wants = any(ctx.needs_input_grad[:2])
        now = wants and uniform
        out_N, lse_N = (torch.empty(len(labels_N), dtype=torch.float32, device=hidden_ND.device) for _ in range(2))
        grads = _empty_grads(ctx, hidden_ND, weight_VD) if now else (None, None)
        for span in spans(len(labels_N), weight_VD, least=_least(weight_VD)):
            probs_CV, slope_CV, out_N[span], lse_N[span] = _chunk(hidden_ND[span], weight_VD, labels_N[span], cap)
            if now:
                probs_CV = _penalise(probs_CV, lse_N[span], z)
                _add_grads(probs_CV, slope_CV, hidden_ND, weight_VD, labels_N, span, None, grads)
        ctx.cap, ctx.uniform, ctx.z = cap, uniform, z
        ctx.mark_non_differentiable(lse_N)
        if now:
            ctx.save_for_backward(*grads)
        elif wants:
            ctx.save_for_backward(hidden_ND, weight_VD, labels_N)
        return (out_N - z * lse_N.square() if z else out_N), lse_N

    @staticmethod
    def backward(ctx, grad_N, _):
        if ctx.uniform:
            hidden, weight = ctx.saved_tensors
            if len(grad_N) and not bool((grad_N == grad_N[0]).all()):
                raise RuntimeError("log-probabilities declared uniform were weighted differently")
            scale = grad_N[0] if len(grad_N) else 0.0
            return (*(None if x is None else x.mul_(scale) for x in (hidden, weight)), None, None, None, None)
        hidden_ND, weight_VD, labels_N = ctx.saved_tensors
        grads = _empty_grads(ctx, hidden_ND, weight_VD)
        for span in spans(len(labels_N), weight_VD, least=_least(weight_VD)):
            probs_CV, slope_CV, _, lse_C = _chunk(hidden_ND[span], weight_VD, labels_N[span], ctx.cap)
            probs_CV = _penalise(probs_CV, lse_C, ctx.z)
            _add_grads(probs_CV, slope_CV, hidden_ND, weight_VD, labels_N, span, grad_N[span], grads)
        return (*grads, None, None, None, None)


def spans(count: int, weight_VD: torch.Tensor, *, least: int = 16) -> list[slice]:
    """Chunks of at least so many rows, whose fp32 logits stay within a core's cache on a CPU and within a modest buffer
    on a GPU."""
    room = _CHUNK_BYTES if weight_VD.device.type == "cpu" else 64 * _CHUNK_BYTES
    size = max(least, room // (4 * weight_VD.shape[0]))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _least(weight_VD: torch.Tensor) -> int:
    """Rows of a chunk, where fewer would spend more on taking the weight apart for a product than they save."""
    return 256 if packs(weight_VD) else 16


def _chunk(hidden_CD, weight_VD, labels_C, cap):
    """(less the softmax [C, V] in fp32, derivative of the cap or None, log-probability of each label [C], lse [C])."""
    logits_CV = multiply(hidden_CD, weight_VD.t()).float()
    slope_CV = None
    if cap is not None:
        bent_CV = torch.tanh(logits_CV / cap)
        logits_CV, slope_CV = bent_CV * cap, 1 - bent_CV.square()
    chosen_C, lse_C = logits_CV.gather(1, labels_C[:, None])[:, 0], torch.empty_like(logits_CV[:, 0])
    logprobs_C = torch.empty_like(lse_C)
    for rows in _passes(logits_CV):
        probs = logits_CV[rows]
        top = probs.amax(-1, keepdim=True)
        total = probs.sub_(top).exp_().sum(-1, keepdim=True)
        top, log = top[:, 0], total.log()[:, 0]
        probs.div_(total.neg_())
        torch.add(top, log, out=lse_C[rows])
        torch.sub(chosen_C[rows] - top, log, out=logprobs_C[rows])
    return logits_CV, slope_CV, logprobs_C, lse_C


def _passes(logits_CV: torch.Tensor) -> list[slice]:
    """Rows that a softmax's five passes over memory find in a core's cache; all of them on a GPU."""
    count, width = logits_CV.shape
    size = max(1, _CACHED // width) if logits_CV.device.type == "cpu" else count
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _penalise(probs_CV: torch.Tensor, lse_C: torch.Tensor, z: float) -> torch.Tensor:
    """Probabilities, whatever their sign, as the derivative of lse + z · lse² has them."""
    return probs_CV.mul_((1 + 2 * z * lse_C)[:, None]) if z else probs_CV


def _empty_grads(ctx, hidden_ND, weight_VD):
    hidden = torch.empty_like(hidden_ND) if ctx.needs_input_grad[0] else None
    weight = torch.zeros_like(weight_VD, dtype=torch.float32) if ctx.needs_input_grad[1] else None
    return hidden, weight


def _add_grads(probs_CV, slope_CV, hidden_ND, weight_VD, labels_N, span, grad_C, grads) -> None:
    """Write d logp / d hidden of this chunk and add its share of d logp / d weight (probs_CV, which are below zero, are
    used up)."""
    hidden, weight = grads
    delta_CV = probs_CV
    delta_CV[torch.arange(len(delta_CV), device=delta_CV.device), labels_N[span]] += 1
    if slope_CV is not None:
        delta_CV.mul_(slope_CV)
    if grad_C is not None:
        delta_CV.mul_(grad_C[:, None])
    delta_CV = delta_CV.to(hidden_ND.dtype)
    if hidden is not None:
        multiply(delta_CV, weight_VD, out=hidden[span])
    if weight is not None:
        if weight.dtype == delta_CV.dtype:
            multiply(delta_CV.t(), hidden_ND[span], out=weight, add=True)
        else:
            weight += delta_CV.t() @ hidden_ND[span]


def linear_logprobs(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    labels_N: torch.Tensor,
    *,
    cap: float | None = None,
    uniform: bool = False,
) -> torch.Tensor:
    """Log-probability [N], fp32 nats, of `labels_N` under softmax(cap · tanh(h Wᵀ / cap)); no cap if None.

    `uniform` promises that the loss weighs every log-probability equally, which saves one pass over the vocabulary.
    """
    weight = weight_VD if weight_VD.dtype == hidden_ND.dtype else weight_VD.to(hidden_ND.dtype)
    return _Logprobs.apply(hidden_ND, weight, labels_N, cap, uniform, 0.0)[0]


def penalised_logprobs(model: Any, batch: Any, *, dtype: torch.dtype, z: float) -> torch.Tensor:
    """[2, N]: log-probabilities less z · lse², and z · lse² without gradient, lse being the logarithm of the softmax's
    sum: the z-loss of PaLM (arXiv:2204.02311 §5), which keeps logits from drifting. The loss must be uniform."""
    hidden_ND = scored_states(model, batch, dtype=dtype)
    weight = model.get_output_embeddings().weight.to(hidden_ND.dtype)
    out_N, lse_N = _Logprobs.apply(hidden_ND, weight, batch.labels_N, logit_cap(model), True, z)
    return torch.stack([out_N, z * lse_N.square()])


def token_logprobs(model: Any, batch: Any, *, dtype: torch.dtype, uniform: bool) -> torch.Tensor:
    """Log-probabilities [N] of a MicroBatch's labels under `model`, which attends packed; computed in `dtype`."""
    hidden_ND = scored_states(model, batch, dtype=dtype)
    head = model.get_output_embeddings().weight
    return linear_logprobs(hidden_ND, head, batch.labels_N, cap=logit_cap(model), uniform=uniform)


def logit_cap(model: Any) -> float | None:
    """The model's soft cap on its logits, if it has one."""
    return getattr(model.config, "final_logit_softcapping", None)


def scored_states(model: Any, batch: Any, *, dtype: torch.dtype) -> torch.Tensor:
    """Last hidden states [N, D] of the tokens that predict a MicroBatch's labels, in `dtype`."""
    mixed = dtype != torch.float32
    with torch.autocast(batch.ids_T.device.type, dtype=dtype, enabled=mixed):
        hidden_TD = model.base_model(
            input_ids=batch.ids_T[None],
            position_ids=batch.positions_T[None],
            packing=batch.layout,
            use_cache=False,
        ).last_hidden_state[0]
    hidden_ND = hidden_TD if len(batch.index_N) == len(hidden_TD) else pick_rows(hidden_TD, batch.index_N)
    return hidden_ND.to(dtype)
