"""What cannot be is said by `plan`, with file and line, and not after the stages before it have run for hours."""

from __future__ import annotations

import pytest

from sampan.core.errors import RecipeError
from sampan.recipe.load import load_recipe
from sampan.recipe.plan import make_plan
from sampan.recipe.resolve import resolve
from sampan.store.store import Store

RECIPE = """\
recipe: late
inputs: {{rows: "dir:rows", held: "dir:rows", text: "dir:rows"}}
stages:
  vocab: {{stage: vocab.train, from: {{documents: text}}}}
  base:  {{stage: model.init, from: {{tokenizer: vocab}}, with: {{context_len: 512}}}}
  sft:   {{stage: train.sft, from: {{model: base, conversations: rows}}, with: {{context_len: 512}}}}
  last:  {{stage: {stage}, from: {{{sources}}}, with: {{{params}}}}}
"""
PACKED = "model: sft, tokens: rows"
PAIRS = "model: sft, preferences: rows"
MERGED = "base: base, models: [sft, base]"
SHORT = "context_len: 512, "


@pytest.fixture
def planned(tmp_path):
    def plan(stage: str, sources: str, params: str):
        (tmp_path / "rows").mkdir(exist_ok=True)
        (tmp_path / "rows" / "rows.jsonl").write_text("{}\n")
        path = tmp_path / "late.yaml"
        path.write_text(RECIPE.format(stage=stage, sources=sources, params=params))
        recipe = load_recipe(path, ())
        return make_plan(recipe, resolve(recipe), Store(tmp_path / "store"))

    return plan


@pytest.mark.parametrize(
    ("stage", "sources", "params", "says"),
    [
        ("train.distil", "model: sft, teacher: base", SHORT, "either conversations or tokens"),
        ("train.distil", "model: sft, teacher: base, tokens: rows", SHORT + "divergence: dpo", "does not compare"),
        ("train.distil", "model: sft, teacher: base, tokens: rows", SHORT + "divergence: forward_k", "'forward_kl'"),
        (
            "train.distil",
            "model: sft, teacher: base, conversations: rows",
            SHORT + "num_tokens: 9e9",
            "num_tokens is for the input `tokens`",
        ),
        ("train.causal_lm", PACKED, SHORT + "held_out_every: 10", "held_out_every has nothing to measure"),
        ("train.sft", "model: sft, conversations: rows", SHORT + "held_out_every: 10", "nothing to measure"),
        ("train.preference", PAIRS, SHORT + "held_out_every: 10", "nothing to measure"),
        ("train.causal_lm", PACKED, "context_len: 100000", "longer than the model's window of 512 tokens"),
        ("train.sft", "model: sft, conversations: rows", "context_len: 513", "window of 512"),
        ("train.preference", PAIRS, "context_len: 513", "window of 512"),
        ("train.find_neurons", PACKED, "language: tha_Thai, context_len: 513", "window of 512"),
        ("train.causal_lm", PACKED, SHORT + "head_lr_scale: 2.0", "head is its embeddings"),
        ("train.causal_lm", PACKED, SHORT + "warmup_share: 0.6, decay_share: 0.6", "together more than the run"),
        (
            "train.causal_lm",
            PACKED,
            SHORT + "num_tokens: 1e6, global_batch_tokens: 1e5, warmup_steps: 20",
            "longer than the run",
        ),
        ("train.causal_lm", PACKED, SHORT + "num_tokens: 9e5, global_batch_tokens: 1e6, tail: drop", "do not fill"),
        (
            "train.causal_lm",
            PACKED + ", mixture: text",
            SHORT + "mixture: [{until: 1, weights: {tha_Thai: 1}}]",
            "given twice",
        ),
        ("train.causal_lm", PACKED + ", neurons: text", SHORT + "lora_rank: 4", "neurons.*so does lora_rank"),
        ("train.preference", PAIRS, SHORT + "objective: sft", "does not learn from answers"),
        ("synth.self_preference", "model: sft, prompts: rows", "max_new_tokens: 512", "no room for a prompt"),
        ("merge.weights", "models: [sft, base]", "method: ties, normalize: true", "ties needs a base"),
        ("merge.weights", "base: base, models: [sft]", "method: slerp", "slerp merges 2 models, not 1"),
        ("merge.weights", MERGED, "method: linear, normalize: true, density: 0.5", "linear has no density"),
        ("merge.weights", MERGED, "method: model_stock, weights: [1, 1]", "model_stock has no weights"),
        ("merge.search", "models: [sft, base], held_out: rows", "methods: [ties]", "ties needs a base"),
        (
            "merge.search",
            MERGED + ", held_out: rows",
            "methods: [ties], start: [{method: ties, weights: [1]}]",
            "a weight for every model",
        ),
    ],
)
def test_is_refused_before_anything_is_built(planned, stage, sources, params, says):
    with pytest.raises(RecipeError, match=rf"late\.yaml:7.*{says}"):
        planned(stage, sources, params)


@pytest.mark.parametrize(
    ("stage", "sources", "params"),
    [
        ("train.causal_lm", PACKED + ", held_out: held", "context_len: 512, held_out_every: 10"),
        ("train.distil", "model: sft, teacher: base, tokens: rows", "context_len: 512, num_tokens: 9e9"),
        ("train.causal_lm", PACKED, SHORT + "warmup_share: 0.7, decay_share: 0.3"),
        ("synth.self_preference", "model: sft, prompts: rows", "max_new_tokens: 100"),
        ("merge.weights", "models: [sft, base]", "method: slerp"),
        ("merge.weights", MERGED, "method: breadcrumbs, normalize: false, density: 0.5, gamma: 0.1"),
        ("merge.search", MERGED + ", held_out: rows", "methods: [ties, linear]"),
    ],
)
def test_what_can_be_is_planned(planned, stage, sources, params):
    assert set(planned(stage, sources, params).steps) == {"vocab", "base", "sft", "last"}


def test_what_a_method_takes_is_read_from_its_source_as_it_is():
    from sampan.merge.methods import METHODS
    from sampan.merge.refusals import Takes, what_it_takes

    for name in METHODS:
        method = METHODS.load(name)
        expected = {field: getattr(method, field) for field in Takes.__dataclass_fields__}
        assert what_it_takes(name) == Takes(**expected)


def test_what_an_objective_takes_is_read_from_its_source_as_it_is():
    import inspect

    from sampan.train.objectives import OBJECTIVES

    for name in OBJECTIVES:
        assert OBJECTIVES.arguments(name) == set(inspect.signature(OBJECTIVES.load(name)).parameters)
