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
    }


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
        ({"slices": []}, "'slices' is not supported"),
        ({"model": []}, "'model' is not supported.*Did you mean 'models'"),
        ({"merge_method": "slerp"}, "merge_method 'slerp' is not supported"),
        ({"base_model": None}, "needs the key 'base_model'"),
        ({"models": []}, "'models'"),
        ({"models__1__model": "one+lora"}, r"'models\[1\].model' names an adapter"),
        ({"models__1__parameters__weight": [0, 1]}, r"'models\[1\].parameters.weight' is a list: gradients"),
        (
            {"models__2__parameters__weight": [{"filter": "mlp", "value": 1}]},
            r"'models\[2\].parameters.weight' is a list: per-tensor filters",
        ),
        ({"models__2__parameters": {}}, r"'models\[2\].parameters.weight'"),
        ({"models__2__parameters__normalize": True}, r"'models\[2\].parameters.normalize'"),
        ({"models__2__parameters__lambda": 2}, "one value under the key 'lambda'"),
        ({"models__2__parameters__gamma": 2}, r"'models\[2\].parameters.gamma' is not supported"),
        ({"parameters__density": "high"}, "a number is needed under the key 'parameters.density'"),
        ({"parameters__normalize": "maybe"}, "true or false"),
        ({"parameters__rescale": False}, "only true is supported under the key 'parameters.rescale'"),
        ({"dtype": "int8"}, "'dtype: int8' is not supported"),
        ({"tokenizer_source": "union"}, "'tokenizer_source: union' is not supported"),
        ({"tokenizer": {"source": "base", "tokens": {}}}, "'tokenizer'"),
    ],
)
def test_what_is_missing_here_is_refused_by_name(tmp_path, changes, says):
    with pytest.raises(RecipeError, match=says):
        read(tmp_path, changed(**changes))


def test_first_models_tokenizer(tmp_path):
    assert read(tmp_path, changed(tokenizer_source="./one")).params["tokenizer"] == "first"


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_mergekit(tmp_path / "absent.yml")
    for text in ("a: [", "- 1", "null", "\tx"):
        with pytest.raises(RecipeError):
            read(tmp_path, text)
