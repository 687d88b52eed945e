"""The numbers of `vocab.measure`: per tokenizer and language, and per tokenizer over the languages.

Every ratio is of sums over texts. Tokens relative to English are counted on the texts that a language and English
share, and each comes with the two counts it was made of, because published tables differ in what they divide by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..artifacts.scores import Score
from ..core.identity import digest_value
from ..core.stage import Runtime
from .inequality import gini, ratio, ratio_error
from .measure import denominator_of
from .selection import normalised
from .token_counts import TokenCounts, count_tokens, count_words, unit_of

if TYPE_CHECKING:
    from .measure import Params
    from .measured_text import Texts
    from .open_tokenizer import Opened

TASK = "tokenizer"
HIGHER = {"tokens_per_word": False, "tokens_relative": False, "bytes_per_token": True, "characters_per_token": True}
"""The metrics that become scores, and whether more is better."""


def measure(
    params: Params, tokenizers: Sequence[Opened], texts: Texts, runtime: Runtime
) -> tuple[dict[str, Any], dict[str, float]]:
    """The report, and the speed of each tokenizer in MB of text per second of processor time."""
    english = normalised([params.english])[0]
    counts: dict[str, dict[str, TokenCounts]] = {}
    total = len(tokenizers) * len(texts)
    for opened in tokenizers:
        counts[opened.name] = {}
        for language, by_id in texts.items():
            counts[opened.name][language] = count_tokens(opened.tokenizer, list(by_id.values()))
            runtime.progress(sum(map(len, counts.values())), total, "tokenizers × languages")
    facts = {language: _text_facts(params, language, by_id, texts.get(english)) for language, by_id in texts.items()}
    divide_by = denominator_of(params, [opened.name for opened in tokenizers])
    rows = []
    for opened in tokenizers:
        mine = counts[opened.name]
        by_language = {
            language: _row(facts[language], mine[language], _english(texts, english, language, counts, opened.name))
            for language in texts
        }
        for language, row in by_language.items():
            divisor = _english(texts, english, language, counts, divide_by or opened.name)
            row |= _relative(row, divisor, params.factor)
        rows.append({**_vocabulary(opened, tokenizers[0], mine), **_spread(by_language), "by_language": by_language})
    report = {
        "denominator": {
            "language": english,
            "tokenizer": divide_by or "each its own",
            "factor": params.factor,
        },
        "texts": {language: fact.pop("shown") for language, fact in facts.items()},
        "tokenizers": rows,
    }
    size = sum(fact["bytes"] for fact in report["texts"].values())
    seconds = {name: sum(item.seconds for item in found.values()) for name, found in counts.items()}
    return report, {name: round(size / 1e6 / max(spent, 1e-9), 3) for name, spent in seconds.items()}


def _text_facts(params: Params, language: str, by_id: Mapping[str, str], english: Mapping[str, str] | None) -> dict:
    """Sizes of the texts one by one, and (`shown`) what the report says about them."""
    texts = list(by_id.values())
    words = count_words(texts, language, params.unit)
    sizes = [len(text.encode("utf-8")) for text in texts]
    characters = [len(text) for text in texts]
    unit, segmenter = unit_of(language, params.unit)
    shown = {
        "texts": len(texts),
        "parallel": sum(1 for key in by_id if key in (english or {})),
        "bytes": sum(sizes),
        "characters": sum(characters),
        "words": sum(words),
        "unit": unit,
        "segmenter": segmenter,
        "digest": digest_value(sorted(by_id.items())),
    }
    return {"words": words, "bytes": sizes, "characters": characters, "shown": shown}


def _english(
    texts: Texts, english: str, language: str, counts: Mapping[str, Mapping[str, TokenCounts]], name: str
) -> dict[str, int]:
    """Tokens of both languages under tokenizer `name` on the texts they share, {} if they share none."""
    if english not in texts:
        return {}
    own = dict(zip(texts[language], counts[name][language].tokens, strict=True))
    other = dict(zip(texts[english], counts[name][english].tokens, strict=True))
    both = [key for key in own if key in other]
    if not both:
        return {}
    return {"tokens": sum(own[key] for key in both), "english": sum(other[key] for key in both)}


def _row(facts: Mapping[str, Any], counts: TokenCounts, parallel: Mapping[str, int]) -> dict[str, Any]:
    tokens, shown = counts.tokens, facts["shown"]
    row = {
        "tokens": counts.total,
        "tokens_per_word": ratio(counts.total, shown["words"]),
        "tokens_per_word_error": ratio_error(tokens, facts["words"]),
        "bytes_per_token": ratio(shown["bytes"], counts.total),
        "bytes_per_token_error": ratio_error(facts["bytes"], tokens),
        "characters_per_token": ratio(shown["characters"], counts.total),
        "characters_per_token_error": ratio_error(facts["characters"], tokens),
    }
    if parallel:
        row |= {
            "parallel_tokens": parallel["tokens"],
            "own_english_tokens": parallel["english"],
            "tokens_relative_own": ratio(parallel["tokens"], parallel["english"]),
        }
    return row


def _relative(row: Mapping[str, Any], divisor: Mapping[str, int], factor: float) -> dict[str, Any]:
    """Tokens relative to English with the denominator asked for, times the factor."""
    if not divisor:
        return {}
    return {
        "denominator_tokens": divisor["english"],
        "tokens_relative": ratio(factor * row["parallel_tokens"], divisor["english"]),
    }


def _vocabulary(opened: Opened, first: Opened, counts: Mapping[str, TokenCounts]) -> dict[str, Any]:
    """How much of the vocabulary the texts use, and of the pieces that it has beyond the first tokenizer's (only if it
    was grown from that: same ids for all of the first's pieces)."""
    used = set().union(*(item.used for item in counts.values())) & set(opened.ids.values())
    row: dict[str, Any] = {
        "name": opened.name,
        "digest": opened.digest,
        "vocab_size": opened.size,
        "pieces": len(opened.ids),
        "pieces_used": len(used),
        "share_used": ratio(len(used), len(opened.ids)),
    }
    grown = opened is not first and all(opened.ids.get(token) == number for token, number in first.ids.items())
    if grown:
        fresh = {number for token, number in opened.ids.items() if token not in first.ids}
        row |= {"new_pieces": len(fresh), "new_pieces_used": len(fresh & used)}
        row["share_new_used"] = ratio(len(fresh & used), len(fresh))
    return row


def _spread(by_language: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Parity and Gini over the languages with parallel text.

    `parity` is the largest premium: the most tokens that a language pays for what one token says in English (Petrov et
    al. 2023, arXiv:2305.15425, over texts together rather than their mean ratio). `gini` is over the same ratios.
    """
    paid = {language: row["tokens_relative_own"] for language, row in by_language.items() if "parallel_tokens" in row}
    worst = max(paid, key=lambda language: (paid[language], language), default="")
    return {
        "languages_compared": len(paid),
        "parity": paid.get(worst, 0.0),
        "parity_language": worst,
        "gini": gini(list(paid.values())),
    }


def scores_of(report: Mapping[str, Any], revision: int) -> list[Score]:
    """The report as scores, so that the scoreboard shows them beside those of models."""
    out = []
    for metric, higher in HIGHER.items():
        for row in report["tokenizers"]:
            for language, values in row["by_language"].items():
                if metric not in values:
                    continue
                text = report["texts"][language]
                out.append(
                    Score(
                        model=row["name"],
                        model_digest=row["digest"],
                        task=TASK,
                        language=language,
                        metric=metric,
                        value=values[metric],
                        stderr=values.get(f"{metric}_error"),
                        n=text["parallel"] if metric == "tokens_relative" else text["texts"],
                        higher_is_better=higher,
                        prompt_digest=text["digest"],
                        revision=revision,
                    )
                )
    return out
