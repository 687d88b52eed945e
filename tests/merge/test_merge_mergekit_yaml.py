"""MergeKit's YAML: what it means here, and that what we lack is refused by name."""

import pytest
import yaml

from sampan.core.errors import InputError, RecipeError
from sampan.core.params import parse_params
from sampan.merge.mergekit_yaml import read_mergekit
from sampan.merge.weights import Params

DARE = """
merge_method: dare_ties
base_model: org/base
models:
  - model: org/base   # no parameters necessary for the base
  - model: ./one
    parameters: {weight: 0.5, density: 0.53}
  - model: ./two
    parameters: {weight: 1}
parameters: {density: 0.4, normalize: true, int8_mask: true, lambda: 0.9}
dtype: bfloat16
tokenizer_source: base
"""


def read(tmp_path, config):
    path = tmp_path / "merge.yml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    plan = read_mergekit(path)
    parse_params(Params, plan.params, where="test")
    return plan


def test_reads_models_knobs_and_output(tmp_path):
    plan = read(tmp_path, DARE)
    assert (plan.base, plan.models) == ("org/base", ["./one", "./two"])
    assert plan.params == {
        "method": "dare_ties",
        "weights": [0.5, 1.0],
        "density": [0.53, 0.4],
        "lambda_": 0.9,
        "normalize": True,
        "dtype": "bfloat16",
        "missing_tokens": "base_row",
    }
    assert plan.notes == []


@pytest.mark.parametrize(
    ("method", "normalize"), [("ties", True), ("della", True), ("dare_ties", False), ("consensus_ta", False)]
)
def test_mergekits_silent_defaults_are_made_explicit(tmp_path, method, normalize):
    config = {"merge_method": method, "base_model": "b", "models": [{"model": "m", "parameters": {"weight": 1}}]}
    params = read(tmp_path, config).params
    assert params["normalize"] is normalize
    assert params.get("k") == (1 if method == "consensus_ta" else None)


def test_linear_without_base_keeps_every_model(tmp_path):
    models = [{"model": name, "parameters": {"weight": 1}} for name in ("a", "b")]
    plan = read(tmp_path, {"merge_method": "linear", "models": models, "dtype": "float16", "out_dtype": "float32"})
    assert (plan.base, plan.models) == (None, ["a", "b"])
    assert plan.params == {"method": "linear", "weights": [1, 1], "normalize": True, "dtype": "float32"}
    plan = read(tmp_path, {"merge_method": "linear", "models": models, "base_model": "a", "tokenizer": {"source": "a"}})
    assert (plan.base, plan.models) == ("a", ["a", "b"])


def changed(**changes):
    config = yaml.safe_load(DARE)
    for path, value in changes.items():
        where, *keys = path.split("__")
        node, last = config, where
        for key in keys:
            node, last = node[last], int(key) if key.isdigit() else key
        node[last] = value
    return config


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slices": []}, "one of the keys 'models' and 'slices'"),
        ({"modules": {}}, "'modules' is not supported.*Sub-modules"),
        ({"model": []}, "'model' is not supported.*Did you mean 'models'"),
        ({"merge_method": "slurp"}, "merge_method 'slurp' is not supported.*Did you mean 'slerp'"),
        ({"merge_method": "slerp"}, "MergeKit needs a number under the key 'parameters.t'"),
        ({"base_model": None}, "needs the key 'base_model'"),
        ({"models": []}, "'models'"),
        ({"models__1__model": "one+lora"}, r"'models\[1\].model' names an adapter"),
        ({"models__1__parameters__weight": []}, r"an empty list stands under the key 'models\[1\].parameters.weight'"),
        (
            {"models__1__parameters__weight": [0, "x"]},
            r"a number is needed under the key 'models\[1\].parameters.weight'",
        ),
        ({"models__1__parameters__weight": [0, {"value": 1}]}, r"mixed in a list.*'models\[1\].*weight\[0\].value'"),
        (
            {"models__2__parameters__weight": [{"filtre": "mlp", "value": 1}]},
            r"'models\[2\].parameters.weight\[0\].filtre' is not supported.*Did you mean 'filter'",
        ),
        ({"models__1__weight": 1}, r"'models\[1\].weight' is not supported"),
        ({"models__2__parameters": {}}, r"'models\[2\].parameters.weight'"),
        ({"models__2__parameters__normalize": True}, r"'models\[2\].parameters.normalize'"),
        ({"models__2__parameters__lambda": 2}, "one value under the key 'lambda'"),
        ({"models__2__parameters__gama": 2}, r"'models\[2\].parameters.gama' is not supported.*Did you mean 'gamma'"),
        ({"parameters__density": "high"}, "a number is needed under the key 'parameters.density'"),
        ({"parameters__normalize": "maybe"}, "true or false"),
        ({"parameters__rescale": False}, "only true is supported under the key 'parameters.rescale'"),
        ({"dtype": "int8"}, "'dtype: int8' is not supported"),
        ({"parameters__normalize": [True]}, "one value for all tensors is needed under the key 'parameters.normalize'"),
        ({"tokenizer_source": "unoin"}, "'tokenizer_source: unoin' is not one of the models.*Did you mean 'union'"),
        ({"tokenizer": {"source": "base"}}, "exclude each other"),
        ({"tokenizer_source": None, "tokenizer": {"sources": "base"}}, "'tokenizer.sources' .*Did you mean 'source'"),
        (
            {"tokenizer_source": None, "tokenizer": {"tokens": {"a": {"source": {"kind": "nil"}}}}},
            "'tokenizer.tokens.a.source.kind: nil'",
        ),
        (
            {"tokenizer_source": None, "tokenizer": {"tokens": {"a": {"source": {"kind": "model_token"}}}}},
            "'tokenizer.tokens.a.source' needs 'model'",
        ),
    ],
)
def test_what_is_missing_here_is_refused_by_name(tmp_path, changes, says):
    with pytest.raises(RecipeError, match=says):
        read(tmp_path, changed(**changes))


def test_first_models_tokenizer(tmp_path):
    assert read(tmp_path, changed(tokenizer_source="./one")).params["tokenizer"] == 0


def test_gradients_filters_and_precedence(tmp_path):
    by_part = [{"filter": "mlp", "value": [0, 1]}, {"filter": "attn", "value": "1e-1"}]
    config = changed(models__1__parameters={"weight": by_part}, parameters__weight=0.7, models__2__parameters={})
    weights = read(tmp_path, config).params["weights"]
    rules = [{"value": [0, 1], "filter": "mlp"}, {"value": 0.1, "filter": "attn"}, {"value": 0.7, "filter": ""}]
    assert weights == [rules, 0.7]
    config = changed(parameters__density={"value": 0.5})
    config["models"][1]["parameters"].pop("density")
    assert read(tmp_path, config).params["density"] == [[{"value": 0.5, "filter": ""}]] * 2


STACK = """
merge_method: passthrough
slices:
  - sources: [{model: ./one, layer_range: [0, 4]}]
  - sources:
      - model: ./two
        layer_range: [2, 6]
        parameters: {scale: [{filter: o_proj, value: 0}, {value: 1}]}
dtype: bfloat16
chat_template: auto
"""


def test_stacked_layers(tmp_path):
    plan = read(tmp_path, STACK)
    assert (plan.base, plan.models) == (None, ["./one", "./two"])
    scale = [{"value": 0, "filter": "o_proj"}, {"value": 1, "filter": ""}]
    assert plan.params == {
        "method": "passthrough",
        "slices": [
            {"sources": [{"model": 0, "layers": [0, 4]}]},
            {"sources": [{"model": 1, "layers": [2, 6], "weight": scale}]},
        ],
        "dtype": "bfloat16",
        "chat_template": "auto",
    }
    for old, new, says in [
        ("[2, 6]", "[2]", r"'slices\[1\].sources\[0\].layer_range'"),
        ("layer_range: [2, 6]", "layers: [2, 6]", r"'slices\[1\].sources\[0\].layer_range'"),
        ("  - sources:\n", "  - residual_weight: 1\n    sources:\n", r"'slices\[1\].residual_weight' is not supported"),
    ]:
        with pytest.raises(RecipeError, match=says):
            read(tmp_path, STACK.replace(old, new))


SLERP = """
merge_method: slerp
base_model: ./base
slices:
  - sources: [{model: ./one, layer_range: [0, 4]}, {model: ./base, layer_range: [0, 4]}]
    parameters: {t: [0, 0.5, 1]}
parameters: {t: 0.5, int8_mask: true, normalize: true}
"""


def test_slerp_goes_from_the_base_and_idle_knobs_are_noted(tmp_path):
    plan = read(tmp_path, SLERP)
    assert plan.models == ["./one", "./base"]
    sources = [{"model": 1, "layers": [0, 4]}, {"model": 0, "layers": [0, 4]}]
    assert plan.params == {"method": "slerp", "slices": [{"sources": sources, "t": [0, 0.5, 1]}], "t": 0.5}
    assert plan.notes == ["slerp does not read parameters.normalize"]
    flat = {"merge_method": "slerp", "base_model": "b", "models": [{"model": "m"}], "parameters": {"t": 0.2}}
    assert read(tmp_path, flat).models == ["b", "m"]


def test_base_takes_part_in_slices_of_differences(tmp_path):
    text = SLERP.replace("slerp", "ties").replace("{t: [0, 0.5, 1]}", "{weight: 0.4}").replace("t: 0.5, ", "")
    plan = read(tmp_path, text)
    sources = [{"model": 0, "layers": [0, 4], "weight": 0.4}, {"model": "base", "layers": [0, 4]}]
    assert (plan.models, plan.params["slices"]) == (["./one"], [{"sources": sources}])
    with pytest.raises(RecipeError, match=r"'slices\[0\].sources\[0\].parameters.weight'"):
        read(tmp_path, text.replace("    parameters: {weight: 0.4}\n", ""))


def test_tokenizers(tmp_path):
    tokens = {
        "a": {"source": "./two"},
        "b": {"source": {"kind": "zero"}, "force": True},
        "c": {"source": {"kind": "model_token", "model": "org/base", "token_id": 3}},
    }
    given = {"source": "union", "tokens": tokens, "pad_to_multiple_of": 8}
    params = read(tmp_path, changed(tokenizer_source=None, tokenizer=given)).params
    assert (params["tokenizer"], params["missing_tokens"], params["pad_to_multiple_of"]) == ("union", "base_row", 8)
    assert params["tokens"] == {
        "a": {"force": False, "source": 1},
        "b": {"force": True, "source": "zero"},
        "c": {"force": False, "source": {"model": "base", "id": 3}},
    }


def test_methods_that_mix_the_base_itself(tmp_path):
    three = [{"model": name} for name in ("a", "b")]
    assert read(tmp_path, {"merge_method": "karcher", "base_model": "c", "models": three}).models == ["a", "b", "c"]
    stock = read(tmp_path, {"merge_method": "model_stock", "base_model": "a", "models": [*three, {"model": "c"}]})
    assert (stock.models, stock.params) == (["b", "c"], {"method": "model_stock"})
    sce = {"merge_method": "sce", "base_model": "c", "models": three, "parameters": {"select_topk": 0.1}}
    assert read(tmp_path, sce).params == {"method": "sce", "density": 0.1}


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_mergekit(tmp_path / "absent.yml")
    for text in ("a: [", "- 1", "null", "\tx"):
        with pytest.raises(RecipeError):
            read(tmp_path, text)
