"""Peak memory of the loss over a large vocabulary: ours, chunk by chunk, against plain Hugging Face logits and loss.

    python benchmarks/fused_loss_memory.py [--out benchmarks/results/fused_loss_memory.json]

Head and loss of 1024 tokens, forward and backward, float32 on a CPU, over 131,072 words, with and without Gemma-2's
soft cap, and over 262,144. The peer is what a transformers model does: all logits, then `ForCausalLMLoss`; its needs
grow with the tokens, ours do not. Each side runs in a process of its own. What is counted is the growth of the
process's peak, less the gradients that both leave behind.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from result import conclude

WIDTH, BAR, SAME = 64, 0.60, 1e-4
CASES = [(1024, 131_072, None), (1024, 131_072, 30.0), (1024, 262_144, None)]
"""(tokens, vocabulary, soft cap)"""


def memory(kind: str) -> int:
    """Bytes of this process: VmRSS now, or VmHWM at its peak since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def one(side: str, tokens: int, vocab: int, cap: float | None) -> dict[str, float]:
    """Loss, gradients' norms, CPU seconds, and bytes needed beside inputs and gradients."""
    import torch
    from transformers.loss.loss_utils import ForCausalLMLoss

    from sampan.train.logprobs import linear_logprobs

    torch.set_num_threads(1)
    torch.manual_seed(0)
    hidden_TD = torch.randn(tokens, WIDTH, requires_grad=True)
    weight_VD = (torch.randn(vocab, WIDTH) / WIDTH**0.5).requires_grad_()
    ids_T = torch.randint(vocab, (tokens + 1,))
    torch.randn(8, WIDTH) @ torch.randn(WIDTH, 8)  # starts the matrix library
    left_behind = 4 * (hidden_TD.numel() + weight_VD.numel())
    forget_peak()
    start, clock = memory("VmRSS"), time.process_time()
    if side == "ours":
        loss = -linear_logprobs(hidden_TD, weight_VD, ids_T[1:], cap=cap, uniform=True).sum() / tokens
    else:
        logits_TV = hidden_TD @ weight_VD.t()
        if cap is not None:
            logits_TV = torch.tanh(logits_TV / cap) * cap
        labels = torch.cat([ids_T[1:], torch.tensor([-100])])[None, :tokens]
        loss = ForCausalLMLoss(logits_TV[None], None, vocab, shift_labels=labels)
    loss.backward()
    seconds = time.process_time() - clock
    needed = memory("VmHWM") - start - left_behind
    norms = [float(x.grad.norm()) for x in (hidden_TD, weight_VD)]
    return {"loss": float(loss.detach()), "norms": norms, "seconds": round(seconds, 1), "bytes": needed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(*json.loads(options.one))))
        return 0
    cases = []
    for tokens, vocab, cap in CASES:
        sides = {}
        for side in ("ours", "peer"):
            command = [sys.executable, __file__, "--one", json.dumps([side, tokens, vocab, cap])]
            sides[side] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        ours, peer = sides["ours"], sides["peer"]
        pairs = zip([ours["loss"], *ours["norms"]], [peer["loss"], *peer["norms"]], strict=True)
        if any(abs(a - b) > SAME * abs(b) for a, b in pairs):
            sys.exit(f"not the same loss and gradients: {sides}")
        less = round(1 - ours["bytes"] / peer["bytes"], 3)
        mb = {f"{name}_mb": round(side["bytes"] / 2**20) for name, side in sides.items()}
        seconds = {f"{name}_cpu_seconds": side["seconds"] for name, side in sides.items()}
        cases.append({"tokens": tokens, "vocab": vocab, "cap": cap, **mb, **seconds, "less": less})
    line = {
        "claim": "peak memory of head and loss over a large vocabulary, forward and backward, against plain logits",
        "cases": cases,
        "ratio": min(case["less"] for case in cases),
        "bar": BAR,
        "ok": all(case["less"] >= BAR for case in cases),
    }
    return conclude(line, options.out, packages=("torch", "transformers"))


if __name__ == "__main__":
    sys.exit(main())
