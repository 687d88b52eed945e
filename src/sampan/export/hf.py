"""`export.hf`: a checkpoint as a Hugging Face folder that others load: checked weights, decoding defaults, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..core.errors import StageError, did_you_mean
from ..core.params import params
from ..core.stage import Artifact, Inputs, Role, Runtime, Stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from .weights import Weights


@params
class Params:
    dtype: Literal["keep", "float32", "bfloat16"] = "keep"
    """Type of the weights; `keep` copies the files byte for byte."""
    temperature: float = 0.7
    """Default sampling temperature in generation_config.json, 0 for greedy; ours, not the paper's."""
    top_p: float = 0.9
    """Default nucleus; ours, not the paper's."""
    max_new_tokens: int = 1024
    """Default limit of an answer, in tokens (SeaLLMs served v2.5 with 1,024)."""
    stop_tokens: tuple[str, ...] = ()
    """Further tokens that end an answer, beside end of text and ChatML's end of turn."""
    languages: tuple[str, ...] = ()
    """Languages the card names, as `tha_Thai`; none are claimed if empty."""
    title: str = ""
    """Heading of the card; the model's name in the recipe if empty."""

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError("temperature must be 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must be above 0 and at most 1")
        if self.max_new_tokens < 1:
            raise ValueError("max_new_tokens must be at least 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..model.tokenizer import copy_tokenizer, load_tokenizer
    from .weights import Weights, check_vocabulary

    model = inputs.one("model")
    weights = Weights(model.path)
    tokenizer = load_tokenizer(model.path)
    facts = weights.check(runtime.progress)
    check_vocabulary(tokenizer, weights)
    _write_weights(weights, params.dtype, runtime.out)
    _write_config(model.path, params.dtype, runtime.out)
    copy_tokenizer(model.path, runtime.out)
    generation = generation_config(params, tokenizer)
    _write_json(runtime.out / "generation_config.json", generation)
    _check_loads(runtime.out)
    card = _card(params, model, inputs.optional("scores"), facts, bool(tokenizer.chat_template))
    (runtime.out / "README.md").write_text(card, encoding="utf-8")
    return {"parameters": facts["parameters"], "tensors": facts["tensors"], "dtype": params.dtype}


def generation_config(params: Params, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What generation_config.json says: how to sample, where to begin, where to stop."""
    ends = stop_token_ids(tokenizer, params.stop_tokens)
    config: dict[str, Any] = {"do_sample": params.temperature > 0, "max_new_tokens": params.max_new_tokens}
    if params.temperature > 0:
        config |= {"temperature": params.temperature, "top_p": params.top_p}
    for name, value in (("bos_token_id", tokenizer.bos_token_id), ("pad_token_id", tokenizer.pad_token_id)):
        if value is not None:
            config[name] = value
    if ends:
        config["eos_token_id"] = ends[0] if len(ends) == 1 else ends
    return dict(sorted(config.items()))


def stop_token_ids(tokenizer: PreTrainedTokenizerFast, further: Sequence[str]) -> list[int]:
    """Ids that end an answer; StageError if one of `further` is not a single token of the vocabulary."""
    from ..model.chat import stop_ids

    vocabulary = tokenizer.get_vocab()
    for token in further:
        if token not in vocabulary:
            near = did_you_mean(token, tokenizer.get_added_vocab())
            raise StageError(f"stop token '{token}' is not one token of this vocabulary", how=near)
    return list(dict.fromkeys([*stop_ids(tokenizer), *(vocabulary[token] for token in further)]))


def _write_weights(weights: Weights, dtype: str, out: Path) -> None:
    from .weights import INDEX, converted

    if dtype == "keep":
        for file in weights.shards:
            shutil.copyfile(weights.folder / file, out / file)
        if (weights.folder / INDEX).is_file():
            shutil.copyfile(weights.folder / INDEX, out / INDEX)
        return
    from safetensors.torch import save_file

    total, batch = 0, {}
    for file, name, tensor in weights.tensors():
        batch[name] = converted(tensor, dtype, name).contiguous()
        total += batch[name].nbytes
        if len(batch) == len(weights.shards[file]):
            save_file(batch, out / file, metadata={"format": "pt"})
            batch = {}
    if (weights.folder / INDEX).is_file():
        placed = {name: file for file, names in weights.shards.items() for name in names}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(placed.items()))}
        _write_json(out / INDEX, index)


def _write_config(source: Path, dtype: str, out: Path) -> None:
    from ..model.checkpoint import read_config

    config = read_config(source)
    config.pop("_name_or_path", None)
    if dtype != "keep":
        config.pop("torch_dtype", None)
        config["dtype"] = dtype
    _write_json(out / "config.json", config)


def _check_loads(folder: Path) -> None:
    """Read the written config, decoding defaults and tokenizer back as another program would."""
    from transformers import AutoConfig, GenerationConfig

    from ..model.tokenizer import load_tokenizer

    AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    GenerationConfig.from_pretrained(folder, local_files_only=True).validate(strict=True)
    load_tokenizer(folder)


def _card(params: Params, model: Artifact, scores: Artifact | None, facts: Mapping[str, Any], chats: bool) -> str:
    from ..artifacts.scores import read_scores
    from .card import model_card

    dtype = ", ".join(facts["dtypes"]) if params.dtype == "keep" else params.dtype
    rows = [("parameters", f"{facts['parameters']:,}"), ("weights", f"safetensors, {dtype}")]
    rows.append(("chat template", "yes" if chats else "none: it completes text"))
    return model_card(
        model,
        title=params.title or model.name or "model",
        languages=params.languages,
        facts=rows,
        usage=_CHAT_USAGE if chats else _TEXT_USAGE,
        scores=read_scores(scores) if scores else (),
        scores_from=scores,
    )


_TEXT_USAGE = """
With transformers, from this folder:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
inputs = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))
```

With vLLM: `vllm serve .`. For llama.cpp, export the same checkpoint with `export.gguf`.
"""
_CHAT_USAGE = """
With transformers, from this folder:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
messages = [{"role": "user", "content": "Hello!"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**inputs)[0, inputs["input_ids"].shape[1]:]
print(tokenizer.decode(answer, skip_special_tokens=True))
```

With vLLM: `vllm serve .`, then any OpenAI client. For llama.cpp, export the same checkpoint with `export.gguf`.
"""


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """A copy of the weights; one shard is in memory at a time."""
    count = (facts.get("model") or [{}])[0].get("parameters", 0)
    size = count * (2 if params.dtype == "bfloat16" else 4)
    return {"parameters": count, "disk_bytes": size, "memory_bytes": min(size, 5e9) + 5e8, "seconds": 5 + size / 2e8}


STAGE = Stage(
    name="export.hf",
    revision=1,
    summary="A checkpoint as a Hugging Face folder: checked safetensors, tokenizer, decoding defaults, model card.",
    params=Params,
    inputs={
        "model": Role(kinds=("checkpoint",), help="the model to publish"),
        "scores": Role(kinds=("scores",), help="measured scores for the card", required=False, external=False),
    },
    output="bundle",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="The folder that transformers and vLLM read; the card gives lineage and licences, which SeaLLMs' did not.",
)
