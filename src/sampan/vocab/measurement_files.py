"""The files of `vocab.measure`: fertility.json for programs, fertility.md and fertility.svg for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .pictures import dot_rows


def write_report(out: Path, report: Mapping[str, Any]) -> None:
    (out / "fertility.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    (out / "fertility.md").write_text(markdown(report), encoding="utf-8")
    (out / "fertility.svg").write_text(picture(report), encoding="utf-8")


def markdown(report: Mapping[str, Any]) -> str:
    """All tables: relative to English with either denominator, per unit, per token, and the vocabularies."""
    relative = any("tokens_relative" in row for item in report["tokenizers"] for row in item["by_language"].values())
    parts = ["# What text costs", ""]
    if relative:
        parts += ["## Tokens relative to English", "", f"Tokens of a text divided by {denominator(report)}.", ""]
        parts += _by_language(report, "tokens_relative", "{:.2f}")
        parts += ["Divided by each tokenizer's own count of English instead:", ""]
        parts += _by_language(report, "tokens_relative_own", "{:.2f}")
    parts += ["## Tokens per word", "", *_units(report), ""]
    parts += _by_language(report, "tokens_per_word", "{:.2f}")
    parts += ["## Bytes per token", "", *_by_language(report, "bytes_per_token", "{:.2f}")]
    parts += ["## Characters per token", "", *_by_language(report, "characters_per_token", "{:.2f}")]
    parts += ["## Vocabularies", "", *_vocabularies(report, relative)]
    return "\n".join(parts)


def denominator(report: Mapping[str, Any]) -> str:
    """The denominator in words, such as `the tokens of llama2 for the same text in eng_Latn, times 1.19`."""
    given = report["denominator"]
    whose = given["tokenizer"] if given["tokenizer"] != "each its own" else "the same tokenizer"
    times = "" if given["factor"] == 1 else f", times {given['factor']:g}"
    return f"the tokens of {whose} for the same text in {given['language']}{times}"


def picture(report: Mapping[str, Any]) -> str:
    """A row per language, a mark per tokenizer: relative to English, or tokens per word without parallel text."""
    rows = report["tokenizers"]
    metric = "tokens_relative"
    if not any(metric in values for row in rows for values in row["by_language"].values()):
        metric = "tokens_per_word"
    title = "Tokens per word (fewer is better)"
    if metric == "tokens_relative":
        title = f"Tokens of a text over {denominator(report)} (fewer is better)"
    values = {
        language: [row["by_language"][language].get(metric) for row in rows]
        for language in report["texts"]
        if any(metric in row["by_language"][language] for row in rows)
    }
    return dot_rows(title, [row["name"] for row in rows], values)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, numbers to the right, and a blank line."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    return [lines[0], "|---" + "|--:" * (len(head) - 1) + "|", *lines[1:], ""]


def _by_language(report: Mapping[str, Any], metric: str, form: str) -> list[str]:
    tokenizers = report["tokenizers"]
    rows = []
    for language in report["texts"]:
        values = [row["by_language"][language].get(metric) for row in tokenizers]
        if any(value is not None for value in values):
            rows.append([language, *("–" if value is None else form.format(value) for value in values)])
    return table(["language", *(row["name"] for row in tokenizers)], rows)


def _units(report: Mapping[str, Any]) -> list[str]:
    """Who cut the words of which languages."""
    by_segmenter: dict[str, list[str]] = {}
    for language, text in report["texts"].items():
        by_segmenter.setdefault(text["segmenter"], []).append(language)
    said = "; ".join(f"{name}: {', '.join(languages)}" for name, languages in sorted(by_segmenter.items()))
    return [f"Words cut by {said}. Clusters and characters are shorter than words."]


def _vocabularies(report: Mapping[str, Any], relative: bool) -> list[str]:
    head = ["tokenizer", "size", "pieces used", "new pieces", "new pieces used"]
    head += ["parity", "worst language", "Gini"] if relative else []
    rows = []
    for row in report["tokenizers"]:
        new = [f"{row['new_pieces']:,}", f"{row['share_new_used']:.1%}"] if "new_pieces" in row else ["–", "–"]
        cells = [row["name"], f"{row['vocab_size']:,}", f"{row['share_used']:.1%}", *new]
        rows.append(
            cells + ([f"{row['parity']:.2f}", row["parity_language"], f"{row['gini']:.3f}"] if relative else [])
        )
    note = (
        "Parity is the most tokens that any language pays for one of English, both counted with the tokenizer itself; "
    )
    note += "Gini is 0 where all languages pay the same."
    return [*table(head, rows), note, ""] if relative else table(head, rows)
