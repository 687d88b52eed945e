"""The recipe `village-ablations`: what each variant builds again, and that it differs in what it says and in nothing
else."""

from __future__ import annotations

import pytest

from sampan.core.identity import digest_value
from sampan.recipe.load import bundled, load_recipe
from sampan.recipe.plan import make_plan
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

FINE_TUNED = {"cpt", "scores_cpt", "hybrid", "sft_english", "sft", "scores_sft"}
BUILT = {
    "no_replay": FINE_TUNED,
    "no_expansion": {*FINE_TUNED, "region_tokens", "english_tokens", "chat_tokens"},
    "no_bpe_dropout": {*FINE_TUNED, "region_tokens"},
    "no_merge_normalisation": {"merged_stages", "merged_lines", "scores_merged"},
    "no_quality_order": FINE_TUNED,
    "no_self_preference": {"aligned", "scores_aligned", "final", "scores_final"},
    "another_seed": FINE_TUNED,
}
CHANGED = {
    "no_replay": {"cpt"},
    "no_expansion": {"region_tokens", "english_tokens", "chat_tokens", "cpt"},
    "no_bpe_dropout": {"region_tokens"},
    "no_merge_normalisation": {"merged_stages", "merged_lines"},
    "no_quality_order": {"cpt"},
    "no_self_preference": {"aligned", "scores_aligned"},
    "another_seed": {"cpt", "hybrid", "sft_english", "sft"},
}
"""Stages that ask for other work or read another of the recipe's own stages; the rest differs by what is upstream."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    recipe = load_recipe(bundled()["village-ablations"])
    return make_plan(recipe, resolve(recipe), Store(tmp_path_factory.mktemp("empty") / "store"))


def digests(recipe) -> dict[str, str]:
    """What each stage would be built from, all the way down: equal where keys would be."""
    found: dict[str, str] = {}
    for name, node in resolve(recipe).items():
        sources = {role: [found.get(given, given) for given in names] for role, names in node.decl.sources.items()}
        found[name] = digest_value([node.decl.kind, node.decl.params, sources])
    return found


def test_each_variant_says_what_it_is_and_how_it_is_judged(plan):
    variants = plan.recipe.variants
    assert list(variants) == list(BUILT)
    assert all(variant.about for variant in variants.values())
    for variant in variants.values():
        assert any(stage.startswith("scores_") for stage in variant.stages), variant.name


@pytest.mark.parametrize("name", BUILT)
def test_a_variant_builds_these_stages_again_and_no_others(plan, name):
    recipe = plan.recipe
    variant, own = recipe.variants[name], digests(recipe)
    assert set(variant.stages) == BUILT[name]
    assert all(own[stage] != own[copy] for stage, copy in variant.stages.items()), "every copy is other work"
    changed = set()
    for stage, copy in variant.stages.items():
        mine, theirs = recipe.stages[stage], recipe.stages[copy]
        back = {made: stage for stage, made in variant.stages.items()}
        sources = {role: [back.get(given, given) for given in names] for role, names in theirs.sources.items()}
        if mine.params != theirs.params or mine.sources != sources:
            changed.add(stage)
    assert changed == CHANGED[name]


def test_the_recipe_itself_is_the_same_without_its_variants(plan):
    alone = digests(load_recipe(bundled()["village-ablations"], variants=["none"]))
    with_variants = digests(plan.recipe)
    assert alone == {stage: with_variants[stage] for stage in alone}


def test_the_base_is_the_village_s_own(plan):
    village, own = digests(load_recipe(bundled()["village"])), digests(plan.recipe)
    assert all(village[stage] == own[stage] for stage in ("english", "base_vocab", "base_tokens", "base"))


def test_what_is_left_out_is_all_that_is_left_out(plan):
    """The same tokens of each quality with and without its order; without replay as many of the region's."""
    parts = {name: plan.steps[name].estimate["tokens_by_source"] for name in ("cpt", "cpt.no_replay")}
    constant = plan.steps["cpt.no_quality_order"].estimate["tokens_by_source"]
    # sums of three products of decimals: rounding is some 1e-16 each
    assert constant == pytest.approx(parts["cpt"], rel=1e-12)
    region = {key.removeprefix("0/"): tokens for key, tokens in parts["cpt"].items() if key.startswith("0/")}
    assert region == pytest.approx(parts["cpt.no_replay"], rel=1e-12)
    assert parts["cpt"]["1/*"] == pytest.approx(0.2 * 1e6)


def test_the_variants_cost_no_more_than_the_recipe_is_worth(plan):
    """A quarter of an hour of one core for the six ablations, by the plan's forecast."""
    copies = [copy for v in plan.recipe.variants.values() if v.name != "another_seed" for copy in v.stages.values()]
    assert sum(plan.steps[copy].estimate.get("seconds", 0) for copy in copies) < 15 * 60
