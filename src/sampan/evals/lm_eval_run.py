"""Running lm-eval's tasks on every checkpoint, one task at a time, each finished one kept for a resumed run."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifacts.profile_table import ProfileTable, cell_score, write_profile_table
from ..artifacts.scores import Score, write_scores
from ..core.errors import InputError, RecipeError, SampanError, StageError
from ..core.identity import digest_value
from ..core.stage import Artifact, Inputs, Runtime
from ..model.endpoint import knock
from .groups import code
from .leaderboard import TASKS, leaderboard_cells
from .lm_eval import ENDPOINTS
from .lm_eval_failures import keys_outside, unreadable
from .lm_eval_items import Items, metric_name, of_scores
from .team import Team

if TYPE_CHECKING:
    from .lm_eval import Params

SHOWN_CHARS = 20_000
"""Most of one prompt or answer that is kept for reading."""


def run_tasks(params: Params, inputs: Inputs, runtime: Runtime) -> dict[str, Any]:
    """Scores and samples of all models into `runtime.out`; returns counts."""
    import torch

    torch.set_num_threads(max(1, runtime.threads))
    try:
        from .lm_eval_tasks import load_tasks, task_manager
    except ImportError as error:
        raise RecipeError(
            f"lm-evaluation-harness is not installed ({error})",
            where="evals.lm_eval",
            how="pip install 'sampan[lm-eval]'",
        ) from None
    folder, data = (artifact and artifact.path for artifact in map(inputs.optional, ("task_files", "data")))
    models = _models(params, inputs)
    for model in models:
        _check(params, model)
    names = list(dict.fromkeys(params.tasks or TASKS))
    manager = task_manager(names, folder, bundled=params.bundled)
    loaded: dict[str, Any] = {}
    team = Team(runtime)
    backend = _Backend(params, team)
    total = len(models) * len(names)

    def work(number: int) -> Mapping[str, Any]:
        name = names[number % len(names)]
        backend.take(models[number // len(names)])
        backend.progress = lambda done, of: runtime.progress(
            1000 * number + 1000 * done // max(1, of), 1000 * total, "thousandths of a task"
        )
        if name not in loaded:
            with _quiet():
                loaded[name] = load_tasks(manager, name, data)
        return _evaluate(params, name, loaded[name], backend)

    units = [f"task-{digest_value([model.digest, name])[:16]}" for model in models for name in names]
    scores, samples, documents, outside = [], [], {}, {}
    items = Items()
    for number, found in enumerate(team.units(units, work, cuts=params.backend == "sampan")):
        model = models[number // len(names)]
        scores += [Score(model=model.name, model_digest=model.digest, **row) for row in found["scores"]]
        samples += [{"model": model.name, **row} for row in found["samples"]]
        items.add(model, found["items"])
        documents.update(found["documents"])
        outside.update(found["keys_outside"])
    backend.close()
    if not scores:
        raise StageError("no task gave a number", where="evals.lm_eval", how="Look at the tasks' `metric_list`.")
    runtime.progress(1000 * total, 1000 * total, "thousandths of a task")
    if params.profile:
        scores += _profiled(params, runtime, models, scores)
    write_scores(runtime.out, scores, samples)
    items.write(runtime.out)
    return {
        "scores": len(scores),
        "models": len(models),
        "coverage": documents,
        "keys_outside": outside,
        "backend": params.backend,
    }


def _profiled(params: Params, runtime: Runtime, models: list[Artifact], scores: list[Score]) -> list[Score]:
    """The leaderboard's rows of every model, and its table into `runtime.out`."""
    tables = {model.name: leaderboard_cells([row for row in scores if row.model == model.name]) for model in models}
    digests = {model.name: model.digest for model in models}
    write_profile_table(
        runtime.out, ProfileTable(profile=params.profile, suite=params.profile, digests=digests, cells=tables)
    )
    asked = {(row.task, row.metric): row.prompt_digest for row in scores}
    return [
        cell_score(
            params.profile,
            name,
            digests[name],
            cell,
            digest_value([asked[key] for key in sorted(asked) if key[0] in cell.ran]),
        )
        for name, cells in tables.items()
        for cell in cells
        if cell.value is not None
    ]


def _models(params: Params, inputs: Inputs) -> list[Artifact]:
    """The checkpoints, each digest once, or what stands at the endpoint."""
    models = list({model.digest: model for model in inputs.many("models")}.values())
    if params.backend in ENDPOINTS and not models:
        name = str(params.backend_args["model"])
        return [Artifact(path=Path(), kind="checkpoint", digest=digest_value(dict(params.backend_args)), name=name)]
    if not models:
        raise RecipeError(
            f"the backend {params.backend} needs the input `models`",
            where="evals.lm_eval",
            how="Add it under `from:`, as `models: NAME`.",
        )
    if params.backend in ENDPOINTS and len(models) > 1:
        raise RecipeError("an endpoint serves one model; give one checkpoint (its tokenizer)", where="evals.lm_eval")
    return models


def _check(params: Params, model: Artifact) -> None:
    """What would only fail after minutes: no chat template, nobody at the endpoint."""
    if params.backend in ENDPOINTS:
        knock(str(params.backend_args["base_url"]))
    elif params.apply_chat_template:
        from ..model.tokenizer import load_tokenizer

        if not load_tokenizer(model.path).chat_template:
            raise InputError(
                "this tokenizer has no chat template",
                where=model.name,
                how="Leave `apply_chat_template` off, or set `chat_template` where the tokenizer is made or imported.",
            )


class _Backend:
    """lm-eval's `LM` for one model at a time, made when a task needs it."""

    def __init__(self, params: Params, team: Team) -> None:
        self.params, self.team = params, team
        self.progress: Callable[[int, int], None] = lambda done, total: None
        self.model = Artifact(path=Path(), kind="checkpoint", digest="", name="")
        self._lm: Any = None

    def take(self, model: Artifact) -> None:
        if model.digest != self.model.digest:
            self.close()
            self.model = model

    def lm(self) -> Any:
        if self._lm is None:
            self._lm = self._ours() if self.params.backend == "sampan" else self._theirs()
        return self._lm

    def close(self) -> None:
        self._lm = None
        gc.collect()

    def _ours(self) -> Any:
        from ..model.checkpoint import load_model
        from ..model.tokenizer import load_tokenizer
        from .lm_eval_backend import SampanLM

        return SampanLM(
            load_model(self.model.path, dtype=self.params.dtype, device=self.team.device),
            load_tokenizer(self.model.path),
            batch_tokens=self.params.batch_tokens,
            batch_size=self.params.batch_size,
            seed=self.params.seed,
            progress=lambda done, total: self.progress(done, total),
            pieces=self.team.cut,
        )

    def _theirs(self) -> Any:
        from lm_eval.api.registry import get_model

        name, path = self.params.backend, str(self.model.path)
        args: dict[str, Any] = {"batch_size": self.params.batch_size}
        if name in ENDPOINTS:
            if self.model.path != Path():
                args["tokenizer"] = path
        else:
            from ..model.checkpoint import check_folder

            check_folder(self.model.path)
            args |= {"pretrained": path, "dtype": self.params.dtype, "trust_remote_code": False}
        if name == "hf":
            args["device"] = self.team.device
        try:
            return get_model(name)(**(args | dict(self.params.backend_args)))
        except (ImportError, ModuleNotFoundError) as error:
            extra = {"hf": "hf", "vllm": "vllm"}.get(name, "api")
            raise RecipeError(
                f"the backend {name} is not installed ({error})", how=f"pip install 'lm-eval[{extra}]'"
            ) from None


def _evaluate(params: Params, name: str, tasks: Any, backend: _Backend) -> dict[str, Any]:
    """Score rows (without the model), sample rows and the coverage of one task, group or tag."""
    lm = backend.lm()
    try:
        with _quiet(), templates_once():
            found = ask(lm, tasks, params)
    except SampanError:
        raise
    except Exception as error:  # task files and servers are not ours: any type can come out of them
        lines = str(error).strip().splitlines() or [""]
        raise StageError(
            f"lm-eval stops in task '{name}' ({type(error).__name__}: {lines[0][:300]})", where="evals.lm_eval"
        ) from error
    digests = {task: _asked(rows, found["versions"].get(task)) for task, rows in found["samples"].items()}
    counts = {task: [count["effective"], count["original"]] for task, count in found["n-samples"].items()}
    scores = []
    for task, values in found["results"].items():
        better = found["higher_is_better"].get(task, {})
        members = found["group_subtasks"].get(task, [])
        asked = digests.get(task) or digest_value([digests.get(member, member) for member in members])
        bad = unreadable(found["samples"].get(task, []))
        bad["cut_off"] = sum(name == task for name, _ in getattr(lm, "cut_off", ()))  # other backends do not tell
        scores += [{**row, **bad} for row in _rows(task, values, better, asked, found)]
    samples = [row for task, rows in found["samples"].items() for row in _samples(params, task, rows, found)]
    outside = {task: number for task, rows in found["samples"].items() if (number := keys_outside(rows))}
    items = of_scores(scores, found["samples"])
    return {"scores": scores, "samples": samples, "documents": counts, "keys_outside": outside, "items": items}


def ask(lm: Any, loaded: Any, params: Params) -> Any:
    """lm-eval's results for loaded tasks, prepared as its `simple_evaluate` does (which also looks up the machine, the
    hub and git, seconds for each call)."""
    import random

    import numpy as np
    import torch
    from lm_eval.evaluator import evaluate

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(params.seed)
    for task in loaded["tasks"].values():
        if task.get_config("output_type") == "generate_until" and params.gen_kwargs:
            task.set_config(key="generation_kwargs", value=dict(params.gen_kwargs), update=True)
        shots = task.get_config("num_fewshot")
        if shots != 0:  # a task that says 0 means it
            task.set_config(key="num_fewshot", value=(shots or 0) if params.num_fewshot is None else params.num_fewshot)
        task.set_fewshot_seed(seed=params.seed)
    return evaluate(
        lm=lm,
        task_dict=loaded,
        limit=params.limit or None,
        bootstrap_iters=params.bootstrap_iters,
        system_instruction=params.system_instruction or None,
        apply_chat_template=params.apply_chat_template,
        fewshot_as_multiturn=params.fewshot_as_multiturn,
    )


def _rows(task: str, values: Mapping[str, Any], better: Mapping[str, Any], asked: str, found: Any) -> list[dict]:
    """One row for each number of a task; `metric_stderr,filter` stands beside `metric,filter`."""
    rows = []
    for key, value in values.items():
        metric, comma, filter_ = key.partition(",")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not comma or metric.endswith("_stderr") or not number or not math.isfinite(value):
            continue
        error = values.get(f"{metric}_stderr,{filter_}")
        rows.append(
            {
                "task": task,
                "language": language_of(task, found["configs"].get(task, {})),
                "metric": metric_name(metric, filter_),
                "value": float(value),
                "stderr": float(error) if isinstance(error, int | float) and math.isfinite(error) else None,
                "n": int(values.get("sample_len") or 0),
                "higher_is_better": better.get(metric) is not False,
                "prompt_digest": asked,
                "revision": _whole(found["versions"].get(task)),
            }
        )
    return rows


def _asked(rows: list[Mapping[str, Any]], version: Any) -> str:
    """Digest of everything that was asked, in order, and of the task's version."""
    return digest_value([str(version), [[row["prompt_hash"], row["target_hash"], row["doc_hash"]] for row in rows]])


def _whole(version: Any) -> int:
    """The whole part of a task's version; the digest of what was asked holds all of it."""
    try:
        return int(float(version))
    except (TypeError, ValueError):
        return 0


def _samples(params: Params, task: str, rows: list[Mapping[str, Any]], found: Any) -> list[dict[str, Any]]:
    out = []
    for row in rows:
        if row["doc_id"] >= params.keep_samples:
            continue
        choices = [argument[1] for argument in row["arguments"] if len(argument) > 1]  # a whole text has none
        by_likelihood = bool(choices) and all(isinstance(choice, str) for choice in choices)
        output = row["resps"][0][0] if row["resps"] and row["resps"][0] else ""
        if by_likelihood:
            values = [response[0][0] for response in row["resps"]]
            output = "\n".join(f"{value:.4f} {choice}" for value, choice in zip(values, choices, strict=True))
        out.append(
            {
                "task": task,
                "id": str(row["doc_id"]),
                "language": language_of(task, found["configs"].get(task, {})),
                "prompt": str(row["arguments"][0][0])[:SHOWN_CHARS],
                "output": str(output)[:SHOWN_CHARS],
                "extracted": "" if by_likelihood or not choices else str(row["filtered_resps"][0])[:SHOWN_CHARS],
                "expected": str(row["target"])[:SHOWN_CHARS],
                "filter": row["filter"],
                "verdict": {name: row[name] for name in row["metrics"] if isinstance(row[name], int | float | list)},
            }
        )
    return json.loads(json.dumps(out, ensure_ascii=False, default=str))


def language_of(task: str, config: Mapping[str, Any]) -> str:
    """The language a task is in: its `metadata.language`, or the code at its name's end; empty if it does not say."""
    said = (config.get("metadata") or {}).get("language")
    parts = task.split("_")
    for guess in [said] if said else ["_".join(parts[-2:]), parts[-1]]:
        found = code(str(guess))
        if len(found) == 8 and found[3] == "_":
            return found
    return str(said or "")


@contextlib.contextmanager
def templates_once():
    """Within it lm-eval compiles each of its tasks' templates once, not again for every document."""
    from lm_eval.utils import env

    plain = env.from_string
    env.from_string = functools.cache(plain)
    try:
        yield
    finally:
        del env.from_string


@contextlib.contextmanager
def _quiet():
    """lm-eval's and the data sets' progress bars and notes stay off the terminal; errors are raised, not printed."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
        yield
