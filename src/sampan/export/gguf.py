"""`export.gguf`: a checkpoint as one unquantised GGUF file for llama.cpp and its kin, read back and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..core.params import params
from ..core.stage import Artifact, Inputs, Role, Runtime, Stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from .gguf_vocab import Vocabulary
    from .weights import Weights

FILE = "model.gguf"
FILE_TYPES = {"float32": 0, "float16": 1, "bfloat16": 32}
"""GGUF's general.file_type of an unquantised file."""


@params
class Params:
    dtype: Literal["keep", "float32", "float16", "bfloat16"] = "keep"
    """Type of the matrices (norms and biases are float32, as llama.cpp requires); `keep` takes the checkpoint's."""
    pre_type: str = ""
    """llama.cpp's name for a byte-level pre-tokenizer, such as `llama-bpe`; found by its regex if empty."""
    allow_other_tokens: bool = False
    """Export even where llama.cpp would cut text into other tokens than the model was trained on."""
    temperature: float = 0.7
    """Default sampling temperature in the file; ours, not the paper's."""
    top_p: float = 0.9
    """Default nucleus in the file; ours, not the paper's."""
    repeat_penalty: float = 1.0
    """Default repeat penalty in the file; SeaLLMs had to warn llama.cpp's users to set 1."""
    languages: tuple[str, ...] = ()
    """Languages the card names, as `tha_Thai`; none are claimed if empty."""
    title: str = ""
    """Name in the file and heading of the card; the model's name in the recipe if empty."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..model.tokenizer import load_tokenizer
    from .gguf_file import verify_gguf, write_gguf
    from .gguf_model import full_config, gguf_tensors, metadata, plan_tensors, shape_of
    from .gguf_parity import check_parity
    from .gguf_vocab import read_vocabulary
    from .weights import Weights, check_vocabulary

    model = inputs.one("model")
    config = full_config(model.path)
    shape = shape_of(config, model.path)
    hyper = metadata(config, model.path)
    weights = Weights(model.path)
    facts = weights.check(runtime.progress)
    dtype = _dtype(params.dtype, facts["dtypes"])
    tokenizer = load_tokenizer(model.path)
    check_vocabulary(tokenizer, weights)
    vocabulary = read_vocabulary(model.path, config["vocab_size"], pre_type=params.pre_type)
    notices = check_parity(tokenizer, vocabulary, allow=params.allow_other_tokens)
    notices += _unchecked(vocabulary, params.pre_type)
    plan = plan_tensors(weights, config)
    extra = _extra_tensors(config, model)
    fields = {**_general(params, model, dtype), **hyper, **_special_tokens(tokenizer)}
    path = runtime.out / FILE

    def tensors():
        yield from extra.items()
        yield from gguf_tensors(weights, plan, dtype, shape)

    write_gguf(path, shape.arch, fields, vocabulary, _specs(weights, plan, extra, dtype), tensors())
    verify_gguf(path, fields, vocabulary, tensors(), len(plan) + len(extra), runtime.progress)
    for text in notices:
        runtime.log(text)
    card = _card(params, model, inputs.optional("scores"), facts, dtype, notices)
    (runtime.out / "README.md").write_text(card, encoding="utf-8")
    return {
        "parameters": facts["parameters"],
        "tensors": len(plan) + len(extra),
        "tokens_in_vocabulary": len(vocabulary.tokens),
        "bytes": path.stat().st_size,
        "notices": notices,
    }


def _dtype(wanted: str, found: Sequence[str]) -> str:
    """`keep` is the checkpoint's type where it has one, float32 where it mixes."""
    if wanted != "keep":
        return wanted
    return found[0] if len(found) == 1 and found[0] in FILE_TYPES else "float32"


def _unchecked(vocabulary: Vocabulary, given: str) -> list[str]:
    if given and vocabulary.model == "gpt2" and (vocabulary.pre_type is None or vocabulary.pre_type.name == given):
        return [f"The pre-tokenizer name '{given}' was given by hand: that it cuts text alike has not been checked."]
    return []


def _extra_tensors(config: Mapping[str, Any], model: Artifact) -> dict[str, Any]:
    import torch

    from .gguf_model import rope_factors

    factors = rope_factors(config, model.path)
    return {} if factors is None else {"rope_freqs.weight": torch.from_numpy(factors)}


def _specs(weights: Weights, plan: Mapping[str, str], extra: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    shapes = weights.shapes()
    specs = {name: (tuple(tensor.shape), "float32") for name, tensor in extra.items()}
    for name in weights.names:
        if name in plan:
            specs[plan[name]] = (shapes[name], "float32" if len(shapes[name]) == 1 else dtype)
    return specs


def _general(params: Params, model: Artifact, dtype: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "general.type": "model",
        "general.name": params.title or model.name or "model",
        "general.file_type": FILE_TYPES[dtype],
        "general.sampling.temp": float(params.temperature),
        "general.sampling.top_p": float(params.top_p),
        "general.sampling.penalty_repeat": float(params.repeat_penalty),
    }
    if model.licenses:
        fields["general.license"] = "; ".join(sorted(model.licenses))
    if params.languages:
        fields["general.languages"] = list(dict.fromkeys(code.partition("_")[0] for code in params.languages))
    return fields


def _special_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    from ..model.chat import stop_ids

    ids = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id,
    }
    known = {name: number for name, number in ids.items() if number is not None}
    fields: dict[str, Any] = {f"tokenizer.ggml.{name}_token_id": number for name, number in known.items()}
    ends = [number for number in stop_ids(tokenizer) if number != tokenizer.eos_token_id]
    if ends:
        fields["tokenizer.ggml.eot_token_id"] = ends[0]
    fields["tokenizer.ggml.add_bos_token"] = begins_with_bos(tokenizer)
    fields["tokenizer.ggml.add_eos_token"] = False
    if isinstance(tokenizer.chat_template, str):
        fields["tokenizer.chat_template"] = tokenizer.chat_template
    return fields


def begins_with_bos(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether text for this model begins with BOS: the tokenizer adds it, or its chat template does, or it completes
    text only and has one (documents are packed with BOS in front).
    """
    bos = tokenizer.bos_token_id
    if bos is None:
        return False
    if tokenizer("a")["input_ids"][:1] == [bos]:
        return True
    if not tokenizer.chat_template:
        return True
    from ..model.chat import prompt_ids

    return prompt_ids(tokenizer, [{"role": "user", "content": "a"}])[:1] == [bos]


def _card(
    params: Params,
    model: Artifact,
    scores: Artifact | None,
    facts: Mapping[str, Any],
    dtype: str,
    notices: Sequence[str],
) -> str:
    from ..artifacts.scores import read_scores
    from .card import model_card

    return model_card(
        model,
        title=params.title or model.name or "model",
        languages=params.languages,
        facts=[("parameters", f"{facts['parameters']:,}"), ("weights", f"GGUF, {dtype}, not quantised")],
        usage=_USAGE,
        library="gguf",
        scores=read_scores(scores) if scores else (),
        scores_from=scores,
        notices=notices,
    )


_USAGE = f"""
With llama.cpp: `llama-cli -m {FILE}`, or `llama-server -m {FILE}` for an OpenAI-compatible server. To make it smaller:
`llama-quantize {FILE} model-q8_0.gguf Q8_0`; measure the smaller model before you rely on it, small languages first.
"""


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """One file of the weights; written and read back one tensor at a time."""
    count = (facts.get("model") or [{}])[0].get("parameters", 0)
    size = count * (4 if params.dtype in ("keep", "float32") else 2)
    return {"parameters": count, "disk_bytes": size, "memory_bytes": min(size, 4e9) + 5e8, "seconds": 5 + size / 1e8}


STAGE = Stage(
    name="export.gguf",
    revision=1,
    summary="A checkpoint as one GGUF file for llama.cpp, read back, compared, its token ids checked.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to publish (llama, mistral, qwen2, qwen3)"),
        "scores": Role(kinds=("scores",), help="measured scores for the card", required=False, external=False),
    },
    output="bundle",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="GGUF is what llama.cpp, Ollama and LM Studio read; SeaLLMs and SEA-LION published both.",
)
