"""The model card: what the manifest of a model says, as a README.md that claims nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..artifacts.licenses import NON_COMMERCIAL, RESTRICTED, UNKNOWN, license_class
from ..artifacts.scores import Score
from ..core.stage import Artifact

# Identifiers that the Hugging Face hub accepts in a card's header; any other licence is `other` there.
_HUB_LICENSES = (
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "odc-by", "gemma"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "llama2", "llama3", "llama3.1", "llama3.2", "openrail"),
)


def model_card(
    model: Artifact,
    *,
    title: str,
    languages: Sequence[str],
    facts: Sequence[tuple[str, str]],
    usage: str,
    library: str = "transformers",
    scores: Sequence[Score] = (),
    scores_from: Artifact | None = None,
    notices: Sequence[str] = (),
) -> str:
    """Markdown with a YAML header. `facts` are (name, value) rows about the files beside the card.

    Lineage, parameters and licences are the manifest's; what it does not say is said to be unknown. Times, paths and
    machines never enter: equal inputs give equal bytes.
    """
    licenses = sorted(set(model.licenses) | set(scores_from.licenses if scores_from else ()))
    parts = [
        _header(licenses, languages, library),
        f"# {_plain(title)}\n",
        "Built with [Sampan](https://github.com/sampan-ml/sampan). This card is written from the model's manifest.\n",
        "## Model\n\n" + _table(("what", "value"), [("languages", _listed(languages)), *facts]),
        _lineage(model),
        _training(model.manifest),
        _licenses(licenses),
    ]
    if scores:
        parts.append(_scores(scores))
    if notices:
        parts.append("## Please note\n\n" + "".join(f"- {_plain(text)}\n" for text in notices))
    parts.append(f"## How to use\n\n{usage.strip()}\n")
    return "\n".join(parts)


def _header(licenses: Sequence[str], languages: Sequence[str], library: str) -> str:
    one = licenses[0].lower() if len(licenses) == 1 else ""
    lines = [f"license: {one if one in _HUB_LICENSES else 'other'}"]
    if licenses and one not in _HUB_LICENSES:
        lines.append(f"license_name: {json.dumps('; '.join(licenses), ensure_ascii=False)}")
    codes = list(dict.fromkeys(code.partition("_")[0] for code in languages))
    if codes:
        lines.append(f"language: {json.dumps(codes, ensure_ascii=False)}")
    lines += [f"library_name: {library}", "pipeline_tag: text-generation", 'tags: ["sampan"]']
    return "---\n" + "\n".join(lines) + "\n---\n"


def _lineage(model: Artifact) -> str:
    manifest = model.manifest
    made = manifest.get("stage", "")
    text = f"## Lineage\n\nContent digest of the model: `{model.digest}`.\n\n"
    if made:
        text += f"Made by the stage `{made}` (revision {manifest.get('revision', 'unknown')}) from:\n\n"
    rows = [
        (role, item.get("name", ""), item.get("kind", ""), f"`{item.get('digest', '')}`")
        for role, items in sorted((manifest.get("inputs") or {}).items())
        for item in items
    ]
    if not rows:
        return text + "Its inputs are not recorded: the model came from outside without a manifest.\n"
    return text + _table(("role", "name", "kind", "content digest"), rows)


def _training(manifest: Mapping[str, Any]) -> str:
    values = manifest.get("params") or {}
    if not values:
        return ""
    rows = [(f"`{name}`", f"`{json.dumps(value, ensure_ascii=False)}`") for name, value in sorted(values.items())]
    return "## Parameters of the last step\n\n" + _table(("parameter", "value"), rows)


def _licenses(licenses: Sequence[str]) -> str:
    if not licenses:
        return "## Licences\n\nNo licence is recorded for the model's inputs. Find out before you publish it.\n"
    text = "## Licences\n\nEverything this model was made from, together, is under:\n\n"
    text += "".join(f"- {_plain(name)}\n" for name in licenses)
    for kind in (NON_COMMERCIAL, RESTRICTED, UNKNOWN):
        named = [_plain(name) for name in licenses if license_class(name) == kind]
        text += f"\nRead as {kind}: {'; '.join(named)}.\n" if named else ""
    return text


def _scores(scores: Sequence[Score]) -> str:
    rows = [
        (
            score.model,
            score.task,
            score.language,
            score.metric,
            f"{score.value:.4g}" + (f" ± {score.stderr:.2g}" if score.stderr is not None else ""),
            str(score.n),
            f"`{score.prompt_digest[:12]}`",
        )
        for score in sorted(scores, key=lambda s: (s.task, s.language, s.metric, s.model))
    ]
    head = ("model", "task", "language", "metric", "value ± standard error", "items", "prompt digest")
    return "## Scores\n\n" + _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """One line, without HTML: a name from a recipe must not become markup."""
    return re.sub(r"\s+", " ", text).replace("<", "&lt;").strip()


def _listed(languages: Sequence[str]) -> str:
    return ", ".join(languages) or "not stated"
