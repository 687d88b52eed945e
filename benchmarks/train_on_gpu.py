"""Training on one GPU: its share of the peak at 1 B, tokens per second at 8 B, and what a fused loss saves.

    python benchmarks/train_on_gpu.py [--out benchmarks/results/train_on_gpu.json]
    python benchmarks/train_on_gpu.py --device cpu --tiny       the same code on tiny models, in seconds, no bars

Llama-shaped models with random weights, documents of 8,192 random tokens, computed in bfloat16, full fine-tuning,
65,536 tokens a step: what each of 64 GPUs had of SEA-LION v3's steps of 4 M (arXiv:2504.05747 §2.1), whose 8 B run made
6,383 tokens per second and GPU. Every variant runs in a process of its own (tiny ones in one), through the loop that
the stages use; steps are timed after the first two. MFU counts what the model needs (`train.pace.token_flops`), not
what is computed again. All variants are told, failed ones with their error; the fastest one counts. Plain Hugging Face,
the model's own loss and attention under autocast with torch's fused AdamW, runs the 1 B model beside ours on the same
tokens. The loss alone is measured over vocabularies of 128 k and 256 k on 8,192 tokens, ours and plain, with equal
results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fused_loss_memory import forget_peak, memory
from result import conclude

BARS = {"mfu_1b": 0.50, "tokens_per_second_8b": 6383.0, "less_memory_of_loss": 0.60}
WARM = 2
SHAPES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "head_dim": 128},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16},
}
HEADS = {"1b": 32, "8b": 32, "tiny": 4}
BRAIN = {"weights_dtype": "bfloat16"}
THRIFTY = {**BRAIN, "moments": "int8"}
VARIANTS = {
    "1b": [
        {"side": "ours", "params": {}, "spread": {}},
        {"side": "ours", "params": BRAIN, "spread": {}},
        {"side": "ours", "params": BRAIN, "spread": {"compile": True}},
        {"side": "plain"},
    ],
    "8b": [
        {"side": "ours", "params": THRIFTY, "spread": {"recompute": 1}},
        {"side": "ours", "params": THRIFTY, "spread": {"recompute": 2}},
        {"side": "ours", "params": THRIFTY, "spread": {"recompute": 1, "compile": True}},
    ],
    "tiny": [
        {"side": "ours", "params": {}, "spread": {}},
        {"side": "ours", "params": THRIFTY, "spread": {"recompute": 1}},
        {"side": "plain"},
    ],
}


def make_model(shape: str, dtype: str, device: str, vocab: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {**SHAPES[shape], "num_attention_heads": HEADS[shape], "num_key_value_heads": HEADS[shape] // 4}
    config = LlamaConfig(
        **sizes,
        vocab_size=vocab,
        max_position_embeddings=8192,
        tie_word_embeddings=shape != "8b",
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
    )
    torch.manual_seed(0)
    with torch.device(device):
        return LlamaForCausalLM._from_config(config, dtype=getattr(torch, dtype))


def documents(job: dict[str, Any]) -> Any:
    """Steps of whole documents of random tokens."""
    import numpy as np

    from sampan.train.batches import ListBatches
    from sampan.train.packing import IGNORE, Piece

    rng, length, count = np.random.default_rng(0), job["context"], job["documents"]
    pieces = []
    for _ in range(count * job["steps"]):
        ids = rng.integers(0, job["vocab"], length)
        pieces.append([Piece(ids, np.append(ids[1:], IGNORE))])
    sizes = [length] * len(pieces)
    return ListBatches(pieces, sizes, budget=count * length, epochs=1, seed=0, names=["random"], unit="tokens")


def peak(device: str) -> int:
    import torch

    return torch.cuda.max_memory_allocated() if device == "cuda" else memory("VmHWM")


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """Our loop: seconds of the timed steps, losses, peak memory."""
    from sampan.core.spread import Spread
    from sampan.core.stage import Runtime
    from sampan.train.attention import use_packed_attention
    from sampan.train.causal_lm import Params
    from sampan.train.loop import fit
    from sampan.train.objectives import OBJECTIVES
    from sampan.train.pace import token_flops
    from sampan.train.task import token_task

    context, device = job["context"], job["device"]
    params = Params(
        **{"dtype": "bfloat16", "context_len": context, "micro_batch_tokens": context, "lr": 1e-4, **job["params"]},
        schedule="constant",
        warmup_share=0.0,
    )
    model = make_model(job["shape"], params.weights_dtype, device, job["vocab"])
    use_packed_attention(model)
    flops, times = token_flops(model, context), []
    folder = Path(tempfile.mkdtemp())
    runtime = Runtime(
        out=folder,
        state=folder,
        device=device,
        spread=Spread(**job["spread"]),
        checkpoint_seconds=1e9,
        on_progress=lambda done, total, unit: times.append(time.perf_counter()),
    )
    progress, _, _ = fit(model, token_task(documents(job), OBJECTIVES.load("causal_lm")), params, runtime)
    losses = [row["loss"] for row in progress.rows if "loss" in row]
    return {"seconds": times[-1] - times[WARM - 1], "losses": losses, "flops": flops, "bytes": peak(device)}


def plain(job: dict[str, Any]) -> dict[str, Any]:
    """transformers' model and loss, torch's optimiser, one document at a time."""
    import torch

    from sampan.train.pace import token_flops

    context, device = job["context"], job["device"]
    model = make_model(job["shape"], "float32", device, job["vocab"]).train()
    flops, batches = token_flops(model, context), documents(job)
    groups = [{"params": [p for p in model.parameters() if (p.dim() > 1) == some]} for some in (True, False)]
    groups[1]["weight_decay"] = 0.0
    optimiser = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-15, weight_decay=0.1, fused=True)
    times, losses = [], []
    for step in range(batches.steps):
        total, pieces = 0.0, batches.at(step)
        for piece in pieces:
            ids = torch.from_numpy(piece.ids)[None].to(device)
            with torch.autocast(device, dtype=torch.bfloat16):
                loss = model(input_ids=ids, labels=ids, use_cache=False).loss / len(pieces)
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), 1.0, torch.nn.utils.get_total_norm(grads(model)))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(float(total))
        times.append(time.perf_counter())
    return {"seconds": times[-1] - times[WARM - 1], "losses": losses, "flops": flops, "bytes": peak(device)}


def grads(model: Any) -> list[Any]:
    return [p.grad for p in model.parameters() if p.grad is not None]


def head_loss(job: dict[str, Any]) -> dict[str, Any]:
    """Head and loss alone, forward and backward: the loss, and bytes beside inputs and their gradients."""
    import torch
    from transformers.loss.loss_utils import ForCausalLMLoss

    from sampan.train.logprobs import linear_logprobs

    device, tokens, vocab, width = (job[name] for name in ("device", "tokens", "vocab", "width"))
    cuda, dtype = device == "cuda", torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(device):
        hidden = torch.randn(tokens, width, dtype=dtype).requires_grad_()
        weight = (torch.randn(vocab, width, dtype=dtype) / width**0.5).requires_grad_()
        ids = torch.randint(vocab, (tokens + 1,))
    left_behind = hidden.nbytes + weight.nbytes
    (hidden[:8].detach() @ weight[:8].detach().t()).sum().item()  # starts the matrix library
    torch.cuda.reset_peak_memory_stats() if cuda else forget_peak()
    start = torch.cuda.memory_allocated() if cuda else memory("VmRSS")
    if job["side"] == "ours":
        loss = -linear_logprobs(hidden, weight, ids[1:], uniform=True).sum() / tokens
    else:
        loss = ForCausalLMLoss((hidden @ weight.t())[None], None, vocab, shift_labels=ids[None, 1:])
    loss.backward()
    norms = [float(x.grad.float().norm()) for x in (hidden, weight)]
    return {"loss": float(loss.detach()), "norms": norms, "bytes": peak(device) - start - left_behind}


KINDS = {"ours": ours, "plain": plain, "head_loss": head_loss}


def alone(job: dict[str, Any], tiny: bool) -> dict[str, Any]:
    """A job in a process of its own, or here if `tiny`; `failed` with its last words if it ends badly."""
    if tiny:
        return KINDS[job["kind"]](job)
    command = [sys.executable, __file__, "--one", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:300] if done.stderr.strip() else str(done.returncode)}
    return json.loads(done.stdout.splitlines()[-1])


def speeds(shape: str, device: str, tiny: bool) -> list[dict[str, Any]]:
    """Every variant of a model: tokens per second, MFU where the device's peak is known, peak memory, losses."""
    import torch

    from sampan.train.pace import peak_flops

    limit = peak_flops(device, torch.bfloat16)
    sizes = (
        {"context": 64, "documents": 2, "vocab": 500} if tiny else {"context": 8192, "documents": 8, "vocab": 128256}
    )
    sizes["steps"] = WARM + (2 if tiny else 4)
    rows = []
    for variant in VARIANTS[shape]:
        found = alone({"kind": variant["side"], "shape": shape, "device": device, **sizes, **variant}, tiny)
        if "seconds" in found:
            tokens = (sizes["steps"] - WARM) * sizes["documents"] * sizes["context"]
            rate = tokens / found.pop("seconds")
            flops = found.pop("flops")
            found |= {"tokens_per_second": round(rate, 1), "mfu": round(rate * flops / limit, 4) if limit else None}
        rows.append({"shape": shape, **variant, **found})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def losses_agree(rows: list[dict[str, Any]]) -> bool:
    """Whether all variants that ran had the same losses, to bfloat16's two digits."""
    curves = [row["losses"] for row in rows if "losses" in row]
    return all(abs(a - b) <= 0.02 * abs(b) for curve in curves for a, b in zip(curve, curves[0], strict=True))


def loss_memory(device: str, tiny: bool) -> list[dict[str, Any]]:
    rows = []
    for vocab in (16_384, 32_768) if tiny else (131_072, 262_144):
        sizes = {"tokens": 512 if tiny else 8192, "width": 32 if tiny else 2048, "vocab": vocab, "device": device}
        sides = {side: alone({"kind": "head_loss", "side": side, **sizes}, tiny) for side in ("ours", "plain")}
        row: dict[str, Any] = {**sizes, **sides}
        if not any("failed" in side for side in sides.values()):
            row["less"] = round(1 - sides["ours"]["bytes"] / sides["plain"]["bytes"], 3)
            row["same"] = abs(sides["ours"]["loss"] - sides["plain"]["loss"]) <= 0.01 * sides["plain"]["loss"]
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def best(rows: list[dict[str, Any]], name: str) -> float:
    return max((row[name] or 0.0 for row in rows if row["side"] == "ours" and "losses" in row), default=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="tiny models and no bars: does it run?")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        job = json.loads(options.one)
        print(json.dumps(KINDS[job["kind"]](job)))
        return 0
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here; `--device cpu --tiny` runs the same code on a CPU")
    rows = {
        shape: speeds(shape, options.device, options.tiny) for shape in (["tiny"] if options.tiny else ["1b", "8b"])
    }
    loss = loss_memory(options.device, options.tiny)
    same = all(map(losses_agree, rows.values())) and all(row.get("same", False) for row in loss)
    line: dict[str, Any] = {
        "claim": "full fine-tuning on one GPU: share of the peak at 1 B, tokens per second at 8 B, memory of the loss",
        "gpu": torch.cuda.get_device_name() if options.device == "cuda" else "none",
        "same_losses": same,
    }
    if options.tiny:
        line["ok"] = same and not any("failed" in row for row in rows["tiny"])
    else:
        line["mfu_1b"], line["tokens_per_second_8b"] = best(rows["1b"], "mfu"), best(rows["8b"], "tokens_per_second")
        line["less_memory_of_loss"] = min(row.get("less", 0.0) for row in loss)
        line["bars"] = BARS
        line["ok"] = same and all(line[name] >= bar for name, bar in BARS.items())
    details = {"variants": [row for some in rows.values() for row in some], "loss": loss}
    return conclude(line, options.out, packages=("torch", "transformers"), details=details)


if __name__ == "__main__":
    sys.exit(main())
