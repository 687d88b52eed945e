"""The commands of docs/how-to/lineages.md and cost.md, as they stand on the pages; twins are only planned here, as
building them takes minutes (benchmarks/tiny_twins.py)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def sampan(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "sampan.cli.main", *words], capture_output=True, text=True, cwd=cwd)


def commands(page: str) -> list[list[str]]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return [line.split() for line in re.findall(r"^sampan (.*)$", text, re.MULTILINE)]


def test_the_commands_of_the_lineage_pages(tmp_path):
    ran = []
    for verb, recipe, *rest in commands("lineages") + commands("cost"):
        ran.append(verb)
        if verb == "report":
            continue  # of what the twin's run built
        if verb == "run" and recipe.endswith("-tiny"):
            done = sampan(verb, recipe, *rest, "--dry-run", cwd=tmp_path)
            assert "inputs to give" not in done.stdout
        else:
            done = sampan(verb, recipe, *rest, cwd=tmp_path)
        if verb == "run" and not recipe.endswith("-tiny"):
            assert done.returncode == 1
            assert "Traceback" not in done.stderr
            assert "leaves these inputs to you" in done.stderr
            assert "'dolma' (Dolma's English text (allenai/dolma))" in done.stderr
            continue
        assert done.returncode == 0, done.stderr
    assert ran == ["plan", "run", "report", "run", "run", "plan", "plan"]


def test_a_plan_shows_money_layout_and_published_figures(tmp_path):
    done = sampan("plan", "sea-lion-v3-llama-8b", "--machine", "h200x64", "--price", "2.5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "FSDP over 64" in done.stdout
    assert "the_stack_v2 40,000,000,000 (0.2)" in done.stdout
    assert re.search(r"cpt +steps +47,684 +47,684 +exact", done.stdout)
    assert re.search(r"cpt +hours +h200x64 +136 ", done.stdout)
    unpriced = sampan("plan", "sea-lion-v3-llama-8b", "--machine", "h200x64", "--json", cwd=tmp_path)
    told = json.loads(unpriced.stdout)
    assert "dolma" in told["missing"]
    (cpt,) = (stage for stage in told["stages"] if stage["name"] == "cpt")
    assert cpt["on_machine"]["cost"] == 0, "no price, no money"
    assert cpt["on_machine"]["steps"] == 47_684
    assert {figure["figure"]["what"] for figure in told["published"]} == {"tokens", "steps", "hours", "device_hours"}


def test_the_examples_of_the_page_extend_what_they_say(tmp_path):
    """Both recipes on the page, with the commit filled in, are planned as they stand."""
    text = (PAGES / "lineages.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        name = re.search(r"^recipe: (.*)$", block, re.MULTILINE)[1]
        block = block.replace("<40-digit commit>", "0" * 40).replace("/data/", f"{tmp_path}/")
        (tmp_path / f"{name}.yaml").write_text(block, encoding="utf-8")
    (tmp_path / "dolma").mkdir()
    (tmp_path / "dolma" / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "instructions.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    for name in ("our-sea-lion", "our-sea-lion-tiny"):
        done = sampan("plan", f"{name}.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (missing,) = re.findall(r"^inputs to give before it can run: (.*)$", done.stdout, re.MULTILINE)
        assert "dolma" not in missing
        assert "supernova_lite" not in missing
    assert "corpus.village" in done.stdout


@pytest.mark.parametrize("given", ["dir:nowhere", "hf:org/name@main"])
def test_an_input_that_is_given_is_checked(tmp_path, given):
    done = sampan("plan", "sealllm-v1-13b", "--set", f"inputs.nllb={given}", cwd=tmp_path)
    assert done.returncode == 1
    assert "nllb" in done.stderr
