"""What the README and the pages of docs/ show is what the program takes: commands down to stages, inputs and
parameters, recipes and parts of recipes."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from sampan.cli.do import _params
from sampan.cli.main import VERBS, main
from sampan.core.params import parse_params
from sampan.core.stage import KINDS
from sampan.recipe.load import load_recipe
from sampan.recipe.resolve import resolve
from sampan.recipe.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if page.parent.name != "reference")
WRITTEN_THERE = {"mekong.yaml", "recipe.yaml", "ablations.yaml", "javanese.yaml"}
"""Recipes that a page has its reader write."""
PARTS = {"docs/how-to/train.md": "train.causal_lm"}
"""Pages with blocks that are a stage's `with:` alone, and that stage."""


def fences(page: Path, *kinds: str) -> list[str]:
    """Blocks of these kinds on a page, and with the kind '' those that are indented."""
    text = page.read_text(encoding="utf-8")
    found = [re.sub(rf"(?m)^{indent}", "", body) for indent, kind, body in _BLOCK.findall(text) if kind in kinds]
    return found + (re.findall(r"^    (sampan .*)$", _BLOCK.sub("", text), re.MULTILINE) if "" in kinds else [])


_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    """Every `sampan` command line of the pages with its words, as a shell would give them."""
    found = []
    for page in PAGES:
        for block in fences(page, "sh", "bash", ""):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                bare = re.sub(r"^\s*([A-Z_]+=\S+ )*(\.venv/bin/)?", "", line)
                if bare.startswith("sampan "):
                    found.append((page.name, shlex.split(bare, comments=True)[1:]))
    return found


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda given: given if isinstance(given, str) else given[0])
def test_a_command_of_the_pages_is_taken_as_it_stands(page, words, monkeypatch, capsys):
    """Parsed by the program's own parser; a stage has the inputs and takes the parameters, a recipe the settings."""
    if "--help" in words:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        return
    seen = []
    monkeypatch.setattr(importlib.import_module(VERBS[words[0]][0]), "call", lambda options: seen.append(options) or 0)
    assert main(words) == 0
    (options,) = seen
    if words[0] == "do":
        stage = STAGES.load(options.stage)
        roles = [source.partition("=")[0] for source in options.sources]
        assert set(roles) <= set(stage.inputs)
        if options.config is None:
            parse_params(stage.params, _params(options.params), where=f"{page}: sampan {' '.join(words)}")
            assert {role for role, spec in stage.inputs.items() if spec.required} <= set(roles)
    elif words[0] in ("plan", "run", "report") and options.recipe.name not in WRITTEN_THERE:
        recipe = options.recipe if options.recipe.suffix == "" else ROOT / options.recipe
        load_recipe(recipe, options.settings, options.variants)


def recipes() -> list[tuple[str, dict]]:
    """Every YAML block of the pages, read."""
    return [(str(page.relative_to(ROOT)), yaml.safe_load(block)) for page in PAGES for block in fences(page, "yaml")]


@pytest.mark.parametrize(("page", "block"), recipes(), ids=lambda given: given if isinstance(given, str) else "")
def test_a_recipe_of_the_pages_names_stages_inputs_and_parameters_that_there_are(page, block, tmp_path):
    """Whole recipes are resolved; of parts of them each stage is."""
    if "recipe" in block and "extends" not in block:
        inputs = dict.fromkeys(block.get("inputs", {}))
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**block, "inputs": inputs, "profiles": None}), encoding="utf-8")
        resolve(load_recipe(path))
        return
    stages = block.get("stages", {}) if {"stages", "extends"} & set(block) else block
    found = {name: value for name, value in stages.items() if isinstance(value, dict) and "stage" in value}
    if page in PARTS and set(block) == {"with"}:
        found = {"part": {"stage": PARTS[page], **block}}
    for name, value in found.items():
        stage = STAGES.load(value["stage"])
        assert set(value.get("from", {})) <= set(stage.inputs), name
        parse_params(stage.params, value.get("with"), where=f"{page}, {name}")


def test_every_kind_of_artifact_is_on_the_page_about_the_house():
    table = (ROOT / "docs" / "why" / "architecture.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in table] == []
