"""Small recipes on stages that need neither torch nor much time: tables in, splits of tables out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sampan.recipe.load import load_recipe
from sampan.recipe.plan import make_plan
from sampan.recipe.resolve import resolve
from sampan.recipe.run import Engine, run_plan
from sampan.store.store import Store

CHAIN = """\
recipe: chain
inputs: {rows: "dir:rows"}
stages:
  table: {stage: crawl.table, from: {files: rows}}
  left:  {stage: corpus.split, from: {documents: table}, with: {part: train, held_out_share: 0.3}}
  right: {stage: corpus.split, from: {documents: table}, with: {part: held_out, held_out_share: 0.3}}
  both:  {stage: corpus.dedup, from: {documents: [left, right]}, with: {method: exact}}
"""


class Workshop:
    """A folder with a recipe, its input and its store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.root = folder, folder / "recipe.yaml", folder / "store"
        (folder / "rows").mkdir()
        rows = [{"id": f"d{n}", "text": f"Sentence number {n} of a small table.", "language": "en"} for n in range(40)]
        (folder / "rows" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.path.write_text(CHAIN)

    def plan(self, *settings: str):
        store = Store(self.root)
        recipe = load_recipe(self.path, settings)
        return make_plan(recipe, resolve(recipe), store), store

    def run(self, *settings: str, **engine):
        plan, store = self.plan(*settings)
        return run_plan(plan, store, Engine(**engine))

    def statuses(self, *settings: str) -> dict[str, str]:
        return {name: step.status for name, step in self.plan(*settings)[0].steps.items()}

    def digests(self, *settings: str) -> dict[str, str]:
        return {name: (step.manifest or {}).get("digest") for name, step in self.plan(*settings)[0].steps.items()}


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    return Workshop(tmp_path)
