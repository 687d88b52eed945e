"""`model.import`: a checkpoint from outside becomes an artifact: checked, safetensors only, tokenizer with it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from .chat import write_template
from .tokenizer import TOKENIZER_FILES

MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json")


@params
class Params:
    chat_template: str = "keep"
    """Name of a chat template to write beside the tokenizer; `keep` leaves what the folder has."""
    llama2c_vocab: str = "tok512.bin"
    """For a llama2.c checkpoint: the file of its tokenizer, in the same folder."""
    license: str = ""
    """Licence of what is imported, such as Apache-2.0; it travels with everything made from it."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    source = inputs.one("files").path
    if (source / "config.json").is_file():
        facts = _copy_hugging_face(source, runtime.out)
    elif source.is_dir() and len(found := sorted(source.glob("*.bin"))) >= 2:
        from .llama2c import convert

        weights = [file for file in found if file.name != params.llama2c_vocab]
        facts = convert(weights[0], source / params.llama2c_vocab, runtime.out)
    else:
        raise InputError(
            "neither a Hugging Face folder (config.json) nor a llama2.c checkpoint (*.bin with its tokenizer)",
            where=str(source),
        )
    if params.chat_template != "keep":
        write_template(runtime.out, params.chat_template)
    return {**facts, "licenses": [params.license] if params.license else []}


def _copy_hugging_face(source: Path, out: Path) -> dict[str, Any]:
    from .checkpoint import check_folder
    from .tensors import TensorFolder

    check_folder(source)
    names = [*MODEL_FILES, *TOKENIZER_FILES, *(file.name for file in source.glob("model-*.safetensors"))]
    for name in dict.fromkeys(names):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    if not (out / "tokenizer.json").is_file() and (out / "tokenizer.model").is_file():
        raise InputError(
            "the folder has tokenizer.model but no tokenizer.json",
            where=str(source),
            how="Convert it first: `sampan do vocab.import --from files=tokenizer.model --out DIR`.",
        )
    if json.loads((out / "config.json").read_text("utf-8")).get("auto_map"):
        raise InputError("the config asks for remote code (auto_map), which is never run", where=str(source))
    tensors = TensorFolder(out)
    return {"parameters": sum(math.prod(info.shape) for info in tensors.values()), "tensors": len(tensors)}


def _dtype(config: Path) -> str:
    """The number format that a config names, '' if it cannot be read (which is said when the stage runs)."""
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
        return str(found.get("dtype") or found.get("torch_dtype"))
    except (ValueError, AttributeError):
        return ""


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, float]:
    """Parameters from the size of the weights and the width of the numbers that the config names; for a model that is
    not here, those that are given, in two bytes each."""
    size, width = 0, 4
    for fact in facts.get("files", []):
        if "path" not in fact and fact.get("parameters"):
            size, width = 2 * fact["parameters"], 2
            break
        folder = Path(fact.get("path", ""))
        if (folder / "config.json").is_file():
            width = 2 if "16" in _dtype(folder / "config.json") else 4
        if folder.is_dir():
            size += sum(file.stat().st_size for file in [*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    return {"parameters": size / width, "disk_bytes": size, "memory_bytes": 50e6, "seconds": size / 5e8}


STAGE = Stage(
    name="model.import",
    revision=1,
    summary="A checkpoint from outside (Hugging Face folder or llama2.c file) as an artifact, checked.",
    params=Params,
    inputs={"files": Role(kinds=("checkpoint",), help="a Hugging Face folder, or a folder with a llama2.c checkpoint")},
    output="checkpoint",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="Every lineage starts from an open base model; llama2.c is the smallest real one.",
)
