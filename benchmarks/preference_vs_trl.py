"""DPO and SimPO on the same model, pairs and batch: our training loop against TRL's DPOTrainer and CPOTrainer.

    make bench-env          # TRL, in an environment of its own
    python benchmarks/preference_vs_trl.py [--out benchmarks/results/preference_vs_trl.json]

Prompts of about 150 tokens, answers of about 100, four pairs a step. Each side is one process on one thread, started in
turn; the rate is real tokens (prompt and answer, both answers) per CPU-second of the steps after the first three, our
reference pass included. Losses of every step are compared, so the work is equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from result import conclude

HERE = Path(__file__).parent
BARS = {"dpo": 2.5, "simpo": 2.0}
MAX_MEMORY_SHARE = 0.75
STEPS, WARM, PAIRS, VOCAB = 13, 3, 4, 8192
SAME_LOSS = 1e-3  # relative: float32 in another order, and some steps of AdamW on it
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def write_input(folder: Path) -> None:
    """A random Llama of 9 million parameters, a tokenizer of words w0, w1, …, and the pairs as words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {"<pad>": 0, "<s>": 1, "</s>": 2} | {f"w{n}": n for n in range(3, VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 688}
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = LlamaConfig(vocab_size=VOCAB, max_position_embeddings=1024, tie_word_embeddings=False, **shape, **special)
    LlamaForCausalLM(config).save_pretrained(folder)
    draw = random.Random(0)

    def text(mean: float) -> list[int]:
        length = min(256, max(8, round(draw.lognormvariate(mean, 0.6))))
        return [min(VOCAB - 1, 2 + int(draw.paretovariate(0.4))) for _ in range(length)]

    rows = [{"prompt": text(4.83), "chosen": text(4.43), "rejected": text(4.43)} for _ in range(STEPS * PAIRS)]
    (folder / "pairs.json").write_text(json.dumps(rows))


def measured(command: list[str], folder: Path) -> dict:
    """What a side says of itself, with its peak memory and the wall-clock time to its first step."""
    begun = time.time()
    with open(folder / "log", "w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **ONE_THREAD})
        _, status, used = os.wait4(process.pid, 0)
        log.seek(0)
        text = log.read()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{text[-3000:]}")
    found = json.loads(text.strip().splitlines()[-1])
    return {**found, "peak_megabytes": round(used.ru_maxrss / 1024), "start_seconds": round(found["ready"] - begun, 1)}


def compare(objective: str, runs: dict[str, list[dict]]) -> dict:
    """The numbers of one objective; the losses of both sides are printed."""
    first = {name: each[0] for name, each in runs.items()}
    worst = max(abs(a - b) / abs(b) for a, b in zip(first["ours"]["losses"], first["peer"]["losses"], strict=True))
    for name, each in first.items():
        print(f"{objective} {name}: " + " ".join(f"{loss:.5f}" for loss in each["losses"]), file=sys.stderr)
    rates = {name: median(run["tokens"] / run["cpu_seconds"] for run in each) for name, each in runs.items()}
    memory = {name: max(run["peak_megabytes"] for run in each) for name, each in runs.items()}
    ratio = round(rates["ours"] / rates["peer"], 2)
    share = round(memory["ours"] / memory["peer"], 2)
    equal = worst <= SAME_LOSS and first["ours"]["tokens"] == first["peer"]["tokens"]
    return {
        "tokens_per_cpu_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": ratio,
        "bar": BARS[objective],
        "peak_megabytes": memory,
        "memory_share": share,
        "start_cpu_seconds": {name: min(run["start_cpu"] for run in each) for name, each in runs.items()},
        "losses": {name: each["losses"] for name, each in first.items()},
        "largest_loss_difference": float(f"{worst:.2g}"),
        "ok": ratio >= BARS[objective] and share <= MAX_MEMORY_SHARE and equal,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("SAMPAN_TRL_PYTHON", ".venv-trl/bin/python")
    parser.add_argument("--peer", type=Path, default=Path(default), help="a Python that has TRL")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sides = {"ours": (sys.executable, "sampan_preference.py"), "peer": (str(options.peer), "trl_preference.py")}
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_input(folder)
        for objective in BARS:
            runs: dict[str, list[dict]] = {side: [] for side in sides}
            for _ in range(options.rounds):
                for side, (python, script) in sides.items():
                    command = [python, str(HERE / "peers" / script), str(folder), objective, str(WARM), str(PAIRS)]
                    runs[side].append(measured(command, folder))
            results[objective] = compare(objective, runs)
            versions = runs["peer"][0]["versions"]
    line = {
        "claim": "DPO, real tokens per CPU-second of one thread",
        "ours": results["dpo"]["tokens_per_cpu_second"]["ours"],
        "peer": results["dpo"]["tokens_per_cpu_second"]["peer"],
        "peer_is": "TRL DPOTrainer with the reference in memory; CPOTrainer with loss_type simpo",
        "ratio": results["dpo"]["ratio"],
        "bar": BARS["dpo"],
        "simpo_ratio": results["simpo"]["ratio"],
        "simpo_bar": BARS["simpo"],
        "memory_share": {name: found["memory_share"] for name, found in results.items()},
        "ok": all(found["ok"] for found in results.values()),
    }
    return conclude(
        line, options.out, packages=("torch", "transformers"), versions=versions, details={"objectives": results}
    )


if __name__ == "__main__":
    sys.exit(main())
