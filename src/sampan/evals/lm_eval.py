"""Stage `evals.lm_eval`: tasks of lm-evaluation-harness, as they are, on every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage

ENDPOINTS = ("local-completions", "local-chat-completions")
"""Backends that ask a server."""


@params
class Params:
    """What lm-eval is asked to run, and on which backend."""

    tasks: list[str] = field(default_factory=list)
    """Names of tasks, groups or tags; may be empty with a `profile`."""
    profile: Literal["", "open_llm_leaderboard_v2"] = ""
    """`open_llm_leaderboard_v2`: the leaderboard's six tests, its normalisation and its average. `tasks` then may name
    some of them only; the others are shown as not run."""
    bundled: bool = False
    """Whether the tasks that come with lm-eval count too; they load their data from the Hugging Face hub."""
    num_fewshot: int | None = None
    """Solved examples before each question; unset, each task's own number."""
    limit: int = 0
    """Most documents of each task (0: all), the first ones, as lm-eval takes them."""
    apply_chat_template: bool = False
    """Whether prompts go through the tokenizer's chat template."""
    fewshot_as_multiturn: bool = True
    """With a chat template: whether each solved example is a turn of its own."""
    system_instruction: str = ""
    """Text before everything else; with a chat template, the system's turn."""
    gen_kwargs: dict[str, Any] = field(default_factory=dict)
    """Generation settings that overrule the tasks' own, such as `max_gen_toks`."""
    bootstrap_iters: int = 1000
    """Resamplings for standard errors that have no formula; ours (lm-eval takes 100,000)."""
    backend: Literal["sampan", "hf", "vllm", "local-completions", "local-chat-completions"] = "sampan"
    """What runs the model: ours; lm-eval's own `hf`, for comparison; vLLM; or a server that speaks OpenAI's API."""
    backend_args: dict[str, str | int | float | bool] = field(default_factory=dict)
    """What lm-eval's backend takes, such as `base_url` and `model`. Not for `sampan`. Remote code is never run."""
    batch_tokens: int = 2048
    """Tokens in one forward pass (`sampan`)."""
    batch_size: int = 32
    """Answers that are written at once."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights (`sampan` and `hf`)."""
    keep_samples: int = 100
    """Documents of each task whose prompt, answer and verdict are kept for reading (0: none)."""
    seed: int = 1234
    """Seed of the choice of solved examples and of sampling; lm-eval's default for the former."""

    def __post_init__(self) -> None:
        if not self.tasks and not self.profile:
            raise ValueError("tasks is empty")
        for name in ("limit", "bootstrap_iters", "keep_samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")
        for name in ("batch_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if self.num_fewshot is not None and self.num_fewshot < 0:
            raise ValueError("num_fewshot must be 0 or more")
        if any("trust" in name or "unsafe" in name for name in self.backend_args):
            raise ValueError("backend_args may not trust remote or unsafe code")
        if self.backend == "sampan" and self.backend_args:
            raise ValueError("backend_args are for lm-eval's backends; `sampan` has parameters of its own")
        if self.backend in ENDPOINTS and not {"base_url", "model"} <= self.backend_args.keys():
            raise ValueError(f"the backend {self.backend} needs `base_url` and `model` in backend_args")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .lm_eval_run import run_tasks

    return run_tasks(params, inputs, runtime)


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """2 FLOPs per parameter and token; a task is taken as `limit` (or 1,000) documents of 500 tokens."""
    models = [fact.get("parameters", 0.0) for fact in facts.get("models", [])]
    tasks = len(params.tasks) or 40  # the leaderboard's parts
    tokens = 500 * (params.limit or 1000) * tasks
    return {
        "flops": 2 * tokens * sum(models),
        "forward_flops": 2 * tokens * sum(models),
        "number_bytes": 2 if params.dtype == "bfloat16" else 4,
        "seconds": 20 + 2 * tokens * sum(models) / 5e10,
        "memory_bytes": 4 * max(models, default=0.0) * 1.25 + 1e9,
        "disk_bytes": 1e6 * tasks * max(1, len(models)),
    }


STAGE = Stage(
    name="evals.lm_eval",
    revision=4,
    summary="Scores of every checkpoint on tasks of lm-evaluation-harness, which run as they are on our fast backend.",
    params=Params,
    inputs={
        "models": Role(kinds=("checkpoint",), help="the checkpoints to compare", many=True, required=False),
        "task_files": Role(kinds=(), help="a folder with lm-eval's YAML (and Python) task files", required=False),
        "data": Role(kinds=(), help="a folder from which the tasks' relative `data_files` are read", required=False),
    },
    output="scores",
    run=run,
    estimate=estimate,
    heavy=True,
    spreads=True,
    paper="lm-evaluation-harness (Gao et al. 2021; arXiv:2405.14782), with prefixes shared as in SGLang "
    "(arXiv:2312.07104).",
)
