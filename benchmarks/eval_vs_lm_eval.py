"""Tasks of lm-evaluation-harness on our backend and on its own `hf` backend: five-shot multiple choice and generation.

Same tasks, documents, model, dtype and thread; each run is a process of its own, and the two sides take turns. Building
the prompts and marking the answers, which both sides share, is in the time; loading the model and the data is not. All
choices and answers must be equal. Solved examples stand before every question in the same order, as MMLU and Belebele
have them; `details` also has them drawn anew for every question, lm-eval's default, where less can be shared, and a
larger model.

    python benchmarks/eval_vs_lm_eval.py [--out benchmarks/results/eval_vs_lm_eval.json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from result import conclude
from shared_data import SHARED

TASKS = Path(__file__).parent / "lm_eval_tasks"
DATA = SHARED / "data" / "eval"
CHOICE_BAR, GENERATION_BAR = 3.0, 2.0
RUNS = {
    "choice": {"tasks": ["xcopa_id", "xcopa_th", "xcopa_vi", "belebele_jav_Latn"], "limit": 32, "num_fewshot": 5},
    "choice, examples drawn": {"tasks": ["xcopa_id", "belebele_jav_Latn"], "limit": 24, "num_fewshot": 5},
    "generation": {"tasks": ["gsm8k_local", "mgsm_en", "mgsm_th"], "limit": 32, "num_fewshot": 5},
    "generation, trained, zero-shot": {"tasks": ["gsm8k_local", "mgsm_en", "xquad_vi"], "limit": 48},
    "generation, larger": {"tasks": ["gsm8k_local", "mgsm_en", "mgsm_th"], "limit": 12, "num_fewshot": 5},
}
SIZES = {
    "random": {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6, "num_attention_heads": 8},
    "larger": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 12},
}
"""Random Llamas of 9 and of 64 million parameters, with half as many heads for keys as for queries."""
PEER_BATCH = {"choice": 8, "generation": 32}
"""For generation both sides write 32 answers at once."""


def import_trained(folder: Path) -> None:
    """stories260K, a trained Llama that ends its sentences, as a Hugging Face folder; its window is 512."""
    from sampan.core.stage import Artifact, Inputs, Runtime
    from sampan.model.adopt import STAGE

    folder.mkdir()
    files = Artifact(path=SHARED / "data/models/stories260K", kind="external", digest="", name="files")
    STAGE.run(STAGE.params(), Inputs({"files": [files]}), Runtime(out=folder, state=folder.parent / "state"))


def save_model(folder: Path, size: str) -> None:
    """A random Llama with a window of 2,048 and a byte-level BPE of 8,000 pieces."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = ByteLevelBPETokenizer()
    files = [
        str(path) for name in ("xcopa", "belebele", "mgsm", "gsm8k") for path in sorted((DATA / name).glob("*.jsonl"))
    ]
    tokenizer.train(files, vocab_size=8000, special_tokens=["<s>", "</s>"], show_progress=False)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8000, **SIZES[size], num_key_value_heads=SIZES[size]["num_attention_heads"] // 2,
        max_position_embeddings=2048, bos_token_id=0, eos_token_id=1,
        initializer_range=0.1,  # far from uniform, so that no choice is a matter of rounding
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def work(side: str, kind: str, folder: Path) -> dict:
    """One run in this process: CPU seconds, growth of the peak memory in MB, and the answers."""
    import torch

    from sampan.evals.lm_eval import Params
    from sampan.evals.lm_eval_run import ask, templates_once
    from sampan.evals.lm_eval_tasks import load_tasks, task_manager

    torch.set_num_threads(1)
    params = Params(**RUNS[kind], bootstrap_iters=0)
    files = TASKS
    if "drawn" in kind:
        files = folder / "tasks"
        files.mkdir(exist_ok=True)
        for name in params.tasks:
            text = (TASKS / f"{name}.yaml").read_text(encoding="utf-8")
            (files / f"{name}.yaml").write_text(text.replace("sampler: first_n", "sampler: default"), encoding="utf-8")
    manager = task_manager(params.tasks, files, bundled=False)
    parts = [load_tasks(manager, name, DATA)["tasks"] for name in params.tasks]
    tasks = {"tasks": {name: task for part in parts for name, task in part.items()}}
    lm = backend(side, kind, folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock = time.process_time()
    with templates_once() if side == "ours" else contextlib.nullcontext():
        found = ask(lm, tasks, params)
    seconds = time.process_time() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = {
        name: [[row["metrics"], [row[metric] for metric in row["metrics"]], _said(row)] for row in rows]
        for name, rows in found["samples"].items()
    }
    documents = sum(count["effective"] for count in found["n-samples"].values())
    return {"seconds": seconds, "grown_mb": (peak - before) / 1024, "peak_mb": peak / 1024, "documents": documents,
            "answers": answers}  # fmt: skip


def _said(row: dict) -> list:
    """What was generated; likelihoods are compared by what they choose."""
    return [response[0] for response in row["resps"] if isinstance(response[0], str)]


def backend(side: str, kind: str, folder: Path):
    if side == "peer":
        from lm_eval.models.huggingface import HFLM

        return HFLM(
            pretrained=str(folder), dtype="float32", device="cpu", batch_size=PEER_BATCH[kind.partition(",")[0]]
        )
    from sampan.evals.lm_eval_backend import SampanLM
    from sampan.model.checkpoint import load_model
    from sampan.model.tokenizer import load_tokenizer

    return SampanLM(load_model(folder), load_tokenizer(folder))


def measure(kind: str, folder: Path, rounds: int) -> dict | None:
    """Both sides in turns; None if they disagree about an answer."""
    runs: dict[str, list[dict]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        for side, done in runs.items():
            command = [sys.executable, __file__, "--work", side, kind, str(folder)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
            finished = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            done.append(json.loads(finished.stdout.splitlines()[-1]))
    first = {side: done[0] for side, done in runs.items()}
    if first["ours"]["answers"] != first["peer"]["answers"]:
        for name, rows in first["ours"]["answers"].items():
            pairs = zip(rows, first["peer"]["answers"][name], strict=True)
            print(f"{kind}, {name}: {sum(a != b for a, b in pairs)} answers differ", file=sys.stderr)
        return None
    rates = {side: done[0]["documents"] / median(run["seconds"] for run in done) for side, done in runs.items()}
    return {
        "documents": first["ours"]["documents"],
        "ours": round(rates["ours"], 3),
        "peer": round(rates["peer"], 3),
        "ratio": round(rates["ours"] / rates["peer"], 2),
        **{f"{side}_{what}": round(median(run[what] for run in done), 1)
           for side, done in runs.items() for what in ("grown_mb", "peak_mb")},
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="*", default=list(RUNS))
    parser.add_argument("--work", nargs=3, metavar=("SIDE", "KIND", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        side, kind, folder = options.work
        print(json.dumps(work(side, kind, Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in SIZES:
            save_model(folder / size, size)
        import_trained(folder / "trained")
        names = {kind: next((name for name in ("trained", "larger") if name in kind), "random") for kind in RUNS}
        models = {kind: folder / names[kind] for kind in options.kinds}
        found = {kind: measure(kind, models[kind], options.rounds) for kind in options.kinds}
    print(json.dumps(found, indent=1), file=sys.stderr)
    if any(part is None for part in found.values()) or not {"choice", "generation"} <= set(found):
        return 2
    choice, generation = found["choice"], found["generation"]
    less = all(part["ours_grown_mb"] < part["peer_grown_mb"] for part in (choice, generation))
    line = {
        "claim": "five-shot multiple choice, documents per CPU-second of one thread",
        "ours": choice["ours"],
        "peer": choice["peer"],
        "peer_is": "lm-evaluation-harness, backend hf",
        "ratio": choice["ratio"],
        "bar": CHOICE_BAR,
        "generation": {**generation, "bar": GENERATION_BAR},
        "less_peak_memory": less,
        "ok": choice["ratio"] >= CHOICE_BAR and generation["ratio"] >= GENERATION_BAR and less,
    }
    return conclude(line, options.out, packages=("lm_eval", "torch", "transformers"), details={"runs": found})


if __name__ == "__main__":
    sys.exit(main())
