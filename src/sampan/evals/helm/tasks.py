"""SEA-HELM's tasks, from the configuration files of a user's copy of its repository. Nothing of it is run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ...core.errors import InputError, RecipeError, did_you_mean
from ..groups import code
from .tables import class_tables

V1, V12 = "sea_helm_v1", "sea_helm_v1_2"
KINDS = {
    "F1AccMetric": "label",
    "SentimentAnalysisMetric": "label",
    "QuestionAnsweringMultipleChoiceMetric": "label",
    "MetaphorUnderstandingMetric": "label",
    "ParaphraseIdentificationMetric": "label",
    "CausalReasoningMetric": "label",
    "NLIMetric": "label",
    "ToxicityDetectionMetric": "label",
    "KalahiMCMetric": "label",
    "QuestionAnsweringMetric": "answer",
    "SummarizationMetric": "summary",
    "TranslationMetric": "translation",
    "MinimalPairsMetric": "pair",
    "PragmaticReasoningMetric": "pragmatic",
    "PragmaticReasoningSingleSentenceMetric": "pragmatic",
    "PragmaticReasoningSentencePairMetric": "pragmatic",
    "IFEvalMetric": "instruction",
    "LogProbMetric": "likelihood",
    "MinimalPairsLogProbMetric": "likelihood",
    "PragmaticReasoningLogProbMetric": "pragmatic_likelihood",
}
"""How a task is marked, by the official class that marks it. Others (judges, pictures) are not run here; their scores
can be given."""
BY_LIKELIHOOD = ("likelihood", "pragmatic_likelihood")
"""Kinds of 1.2 that score the gold label instead of reading an answer."""
LABELS = {
    **dict.fromkeys(("HuggingFaceDataloader", "SeaHelmLocalDataloader", "TranslationDataloader"), "label"),
    **dict.fromkeys(("PragmaticDataloader", "ThaiExamDataloader", "GlobalMMLULiteDataloader"), "label"),
    **dict.fromkeys(("GeneralPromptDataLoader", "CulturalContentGenerationPromptDataLoader"), "prompt_label"),
    **dict.fromkeys(("GeneralResponseDataLoader", "CulturalContentGenerationResponseDataLoader"), "response_label"),
}
"""1.2: the column of the gold label by the official class that loads the rows. Rows of other classes (pictures, other
people's formats) are not read here."""
_FOLDER = "seahelm_tasks"
_REFERENCE = re.compile(r"\$\{([\w.-]+)\}")
_CODES = {"zh-s": "zho_Hans", "zh-t": "zho_Hant"}
PRAGMATIC_V1: dict[str, dict[str, dict[str, int]]] = {
    "id": {"Benar atau Salah": {"benar": 1, "salah": 0}, "Ya atau Tidak": {"ya": 1, "tidak": 0}},
    "ta": {"": {"உண்மை": 1, "பொய்": 0}},
}
"""Version 1.0, single sentences: words by the choices that a row offers ('' = any). They stand in functions there."""


@dataclass(frozen=True, kw_only=True)
class SeaTask:
    """One task in one language."""

    name: str
    language: str
    """Full code such as tha_Thai."""
    code: str
    """What the repository calls the language."""
    competency: str
    metric: str
    """The official name of the score that enters the total."""
    kind: str
    """A value of KINDS, or '' for what is not run here."""
    needs: str
    """What a task that is not run here needs."""
    label: str = "label"
    """The rows' column with the gold label."""
    group: str = ""
    """Tasks of one group are averaged into one before the competency."""
    by_items: bool = False
    """Whether a group's tasks weigh by their number of items."""
    rows: str = ""
    """Path in the copy, or a data set's name on the hub."""
    examples: str = ""
    shots: Mapping[str, int | None] = field(default_factory=dict)
    max_tokens: int = 256
    temperature: float = 0.0
    template: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    """1.0: the pattern of what follows the tag; 1.2: the tag."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """1.0: gold label by written one. 1.2 takes them from the rows."""


def suite_tasks(repository: Path, profile: str, suite: str) -> list[SeaTask]:
    """The tasks of `suite`, language by language in the official order.

    RecipeError for an unknown suite; InputError where this is no copy of the repository, or of another version.
    """
    chosen = _yaml(repository / _FOLDER / "task_config.yaml")
    if suite not in chosen:
        raise RecipeError(f"there is no suite '{suite}'", where="suite", how=did_you_mean(suite, chosen))
    configs: dict[str, dict[str, Any]] = {}
    for file in sorted((repository / _FOLDER).rglob("config.yaml")):
        whole = _yaml(file)
        configs |= {name: _resolved(config, whole) for name, config in whole.items()}
    new = any("metric_file" in c and str(c["metric_file"]).startswith("src/") for c in configs.values())
    if new != (profile == V12):
        raise InputError(
            f"this copy is not of the version that {profile} reads",
            where=str(repository),
            how="Check out the tag v1.0.0 for sea_helm_v1 and v1.2.1 for sea_helm_v1_2.",
        )
    tasks = []
    for language, names in chosen[suite].items():
        for name in _members(names, language, configs):
            there = name in configs and language in configs[name]["languages"]
            new_task = (
                _task(repository, name, language, configs[name], profile) if there else _undefined(name, language)
            )
            tasks.append(new_task)
    return tasks


def _undefined(name: str, language: str) -> SeaTask:
    """A task that a suite names and no file defines, as two of 1.2.1's suites do: passed over there, not run here."""
    return SeaTask(
        name=name,
        language=_CODES.get(language) or code(language),
        code=language,
        competency="undefined",
        metric="",
        kind="",
        needs="named by the suite and defined nowhere in this copy",
    )


def _members(names: str | Sequence[str], language: str, configs: Mapping[str, Any]) -> list[str]:
    """Task names; a group's name stands for its tasks, `all` for every task of the language."""
    if names == "all":
        return [name for name, config in configs.items() if language in config["languages"]]
    out = []
    for name in names:
        group = [
            task
            for task, config in configs.items()
            if config.get("aggregation_group") == name and language in config["languages"]
        ]
        out += group if name not in configs and group else [name]
    return out


def _task(repository: Path, name: str, language: str, config: Mapping[str, Any], profile: str) -> SeaTask:
    own = config["languages"][language]
    template = own.get("prompt_template") or {}
    marked_by = str(config["metric_class"])
    loader = str(config.get("dataloader_class") or "SeaHelmLocalDataloader")
    kind = KINDS.get(marked_by, "") if loader in LABELS else ""
    tag, labels = str(template.get("answer_tag", "")), {}
    if profile == V1 and kind and kind != "instruction":
        tables = class_tables(repository / str(config["metric_file"]), marked_by)
        tag = tables.get("regex_string", {}).get(language, "")
        labels = tables.get("label_map", {}).get(language, {})
        if not tag:
            raise InputError(f"task '{name}' has no pattern for '{language}'", where=str(config["metric_file"]))
    return SeaTask(
        name=name,
        language=_CODES.get(language) or code(language),
        code=language,
        competency=str(config["competency"]),
        metric=str(config["metric"]),
        kind=kind,
        needs=f"marked by {marked_by}, rows read by {loader}" if not kind else "",
        label=LABELS.get(loader, "label"),
        group=str(config.get("aggregation_group") or ""),
        by_items=config.get("aggregation_type") == "micro-average",
        rows=str(own.get("filepath") or ""),
        examples=str(own.get("example_filepath") or ""),
        shots=dict(config.get("fewshot_num_examples") or {}),
        max_tokens=int(own.get("max_tokens") or 256),
        temperature=float(config.get("temperature") or 0.0),
        template={key: value for key, value in template.items() if isinstance(value, str)},
        tag=tag,
        labels=labels,
    )


def _resolved(value: Any, whole: Mapping[str, Any]) -> Any:
    """`${task.key}` replaced by what stands there, as OmegaConf does within a file."""
    if isinstance(value, dict):
        return {key: _resolved(inner, whole) for key, inner in value.items()}
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    here: Any = whole
    for part in found[1].split("."):
        here = here.get(part) if isinstance(here, dict) else None
    return _resolved(here, whole)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"this is no copy of SEA-HELM's repository ({type(error).__name__})",
            where=str(file),
            how="Clone https://github.com/aisingapore/SEA-HELM and check out v1.0.0 or v1.2.1.",
        ) from None
    if not isinstance(found, dict):
        raise InputError("this configuration file holds no mapping", where=str(file))
    return found
