"""What `evals.judge` leaves: scores with their items, tables, radars, answers, and every verdict for replay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...artifacts.item_values import Asked, ItemValues, write_item_values
from ...artifacts.scores import Score, write_scores
from ...core.identity import digest_value
from ...core.lines import write_jsonl
from ...core.params import all_values
from ..degeneration import is_empty, is_loop
from .answers import Contestant
from .asking import REPLIES, reply_rows
from .radar import draw
from .reading import records, samples
from .result import Result
from .tables import ALL, Cell, Judged, as_value, cells, coverage
from .verdicts import leaning

OVERALL = "mul"
"""The language of means over languages (ISO 639-2: several languages)."""
PAIR_METRICS = ("win_rate", "strict_win_rate", "win_or_tie_rate")
MIN_SPOKES = 3


@dataclass(frozen=True, slots=True)
class Table:
    """One metric of one way of judging; `headline` is broken down by category, `turn` is 0 for all turns."""

    metric: str
    rows: Sequence[Judged]
    average: str
    headline: bool
    scale: tuple[float, float]


def write(result: Result, out: Path) -> dict[str, Any]:
    """All files into `out`; returns counts for the manifest."""
    tables = [(table, cells(table.rows, table.metric, table.average)) for table in _tables(result)]
    scores, asked, values = _scores(result, tables)
    write_scores(out, scores, samples(result))
    write_item_values(out, asked, values)
    write_jsonl(out / "answers.jsonl", _answers(result))
    write_jsonl(out / "records.jsonl", records(result))
    write_jsonl(out / "verdicts.jsonl", map(_verdict, result.judged))
    write_jsonl(out / REPLIES, reply_rows(result.judge, result.how, result.replies))
    told = _summary(result, tables)
    (out / "judged.json").write_text(json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    for table, found in tables:
        if table.headline:
            _radars(result, table, found, out)
    bias = told["leaning"].get("all") or {}
    return {
        "scores": len(scores),
        "models": len(result.contestants),
        "questions": len(result.questions),
        "turns": len(result.judged),
        "judged": sum(row["judged"] for row in told["coverage"]),
        "failed_verdicts": _added(row["failed_verdicts"] for row in told["coverage"]),
        "degenerate_answers": sum(row["empty"] + row["loops"] for row in told["answers"]),
        "cut_prompts": sum(row["cut_prompts"] for row in told["answers"]),
        "failed_answers": _added(row["failed"] for row in told["answers"]),
        **{name: bias.get(name) for name in ("flip_rate", "first_rate", "first_stderr") if bias},
    }


def _tables(result: Result) -> list[Table]:
    """Every metric that there are verdicts for, the headline first of each way of judging."""
    found = []
    rows, average, scale = result.graded(), result.rules.average, result.rules.scale
    if rows:
        found.append(Table("score", rows, average, True, scale))
        turns = sorted({row.turn for row in rows})
        for turn in turns if len(turns) > 1 else ():
            part = [row for row in rows if row.turn == turn]
            found.append(Table(f"score_turn_{turn + 1}", part, average, False, scale))
    if pairs := result.compared():
        if average == "categories":
            found.append(Table("weighted_win_rate", _valued(result, pairs, "win_rate"), average, True, (0.0, 1.0)))
        for metric in PAIR_METRICS:
            headline = metric == "win_rate" and average != "categories"
            plain = "languages" if average == "categories" else average
            found.append(Table(metric, _valued(result, pairs, metric), plain, headline, (0.0, 1.0)))
    return found


def _valued(result: Result, pairs: Sequence[Judged], metric: str) -> list[Judged]:
    return [row.worth(as_value(row, metric, result.failures)) for row in pairs]


def _scores(
    result: Result, tables: Sequence[tuple[Table, Sequence[Cell]]]
) -> tuple[list[Score], list[Asked], list[ItemValues]]:
    """Rows for languages, for categories in a language (the headline only), and over languages."""
    digests = {one.name: one.digest for one in result.contestants}
    scores, values, asked = [], [], {}
    for table, found in tables:
        for cell in found:
            if (cell.language == ALL and cell.category != ALL) or (cell.category != ALL and not table.headline):
                continue
            if cell.value is None:
                continue
            task, language = _task(result, cell), cell.language or OVERALL
            part = [row for row in table.rows if row.model == cell.model and _in(cell, row)]
            digest = _asked_digest(result, part)
            fixed = {
                "model": cell.model,
                "model_digest": digests[cell.model],
                "task": task,
                "language": language,
                "metric": cell.metric,
                "prompt_digest": digest,
                "revision": 1,
            }
            scores.append(Score(value=cell.value, stderr=cell.stderr, n=cell.n, higher_is_better=True, **fixed))
            values.append(ItemValues(values=list(cell.values), **fixed))
            ids = [f"{row.question.language}/{row.question.id}/{row.turn + 1}" for row in part]
            asked[task, language, digest] = Asked(task, language, digest, ids, [r.question.id for r in part], [])
    return scores, list(asked.values()), values


def _in(cell: Cell, row: Judged) -> bool:
    return cell.category in (ALL, row.question.category) and cell.language in (ALL, row.question.language)


def _task(result: Result, cell: Cell) -> str:
    name = result.params.benchmark
    if cell.category != ALL:
        return f"{name}_{re.sub(r'[^a-z0-9]+', '_', cell.category.lower()).strip('_')}"
    return name if cell.language != ALL else f"{name}_overall"


def _asked_digest(result: Result, rows: Sequence[Judged]) -> str:
    """Digest of all that a model's score depends on but its answers: what is asked, of whom, in which words."""
    opponent = []
    if rows[0].opponent and result.opponent:
        opponent = [result.opponent.name, result.opponent.digest]
    questions = [
        [r.question.turns, r.question.references, r.question.category, r.question.system, r.turn] for r in rows
    ]
    rules = [all_values(result.rules), result.wording, result.failures, result.judge, result.how]
    return digest_value([rules, opponent, questions])


def _summary(result: Result, tables: Sequence[tuple[Table, Sequence[Cell]]]) -> dict[str, Any]:
    """What the report shows: tables, coverage, how the judge leans, and what was odd about the answers."""
    languages = sorted({question.language for question in result.questions})
    pairs = [(f"{r.question.language}/{r.question.id}", *r.said) for r in result.compared() if r.asked]
    by_language = {
        language: asdict(leaning([pair for pair in pairs if pair[0].startswith(f"{language}/")]))
        for language in languages
        if len(languages) > 1
    }
    return {
        "benchmark": result.params.benchmark,
        "paper": result.rules.paper,
        "judge": result.judge,
        "opponent": result.opponent.name if result.opponent else "",
        "failures": result.failures,
        "headlines": [table.metric for table, _ in tables if table.headline],
        "tables": [
            {
                "metric": table.metric,
                "scale": list(table.scale),
                "rows": [
                    {
                        name: getattr(cell, name)
                        for name in ("model", "category", "language", "value", "stderr", "n", "of")
                    }
                    for cell in found
                    if table.headline or cell.category == ALL
                ],
            }
            for table, found in tables
        ],
        "coverage": [{"way": "single", **row} for row in coverage(result.graded())]
        + [{"way": "pairwise", **row} for row in coverage(result.compared())],
        "leaning": {"all": asdict(leaning(pairs)), **by_language} if pairs else {},
        "answers": [_oddities(result, one) for one in result.contestants],
        "without_reference": sum(
            result.rules.needs_reference(question) and len(question.references) < len(question.turns)
            for question in result.questions
        ),
    }


def _oddities(result: Result, one: Contestant) -> dict[str, Any]:
    texts = [text for turns in one.answers for text in turns]
    return {
        "model": one.name,
        "turns": len(texts),
        "of": sum(len(question.turns) for question in result.questions),
        "empty": sum(map(is_empty, texts)),
        "loops": sum(map(is_loop, texts)),
        "cut_prompts": one.cut_prompts,
        "failed": dict(one.failed),
    }


def _answers(result: Result) -> Iterable[dict[str, Any]]:
    """FastChat's shape, so that they can be given again as `answers`, here or to others."""
    for one in result.contestants:
        for question, turns in zip(result.questions, one.answers, strict=True):
            if turns:
                yield {
                    "question_id": question.id,
                    "lang": question.language,
                    "category": question.category,
                    "model_id": one.name,
                    "choices": [{"index": 0, "turns": list(turns)}],
                }


def _verdict(row: Judged) -> dict[str, Any]:
    return {
        "model": row.model,
        "opponent": row.opponent,
        "question_id": row.question.id,
        "lang": row.question.language,
        "category": row.question.category,
        "turn": row.turn + 1,
        "score": row.value,
        "outcome": row.outcome,
        "said": list(row.said),
        "failed": list(row.reasons),
        "asked": list(row.asked),
    }


def _radars(result: Result, table: Table, found: Sequence[Cell], out: Path) -> None:
    """A radar over categories and one over languages, where there are enough of them for a shape."""
    languages = sorted({cell.language for cell in found} - {ALL})
    categories = [name for name in dict.fromkeys(cell.category for cell in found) if name != ALL]
    whole = ALL if len(languages) > 1 else languages[0]
    values = {(cell.model, cell.category, cell.language): cell.value for cell in found}
    models = list(dict.fromkeys(cell.model for cell in found))
    title = f"{result.params.benchmark}, {table.metric.replace('_', ' ')}"
    if len(categories) >= MIN_SPOKES:
        shapes = {model: [values.get((model, name, whole)) for name in categories] for model in models}
        picture = draw(f"{title} by category", categories, shapes, table.scale)
        (out / f"{table.metric}_by_category.svg").write_text(picture, encoding="utf-8")
    if len(languages) >= MIN_SPOKES:
        shapes = {model: [values.get((model, ALL, name)) for name in languages] for model in models}
        picture = draw(f"{title} by language", languages, shapes, table.scale)
        (out / f"{table.metric}_by_language.svg").write_text(picture, encoding="utf-8")


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for row in counts:
        for name, count in row.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))
