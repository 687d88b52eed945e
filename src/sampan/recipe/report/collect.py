"""Gather a ReportData from artifacts on disk: manifests, summaries, fertility, training logs, scores, samples.

Names come from the recipe at hand. An artifact may have been built under another recipe's names (its key hit), so
inputs and scored models are matched by digest first and by name second.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...artifacts.findings import Findings, read_findings
from ...artifacts.item_values import Asked, ItemValues, read_item_values
from ...artifacts.profile_table import ProfileTable, read_profile_table
from ...artifacts.scores import Score, read_records, read_samples, read_scores
from ...core.errors import InputError
from .data import INPUT, Record, ReportData, Sample, StageView

MAX_PICTURE_BYTES = 500_000
"""A larger picture is left in its artifact."""
JUDGED = "judged.json"
MAX_LOG_ROWS = 400
MAX_PROMPTS_PER_LANGUAGE = 4
MAX_TEXT = 1200
MAX_RECORDS = 1500
"""Answers to single items on the page; the artifacts keep the others."""


@dataclass(frozen=True, kw_only=True)
class StageSource:
    """One stage of the recipe, and where its artifact lies if it has been built."""

    name: str
    stage: str = INPUT
    """The stage kind; INPUT for a pinned input from outside."""
    kind: str = ""
    path: Path | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """{"stage", "kind", "digest", "key", "inputs": {role: [{"name", "digest", "kind"}]}, "params", "metrics", "times":
    {"seconds"}, "licenses", "code": {"version"}, "libraries"}; {} if not built."""
    status: str = "pending"
    reason: str = ""
    inputs: Mapping[str, Sequence[str]] | None = None
    """{role: [names]} as the recipe wires them; None to take them from the manifest."""
    params: Mapping[str, Any] | None = None
    """Non-default params; None to take them from the manifest."""
    digest: str = ""
    key: str = ""


def collect(*, recipe: str, stages: Sequence[StageSource], **facts: Any) -> ReportData:
    """Read every artifact's report files. `facts` are the other fields of ReportData, except scores and samples.

    A file that an artifact does not have is an empty field; a damaged one is an InputError that names it.
    """
    views = tuple(_view(source, stages) for source in stages)
    scores, samples, asked, values, records, findings, profiles = [], [], [], [], [], [], []
    for source in stages:
        if source.path is not None and _kind(source) == "findings":
            findings.append(_findings(source.path))
        if source.path is not None and _kind(source) == "scores":
            scores += _scores(source.path, stages)
            samples += _samples(source.path, stages)
            records += _records(source.path, stages)
            told = _item_values(source.path, stages)
            asked += told[0]
            values += told[1]
            profiles += _profiles(source.path, stages)
    facts.setdefault("versions", _versions(stages))
    shown = chosen_records(records)
    facts |= {"asked": tuple(asked), "item_values": tuple(values), "profiles": tuple(profiles)}
    facts |= {"findings": tuple(findings), "records": tuple(shown), "records_left": len(records) - len(shown)}
    return ReportData(recipe=recipe, stages=views, scores=tuple(scores), samples=tuple(_chosen(samples)), **facts)


def _kind(source: StageSource) -> str:
    return source.kind or str(source.manifest.get("kind", ""))


def _digest(source: StageSource) -> str:
    return source.digest or str(source.manifest.get("digest", ""))


def _view(source: StageSource, stages: Sequence[StageSource]) -> StageView:
    manifest, path, kind = source.manifest, source.path, _kind(source)
    inputs = source.inputs
    if inputs is None:
        inputs = {
            role: [_named(item.get("name", ""), item.get("digest", ""), stages) for item in items]
            for role, items in (manifest.get("inputs") or {}).items()
        }
    reads = path is not None and path.is_dir()
    tables = reads and kind in ("documents", "conversations", "preferences")
    models = reads and kind in ("tokenizer", "checkpoint")
    return StageView(
        name=source.name,
        stage=source.stage,
        kind=kind,
        digest=_digest(source),
        key=source.key or manifest.get("key", ""),
        status=source.status,
        reason=source.reason,
        seconds=(manifest.get("times") or {}).get("seconds"),
        inputs={role: tuple(names) for role, names in inputs.items()},
        params=dict(manifest.get("params") or {}) if source.params is None else dict(source.params),
        metrics=dict(manifest.get("metrics") or {}),
        licenses=tuple(manifest.get("licenses") or ()),
        code_version=str((manifest.get("code") or {}).get("version", "")),
        summary=_json(path / "summary.json") if tables else {},
        train_log=_thinned(_jsonl(path / "train_log.jsonl")) if models else (),
        fertility=_json(path / "fertility.json") if models else {},
        tokens=_json(path / "index.json") if reads and kind == "tokens" else {},
        judged=_json(path / JUDGED) if reads and kind == "scores" else {},
        pictures=_pictures(path) if reads else {},
    )


def _pictures(path: Path) -> dict[str, str]:
    files = [file for file in sorted(path.glob("*.svg")) if file.stat().st_size <= MAX_PICTURE_BYTES]
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _named(name: str, digest: str, stages: Sequence[StageSource]) -> str:
    """What this recipe calls the artifact that another place calls `name` and whose bytes are `digest`."""
    same = [source.name for source in stages if digest and _digest(source) == digest]
    return name if name in same or not same else same[0]


def _scores(path: Path, stages: Sequence[StageSource]) -> list[Score]:
    try:
        rows = read_scores(path)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"scores cannot be read ({error})", where=str(path), how="Evaluate again.") from None
    if told := _json(path / JUDGED):  # categories and turns have a section of their own
        rows = [row for row in rows if row.task == told["benchmark"] and "_turn_" not in row.metric]
    for row in rows:
        row.model = _named(row.model, row.model_digest, stages)
    return rows


def _item_values(path: Path, stages: Sequence[StageSource]) -> tuple[list[Asked], list[ItemValues]]:
    try:
        asked, values = read_item_values(path)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"values of items cannot be read ({error})", where=str(path), how="Evaluate again.") from None
    return asked, [replace(row, model=_named(row.model, row.model_digest, stages)) for row in values]


def _profiles(path: Path, stages: Sequence[StageSource]) -> list[ProfileTable]:
    try:
        table = read_profile_table(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"a profile's table cannot be read ({error})", where=str(path), how="Evaluate again."
        ) from None
    if table is None:
        return []
    cells = {_named(model, table.digests.get(model, ""), stages): rows for model, rows in table.cells.items()}
    return [replace(table, cells=cells)]


def _samples(path: Path, stages: Sequence[StageSource]) -> list[Sample]:
    try:
        rows = read_samples(path)
        digests = {row.model: row.model_digest for row in read_scores(path)}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"samples cannot be read ({error})", where=str(path), how="Evaluate again.") from None
    return [
        Sample(
            model=_named(str(row.get("model", "")), digests.get(row.get("model"), ""), stages),
            language=str(row.get("language", "")),
            task=str(row.get("task", "")),
            prompt=_text(row.get("prompt")),
            output=_text(row.get("output")),
            expected=_text(row.get("expected")),
            judged=_text(row.get("judged")),
        )
        for row in rows
    ]


def _records(path: Path, stages: Sequence[StageSource]) -> list[Record]:
    try:
        rows = read_records(path)
        digests = {row.model: row.model_digest for row in read_scores(path)}
        return [
            Record(
                model=_named(row["model"], digests.get(row["model"], ""), stages),
                language=row["language"],
                task=row["task"],
                id=str(row.get("id", "")),
                prompt=_text(row["prompt"], end=True),
                output=_text(row["output"]),
                extracted=_text(row["extracted"]),
                expected=_text(row["expected"]),
                verdict=row["verdict"],
            )
            for row in rows
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"items cannot be read ({error})", where=str(path), how="Evaluate again.") from None


def _findings(path: Path) -> Findings:
    try:
        return read_findings(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"findings cannot be read ({error})", where=str(path), how="Search again.") from None


def chosen_records(records: Sequence[Record], limit: int = MAX_RECORDS) -> list[Record]:
    """At most about `limit` records: whole prompts, with all models' answers, in turn from each task and language."""
    groups: dict[tuple[str, str], dict[tuple[str, str], list[Record]]] = {}
    for record in records:
        prompts = groups.setdefault((record.task, record.language), {})
        prompts.setdefault((record.id, record.prompt), []).append(record)
    turns = itertools.zip_longest(*(prompts.values() for prompts in groups.values()))
    chosen: set[int] = set()
    for group in (group for turn in turns for group in turn if group):
        if len(chosen) + len(group) > limit:
            break
        chosen |= {id(record) for record in group}
    return [record for record in records if id(record) in chosen]


def _text(value: Any, *, end: bool = False) -> str:
    """A prompt or answer as text, its first MAX_TEXT characters or with `end` its last; messages become one paragraph
    each."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        value = "\n".join(str(item.get("content", "")) for item in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= MAX_TEXT:
        return text
    return "… " + text[-MAX_TEXT:] if end else text[:MAX_TEXT] + " …"


def _chosen(samples: Sequence[Sample]) -> list[Sample]:
    """For each language the prompts that most models answered, in turn from each task; earlier ones win a tie."""
    groups: dict[tuple[str, str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.language, sample.task, sample.prompt), []).append(sample)
    ranked: dict[str, list[tuple[int, int, int, tuple[str, str, str]]]] = {}
    tasks: dict[tuple[str, str], list[tuple[int, int, tuple[str, str, str]]]] = {}
    for index, (key, group) in enumerate(groups.items()):
        models = len({sample.model for sample in group})
        tasks.setdefault(key[:2], []).append((-models, index, key))
    for (language, _), members in tasks.items():
        for turn, (missing, index, key) in enumerate(sorted(members)):
            ranked.setdefault(language, []).append((turn, missing, index, key))
    keep = {key for rows in ranked.values() for *_, key in sorted(rows)[:MAX_PROMPTS_PER_LANGUAGE]}
    return [sample for key, group in groups.items() if key in keep for sample in group]


def _versions(stages: Sequence[StageSource]) -> dict[str, tuple[str, ...]]:
    """Every version of Sampan and of each library that built an artifact of this lineage."""
    found: dict[str, set[str]] = {}
    for source in stages:
        code = (source.manifest.get("code") or {}).get("version")
        if code:
            found.setdefault("sampan", set()).add(str(code))
        for library, version in (source.manifest.get("libraries") or {}).items():
            found.setdefault(library, set()).add(str(version))
    order = sorted(found, key=lambda name: (name != "sampan", name))
    return {name: tuple(sorted(found[name])) for name in order}


def _thinned(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """At most about MAX_LOG_ROWS rows; of each run of rows the lowest and the highest loss stay, so spikes do too."""
    if len(rows) <= MAX_LOG_ROWS:
        return tuple(rows)
    keep, span = {0, len(rows) - 1}, len(rows) / (MAX_LOG_ROWS / 2)
    for block in range(MAX_LOG_ROWS // 2):
        indexes = range(int(block * span), int((block + 1) * span))
        lossy = [i for i in indexes if isinstance(rows[i].get("loss"), int | float)] or list(indexes)
        keep |= {
            min(lossy, key=lambda i: (rows[i].get("loss") or 0, i)),
            max(lossy, key=lambda i: (rows[i].get("loss") or 0, -i)),
        }
        # A row without a loss carries something else, such as a validation figure.
        keep |= {i for i in indexes if "loss" not in rows[i]}
    return tuple(rows[i] for i in sorted(keep))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"not JSON ({error})", where=str(path), how="Build the artifact again.") from None
    if not isinstance(value, dict):
        raise InputError("must hold one JSON object", where=str(path))
    return value


def _jsonl(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = []
    for line_number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError as error:
            raise InputError(f"not JSON ({error})", where=f"{path}:{line_number}") from None
        if isinstance(row, dict):
            rows.append(row)
    return rows
