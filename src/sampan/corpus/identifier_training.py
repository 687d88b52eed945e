"""The work of lang.train_identifier: pieces, pooled classes, logistic regression, int8 table, card."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import InputError, RecipeError
from ..core.stage import Artifact, Runtime
from ..lang.identifier import FORMAT, OTHER, LinearIdentifier
from ..lang.identify import profile_code, without_noise
from .identifier_text import (
    Chosen,
    Piece,
    choose,
    features_of,
    held_out_salt,
    larger_sister,
    mixed_pieces,
    own_labels,
    pieces_of,
    word_pieces,
)

MIN_LINE = 20
"""Characters of the shortest held-out line that is scored."""


def train(params: Any, sources: Sequence[Artifact], runtime: Runtime) -> dict[str, Any]:
    """Write `identifier.json`, `weights.npy` and `README.md`; returns metrics with the held-out recall by label."""
    _check(params)
    torch.set_num_threads(max(1, runtime.threads))
    chosen = choose(params, sources)
    own = [label for label in own_labels(params, chosen.train) if chosen.train.get(label)]
    if len(chosen.train) < 2:
        raise InputError(
            f"an identifier needs documents of at least two labels, not of {sorted(chosen.train)}",
            where=", ".join(source.name for source in sources),
            how=f"Refused by licence: {dict(chosen.refused)}. See `licenses` and `script`.",
        )
    labels, pieces = _pieces(params, chosen, own)
    pools = pool(labels, pieces, set(own), params.other_classes, 1 << params.bits)
    classes = [*own, *sorted(set(pools.values()))]
    targets = np.array([classes.index(pools.get(label, label)) for label in labels])
    weights, bias = fit(params, pieces, targets, class_weights(params, classes, targets), runtime)
    facts, table = quantise(params, classes, weights, bias)
    scores = evaluate(LinearIdentifier(facts, table), chosen.held_out, pools)
    facts |= {
        "licenses": sorted(params.licenses),
        "held_out_salt": held_out_salt(params),
        "held_out_share": params.held_out_share,
    }
    facts |= {"pooled": _by_class(pools), "held_out": scores, "text": _text_used(chosen)}
    _write(runtime.out, facts, table)
    for label, row in scores.items():
        runtime.log(f"{label}: {row['recall']:.3f} of {row['lines']} held-out lines; taken for {row['taken_for']}")
    recalls = {label: row["recall"] for label, row in scores.items()}
    return {"pieces": len(pieces), "labels": len(classes), "held_out_recall": recalls}


def _check(params: Any) -> None:
    if not 8 <= params.bits <= 20 or not 1 <= params.longest <= 8:
        raise RecipeError(f"bits {params.bits} and longest {params.longest}: bits go from 8 to 20, longest from 1 to 8")
    if not 0 <= params.held_out_share < 1:
        raise RecipeError(f"held_out_share is a share below 1, not {params.held_out_share}")


def _pieces(params: Any, chosen: Chosen, own: Sequence[str]) -> tuple[list[str], list[Piece]]:
    """The labels and features of all training pieces."""
    draw = np.random.default_rng(params.seed)
    cut = {
        label: [piece for text in chosen.train[label] for piece in pieces_of(text, draw, params.name_dropout)]
        for label in sorted(chosen.train)
    }
    lenders = {label: larger_sister(label, own, cut) for label in own}
    labels: list[str] = []
    pieces: list[Piece] = []
    for label, texts in cut.items():
        if label in own:
            texts = [*texts, *word_pieces(label, draw, params.word_rounds)]
            if lenders[label]:
                texts.extend(mixed_pieces(cut[label], cut[lenders[label]], draw, params.mixed_share))
        found = [piece for text in texts if (piece := features_of(text, params.longest, params.bits)) is not None]
        labels.extend([label] * len(found))
        pieces.extend(found)
    return labels, pieces


def pool(
    labels: Sequence[str], pieces: Sequence[Piece], own: set[str], classes: int, places: int, rounds: int = 15
) -> dict[str, str]:
    """The class of every label that is not in `own`: k-means on the square roots of their n-gram counts (Hellinger
    distance), begun from labels that lie far apart."""
    others = sorted(set(labels) - own)
    if not others or classes < 1:
        return {}
    counts = {label: np.zeros(places, np.float32) for label in others}
    for label, (rows, values) in zip(labels, pieces, strict=True):
        if label in counts:
            counts[label][rows] += values
    points = np.stack([np.sqrt(counts[label] / counts[label].sum()) for label in others])
    seeds, far = [0], 1 - points @ points[0]
    while len(seeds) < min(classes, len(others)):
        seeds.append(int(far.argmax()))
        far = np.minimum(far, 1 - points @ points[seeds[-1]])
    centres = points[seeds]
    for _ in range(rounds):
        nearest = (points @ centres.T).argmax(1)
        for number in set(nearest.tolist()):
            mean = points[nearest == number].mean(0)
            centres[number] = mean / np.linalg.norm(mean)
    return {label: f"{OTHER}-{number:02d}" for label, number in zip(others, nearest.tolist(), strict=True)}


def class_weights(params: Any, classes: Sequence[str], targets: np.ndarray) -> np.ndarray:
    """float32[classes]: rare classes count more, pooled ones less, and labels as `label_weights` says."""
    counts = np.bincount(targets, minlength=len(classes))
    weights = (counts.max() / counts) ** params.balance
    given = {profile_code(label) or label: weight for label, weight in params.label_weights.items()}
    own = [params.other_weight if label.startswith(OTHER) else given.get(label, 1.0) for label in classes]
    return (weights * own).astype(np.float32)


def fit(
    params: Any, pieces: Sequence[Piece], targets: np.ndarray, weights: np.ndarray, runtime: Runtime
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted multinomial logistic regression by Adam on mini-batches: (float32[2**bits, C], float32[C])."""
    table = torch.zeros(1 << params.bits, len(weights), requires_grad=True)
    bias = torch.zeros(len(weights), requires_grad=True)
    optimiser = torch.optim.Adam([table, bias], lr=params.lr, betas=(0.9, 0.99))
    goals, by_class = torch.from_numpy(targets), torch.from_numpy(weights)
    draw = np.random.default_rng(params.seed + 1)
    size = min(params.batch_size, len(pieces))
    per_epoch = len(pieces) // size
    steps = per_epoch * params.epochs
    for step in range(steps):
        if step % per_epoch == 0:
            order = draw.permutation(len(pieces))
        batch = order[step % per_epoch * size : (step % per_epoch + 1) * size]
        for group in optimiser.param_groups:
            group["lr"] = params.lr * (1 - step / steps)
        logits = _logits(table, [pieces[i] for i in batch]) + bias
        loss = torch.nn.functional.cross_entropy(logits, goals[batch], weight=by_class)
        if params.l2:
            loss = loss + params.l2 * table.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        runtime.progress(step + 1, steps, "steps")
    return table.detach().numpy(), bias.detach().numpy()


def _logits(table: torch.Tensor, pieces: Sequence[Piece]) -> torch.Tensor:
    """float32[pieces, C]: sums of table rows by value."""
    rows = torch.from_numpy(np.concatenate([rows for rows, _ in pieces]))
    values = torch.from_numpy(np.concatenate([values for _, values in pieces]))
    starts = torch.from_numpy(np.cumsum([0, *(len(rows) for rows, _ in pieces[:-1])]))
    return torch.nn.functional.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=values)


def quantise(
    params: Any, classes: Sequence[str], weights: np.ndarray, bias: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """The model's facts and its int8 table, each class scaled by its own largest weight."""
    scales = np.maximum(np.abs(weights).max(0), 1e-8) / 127
    table = np.round(weights / scales).astype(np.int8)
    facts = {
        "format": FORMAT,
        "script": params.script,
        "labels": list(classes),
        "longest": params.longest,
        "bits": params.bits,
        "scales": [round(float(value), 8) for value in scales],
        "bias": [round(float(value), 6) for value in bias],
    }
    return facts, table


def evaluate(model: LinearIdentifier, texts: dict[str, list[str]], pools: dict[str, str]) -> dict[str, Any]:
    """Recall and confusions of each class on held-out lines."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for label in sorted(texts):
        for line in (line for text in texts[label] for line in text.splitlines() if len(line) >= MIN_LINE):
            found = model.probabilities(without_noise(line))
            if found:
                said[pools.get(label, label)][max(found, key=lambda name: (found[name], name))] += 1
    scores = {}
    for label, answers in sorted(said.items()):
        wrong = [(name, count) for name, count in answers.most_common() if name != label][:3]
        lines = answers.total()
        scores[label] = {
            "lines": lines,
            "recall": round(answers[label] / lines, 4),
            "taken_for": {name: round(count / lines, 4) for name, count in wrong},
        }
    return scores


def _by_class(pools: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for label, name in sorted(pools.items()):
        found[name].append(label)
    return dict(sorted(found.items()))


def _text_used(chosen: Chosen) -> dict[str, Any]:
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for (label, origin, license), characters in sorted(chosen.used.items()):
        used[f"{origin} ({license or 'no licence stated'})"][label] += characters
    return {
        "characters": {name: dict(sorted(row.items())) for name, row in sorted(used.items())},
        "documents_refused_by_licence": dict(sorted(chosen.refused.items())),
    }


def _write(folder: Path, facts: dict[str, Any], table: np.ndarray) -> None:
    np.save(folder / "weights.npy", table, allow_pickle=False)
    text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "identifier.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(facts), encoding="utf-8")


def _card(facts: dict[str, Any]) -> str:
    lines = [
        f"# Language identifier for {facts['script']}",
        "",
        f"Logistic regression on hashed character n-grams of up to {facts['longest']} letters and on words; "
        f"{len(facts['labels'])} classes, {1 << facts['bits']} rows, int8. Written by `lang.train_identifier`.",
        "",
        "## Held-out lines",
        "",
        "| class | lines | recall | taken for |",
        "| --- | --- | --- | --- |",
    ]
    for label, row in facts["held_out"].items():
        wrong = ", ".join(f"{name} {share:.1%}" for name, share in row["taken_for"].items())
        lines.append(f"| {label} | {row['lines']} | {row['recall']:.1%} | {wrong} |")
    lines += ["", "## Text", "", "| source (licence) | characters | labels |", "| --- | --- | --- |"]
    for name, row in facts["text"]["characters"].items():
        top = sorted(row, key=lambda label: (-row[label], label))
        more = f" and {len(top) - 8} more" if len(top) > 8 else ""
        lines.append(f"| {name} | {sum(row.values()):,} | {', '.join(top[:8])}{more} |")
    return "\n".join([*lines, ""])
