"""One small run of a mixture search: train on a mixture, score held-out streams. A job that any process can do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..artifacts.tokens import read_tokens
from ..core.params import parse_params
from ..core.stage import Artifact, Runtime

STATE = "runs"
"""Folder in the stage's state where unfinished runs keep their weights."""


def proxy_job(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Train on `job["weights"]` and return `losses`, nats per token of each held-out stream.

    The run resumes from `job["state"]` if it was broken off, and leaves nothing but its losses.
    """
    from .causal_lm import make_batches, open_streams
    from .loop import fit, open_model
    from .mixture_search import Params
    from .objectives import OBJECTIVES
    from .task import token_task

    params = parse_params(Params, job["params"], where="train.mixture_search")
    state = Path(job["state"])
    state.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(
        out=out, state=state, device=job["device"], threads=1, checkpoint_seconds=job["checkpoint_seconds"]
    )
    source = Artifact(path=Path(job["model"]), kind="checkpoint", digest="", name="model")
    model = open_model(source, params, runtime)
    streams = open_streams([read_tokens(Path(path)) for path in job["tokens"]], seed=params.seed)
    batches = make_batches(streams, [(1.0, job["weights"])], params)
    objective = OBJECTIVES.load("causal_lm")
    fit(model, token_task(batches, objective, z_loss=params.z_loss), params, runtime, source=source.path)
    losses = held_out_losses(model, [Path(path) for path in job["held_out"]], params, runtime)
    shutil.rmtree(state)
    return {"losses": losses}


def held_out_losses(model: Any, folders: list[Path], params: Any, runtime: Runtime) -> dict[str, float]:
    """Mean nats per token of `N/LANGUAGE`, over the first held_out_tokens of each stream in its seeded order."""
    import torch

    from .causal_lm import open_streams
    from .logprobs import token_logprobs
    from .loop import compute_dtype
    from .packing import pack, split

    dtype = compute_dtype(params.computation, runtime.device)
    losses = {}
    for stream in open_streams([read_tokens(folder) for folder in folders], seed=0):
        end = min(stream.tokens, params.held_out_tokens)
        pieces = list(stream.pieces(0, end, context_len=params.context_len, source=0))
        total, count = 0.0, 0
        with torch.no_grad():
            for part in split(pieces, params.micro_batch_tokens):
                batch = pack(part, runtime.device)
                if len(batch.labels_N):
                    logprobs_N = token_logprobs(model, batch, dtype=dtype, uniform=False)
                    total -= float(logprobs_N.double().sum())
                    count += len(logprobs_N)
        if count:
            losses[stream.name] = total / count
    return losses
