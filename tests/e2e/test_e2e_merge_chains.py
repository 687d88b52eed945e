"""The merge chains of SEA-LION v3 as a recipe: both lineages, `normalize` both ways, against the formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sampan.cli.main import main
from sampan.model.tensors import TensorFolder
from sampan.recipe.load import load_recipe
from sampan.recipe.plan import make_plan
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "sea-lion-merges.yaml"
MERGES = ("L4", "L5", "L7", "G4", "G6")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The manifest and folder of every stage, by name."""
    folder = tmp_path_factory.mktemp("merges") / "store"
    assert main(["run", str(RECIPE), "--store", str(folder)]) == 0
    store, recipe = Store(folder), load_recipe(RECIPE)
    steps = make_plan(recipe, resolve(recipe), store).steps
    return {name: (step.manifest, store.artifact(step.manifest).path) for name, step in steps.items()}


def tensors(folder):
    with TensorFolder(folder) as opened:
        return {name: opened.read(name) for name in opened}


def formula(step, mean, deltas):
    """The step's merged task vector as the papers write it, weights and densities 1, float64."""
    deltas = np.array(deltas, np.float64)
    total = deltas.sum(axis=0)
    if step == "L4":  # DARE-TIES: those that bear the elected sign
        agree = np.sign(deltas) == np.where(total >= 0, 1, -1)
        return (deltas * agree).sum(axis=0) / (np.maximum(agree.sum(axis=0), 1) if mean else 1)
    mixed = total / (len(deltas) if mean else 1)
    if step == "L5":  # Consensus TA: those that at least one model claims
        mixed = mixed * (np.abs(deltas) > np.abs(mixed - deltas)).any(axis=0)
    return mixed


@pytest.mark.slow
@pytest.mark.parametrize("way", ["sum", "mean"])
@pytest.mark.parametrize("step", MERGES)
def test_each_merge_is_the_papers_formula(built, step, way):
    manifest, folder = built[f"{step}_{way}"]
    assert manifest["params"]["normalize"] is (way == "mean")
    by_digest = {made["digest"]: path for made, path in built.values()}
    (base,) = (tensors(by_digest[item["digest"]]) for item in manifest["inputs"]["base"])
    models = [tensors(by_digest[item["digest"]]) for item in manifest["inputs"]["models"]]
    got, far = tensors(folder), 0
    for name, start in base.items():
        wanted = start + formula(step, way == "mean", [model[name] - start for model in models])
        error = np.abs(got[name] - wanted)
        # float32 sums of numbers below 8; a vote or a mask that hangs on a rounding is another element altogether
        far += int((error > 4e-6).sum())
    assert far <= sum(tensor.size for tensor in base.values()) * 1e-4


@pytest.mark.slow
def test_sums_step_past_the_models_and_means_do_not(built):
    """What docs/why/merging.md warns of, measured: the last merge's step against its longest task vector."""

    def extrapolation(name):
        return built[name][0]["metrics"]["extrapolation"]

    for step in MERGES:
        assert extrapolation(f"{step}_mean") <= 1
    for step in ("L4", "L7", "G6"):
        assert extrapolation(f"{step}_sum") > 1.2
