"""A small repository of SEA-HELM's shape that holds the tasks of `sea_helm_cases`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from sea_helm_cases import LABELS, V1, V12, cases

METRICS = {
    "sentiment": ("SentimentAnalysisMetric", "nlu", "normalized_accuracy"),
    "toxicity": ("ToxicityDetectionMetric", "safety", "normalized_accuracy"),
    "nli": ("NLIMetric", "nlr", "normalized_accuracy"),
    "causal": ("CausalReasoningMetric", "nlr", "normalized_accuracy"),
    "metaphor": ("MetaphorUnderstandingMetric", "nlu", "normalized_accuracy"),
    "paraphrase": ("ParaphraseIdentificationMetric", "nlu", "normalized_accuracy"),
    "belebele-qa-mc": ("QuestionAnsweringMultipleChoiceMetric", "nlu", "normalized_accuracy"),
    "qa-mc": ("QuestionAnsweringMultipleChoiceMetric", "nlu", "normalized_accuracy"),
    "kalahi-mc": ("KalahiMCMetric", "cultural", "normalized_accuracy"),
    "mp-r": ("MinimalPairsMetric", "linguistic-diagnostics", "normalized_accuracy"),
    "pragmatic-single": ("PragmaticReasoningSingleSentenceMetric", "linguistic-diagnostics", "normalized_accuracy"),
    "pragmatic-pair": ("PragmaticReasoningSentencePairMetric", "linguistic-diagnostics", "normalized_accuracy"),
    "qa": ("QuestionAnsweringMetric", "nlu", "normalized_f1"),
    "abssum": ("SummarizationMetric", "nlg", "normalized_rougel_f1"),
    "translation-en-xx": ("TranslationMetric", "nlg", "normalized_metricx_wmt24_scores"),
    "translation-xx-en": ("TranslationMetric", "nlg", "normalized_metricx_wmt24_scores"),
    "if-eval": ("IFEvalMetric", "instruction-following", "overall_lang_normalized_acc"),
    "mt-bench": ("MTBenchMetric", "multi-turn", "weighted_win_rate"),
}
"""The official class, competency and score of each task at version 1.0."""
_V12_CLASSES = {
    "mp-r": "MinimalPairsMetric",
    "pragmatic-single": "PragmaticReasoningMetric",
    "pragmatic-pair": "PragmaticReasoningMetric",
    "qa": "QuestionAnsweringMetric",
    "abssum": "SummarizationMetric",
    "translation-en-xx": "TranslationMetric",
    "translation-xx-en": "TranslationMetric",
    "if-eval": "IFEvalMetric",
    "mt-bench": "PairwiseLLMJudgeMetric",
}


def metric_class(version: str, task: str) -> str:
    """The official class that marks a task."""
    return METRICS[task][0] if version == V1 else _V12_CLASSES.get(task, "F1AccMetric")


def _pattern_v1(task: str, language: str, tag: str) -> str:
    """1.0's pattern of what follows a tag: lower case for labels, either case of the first letter for texts."""
    if task in ("qa", "abssum") or task.startswith("translation"):
        first = f"[{tag[0]}|{tag[0].lower()}]" if tag[0].lower() != tag[0] else tag[0]
        return rf"(?<={first}{tag[1:]})[\s\r\n]*.*"
    ends = {"km": "[:|៖]", "zh-s": "[:|：]"}
    return rf"(?<={tag.lower()[:-1]}{ends.get(language, ':')})[\s\r\n]*.*"


def write_repository(folder: Path, version: str, every: int = 1) -> Path:
    """A repository of the official shape with the tasks of `cases` (every n-th row), for the readers to read."""
    suite: dict[str, list[str]] = {}
    configs: dict[str, dict] = {}
    tables: dict[str, dict[str, dict]] = {}
    for case in cases(version):
        task, language = case["task"], case["language"]
        suite.setdefault(language, []).append(task)
        rows = folder / f"seahelm_tasks/{task}/data/{language}.jsonl"
        rows.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(row, ensure_ascii=False) for row in case["rows"][::every]]
        rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
        examples = rows.with_name(f"{language}_examples.jsonl")
        solved = [{**row, "label": f"label {n}"} for n, row in enumerate(case["rows"][:6])]
        examples.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in solved) + "\n", encoding="utf-8")
        config = configs.setdefault(task, _config(version, task))
        config["languages"][language] = {
            "filepath": rows.relative_to(folder).as_posix(),
            "max_tokens": 16,
            "prompt_template": _template(version, task, case["tag"]),
        }
        if task not in ("if-eval", "mt-bench"):
            config["languages"][language]["example_filepath"] = examples.relative_to(folder).as_posix()
        table = tables.setdefault(task, {"label_map": {}, "regex_string": {}})
        table["label_map"][language] = LABELS.get((task, language), {})
        table["regex_string"][language] = _pattern_v1(task, language, case["tag"]) if case["tag"] else ""
    for task, config in configs.items():
        if task in suite.get("th", []) and version == V12 and task == "sentiment":
            config["competency"] = "${sentiment.own_competency}"
            config["own_competency"] = "nlu"
        home = folder / "seahelm_tasks" / task
        (home / "config.yaml").write_text(yaml.safe_dump({task: config}, allow_unicode=True), encoding="utf-8")
        if version == V1:
            (home / "metric.py").write_text(_source(METRICS[task][0], tables[task]), encoding="utf-8")
    file = folder / "seahelm_tasks" / "task_config.yaml"
    file.write_text(yaml.safe_dump({"seahelm": suite, "everything": dict.fromkeys(suite, "all")}), encoding="utf-8")
    return folder


def _config(version: str, task: str) -> dict:
    config = {
        "competency": METRICS[task][1],
        "metric": METRICS[task][2],
        "metric_class": metric_class(version, task),
        "metric_file": f"seahelm_tasks/{task}/metric.py" if version == V1 else "src/metrics/metric.py",
        "languages": {},
    }
    if task.startswith("translation"):
        config["aggregation_group"] = "translations"
    if version == V12:
        config["fewshot_num_examples"] = {"instruct": 0, "base": None if task in ("if-eval", "mt-bench") else 5}
    else:
        config["temperature"] = 0.3 if task == "abssum" else 0
    return config


def _template(version: str, task: str, tag: str) -> dict:
    if task in ("if-eval", "mt-bench"):
        own = {"preamble": "", "task_template": "{text}", "answer_template": "", "answer_tag": ""}
        return {"template": "{text}"} if version == V1 else own
    if version == V1:
        return {
            "template": f"Do {task}.\n{tag} $OPTION{{fewshot_examples}}\n\nText:\n```\n{{text}}\n```",
            "fewshot_example": f"\n\nText:\n```\n{{text}}\n```\n{tag} {{label}}",
            "fewshot_label": f"{tag} {{label}}",
        }
    return {
        "preamble": f'Do {task}.\n"{{answer_tag}} ANSWER"',
        "task_template": "Text:\n```\n{text}\n```",
        "answer_template": "{answer_tag} {label}",
        "answer_tag": tag,
    }


def _source(name: str, tables: dict[str, dict]) -> str:
    lines = [
        "raise RuntimeError('this file is read, never run')",
        "",
        "",
        f"class {name}:",
        "    def __init__(self, lang):",
    ]
    lines += [
        f"        self.{attribute} = {table!r}[lang]" for attribute, table in tables.items() if any(table.values())
    ]
    return "\n".join(lines) + "\n"
