"""Items that are marked by likelihood: multiple choice and preference pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..artifacts.items import Item
from ..model.encoding import encode_answer, encode_choices
from ..model.scoring import Score
from .groups import clusters_of
from .marks import share
from .records import Answered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def multiple_choice(score: Score, tokenizer: PreTrainedTokenizerFast, items: Sequence[Item]) -> Answered:
    """`acc`: the likeliest choice is right. `acc_bytes`: the likeliest per UTF-8 byte of the choice is right.

    Dividing by bytes (not tokens) leaves the tokenizer out of it; outer blanks of a choice are not counted. Of equally
    likely choices the first one counts as given.
    """
    pairs = [pair for item in items for pair in encode_choices(tokenizer, item.prompt, item.choices)]
    scored = iter(score(pairs))
    plain, by_bytes, outputs, extracted = [], [], [], []
    for item in items:
        logprobs = [next(scored).logprob for _ in item.choices]
        sizes = [max(1, len(choice.strip().encode())) for choice in item.choices]
        right = int(item.answer)
        plain.append(_best(logprobs) == right)
        by_bytes.append(_best([value / size for value, size in zip(logprobs, sizes, strict=True)]) == right)
        outputs.append(_shown(logprobs, item.choices))
        extracted.append(item.choices[_best(logprobs)].strip())
    clusters = clusters_of(items)
    return Answered([share("acc", plain, clusters), share("acc_bytes", by_bytes, clusters)], outputs, extracted)


def preference(score: Score, tokenizer: PreTrainedTokenizerFast, items: Sequence[Item]) -> Answered:
    """`preference_acc`: share of pairs whose better answer has the higher mean log-probability per token.

    That mean, with the end of the turn in it, is SimPO's reward (arXiv:2405.14734, section 2.2). A tie is not right.
    """
    pairs = [encode_answer(tokenizer, item.prompt, choice) for item in items for choice in item.choices]
    means = [scored.logprob / scored.tokens for scored in score(pairs)]
    right = [better > worse for better, worse in zip(means[::2], means[1::2], strict=True)]
    outputs = [_shown(means[2 * n : 2 * n + 2], item.choices) for n, item in enumerate(items)]
    extracted = [item.choices[0 if better else 1].strip() for item, better in zip(items, right, strict=True)]
    return Answered([share("preference_acc", right, clusters_of(items))], outputs, extracted)


def _shown(values: Sequence[float], choices: Sequence[str]) -> str:
    """Each choice after its log-likelihood (its mean per token for a preference), to three decimals."""
    return "\n".join(f"{value:.3f} {choice.strip()}" for value, choice in zip(values, choices, strict=True))


def _best(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda n: (values[n], -n))
