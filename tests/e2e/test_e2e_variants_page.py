"""The recipe and the commands of docs/how-to/variants.md, as they stand on the page; runs are dry, as building takes
minutes."""

from __future__ import annotations

import re
from pathlib import Path

from sampan.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "variants.md"


def test_the_commands_of_the_variants_page(tmp_path, monkeypatch, capsys):
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "ablations.yaml").write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [line.split() for line in re.findall(r"^sampan (.*)$", text, re.MULTILINE)]
    shown = []
    for words in lines:
        assert main([*words, *(["--dry-run"] if words[0] == "run" else [])]) == 0, words
        shown.append(capsys.readouterr().out)
    assert [words[0] for words in lines] == ["plan", "run", "run", "run", "report", "plan", "run", "report"]
    plan, one, stage, none, _, shipped, *_ = shown
    assert re.search(r"no_replay +\d+ +\d+ .* cpt +no English in continued pre-training", plan)
    assert "scores_sft.no_expansion" in plan
    assert "no_expansion" not in one
    assert "scores_sft.no_replay" in one
    assert "cpt.no_replay" in stage
    assert "scores" not in stage
    assert "cpt.no_replay" not in none
    assert re.search(r"no_expansion +\d+ .* expanded → base +the base's vocabulary as it is", shipped)
    # a variant tells where its tokens come from only if that is another mixture than the recipe's
    told = re.findall(r"^tokens of (cpt\S*),", shipped, re.MULTILINE)
    assert told == ["cpt", "cpt.no_replay", "cpt.no_quality_order"]
    page = (tmp_path / "ablations-report.html").read_text(encoding="utf-8")
    assert "Nothing to compare" in page
