"""A peer's own trainer on prepared rows or documents; run by train_vs_peers.py in the peer's environment.

    PYTHON benchmarks/peers/train_peer.py {hf,litgpt,trl-packed,trl-unpacked,trl-assistant,llamafactory} FOLDER RESULT

FOLDER holds `model` (a Hugging Face folder), `rows.npy` [rows, length], `documents.json` and `settings.json`. RESULT
gets CPU seconds at the end of every step, the real tokens and the loss of each, and the peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

PADDING = 0
ENDS: list[float] = []
TOKENS: list[int] = []
LOSSES: list[float] = []


def settings(folder: Path) -> dict:
    return json.loads((folder / "settings.json").read_text())


def arguments(folder: Path) -> dict:
    """What every trainer made of transformers' is told."""
    given = settings(folder)
    return {
        "output_dir": str(folder / "out-peer"),
        "max_steps": given["steps"],
        "learning_rate": given["lr"],
        "lr_scheduler_type": "linear",
        "warmup_steps": given["warmup_steps"],
        "max_grad_norm": 1.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "bf16": False,
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
    }


def callbacks() -> list:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def on_step_end(self, *_args, **_more):
            ENDS.append(time.process_time())

        def on_log(self, _args, _state, _control, logs=None, **_more):
            if logs and "loss" in logs:
                LOSSES.append(float(logs["loss"]))

    return [Clock()]


def in_order(trainer) -> None:
    """Let a trainer take its data as it comes."""
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)


def counting(trainer) -> None:
    """Note the real tokens of every step: those under an attention mask, or all where there is no padding."""
    inner = trainer.compute_loss

    def compute_loss(model, inputs, *args, **more):
        mask, ids = inputs.get("attention_mask"), inputs["input_ids"]
        flat = mask is not None and mask.shape == ids.shape
        TOKENS.append(int((mask > 0).sum()) if flat else ids.numel())
        return inner(model, inputs, *args, **more)

    trainer.compute_loss = compute_loss


def hf(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    rows = torch.from_numpy(np.load(folder / "rows.npy").astype(np.int64))

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, number):
            return {"input_ids": rows[number], "labels": rows[number]}

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    batch = settings(folder)["rows_per_step"]
    given = TrainingArguments(per_device_train_batch_size=batch, **arguments(folder))
    trainer = Trainer(model=model, args=given, train_dataset=Rows(), callbacks=callbacks())
    in_order(trainer)
    counting(trainer)
    trainer.train()


def trl(folder: Path, *, packed: bool, answers: bool = False) -> None:
    """`answers`: the second half of every document alone is trained, by the mask that TRL makes of a chat's turns."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    given = settings(folder)
    documents = json.loads((folder / "documents.json").read_text())
    columns = {"input_ids": documents}
    if answers:
        columns["assistant_masks"] = [[int(n >= len(ids) // 2) for n in range(len(ids))] for ids in documents]
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    size = given["rows_per_step"] if packed else given["documents_per_step"]
    config = SFTConfig(
        per_device_train_batch_size=size,
        max_length=given["length"],
        packing=packed,
        gradient_checkpointing=False,
        **arguments(folder),
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_dict(columns),
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
        callbacks=callbacks(),
    )
    in_order(trainer)
    counting(trainer)
    trainer.train()


def litgpt(folder: Path) -> None:
    """Compiles the model, as is its default. Its weights start elsewhere, and its rate falls as a cosine."""
    import litgpt.pretrain
    from litgpt import Config
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.data import DataModule

    given = settings(folder)
    rows = torch.from_numpy(np.load(folder / "rows.npy").astype(np.int64))
    rows = torch.cat([rows, rows[:, :1]], 1)  # it takes the last token as a label only
    shape = json.loads((folder / "model" / "config.json").read_text())

    class Rows(DataModule):
        def connect(self, tokenizer=None, batch_size=1, max_seq_length=None, **_):
            self.size = batch_size

        def train_dataloader(self):
            return torch.utils.data.DataLoader(rows, batch_size=self.size)

        val_dataloader = train_dataloader

    config = Config(
        name="peer",
        block_size=given["length"],
        vocab_size=shape["vocab_size"],
        padded_vocab_size=shape["vocab_size"],
        n_layer=shape["num_hidden_layers"],
        n_head=shape["num_attention_heads"],
        n_query_groups=shape["num_key_value_heads"],
        n_embd=shape["hidden_size"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        intermediate_size=shape["intermediate_size"],
    )
    step, loss = torch.optim.AdamW.step, litgpt.pretrain.chunked_cross_entropy

    def timed(self, *args, **more):
        out = step(self, *args, **more)
        ENDS.append(time.process_time())
        TOKENS.append(given["rows_per_step"] * given["length"])
        return out

    def noted(*args, **more):
        out = loss(*args, **more)
        if not out.is_meta:  # it counts FLOPs on a model without numbers
            LOSSES.append(float(out.detach()))
        return out

    torch.optim.AdamW.step, litgpt.pretrain.chunked_cross_entropy = timed, noted
    litgpt.pretrain.save_hyperparameters = lambda *_, **__: None  # it would read this script's command line
    litgpt.pretrain.setup(
        model_name="peer",
        model_config=config,
        out_dir=folder / "out-litgpt",
        precision="32-true",
        data=Rows(),
        train=TrainArgs(
            save_interval=None,
            log_interval=1,
            global_batch_size=given["rows_per_step"],
            micro_batch_size=given["rows_per_step"],
            max_tokens=given["rows_per_step"] * given["length"] * given["steps"],
            max_norm=1.0,
            min_lr=0.0,
            lr_warmup_steps=given["warmup_steps"],
            tie_embeddings=False,
        ),
        eval=EvalArgs(interval=10**9, max_iters=1, initial_validation=False, final_validation=False),
        devices=1,
        logger_name="csv",
        optimizer={"class_path": "torch.optim.AdamW", "init_args": {"lr": given["lr"], "weight_decay": 0.0}},
    )


def llamafactory(folder: Path) -> None:
    """Its SFT stage on documents given as answers to one word, packed with a document mask ("neat packing"). Writes the
    documents of every step to `steps.json`."""
    from llamafactory.train.tuner import run_exp

    given = settings(folder)
    data = folder / "lf-data"
    data.mkdir(exist_ok=True)
    documents = json.loads((folder / "documents.json").read_text())
    rows = [{"instruction": "t9", "input": "", "output": " ".join(f"t{n}" for n in ids)} for ids in documents]
    (data / "docs.json").write_text(json.dumps(rows))
    (data / "dataset_info.json").write_text(json.dumps({"docs": {"file_name": "docs.json"}}))
    more = {name: value for name, value in arguments(folder).items() if name not in ("report_to",)}
    run_exp(
        {
            **more,
            "report_to": "none",
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "full",
            "model_name_or_path": str(folder / "model"),
            "dataset": "docs",
            "dataset_dir": str(data),
            "template": "empty",
            "train_on_prompt": False,
            "cutoff_len": given["length"],
            "packing": True,
            "neat_packing": True,
            "flash_attn": "sdpa",
            "per_device_train_batch_size": given["rows_per_step"],
            "gradient_accumulation_steps": 1,
            "disable_gradient_checkpointing": True,
            "overwrite_output_dir": True,
        },
        callbacks=[*callbacks(), Counter()],
    )
    (folder / "steps.json").write_text(json.dumps(Counter.steps()))


class Counter:
    """Set up by `llamafactory`: notes what its trainer is given in every step, for us to train on the same."""

    SEEN: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __new__(cls):
        from transformers import Trainer, TrainerCallback

        inner = Trainer.training_step

        def training_step(self, model, inputs, *args, **more):
            cls.SEEN.append((inputs["input_ids"].clone(), inputs["position_ids"].clone()))
            TOKENS.append(int((inputs["input_ids"] != PADDING).sum()))
            return inner(self, model, inputs, *args, **more)

        Trainer.training_step = training_step
        return TrainerCallback()

    @classmethod
    def steps(cls) -> list[list[list[int]]]:
        """The documents of every step, without padding; a document begins where positions do."""
        found = []
        for ids_BT, positions_BT in cls.SEEN:
            documents: list[list[int]] = []
            for token, position in zip(ids_BT.flatten().tolist(), positions_BT.flatten().tolist(), strict=True):
                if token == PADDING:
                    continue
                if position == 0:
                    documents.append([])
                documents[-1].append(token)
            found.append(documents)
        return found


def main(mode: str, folder: Path, result: Path) -> None:
    runs = {
        "hf": hf,
        "litgpt": litgpt,
        "llamafactory": llamafactory,
        "trl-packed": lambda folder: trl(folder, packed=True),
        "trl-unpacked": lambda folder: trl(folder, packed=False),
        "trl-assistant": lambda folder: trl(folder, packed=True, answers=True),
    }
    runs[mode](folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result.write_text(json.dumps({"ends": ENDS, "tokens": TOKENS, "losses": LOSSES, "peak_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
