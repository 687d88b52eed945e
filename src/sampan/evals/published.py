"""Published numbers of the two papers, with where each is from: `published.yaml` as rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published figure. `shots` and `n` are None where the source does not say."""

    model: str
    task: str
    language: str
    metric: str
    value: float
    unit: str
    source: str
    version: str
    shots: int | None
    n: int | None
    note: str
    ours: str
    """Our nearest score as `task/metric` or `task/metric*100`, or several with blanks between; '' for none."""

    @property
    def places(self) -> list[tuple[str, str, float]]:
        """Task and metric of each of `ours`, and what it is multiplied by to be in this unit."""
        out = []
        for name in self.ours.split():
            task, metric = name.split("/", 1)
            metric, _, factor = metric.partition("*")
            out.append((task, metric, float(factor) if factor else 100.0 if self.unit == "percent" else 1.0))
        return out


def published(file: Path = FILE) -> list[Published]:
    """All figures, in the order of the file."""
    rows = []
    for table in yaml.safe_load(file.read_text(encoding="utf-8")):
        for model, values in table["rows"].items():
            for column, value in zip(table["columns"], values, strict=True):
                if value is None:
                    continue
                notes = [text for text in (table.get("note"), column.get("note")) if text]
                rows.append(
                    Published(
                        model=model,
                        task=column["task"],
                        language=column["language"],
                        metric=column["metric"],
                        value=float(value),
                        unit=table["unit"],
                        source=f"{table['source']} ({table['table']})",
                        version=table["version"],
                        shots=column.get("shots", table.get("shots")),
                        n=column.get("n"),
                        note="; ".join(notes),
                        ours=column.get("ours", ""),
                    )
                )
    return rows


def plain_name(model: str) -> str:
    """A model's name as it is compared: the last part of a path, lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", model.rstrip("/").rpartition("/")[2].lower())
