"""Pre-training steps of a tiny Llama against peers' own trainers, one thread, float32, each in a process of its own.

    python benchmarks/train_vs_peers.py [--only PEER …] [--out FILE]

Full rows of 512 tokens, the same ones in the same order: HF Trainer (same first weights, losses must agree) and litgpt
with torch.compile, its default. Documents of 8 to 512 tokens, about as many real tokens a step, each attending only to
itself: TRL packed and unpacked, and TRL packed with the second half of every document trained only, as an assistant's
answer is. LLaMA-Factory's neat packing chooses the documents of a step itself: it goes first, and ours trains on the
same tokens of the same documents in the same steps, so that losses must agree. Ours is the stage train.causal_lm with
all that it does. Sides take turns; the rate is real tokens per CPU-second, without padding on either side, the median
over the steps of all turns.

Peers have environments of their own (`make bench-env`): .venv-trl, .venv-litgpt and .venv-llamafactory, or the Pythons
that --trl-python and its like, or SAMPAN_TRL_PYTHON and its like, name. A peer whose Python is missing is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from result import conclude

VOCAB, LENGTH, ROWS, DOCUMENTS_PER_STEP, WARM = 8192, 512, 4, 14, 3
SAME_LOSS = 2e-3  # HF Trainer prints four digits
STARTUP_BAR, MEMORY_BAR = 4.0, 0.75
PEERS = {
    # name: (our mode, bar on the ratio of rates, option that names its Python)
    "hf": ("rows", 1.05, "trl"),
    "litgpt": ("rows", 0.95, "litgpt"),
    "trl-packed": ("documents", 2.3, "trl"),
    "trl-unpacked": ("documents", 2.5, "trl"),
    "trl-assistant": ("answers", 2.3, "trl"),
    "llamafactory": ("packed", 1.3, "llamafactory"),
}
SAME_WORK = {"hf": "rows", "llamafactory": "packed"}
"""Peers that begin with our weights and take our tokens in our steps, and our side of each."""
HERE = Path(__file__).parent


def zipf(rng: np.random.Generator, count: int) -> np.ndarray:
    """Ids from 8 up, skewed like words."""
    found = rng.zipf(1.2, count * 3)
    return (found[found < VOCAB - 8][:count] + 7).astype(np.int64)


def prepare(folder: Path, steps: int) -> None:
    """The model, and the same data as shards for us and as rows and documents, in our order, for the peers."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from sampan.artifacts.tokens import TokenWriter, read_tokens
    from sampan.model.tokenizer import tokenizer_digest
    from sampan.train.batches import Stream

    torch.manual_seed(0)
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    shape = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6, **heads}
    config = LlamaConfig(vocab_size=VOCAB, max_position_embeddings=2048, tie_word_embeddings=False, **shape)
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    known = {name: number for number, name in enumerate(names.values())}  # none of them begins a word, as t1 begins t10
    words = Tokenizer(models.WordLevel(known | {f"t{n}": n for n in range(len(known), VOCAB)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder / "model")
    rng = np.random.default_rng(0)
    count = (steps + 2) * ROWS * LENGTH
    rows = zipf(rng, count).reshape(-1, LENGTH)
    sizes = np.clip(rng.lognormal(np.log(150) - 0.32, 0.8, count // 140), 8, LENGTH).astype(int)
    documents = np.split(zipf(rng, int(sizes.sum())), np.cumsum(sizes)[:-1])
    for name, texts in (("rows", rows), ("documents", documents), ("answers", documents)):
        tokens = folder / f"tokens-{name}"
        tokens.mkdir()
        writer = TokenWriter(tokens, vocab_size=VOCAB, tokenizer_digest=tokenizer_digest(folder / "model"))
        for ids in texts:
            mask = np.arange(len(ids)) >= len(ids) // 2 if name == "answers" else None
            writer.write(ids.tolist(), stream="tha_Thai", mask=mask)
        writer.close()
        view = read_tokens(tokens)
        stream = Stream(view, "tha_Thai", name="0/tha_Thai", seed=0)
        ordered = [piece.ids for piece in stream.pieces(0, view.index["tokens"], context_len=LENGTH, source=0)]
        if name == "rows":
            np.save(folder / "rows.npy", np.stack(ordered))
        elif name == "documents":  # the answers' are the same ones in the same order
            (folder / "documents.json").write_text(json.dumps([ids.tolist() for ids in ordered]))
    given = {"steps": steps, "lr": 3e-4, "warmup_steps": 2, "length": LENGTH, "rows_per_step": ROWS}
    given |= {"tokens_per_step": ROWS * LENGTH, "documents_per_step": DOCUMENTS_PER_STEP}
    (folder / "settings.json").write_text(json.dumps(given))


def measure(python: str, script: str, mode: str, folder: Path) -> dict[str, Any]:
    """One run in a process of its own: rates of its steps, start-up, peak memory, losses."""
    result = folder / f"result-{mode}.json"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    env |= {"HF_HUB_OFFLINE": "1", "WANDB_DISABLED": "true", "DISABLE_VERSION_CHECK": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode, and a checkout must not lack it
    command = [python, str(HERE / "peers" / script), mode, str(folder), str(result)]
    if script == "train_peer.py":
        env.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{mode} failed:\n{done.stderr[-3000:]}")
    run = json.loads(result.read_text())
    seconds = np.diff(run["ends"])[WARM - 1 :]
    tokens = run["tokens"][: len(run["ends"])][WARM:]
    return {
        "rates": [n / s for n, s in zip(tokens, seconds, strict=True)],
        "startup": run["ends"][0] - float(np.median(seconds)),
        "peak_bytes": run["peak_bytes"],
        "losses": run["losses"],
    }


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "tokens_per_cpu_second": round(float(median(rate for run in runs for rate in run["rates"])), 1),
        "best_step": round(float(max(rate for run in runs for rate in run["rates"])), 1),
        "startup_cpu_seconds": round(float(min(run["startup"] for run in runs)), 2),
        "peak_mb": round(max(run["peak_bytes"] for run in runs) / 2**20),
        "losses": [round(loss, 4) for loss in runs[0]["losses"]],
    }


def found_peers(wanted: list[str], pythons: dict[str, Path]) -> dict[str, tuple[str, float, str]]:
    """The wanted peers whose Python is there; the others are named. Ends the script if there is none."""
    missing = sorted({PEERS[name][2] for name in wanted if not pythons[PEERS[name][2]].is_file()})
    for name in missing:
        print(
            f"no Python of {name} at {pythons[name]}: `make bench-env` installs benchmarks/peers/{name}.txt there, or "
            f"give --{name}-python",
            file=sys.stderr,
        )
    peers = {name: each for name, each in PEERS.items() if name in wanted and each[2] not in missing}
    if not peers:
        sys.exit("no peer to compare with")
    return peers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("trl", "litgpt", "llamafactory"):
        default = os.environ.get(f"SAMPAN_{name.upper()}_PYTHON", f".venv-{name}/bin/python")
        parser.add_argument(f"--{name}-python", metavar="PYTHON", type=Path, default=Path(default))
    parser.add_argument("--only", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--steps", type=int, default=13)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    pythons = {name: getattr(options, f"{name}_python").absolute() for name in ("trl", "litgpt", "llamafactory")}
    peers = found_peers(options.only, pythons)
    runs: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options.steps)
        for _ in range(options.rounds):
            for name, (mode, _, python) in peers.items():
                sides = [(mode, sys.executable, "train_ours.py"), (name, str(pythons[python]), "train_peer.py")]
                for side, program, script in reversed(sides) if mode == "packed" else sides:
                    runs.setdefault(side, []).append(measure(program, script, side, Path(folder)))
    found = {name: summarise(each) for name, each in runs.items()}
    checks = {}
    for name, (mode, bar, _) in peers.items():
        ours, peer = found[mode], found[name]
        rate = round(ours["tokens_per_cpu_second"] / peer["tokens_per_cpu_second"], 2)
        memory = round(ours["peak_mb"] / peer["peak_mb"], 2)
        checks[name] = {"ratio": rate, "bar": bar, "memory": memory, "memory_bar": MEMORY_BAR}
        checks[name]["ok"] = rate >= bar and memory <= MEMORY_BAR
    for name, each in found.items():
        print(f"{name:14s} {json.dumps(each)}")
    for name, mode in SAME_WORK.items():
        if name in found:
            gap = max(abs(a - b) for a, b in zip(found[mode]["losses"], found[name]["losses"], strict=True))
            if gap > SAME_LOSS:
                sys.exit(f"losses of ours and {name} differ by {gap:.4f}: not the same work")
    own = sorted({mode for mode, _, _ in peers.values()})
    startup = max(found[mode]["startup_cpu_seconds"] for mode in own)
    line = {
        "claim": "training steps of an 8.9 M Llama, real tokens per CPU-second of one thread, against peers' trainers",
        "ours": {mode: found[mode]["tokens_per_cpu_second"] for mode in own},
        "peers": checks,
        "startup_cpu_seconds": startup,
        "startup_bar": STARTUP_BAR,
        "ok": startup < STARTUP_BAR and all(check["ok"] for check in checks.values()),
    }
    return conclude(line, options.out, packages=("torch", "transformers"), details={"sides": found})


if __name__ == "__main__":
    sys.exit(main())
