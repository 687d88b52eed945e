"""The files of `vocab.budget_curve`: budget_curve.json for programs, .md and .svg for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .budget import ALL
from .measurement_files import table
from .pictures import line_panels


def write_curve(out: Path, report: Mapping[str, Any]) -> None:
    (out / "budget_curve.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    (out / "budget_curve.md").write_text(markdown(report), encoding="utf-8")
    (out / "budget_curve.svg").write_text(picture(report), encoding="utf-8")


def markdown(report: Mapping[str, Any]) -> str:
    """Cost of every size, tokens of every language at every size, and the knees."""
    shape = report["shape"]
    parts = [
        "# What a vocabulary's size buys",
        "",
        f"A base of {report['base_size']:,} tokens and up to {report['new_pieces']:,} new pieces. Tokens are relative "
        "to the base's for the same text; over all, the geometric mean of the languages that it helps ("
        f"{', '.join(report['grown'])}). FLOPs are for the same bytes of text, in a model of width "
        f"{shape['hidden_size']:,} with {shape['num_layers']} layers ({shape['body_parameters'] / 1e6:,.1f} million "
        "weights without its vocabulary); training, reading a prompt and writing an answer have the same ratio.",
        "",
    ]
    head = ["new pieces", "tokens", "embedding and head, million", "parameters, million", "FLOPs"]
    rows = [
        [
            f"{point['new_pieces']:,}",
            f"{point['relative_tokens']:.3f}",
            f"{point['vocabulary_parameters'] / 1e6:,.1f}",
            f"{point['parameters'] / 1e6:,.1f}",
            f"{point['relative_flops']:.3f}",
        ]
        for point in report["points"]
    ]
    parts += [*table(head, rows), "## By language", "", "New pieces of the language: tokens relative to the base.", ""]
    languages = list(report["points"][0]["by_language"])
    rows = [
        [name, *(f"{row['new_pieces']:,}: {row['relative_tokens']:.3f}" for row in _quarters(report, name))]
        for name in languages
    ]
    parts += table(["language", *(f"{point['new_pieces']:,} in all" for point in _chosen(report["points"]))], rows)
    parts += ["## Knees", "", *_knees(report)]
    return "\n".join(parts)


def picture(report: Mapping[str, Any]) -> str:
    """Left: each language against its own new pieces. Right: tokens and FLOPs against all new pieces."""
    points = report["points"]
    grown = [name for name in report["knees"] if name != ALL]
    by_language = {
        name: [(p["by_language"][name]["new_pieces"], p["by_language"][name]["relative_tokens"]) for p in points]
        for name in grown
    }
    costs = {
        said: [(point["new_pieces"], point[key]) for point in points]
        for said, key in (("tokens", "relative_tokens"), ("FLOPs", "relative_flops"))
    }
    marks = {rule: knee["new_pieces"] for rule, knee in report["knees"][ALL].items() if knee}
    left = {"title": "By language", "x": "its new pieces", "y": "tokens over the base's", "lines": by_language}
    right = {"title": "All languages", "x": "new pieces", "y": "cost of the same text", "lines": costs, "marks": marks}
    return line_panels("What each part of the new vocabulary saves", [left, right])


def _knees(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, knees in report["knees"].items():
        cells = [knees.get(rule) for rule in report["rules"]]
        rows.append(
            [name, *("–" if cell is None else f"{cell['new_pieces']:,} ({cell['value']:.3f})" for cell in cells)]
        )
    rules = [f"* `{rule}`: {said}." for rule, said in report["rules"].items()]
    return [*rules, "", "A dash: no knee, the last pieces still pay.", "", *table(["curve", *report["rules"]], rows)]


def _chosen(points: list) -> list:
    """Every fourth part of the points, the last among them."""
    step = max(1, (len(points) - 1) // 4)
    return [*points[step:-1:step][:3], points[-1]] if len(points) > 2 else points[1:]


def _quarters(report: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [point["by_language"][name] for point in _chosen(report["points"])]
