"""A model's answers to one SEA-HELM task.

Instruct models see the chat template; base models the plain texts, and their answer ends at an empty line: at the first
one in 1.0, at the first one after the answer tag in 1.2. 1.2 has this done in two calls, up to the tag and on from it;
with greedy decoding one call that looks for both gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...model.encoding import encode_prompt
from ...model.generate import Decoding, generate
from ...model.stopping import end_ids, never
from ..team import PROMPTS, Progress, whole
from .likelihoods import label_likelihoods
from .prompts import Messages, base_text
from .tasks import BY_LIKELIHOOD, V1, SeaTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

END = "\n\n"


def answer_task(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    task: SeaTask,
    profile: str,
    questions: Sequence[Messages],
    labels: Sequence[str] = (),
    *,
    base: bool,
    batch_size: int,
    seed: int,
    progress: Progress = lambda done, total: None,
    cut: Callable[..., list] = whole,
) -> list[str]:
    """What the model writes to each question, cut where the answer ends; for a task by log-probability that of each of
    `labels`. Processes share the work by `cut`."""
    prompts = [base_text(question, profile) if base else question for question in questions]
    if task.kind in BY_LIKELIHOOD:
        how = {"batch_size": batch_size, "seed": seed, "progress": progress, "cut": cut}
        return label_likelihoods(model, tokenizer, task, prompts, labels, **how)

    def text(ids: Sequence[int]) -> str:
        return tokenizer.decode(ids, skip_special_tokens=True)

    def ended(ids: list[int]) -> bool:
        return base_end(text(ids), task, profile) >= 0

    def write(piece: Sequence[list[int]], start: int, progress: Progress) -> list[list[int]]:
        return generate(
            model,
            piece,
            Decoding(max_new_tokens=task.max_tokens, temperature=task.temperature, seed=seed),
            stop_ids=end_ids(model, tokenizer),
            streams=range(start, start + len(piece)),
            batch_size=batch_size,
            ended=[ended if base else never] * len(piece),
            progress=progress,
        )

    rows = cut([encode_prompt(tokenizer, prompt) for prompt in prompts], PROMPTS, write, progress)
    written = [text(row) for row in rows]
    if not base:
        return written
    ends = [base_end(one, task, profile) for one in written]
    return [one if end < 0 else one[:end] for one, end in zip(written, ends, strict=True)]


def base_end(written: str, task: SeaTask, profile: str) -> int:
    """Where a base model's answer ends, -1 if it goes on."""
    if profile == V1:
        return written.find(END)
    tag = written.find(task.tag) if task.tag else -1
    return written.find(END, tag + len(task.tag)) if tag >= 0 else -1
