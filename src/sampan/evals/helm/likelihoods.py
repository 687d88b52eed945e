"""SEA-HELM 1.2's tasks by log-probability: the model writes up to the answer's tag, then the gold label is scored.

The label is made into tokens alone, behind what the template has between the tag and the label, as in the official
code. An answer without its tag counts 0; the official code means to pass over these too, but takes an answer that ended
by itself for one that came to its tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...model.encoding import encode_prompt
from ...model.generate import Decoding, generate, prompt_room
from ...model.scoring import Likelihood, Pair, continuations
from ...model.stopping import end_ids, stop_test
from ..examinee import scored_in_pieces
from ..team import PROMPTS, Progress
from .prompts import Messages
from .tasks import SeaTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

BATCH_TOKENS = 2048
"""Most tokens in a batch that is scored; ours."""
_BETWEEN = re.compile(r"(?<={answer_tag})(.*)(?={label})")


def label_likelihoods(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    task: SeaTask,
    prompts: Sequence[str | Messages],
    labels: Sequence[str],
    *,
    batch_size: int,
    seed: int,
    progress: Progress,
    cut: Callable[..., list],
) -> list[str]:
    """The log-probability of each label as a text of a number (nats), '' where the tag did not come."""
    decoding = Decoding(max_new_tokens=task.max_tokens, temperature=task.temperature, seed=seed)
    room, window = prompt_room(model, decoding), model.config.max_position_embeddings
    rows = [encode_prompt(tokenizer, prompt)[-room:] for prompt in prompts]
    at_tag = stop_test(tokenizer, [task.tag])

    def write(piece: Sequence[list[int]], start: int, progress: Progress) -> list[list[int]]:
        return generate(
            model,
            piece,
            decoding,
            stop_ids=end_ids(model, tokenizer),
            streams=range(start, start + len(piece)),
            batch_size=batch_size,
            ended=[at_tag] * len(piece),
            progress=progress,
        )

    written = cut(rows, PROMPTS, write, progress)
    reached = [number for number, ids in enumerate(written) if at_tag(ids)]
    pairs = []
    for number in reached:
        label = tokenizer(separator(task) + labels[number], add_special_tokens=False)["input_ids"]
        pairs.append(((rows[number] + written[number])[len(label) - window :], label))

    def score(piece: Sequence[Pair], progress: Progress) -> list[Likelihood]:
        return continuations(model, piece, max_batch_tokens=BATCH_TOKENS, progress=progress)

    found = dict(zip(reached, scored_in_pieces(score, pairs, cut, lambda done, of: None), strict=True))
    return [repr(found[number].logprob) if number in found else "" for number in range(len(rows))]


def separator(task: SeaTask) -> str:
    """What stands between the tag and the label in the template."""
    found = _BETWEEN.search(task.template.get("answer_template", ""))
    return found[1] if found else task.template.get("answer_tag_separator", " ")
