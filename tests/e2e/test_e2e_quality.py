"""From raw documents to a curriculum by quality, through the real command line, in a strictly commercial recipe."""

import json
from pathlib import Path

from sampan.artifacts.documents import read_documents
from sampan.artifacts.tokens import read_tokens
from sampan.cli.main import main
from sampan.recipe.load import load_recipe
from sampan.recipe.plan import make_plan
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

RECIPE = Path(__file__).with_name("quality.yaml")


def test_quality_drives_the_curriculum(tmp_path, capsys):
    command = [str(RECIPE), "--store", str(tmp_path)]
    assert main(["run", *command, "--workers", "2"]) == 0
    capsys.readouterr()
    assert main(["plan", *command, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {stage["status"] for stage in plan["stages"]} == {"hit"}
    assert plan["use"] == {"purpose": "commercial", "strict": True}
    assert plan["licences"] == []

    store = Store(tmp_path)
    recipe = load_recipe(RECIPE)
    steps = make_plan(recipe, resolve(recipe), store).steps
    path = {name: store.artifact(step.manifest).path for name, step in steps.items()}
    buckets = {(d.language, d.quality) for d in read_documents(path["sorted"])}
    assert buckets == {(code, name) for code in ("eng_Latn", "tha_Thai") for name in ("high", "middle", "low")}
    streams = read_tokens(path["tokens"]).stream_names
    assert sorted(streams) == sorted(f"{code}/{name}" for code, name in buckets)
    assert steps["cpt"].manifest["metrics"]["tokens"] == 10240
