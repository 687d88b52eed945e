"""TRL's side of preference_vs_trl.py: `python trl_preference.py FOLDER dpo|simpo WARM PAIRS`.

Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

BEGUN = time.process_time()
warnings.filterwarnings("ignore")

import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset  # noqa: E402
from torch.utils.data import SequentialSampler  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_, **__) -> None:
        self.times.append(time.process_time())


def watched(trainer: type) -> type:
    """The trainer, taking the rows in their order and keeping each step's loss."""

    class Watched(trainer):
        losses: list[float] = []

        def _get_train_sampler(self, *args, **kwargs):
            return SequentialSampler(self.train_dataset)

        def compute_loss(self, *args, **kwargs):
            found = super().compute_loss(*args, **kwargs)
            loss = found[0] if isinstance(found, tuple) else found
            self.losses.append(loss.item())
            return found

    return Watched


def main(folder: Path, objective: str, warm: int, count: int) -> None:
    rows = json.loads((folder / "pairs.json").read_text())
    words = [{name: " ".join(f"w{n}" for n in ids) for name, ids in row.items()} for row in rows]
    for row in words:
        row["prompt"] += " "
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    clock = Clock()
    common = {
        "output_dir": str(folder / f"trl-{time.time_ns()}"),
        "per_device_train_batch_size": count,
        "max_steps": len(rows) // count,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "logging_steps": 1000,
        "save_strategy": "no",
        "report_to": [],
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "max_length": 1024,
    }
    given = {
        "model": model,
        "train_dataset": Dataset.from_list(words),
        "processing_class": AutoTokenizer.from_pretrained(folder),
        "callbacks": [clock],
    }
    if objective == "dpo":
        given["ref_model"] = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        trainer = watched(trl.DPOTrainer)(args=trl.DPOConfig(beta=0.1, loss_type=["sigmoid"], **common), **given)
    else:
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        args = CPOConfig(loss_type="simpo", cpo_alpha=0.0, beta=2.0, simpo_gamma=1.0, **common)
        trainer = watched(CPOTrainer)(args=args, **given)
    start, ready = time.process_time(), time.time()
    trainer.train()
    told = {
        "cpu_seconds": clock.times[-1] - clock.times[warm - 1],
        "tokens": sum(2 * len(r["prompt"]) + len(r["chosen"]) + len(r["rejected"]) + 2 for r in rows[warm * count :]),
        "losses": trainer.losses,
        "start_cpu": round(start - BEGUN, 2),
        "ready": ready,
        "versions": {"trl": trl.__version__, "peer transformers": transformers.__version__},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
