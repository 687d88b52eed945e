"""Items that are marked by likelihood: multiple choice and preference pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..artifacts.items import Item
from ..model.encoding import encode_answer, encode_choices
from ..model.scoring import continuations
from .groups import clusters_of
from .marks import Mark, share
from .team import PAIRS, Progress, Work, whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def multiple_choice(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    items: Sequence[Item],
    *,
    batch_tokens: int = 2048,
    progress: Progress = lambda done, total: None,
    cut: Callable[..., list] = whole,
) -> list[Mark]:
    """`acc`: the likeliest choice is right. `acc_bytes`: the likeliest per UTF-8 byte of the choice is right.

    Dividing by bytes (not tokens) leaves the tokenizer out of it; outer blanks of a choice are not counted. Of equally
    likely choices the first one counts as given.
    """
    pairs = [pair for item in items for pair in encode_choices(tokenizer, item.prompt, item.choices)]
    scored = iter(cut(pairs, PAIRS, _scores(model, batch_tokens), progress))
    plain, by_bytes = [], []
    for item in items:
        logprobs = [next(scored)[0] for _ in item.choices]
        sizes = [max(1, len(choice.strip().encode())) for choice in item.choices]
        right = int(item.answer)
        plain.append(_best(logprobs) == right)
        by_bytes.append(_best([value / size for value, size in zip(logprobs, sizes, strict=True)]) == right)
    clusters = clusters_of(items)
    return [share("acc", plain, clusters), share("acc_bytes", by_bytes, clusters)]


def preference(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    items: Sequence[Item],
    *,
    batch_tokens: int = 2048,
    progress: Progress = lambda done, total: None,
    cut: Callable[..., list] = whole,
) -> list[Mark]:
    """`preference_acc`: share of pairs whose better answer has the higher mean log-probability per token.

    That mean, with the end of the turn in it, is SimPO's reward (arXiv:2405.14734, section 2.2). A tie is not right.
    """
    pairs = [encode_answer(tokenizer, item.prompt, choice) for item in items for choice in item.choices]
    scored = cut(pairs, PAIRS, _scores(model, batch_tokens), progress)
    means = [logprob / tokens for logprob, tokens in scored]
    right = [better > worse for better, worse in zip(means[::2], means[1::2], strict=True)]
    return [share("preference_acc", right, clusters_of(items))]


def _best(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda n: (values[n], -n))


def _scores(model: PreTrainedModel, batch_tokens: int) -> Work:
    """Log-probability and number of tokens for each pair."""

    def work(pairs: Sequence, start: int, progress: Progress) -> list[tuple[float, int]]:
        scored = continuations(model, pairs, max_batch_tokens=batch_tokens, progress=progress)
        return [(value.logprob, value.tokens) for value in scored]

    return work
