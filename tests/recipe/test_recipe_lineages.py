"""The published lineages as recipes: planned without a download, against the papers' numbers, and their small twins."""

from __future__ import annotations

import json
import time

import pytest

from sampan.core.errors import RecipeError
from sampan.recipe.load import bundled, load_recipe
from sampan.recipe.plan import check_inputs, make_plan
from sampan.recipe.published import compare
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

LINEAGES = ("sealllm-v1-13b", "sealllm-v2-7b", "sealllm-v2.5-7b", "sea-lion-v3-llama-8b", "sea-lion-v3-gemma-9b")
LLAMA, GEMMA = "sea-lion-v3-llama-8b", "sea-lion-v3-gemma-9b"

CARD = {  # billions of tokens, from the models' cards
    "the_stack_v2": 40, "dolma": 37.5, "fineweb_edu": 7.5, "english_other": 5, "zh_pile_v1": 12, "zh_other": 14,
    "vi_pile_v1": 8.4, "vinbigdata": 16, "vi_other": 1.6, "id_pile_v1": 7, "id_pile_v2": 7, "id_other": 12,
    "th_pile_v1": 10.7, "wangchanberta": 8.5, "th_other": 0.8, "tl_ms_ta_pile_v1": 4.28, "tl_ms_ta_other": 1.72,
    "km_lo_my_pile_v1": 5.2, "km_lo_my_other": 0.8,
}  # fmt: skip


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """The plans of the full-size recipes in an empty store."""
    store = Store(tmp_path_factory.mktemp("empty") / "store")
    found = {}
    for name in LINEAGES:
        recipe = load_recipe(bundled()[name])
        found[name] = make_plan(recipe, resolve(recipe), store)
    return found


@pytest.mark.parametrize("name", LINEAGES)
def test_a_lineage_is_planned_without_its_inputs_and_asks_for_them_when_run(plans, name):
    plan = plans[name]
    trained = [step for step in plan.steps.values() if step.node.decl.kind.startswith("train.")]
    assert all(step.estimate["flops"] > 0 and step.estimate["parameters"] > 6e9 for step in trained)
    with pytest.raises(RecipeError) as caught:
        check_inputs(plan)
    said = str(caught.value)
    assert len(said.splitlines()) == 1, "one paragraph"
    assert f"{name.split('-gemma')[0]}" in said or ".yaml:" in said
    for wanted in plan.missing:
        assert f"'{wanted}'" in said
        assert plan.recipe.given[wanted].about in said
    assert f"--set inputs.{plan.missing[0]}=PATH" in said
    assert "40 hex digits" in said


@pytest.mark.parametrize("name", LINEAGES)
def test_models_have_the_parameters_of_their_shape(plans, name):
    """Written out from each config.json: attention, feed-forward, norms, embeddings."""
    feed, kv, norms = {
        "sealllm-v1-13b": (13824, 5120, 2),
        "sealllm-v2-7b": (14336, 1024, 2),
        "sealllm-v2.5-7b": (24576, 4096, 2),
        LLAMA: (14336, 1024, 2),
        GEMMA: (14336, 2048, 4),
    }[name]
    facts = plans[name].recipe.given["base"].facts
    width, rows = facts["hidden_size"], facts["vocab_size"] * facts["hidden_size"]
    block = 2 * width * facts["attention_size"] + 2 * width * kv + 3 * width * feed + norms * width
    assert facts["parameters"] == facts["num_layers"] * block + rows * (1 if facts["tied"] else 2) + width


@pytest.mark.parametrize(("name", "size"), [("sealllm-v1-13b", 48_512), ("sealllm-v2-7b", 48_384)])
def test_vocabularies_have_their_published_size(plans, name, size):
    assert plans[name].steps["expanded"].estimate["vocab_size"] == size
    assert plans[name].steps["aligned"].estimate["vocab_size"] == size


@pytest.mark.parametrize("name", [LLAMA, GEMMA])
def test_steps_and_tokens_are_those_of_the_cards(plans, name):
    steps = plans[name].steps
    assert steps["cpt"].estimate["steps"] == 47_684
    assert steps["cpt"].estimate["tokens"] == steps["mix"].estimate["tokens"] == 200e9
    by_source = steps["mix"].estimate["tokens_by_source"]
    assert by_source == {source: round(billions * 1e9) for source, billions in CARD.items()}
    assert sum(by_source.values()) == 200e9
    english = sum(by_source[source] for source in ("dolma", "fineweb_edu", "english_other"))
    code = by_source["the_stack_v2"]
    assert (english, code, 200e9 - english - code) == (50e9, 40e9, 110e9)


def figures(plan, what):
    return {each.figure.stages[0]: each for each in compare(plan.recipe, plan.steps) if each.figure.what == what}


def test_hours_are_predicted_from_public_runs_of_the_stack(plans):
    """The bar is 15 %. MFU comes from benchmarks that others published, not from the figure that is predicted."""
    llama, gemma = figures(plans[LLAMA], "hours")["cpt"], figures(plans[GEMMA], "hours")["cpt"]
    seallm = figures(plans["sealllm-v1-13b"], "hours")["cpt"]
    assert llama.figure.value == 136
    assert abs(llama.error) < 0.15
    assert seallm.figure.value == 4 * 7 * 24
    assert abs(seallm.error) < 0.15
    # Gemma's run was slower than any such benchmark: the bar is not met, and its own MFU is what is said of it
    assert gemma.figure.value == 240
    assert -0.35 < gemma.error < -0.15
    assert 0.2 < gemma.implied < 0.25
    for each in (llama, gemma, seallm):
        own = each.planned * each.mfu / each.implied
        assert own == pytest.approx(each.figure.value), "at the MFU that a figure implies, the figure comes out"


def test_post_training_of_one_lineage_predicts_the_other(plans):
    """The same data and stack at two sizes: what 1,024 GPU-hours imply for Llama predicts Gemma's 1,350 within 15 %."""
    llama, gemma = (figures(plans[name], "device_hours")["stage_1"] for name in (LLAMA, GEMMA))
    assert (llama.figure.value, gemma.figure.value) == (1024, 1350)
    assert gemma.stack_mfu == pytest.approx(llama.implied, abs=5e-4), "the recipe states what the other implies"
    assert abs(gemma.error) < 0.15


def test_figures_are_checked(tmp_path):
    text = (
        "recipe: r\nstages:\n  a: {stage: corpus.village}\npublished:\n  - {stages: [a], source: s, value: 1, WHAT}\n"
    )
    for what, says in [
        ("what: steps, machine: h100", "times need"),
        ("what: hours", "times need"),
        ("what: wise", "what"),
        ("what: steps, stages: [b]", "given twice"),
    ]:
        (tmp_path / "r.yaml").write_text(text.replace("WHAT", what))
        with pytest.raises(RecipeError, match=says):
            compare(load_recipe(tmp_path / "r.yaml"), {})


@pytest.mark.parametrize("name", LINEAGES)
def test_planning_a_lineage_is_quick(name, tmp_path):
    """The bar of `plan` is 300 ms; reading, resolving and planning may take half of it (processor time: others run)."""
    store = Store(tmp_path / "store")
    best = 9.0
    for _ in range(3):
        clock = time.process_time()
        recipe = load_recipe(bundled()[name])
        compare(recipe, make_plan(recipe, resolve(recipe), store).steps)
        best = min(best, time.process_time() - clock)
    assert best < 0.15


def _but_the_judge(full, twin):
    """What a twin's stage reads; where the full one asks a judge at an endpoint, without the model that judges instead:
    one of the recipe's own, so that the graph has no other stages."""
    if not full.params.get("base_url"):
        return twin.sources
    assert twin.params["base_url"] == ""
    (judge,) = twin.sources["judge"]
    assert judge in ("sft", "stage_2")
    return {role: names for role, names in twin.sources.items() if role != "judge"}


@pytest.mark.parametrize("name", LINEAGES)
def test_every_step_is_scored_as_the_papers_scored_it(plans, name):
    """The stages that ask what was published, and every trained or merged model among those that they ask."""
    stages = plans[name].recipe.stages
    asked = {}
    for decl in stages.values():
        for model in decl.sources.get("models", []) if decl.kind.startswith("evals.") else []:
            asked.setdefault(model, set()).add((decl.kind, decl.params.get("benchmark") or decl.params.get("profile")))
    suites = {"sea_helm_v1": "evals.sea_helm", "open_llm_leaderboard_v2": "evals.lm_eval"}
    for model, decl in stages.items():
        if decl.kind.startswith(("train.", "merge.")):
            if name.startswith("sea-lion"):
                assert {(kind, suite) for suite, kind in suites.items()} <= asked[model], model
            else:
                assert {("evals.run", None), ("evals.lm_eval", None)} <= asked[model], model
    told = {test for each in asked.values() for test in each}
    benches = ["sea_mtbench"] if name.startswith("sea-lion") else ["sea_bench", "mt_bench"]
    assert {("evals.judge", bench) for bench in benches} <= told
    tasks = {task for decl in stages.values() for task in decl.params.get("tasks", [])}
    if name.startswith("sealllm"):
        assert {"m3exam", "mmlu", "flores", "xquad", "xlsum", "gsm8k", "math", "mgsm"} <= tasks
        assert ("vmlu" in tasks) == (name == "sealllm-v2.5-7b")


def test_what_is_optional_is_built_only_when_asked_for(tmp_path, capsys):
    from sampan.cli.main import main

    def planned(*words):
        assert main(["plan", "sealllm-v1-13b-tiny", "--store", str(tmp_path), "--json", *words]) == 0
        return {stage["name"] for stage in json.loads(capsys.readouterr().out)["stages"]}

    assert "mmlu" not in planned()
    assert {"mmlu", "aligned"} <= planned("--to", "mmlu")
    text = bundled()["sealllm-v1-13b-tiny"].read_text(encoding="utf-8")
    (tmp_path / "r.yaml").write_text(f"{text}optional: [mmlo]\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="'mmlo', which is no stage.*Did you mean 'mmlu'"):
        load_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize("name", LINEAGES)
def test_the_twin_is_the_same_graph(name, tmp_path):
    """Stage for stage the same kind, roles and edges; what was an input is a stage of that name, and what the village
    adds feeds such stages alone."""
    full, twin = load_recipe(bundled()[name]), load_recipe(bundled()[f"{name}-tiny"])
    assert twin.name == f"{name}-tiny"
    assert not twin.inputs
    used = {source for stage in full.stages.values() for names in stage.sources.values() for source in names}
    for stage_name, stage in full.stages.items():
        other = twin.stages[stage_name]
        assert (other.kind, _but_the_judge(stage, other)) == (stage.kind, stage.sources), stage_name
    stand_ins = twin.stages.keys() & full.inputs.keys()
    assert stand_ins == full.inputs.keys() & used == full.inputs.keys(), "every input is used and has a stand-in"
    helpers = twin.stages.keys() - full.stages.keys() - stand_ins
    assert all(helper.startswith("village_") for helper in helpers)
    plan = make_plan(twin, resolve(twin), Store(tmp_path / "store"))  # a dry run: kinds fit, params are valid
    assert not plan.missing
    assert not compare(twin, plan.steps)
    reachable = {parent for step in plan.steps.values() for parent in step.node.parents}
    assert helpers | stand_ins <= reachable, "nothing is built for nobody"
