"""merge.weights against mergekit on the same YAML: random small Llama, Gemma-2, Qwen2 and Mistral checkpoints.

    python benchmarks/merge_equals_mergekit.py [--peer PYTHON] [--out benchmarks/results/merge_equals_mergekit.json]

Every method that both have, at density 1 or otherwise without chance, with float32 arithmetic and bfloat16 output; then
gradients and filters, stacked layers, and vocabularies that differ. The difference of two numbers is counted in steps
of bfloat16 at the larger of the two. Where terms cancel, what is left can be all rounding, and steps at it say nothing:
elements that differ by less than a float32 step at the tensor's largest element are counted apart, as `cancelled`, with
the largest such difference. Trims compare float32 checkpoints: the task vectors of bfloat16 ones have many
equal magnitudes, of which mergekit keeps some and we keep all (docs/why/merging.md).
The peer's environment: benchmarks/peers/mergekit.txt, its Python in $SAMPAN_MERGEKIT_PYTHON or --peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from result import conclude

from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.merge.mergekit_yaml import read_mergekit
from sampan.merge.weights import STAGE, Params
from sampan.model.tensors import TensorFolder

PEER = Path(os.environ.get("SAMPAN_MERGEKIT_PYTHON", ".venv-mergekit/bin/python"))
SCRIPT = Path(__file__).parent / "peers" / "merge_with_mergekit.py"
SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
STEP = 0.01
"""Standard deviation of a fine-tune's difference from the base, half that of the base's matrices."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def configs() -> dict:
    import transformers as hf

    hf.utils.logging.disable_progress_bar()
    return {
        "llama": hf.LlamaConfig(**SIZES, tie_word_embeddings=False),
        "gemma2": hf.Gemma2Config(**SIZES, head_dim=8),
        "qwen2": hf.Qwen2Config(**SIZES, tie_word_embeddings=False),
        "mistral": hf.MistralConfig(**SIZES, tie_word_embeddings=False),
    }


def write_models(folder: Path, config, dtype: str) -> None:
    """A base and three fine-tunes of it, rounded to `dtype`."""
    import torch
    import transformers as hf

    torch.manual_seed(0)
    base = hf.AutoModelForCausalLM.from_config(config)
    start = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    for number, name in enumerate(("base", "one", "two", "three")):
        torch.manual_seed(number)
        for key, tensor in base.state_dict().items():
            tensor.copy_(start[key] + (STEP * torch.randn(tensor.shape) if number else 0))
        base.to(getattr(torch, dtype)).save_pretrained(folder / name)
        base.to(torch.float32)


def write_vocabularies(folder: Path, config) -> None:
    """Three models whose tokenizers share some tokens, under other ids."""
    import torch
    import transformers as hf
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"base": LETTERS[:20], "one": LETTERS[19::-1] + "XY", "two": LETTERS[5:26]}
    for number, (name, letters) in enumerate(words.items()):
        torch.manual_seed(number)
        config.vocab_size = len(letters) + 1
        hf.AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder / name)
        vocab = {"<unk>": 0} | {letter: i for i, letter in enumerate(letters, 1)}
        tokenizer = Tokenizer(models.BPE(vocab, [], unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        wrapped = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
        wrapped.save_pretrained(folder / name)


def several(folder: Path, *names: str, **parameters) -> list[dict]:
    """Models with a weight each, 0.3, 0.5, …"""
    return [
        {"model": str(folder / name), "parameters": {"weight": 0.3 + 0.2 * i} | parameters}
        for i, name in enumerate(names)
    ]


def method_cases(folder: Path) -> dict[str, dict]:
    """MergeKit configurations by name, for one architecture."""
    base, three = str(folder / "base"), several(folder, "one", "two", "three")
    bare = [{"model": item["model"]} for item in three]
    cases: dict[str, dict] = {}
    for method in ("task_arithmetic", "ties", "dare_linear", "dare_ties", "della", "della_linear"):
        for normalize in (False, True):
            cases[f"{method}, normalize {str(normalize).lower()}"] = {
                "merge_method": method,
                "base_model": base,
                "models": three,
                "parameters": {"normalize": normalize, "density": 1.0, "lambda": 0.8},
            }
    for method in ("breadcrumbs", "breadcrumbs_ties"):
        cases[method] = {"merge_method": method, "base_model": base, "models": three, "parameters": {"density": 1.0}}
    cases["linear"] = {"merge_method": "linear", "models": three}
    cases["linear, normalize false"] = cases["linear"] | {"parameters": {"normalize": False}}
    cases["slerp"] = {"merge_method": "slerp", "base_model": base, "models": bare[:1], "parameters": {"t": 0.3}}
    cases["nuslerp"] = {"merge_method": "nuslerp", "models": three[:2]}
    cases["nuslerp with base"] = cases["nuslerp"] | {"base_model": base}
    cases["nuslerp by rows"] = cases["nuslerp with base"] | {"parameters": {"nuslerp_flatten": False}}
    cases["karcher"] = {"merge_method": "karcher", "models": bare, "parameters": {"max_iter": 50, "tol": 1e-9}}
    cases["model_stock"] = {"merge_method": "model_stock", "base_model": base, "models": bare}
    cases["model_stock by rows"] = cases["model_stock"] | {"parameters": {"filter_wise": True}}
    cases["sce"] = {"merge_method": "sce", "base_model": base, "models": bare}
    cases["passthrough"] = {"merge_method": "passthrough", "models": bare[:1]}
    return cases


def trim_cases(folder: Path) -> dict[str, dict]:
    base, three = str(folder / "base"), several(folder, "one", "two", "three")
    cases = {
        method: {"merge_method": method, "base_model": base, "models": three, "parameters": {"density": 0.5, **more}}
        for method, more in (("ties", {}), ("breadcrumbs", {"gamma": 0.125}), ("breadcrumbs_ties", {"gamma": 0.125}))
    }
    bare = [{"model": item["model"]} for item in three]
    cases["sce"] = {"merge_method": "sce", "base_model": base, "models": bare, "parameters": {"select_topk": 0.5}}
    return {f"{name}, half trimmed": case for name, case in cases.items()}


def layer_cases(folder: Path) -> dict[str, dict]:
    base, one, two = (str(folder / name) for name in ("base", "one", "two"))
    by_part = [{"filter": "self_attn", "value": [0, 0.5, 1]}, {"filter": "mlp", "value": [1, 0]}, {"value": 0.5}]
    pair = [{"model": base, "layer_range": [0, 3]}, {"model": one, "layer_range": [0, 3]}]
    scaled = {"scale": [{"filter": "o_proj", "value": 0.5}, {"value": 1}]}
    return {
        "slerp, t by part and depth": {
            "merge_method": "slerp",
            "base_model": base,
            "slices": [{"sources": pair}],
            "parameters": {"t": by_part},
        },
        "ties, weights by part and depth": {
            "merge_method": "ties",
            "base_model": base,
            "models": [
                {"model": one, "parameters": {"weight": by_part}},
                {"model": two, "parameters": {"weight": [0.2, 0.9]}},
            ],
            "parameters": {"normalize": False},
        },
        "passthrough, layers stacked": {
            "merge_method": "passthrough",
            "slices": [
                {"sources": [{"model": one, "layer_range": [0, 2]}]},
                {"sources": [{"model": two, "layer_range": [0, 3], "parameters": scaled}]},
            ],
        },
        "task_arithmetic of slices": {
            "merge_method": "task_arithmetic",
            "base_model": base,
            "slices": [
                {
                    "sources": [
                        {"model": base, "layer_range": [0, 2]},
                        {"model": one, "layer_range": [1, 3], "parameters": {"weight": [1, 0]}},
                        {"model": two, "layer_range": [0, 2], "parameters": {"weight": 0.5}},
                    ]
                },
                {
                    "sources": [
                        {"model": base, "layer_range": [2, 3]},
                        {"model": two, "layer_range": [2, 3], "parameters": {"weight": 0.25}},
                        {"model": one, "layer_range": [2, 3], "parameters": {"weight": 0.75}},
                    ]
                },
            ],
        },
    }


def vocabulary_cases(folder: Path) -> dict[str, dict]:
    base, both = str(folder / "base"), several(folder, "one", "two")
    with_base = [{"model": base, "parameters": {"weight": 0.2}}, *both]
    a_token = {"kind": "model_token", "model": str(folder / "two"), "token": "z"}
    return {
        "union": {"merge_method": "linear", "base_model": base, "models": with_base, "tokenizer_source": "union"},
        "base's": {"merge_method": "task_arithmetic", "base_model": base, "models": both, "tokenizer_source": "base"},
        "another model's": {
            "merge_method": "linear",
            "base_model": base,
            "models": with_base,
            "tokenizer_source": str(folder / "two"),
        },
        "sources of tokens": {
            "merge_method": "linear",
            "base_model": base,
            "models": with_base,
            "tokenizer": {
                "source": "union",
                "tokens": {
                    "X": {"source": a_token},
                    "a": {"source": {"kind": "zero"}, "force": True},
                    "z": {"source": str(folder / "two"), "force": True},
                },
            },
        },
    }


def our_merge(config: Path, out: Path, state: Path) -> None:
    plan = read_mergekit(config)
    made = [Artifact(path=Path(name), kind="checkpoint", digest=name, name=Path(name).name) for name in plan.models]
    base = [Artifact(path=Path(plan.base), kind="checkpoint", digest=plan.base, name="base")] if plan.base else []
    for folder in (out, state):
        folder.mkdir(parents=True)
    STAGE.run(
        parse_params(Params, plan.params, where=str(config)),
        Inputs({"base": base, "models": made}),
        Runtime(out=out, state=state),
    )


def steps_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b| in steps of bfloat16 (8 bits of significand) at the larger of the two; 0 where both are 0."""
    _, exponent = np.frexp(np.maximum(np.maximum(np.abs(a), np.abs(b)), 2.0**-126))
    return np.abs(a - b) / np.ldexp(1.0, exponent - 8)


def rows_by_token(folder: Path) -> dict[str, int]:
    vocab = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return vocab["model"]["vocab"] | {item["content"]: item["id"] for item in vocab["added_tokens"]}


def compare(ours: Path, theirs: Path, *, by_token: bool = False) -> dict:
    """The largest difference in steps, and the share of elements that differ at all."""
    worst, differ, total, cancelled, apart = (0.0, ""), 0, 0, 0, 0.0
    with TensorFolder(ours) as a, TensorFolder(theirs) as b:
        if set(a) != set(b):
            raise SystemExit(f"other tensors: {sorted(set(a) ^ set(b))}")
        for name in a:
            x, y = a.read(name), b.read(name)
            if by_token and name in ("model.embed_tokens.weight", "lm_head.weight"):
                mine, other = rows_by_token(ours), rows_by_token(theirs)
                if set(mine) != set(other):
                    raise SystemExit(f"other tokens: {sorted(set(mine) ^ set(other))}")
                x, y = (v[[rows[token] for token in sorted(rows)]] for v, rows in ((x, mine), (y, other)))
            steps = steps_apart(x, y)
            rounding = (steps > 1) & (np.abs(x - y) < np.abs(x).max() * 2.0**-23)
            cancelled += int(np.count_nonzero(rounding))
            apart = max(apart, float(np.abs(x - y)[rounding].max(initial=0)))
            steps[rounding] = 0
            worst = max(worst, (float(steps.max()), name))
            differ, total = differ + int(np.count_nonzero(x != y)), total + steps.size
    sizes = [json.loads((folder / "config.json").read_text("utf-8")) for folder in (ours, theirs)]
    for key in ("num_hidden_layers", "vocab_size"):
        if sizes[0][key] != sizes[1][key]:
            raise SystemExit(f"{key} is {sizes[0][key]} here and {sizes[1][key]} there")
    return {
        "steps": round(worst[0], 3),
        "where": worst[1] if worst[0] else "",
        "share_that_differs": differ / total,
        "cancelled": cancelled,
        "cancelled_apart": apart,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=PEER, help="mergekit's Python")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results, versions = run_all(Path(name), options.peer)
    for name, result in results.items():
        print(
            f"{name:50} {result['steps']:6.3f} steps, {result['share_that_differs']:.5%} differ, "
            f"{result['cancelled']} cancelled ({result['cancelled_apart']:.1e})"
        )
    worst = max(result["steps"] for result in results.values())
    line = {
        "claim": "merges of mergekit's YAML differ from mergekit's by at most one step of bfloat16",
        "ours": worst,
        "peer": 0,
        "ratio": None,
        "bar": "≤ 1 step in every element of every case that is not lost in cancellation",
        "cancelled": sum(result["cancelled"] for result in results.values()),
        "ok": worst <= 1,
    }
    return conclude(line, options.out, packages=("numpy",), versions=versions, details={"cases": results})


def run_all(work: Path, peer: Path) -> tuple[dict[str, dict], dict[str, str]]:
    """Both sides on every case: results by case, and the peer's versions."""
    cases: dict[str, dict] = {}
    for kind, config in configs().items():
        write_models(work / kind, config, "bfloat16")
        cases |= {f"{kind}: {name}": case for name, case in method_cases(work / kind).items()}
    write_models(work / "exact", configs()["llama"], "float32")
    cases |= {f"llama in float32: {name}": case for name, case in trim_cases(work / "exact").items()}
    cases |= {f"llama: {name}": case for name, case in layer_cases(work / "llama").items()}
    write_vocabularies(work / "words", configs()["llama"])
    cases |= {f"vocabularies: {name}": case for name, case in vocabulary_cases(work / "words").items()}
    jobs = []
    for number, case in enumerate(cases.values()):
        path = work / f"{number}.yml"
        path.write_text(yaml.safe_dump(case | {"dtype": "float32", "out_dtype": "bfloat16"}, sort_keys=False), "utf-8")
        jobs.append([str(path), str(work / "theirs" / str(number))])
        our_merge(path, work / "ours" / str(number), work / "state" / str(number))
    (work / "jobs.json").write_text(json.dumps(jobs), "utf-8")
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run([peer, SCRIPT, work / "jobs.json"], capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found = {
        name: compare(work / "ours" / str(i), work / "theirs" / str(i), by_token=name.startswith("vocabularies"))
        for i, name in enumerate(cases)
    }
    return found, json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
