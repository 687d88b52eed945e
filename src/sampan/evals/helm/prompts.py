"""SEA-HELM's prompts: the templates of the user's copy, filled as the official code fills them.

1.0 asks in one user turn, with the solved examples inside it. 1.2 puts the preamble before the first turn and each
solved example into a turn of its own. Base models see the turns' texts without a chat template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import InputError
from .tasks import V1, SeaTask

Row = Mapping[str, Any]
Messages = list[dict[str, str]]
_BY_SUBJECT = ("global_mmlu_lite", "global_mmlu_lite-logprobs")


def conversation(task: SeaTask, profile: str, row: Row, examples: Sequence[Row]) -> Messages:
    """The messages of one row's question. InputError where the row lacks what the template names."""
    try:
        return _v1(task, row, examples) if profile == V1 else _v12(task, row, examples)
    except (KeyError, IndexError) as error:
        raise InputError(
            f"the template of task '{task.name}' asks for {error}, which the row or the configuration lacks",
            where=task.code,
            how="The rows are of another version than the repository's copy.",
        ) from None


def base_text(messages: Messages, profile: str) -> str:
    """What a base model sees: every text stripped, then a line end (1.0) or an empty line (1.2)."""
    end = "\n" if profile == V1 else "\n\n"
    return "".join(message["content"].strip() + end for message in messages)


def _v1(task: SeaTask, row: Row, examples: Sequence[Row]) -> Messages:
    shown = "".join(
        task.template["fewshot_example"].format(label=example["label"], **example["prompts"][0]) for example in examples
    )
    return [{"role": "user", "content": task.template["template"].format(fewshot_examples=shown, **row["prompts"][0])}]


def _v12(task: SeaTask, row: Row, examples: Sequence[Row]) -> Messages:
    template, tag = task.template, task.template.get("answer_tag", "")
    messages: Messages = []
    for example in _of_subject(task, row, examples):
        asked = {**example["prompts"][0], "answer_tag": tag}
        messages.append({"role": "user", "content": template["task_template"].format(**asked)})
        solved = {**example, **asked}
        messages.append({"role": "assistant", "content": template["answer_template"].format(**solved)})
    messages.append({"role": "user", "content": template["task_template"].format(**row["prompts"][0])})
    first = template["preamble"].format(answer_tag=tag) + "\n\n" + messages[0]["content"]
    messages[0]["content"] = first.strip()
    return messages


def chosen_examples(task: SeaTask, examples: Sequence[Row], shots: int) -> list[Row]:
    """The first `shots` examples; for Global-MMLU-lite the first of each subject."""
    seen: Counter[str] = Counter()
    chosen = []
    for example in examples:
        subject = _subject(example.get("metadata")) if task.name in _BY_SUBJECT else ""
        seen[subject] += 1
        if seen[subject] <= shots:
            chosen.append(example)
    return chosen


def _of_subject(task: SeaTask, row: Row, examples: Sequence[Row]) -> Sequence[Row]:
    """Global-MMLU-lite shows the examples of the row's subject."""
    if task.name not in _BY_SUBJECT:
        return examples
    return [e for e in examples if _subject(e.get("metadata")) == _subject(row["prompts"][0])]


def _subject(values: Mapping[str, Any] | None) -> str:
    return str((values or {}).get("subject", "")).lower()
