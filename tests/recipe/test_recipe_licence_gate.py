"""The licence gate refuses by name, before training, and only what would go into the model."""

import json

import pytest

from sampan.artifacts.licenses import license_class
from sampan.cli.main import main
from sampan.core.errors import RecipeError

CLASSES = {
    "permissive": [
        *("CC BY 4.0", "cc-by-4.0", "CC BY 2.0 FR", "CC0 1.0", "cc0-1.0", "MIT", "mit", "MIT (repo)", "Apache-2.0"),
        *("Apache License 2.0", "BSD-3-Clause", "ODC-BY (C4)", "public domain (Voice of America)", "ISC", "PDDL-1.0"),
        *("https://creativecommons.org/licenses/by/4.0/", "https://creativecommons.org/publicdomain/zero/1.0/"),
        *("Creative Commons Attribution 4.0 International", "UN UDHR text (freely usable; site terms)", "Unlicense"),
        *("Apache-2.0 (OpenLLaMA)", "MIT OR CC-BY-NC-4.0", "CC0 1.0 (contribution agreement) / PSF"),
    ],
    "share-alike": [
        *("CC BY-SA 3.0", "CC BY-SA 4.0", "cc-by-sa-3.0", "CC BY-SA (Khmer Wikipedia; repo MIT)", "GPL-3.0-or-later"),
        *("CC BY-SA 3.0/4.0", "AGPL-3.0", "LGPL-2.1", "GFDL-1.3", "ODbL 1.0", "MPL-2.0", "Apache-2.0 AND CC-BY-SA-4.0"),
    ],
    "non-commercial": [
        *("CC BY-NC 4.0 (Alpaca)", "CC BY-NC-SA 3.0", "cc-by-nc-4.0", "CC_BY_NC_4.0", "CC BY-NC-ND 4.0"),
        *("CC BY 4.0 / CC BY-NC (per story, see INDEX)", "non-commercial research license", "Research only"),
        *("CC BY-NC 4.0 (machine translation of Alpaca; repo states none)", "All rights reserved", "noncommercial"),
        *("https://creativecommons.org/licenses/by-nc-sa/4.0/", "Creative Commons Attribution-NonCommercial 4.0"),
    ],
    "restricted": [
        *(
            "Llama 2 Community License (model asset, not open source); repo MIT",
            "llama3.1",
            "Llama 3 Community License",
        ),
        *("Gemma Terms of Use", "gemma", "Tongyi Qianwen License", "openrail", "CC BY-ND 4.0", "creativeml-openrail-m"),
        *("OpenAI terms", "Business Source License 1.1"),
    ],
    "unknown": [
        *("", "other", "see website", "submitted by permission", "on the trail"),
        "CC0 1.0 packaging (OSCAR 2019 crawl; underlying web pages unknown)",
    ],
}


@pytest.mark.parametrize(("name", "license"), [(name, each) for name, found in CLASSES.items() for each in found])
def test_license_is_read_as_people_write_it(name, license):
    assert license_class(license) == name


RECIPE = """\
recipe: gated
{use}
inputs: {{rows: "dir:rows"}}
stages:
  table: {{stage: crawl.table, from: {{files: rows}}}}
  left:  {{stage: corpus.split, from: {{documents: table}}, with: {{part: train}}}}
  vocab: {{stage: vocab.train, from: {{documents: left}}, with: {{vocab_size: 300}}}}
"""


@pytest.fixture
def gated(workshop):
    """`gated(use, licences)` writes a recipe whose rows are of sources a, b, … under these licences."""

    def write(use, licenses):
        rows = [
            {"id": f"d{n}", "text": f"Sentence {n}.", "language": "en", "source": "abc"[n], "license": license}
            for n, license in enumerate(licenses)
        ]
        (workshop.folder / "rows" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        workshop.path.write_text(RECIPE.format(use=use))
        return workshop

    return write


def test_commercial_recipe_refuses_non_commercial_source_when_its_stage_ends(gated):
    outcome = gated("use: commercial", ["CC BY 4.0", "CC BY-NC 4.0 (Alpaca)"]).run(keep_going=True)
    assert list(outcome.failed) == ["table"]
    error = str(outcome.failed["table"])
    assert "source 'b' in stage 'table' is under CC BY-NC 4.0 (Alpaca) (non-commercial)" in error
    assert "recipe.yaml:5" in error
    assert "source 'a'" not in error
    assert outcome.skipped == ["left", "vocab"]


def test_plan_knows_it_from_earlier_results(gated):
    workshop = gated("use: research", ["CC BY 4.0", "CC BY-NC 4.0"])
    workshop.run(keep_going=True)
    with pytest.raises(RecipeError, match="source 'b' in stage 'table'"):
        workshop.run("use=commercial")
    plan, _ = workshop.plan("use=commercial")
    assert [(f.stage, f.source, f.refused) for f in plan.licence_findings()] == [("table", "b", True)]


def test_plan_knows_it_from_a_param_before_anything_is_built(gated, capsys):
    workshop = gated("use: commercial", ["CC BY 4.0"])
    arguments = ["plan", str(workshop.path), "--store", str(workshop.root)]
    assert main(arguments) == 0
    assert main([*arguments, "--set", "table.license=cc-by-nc-4.0", "--set", "table.source=Forum"]) == 1
    shown = capsys.readouterr().out
    assert "use: commercial; licences of what is built: none recorded yet" in shown
    assert "licence: refused: source 'Forum' in stage 'table' (cc-by-nc-4.0: non-commercial)" in shown
    with pytest.raises(RecipeError, match="source 'Forum'"):
        workshop.run("table.license=cc-by-nc-4.0", "table.source=Forum")
    assert workshop.statuses()["table"] == "run", "nothing was built"


def test_unknown_is_a_warning_and_refused_when_strict(gated):
    workshop = gated("use: commercial", ["CC BY 4.0", "", "Llama 2 Community License"])
    workshop.path.write_text(workshop.path.read_text().replace("  vocab", "  # vocab"))
    assert workshop.run().ok
    plan, _ = workshop.plan()
    assert {(f.source, f.license_class, f.refused) for f in plan.licence_findings()} == {
        ("b", "unknown", False),
        ("c", "restricted", False),
    }
    with pytest.raises(RecipeError, match="source 'b' in stage 'table' is under no stated licence"):
        workshop.run("use={purpose: commercial, strict: true}")


def test_permitted_by_name(gated):
    workshop = gated("use: {purpose: commercial, permitted: [b]}", ["CC BY 4.0", "CC BY-NC 4.0"])
    workshop.path.write_text(workshop.path.read_text().replace("  vocab", "  # vocab"))
    assert workshop.run().ok


def test_what_only_examines_is_free(gated):
    """The same rows, read by nothing but an evaluation."""
    workshop = gated("use: commercial", ["CC BY-NC 4.0"])
    text = workshop.path.read_text().partition("  vocab")[0] + (
        "  english: {stage: corpus.village, with: {part: documents, languages: [eng_Latn], num_documents: 50}}\n"
        "  vocab: {stage: vocab.train, from: {documents: english}, with: {vocab_size: 300}}\n"
        "  model: {stage: model.init, from: {tokenizer: vocab}, with: {hidden_size: 32, num_layers: 1, num_heads: 2}}\n"
        "  scores: {stage: evals.run, from: {models: [model], held_out: left}}\n"
    )
    workshop.path.write_text(text)
    plan, _ = workshop.plan("table.license=CC BY-NC 4.0")
    assert plan.licence_findings() == []
    workshop.path.write_text(text.replace("documents: english}, with: {vocab", "documents: left}, with: {vocab"))
    plan, _ = workshop.plan("table.license=CC BY-NC 4.0")
    assert [(each.stage, each.refused) for each in plan.licence_findings()] == [("table", True)]


def test_a_word_that_is_no_purpose(gated):
    with pytest.raises(RecipeError, match=r"recipe.yaml:2, `use`.*purpose"):
        gated("use: comercial", ["MIT"]).run()
