"""Variants: what differs and what is made from it is copied, the rest is shared, and nothing is built twice."""

from __future__ import annotations

import json

import pytest

from sampan.cli.main import main
from sampan.core.errors import SampanError
from sampan.recipe.load import load_recipe
from sampan.recipe.plan import HIT
from sampan.recipe.resolve import resolve

GRAPH = """\
recipe: graph
stages:
  text: {stage: corpus.village, with: {part: documents, languages: [eng_Latn], num_documents: 20}}
  vocab: {stage: vocab.train, from: {documents: text}, with: {vocab_size: 384}}
  start: {stage: model.init, from: {tokenizer: vocab}, with: {hidden_size: 32, num_layers: 1, num_heads: 2}}
  tokens: {stage: corpus.pack, from: {documents: text, tokenizer: vocab}}
  more: {stage: corpus.pack, from: {documents: text, tokenizer: vocab}, with: {bpe_dropout: 0.1}}
  cpt:
    stage: train.causal_lm
    from: {model: start, tokens: [tokens, more]}
    with: {num_tokens: 1000, mixture: [{until: 1.0, weights: {"0/*": 0.8, "1/*": 0.2}}]}
  longer: {stage: train.causal_lm, from: {model: cpt, tokens: tokens}, with: {num_tokens: 2000}}
  held_out: {stage: corpus.village, with: {part: held_out, languages: [eng_Latn], num_documents: 2}}
  scores: {stage: evals.run, from: {models: [start, cpt, longer], held_out: held_out}}
  scores_start: {stage: evals.run, from: {models: start, held_out: held_out}}
  ship: {stage: export.hf, from: {model: longer}}
"""
PLAIN = "  plain: {about: no second source, stages: {cpt: {from: {tokens: tokens}, with: {mixture: null}}}}\n"


def write(folder, variants: str, stages: str = GRAPH):
    path = folder / "x.yaml"
    path.write_text(f"{stages}variants:\n{variants}")
    return path


def test_only_what_differs_and_its_way_to_the_scores_is_copied(tmp_path):
    recipe = load_recipe(write(tmp_path, PLAIN))
    plain = recipe.variants["plain"]
    assert plain.about == "no second source"
    assert plain.changed == ["cpt"]
    assert plain.stages == {"cpt": "cpt.plain", "longer": "longer.plain", "scores": "scores.plain"}, "and no export"
    assert recipe.stages["cpt.plain"].sources == {"model": ["start"], "tokens": ["tokens"]}
    assert recipe.stages["cpt.plain"].params == {"num_tokens": 1000}, "a null gives the default back"
    assert recipe.stages["longer.plain"].sources == {"model": ["cpt.plain"], "tokens": ["tokens"]}
    assert recipe.stages["scores.plain"].sources["models"] == ["cpt.plain", "longer.plain"], "start has its scores"
    assert list(resolve(recipe))[-3:] == ["cpt.plain", "longer.plain", "scores.plain"]
    own = load_recipe(tmp_path / "x.yaml", variants=["none"]).stages
    assert {name: recipe.stages[name] for name in own} == own, "the recipe's own stages stay as they are"


def test_a_replaced_stage_is_passed_over(tmp_path):
    recipe = load_recipe(write(tmp_path, "  direct: {replace: {cpt: start}}\n"))
    assert recipe.variants["direct"].stages == {"longer": "longer.direct", "scores": "scores.direct"}
    assert recipe.stages["longer.direct"].sources["model"] == ["start"]
    assert recipe.stages["scores.direct"].sources["models"] == ["longer.direct"], "start has its scores"


def test_changed_questions_are_put_to_all_models(tmp_path):
    recipe = load_recipe(write(tmp_path, "  more: {stages: {held_out: {with: {num_documents: 3}}}}\n"))
    assert list(recipe.variants["more"].stages) == ["held_out", "scores", "scores_start"]
    assert recipe.stages["scores.more"].sources == {"models": ["start", "cpt", "longer"], "held_out": ["held_out.more"]}


def test_to_says_how_far_the_copies_reach(tmp_path):
    plain = PLAIN.replace("{about", "{to: ship, about")
    assert list(load_recipe(write(tmp_path, plain)).variants["plain"].stages) == ["cpt", "longer", "ship"]


def test_settings_are_shared_unless_the_variant_overrides_them(tmp_path):
    path = write(tmp_path, "  short: {stages: {cpt: {with: {num_tokens: 500}}}}\n")
    stages = load_recipe(path, ["cpt.lr=1e-3", "cpt.num_tokens=900"]).stages
    assert (stages["cpt"].params["num_tokens"], stages["cpt.short"].params["num_tokens"]) == (900, 500)
    assert stages["cpt"].params["lr"] == stages["cpt.short"].params["lr"] == 1e-3


def test_a_recipe_that_extends_adds_and_removes_variants(tmp_path):
    write(tmp_path, PLAIN)
    child = tmp_path / "child.yaml"
    child.write_text("extends: x.yaml\nrecipe: child\nvariants:\n  plain: null\n  direct: {replace: {cpt: start}}\n")
    assert list(load_recipe(child).variants) == ["direct"]


WRONG = {
    "stage": ("stages: {ctp: {with: {lr: 1}}}", r":18, variant 'v': there is no stage 'ctp'. Did you mean 'cpt'"),
    "replaced": ("replace: {cpt: strat}", r"no stage 'strat'. Did you mean 'start'"),
    "end": ("stages: {cpt: {with: {lr: 1}}}, to: score", r"no stage 'score'. Did you mean 'scores'"),
    "end elsewhere": ("stages: {cpt: {with: {lr: 1}}}, to: tokens", r"`to:` names stage 'tokens', which the variant"),
    "no way": ("stages: {longer: {with: {lr: 1}}, cpt: {with: {lr: 1}}}, to: cpt", r"'longer', which leads to none"),
    "key": ("stage: {cpt: {with: {lr: 1}}}", r"no key 'stage' in a variant. Did you mean 'stages'"),
    "key of a stage": ("stages: {cpt: {wiht: {lr: 1}}}", r"variant 'v', stage 'cpt': there is no key 'wiht'"),
    "param": ("stages: {cpt: {with: {num_token: 1}}}", r"stage 'cpt' .*no parameter 'num_token'.*mean 'num_tokens'"),
    "null": ("stages: {cpt: {with: {rl: null}}}", r"no parameter 'rl'"),
    "nothing": ("about: nothing", r"the variant changes nothing"),
    "nothing new": ("replace: {tokens: tokens}", r"the variant changes nothing"),
    "the same": ("stages: {cpt: {with: {num_tokens: 1e3}}}", r"changes nothing in stage 'cpt'"),
    "a default": ("stages: {start: {with: {seed: 0}}}", r"changes nothing in stage 'start'"),
    "removal": ("stages: {cpt: null}", r"'cpt' must be a mapping.*`replace:"),
    "circle": ("stages: {start: {stage: model.import, from: {tokenizer: null, files: cpt}, with: null}}", r"circle"),
    "input": ("stages: {cpt: {from: {tokens: nothing}}}", r"no stage or input 'nothing'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_variants(tmp_path, case):
    text, says = WRONG[case]
    with pytest.raises(SampanError, match=says) as caught:
        resolve(load_recipe(write(tmp_path, f"  v: {{{text}}}\n")))
    assert len(str(caught.value).splitlines()) == 1, "one paragraph"


def test_wrong_names_of_variants(tmp_path):
    with pytest.raises(SampanError, match="is not 'none'"):
        load_recipe(write(tmp_path, PLAIN.replace("plain:", "none:")))
    with pytest.raises(SampanError, match="needs letters"):
        load_recipe(write(tmp_path, PLAIN.replace("plain:", "a.b:")))
    with pytest.raises(SampanError, match="'plain' is given twice"):
        load_recipe(write(tmp_path, PLAIN * 2))
    taken = GRAPH.replace("stages:", 'inputs: {cpt.plain: "file:x"}\nstages:')
    with pytest.raises(SampanError, match="'cpt.plain' would be a stage of this variant and is there already"):
        load_recipe(write(tmp_path, PLAIN, taken))
    with pytest.raises(SampanError, match=r"no variant 'plan'. Did you mean 'plain'"):
        load_recipe(write(tmp_path, PLAIN), variants=["plan"])
    (tmp_path / "x.yaml").write_text(GRAPH + "variants: [a]\n")
    with pytest.raises(SampanError, match="is a mapping of names"):
        load_recipe(tmp_path / "x.yaml")


VARIANTS = """\
variants:
  half: {about: half is held out, stages: {left: {with: {held_out_share: 0.5}}}}
  bare: {about: no second arm, replace: {left: right}}
"""


def sampan(workshop, capsys, *words: str) -> str:
    assert main([words[0], str(workshop.path), *words[1:], "--store", str(workshop.root)]) == 0
    return capsys.readouterr().out


def test_a_run_builds_variants_and_shares_the_rest(workshop):
    workshop.path.write_text(workshop.path.read_text() + VARIANTS)
    outcome = workshop.run()
    assert outcome.ok
    assert set(outcome.built) == {"table", "left", "right", "both", "left.half", "both.half", "both.bare"}
    digests = workshop.digests()
    assert digests["left.half"] != digests["left"]
    assert set(workshop.statuses().values()) == {HIT}
    assert workshop.run().built == []
    # A copy and the stage that is changed by hand have one key, so a recipe with the change itself finds all.
    workshop.path.write_text(workshop.path.read_text().replace(VARIANTS, ""))
    assert set(workshop.statuses("left.held_out_share=0.5").values()) == {HIT}


def test_commands_take_variants(workshop, capsys):
    workshop.path.write_text(workshop.path.read_text() + VARIANTS)
    told = json.loads(sampan(workshop, capsys, "plan", "--json"))
    assert [each["name"] for each in told["variants"]] == ["half", "bare"]
    assert told["variants"][0]["stages"] == {"left": "left.half", "both": "both.half"}
    text = sampan(workshop, capsys, "plan")
    assert "half is held out" in text
    one = sampan(workshop, capsys, "plan", "--variant", "half")
    assert "both.half" in one
    assert "both.bare" not in one
    assert "variant" not in sampan(workshop, capsys, "plan", "--variant", "none")
    assert "3 built, 0 hits" in sampan(workshop, capsys, "run", "--to", "left", "--to", "left.half")
    assert "2 built, 2 hits" in sampan(workshop, capsys, "run", "--variant", "none")
    sampan(workshop, capsys, "run")
    words = ["show", "chain/left.half", "--store", str(workshop.root)]
    assert main(words) == 0
    assert "left.half: documents" in capsys.readouterr().out
    assert main(["explain", "chain/both", "chain/both.half", "--store", str(workshop.root)]) == 0
    assert "left.half: param held_out_share: 0.3 -> 0.5" in capsys.readouterr().out
    assert main(["show", "chain/left.half@0", "--store", str(workshop.root)]) == 0
