"""`vocab.import`: a tokenizer from outside becomes an artifact: SentencePiece, tiktoken or a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    pretokenizer: Literal["auto", "llama3", "qwen2", "gpt2", "o200k", "repaired"] = "auto"
    """For tiktoken ranks: the expression that cuts text into words. `auto` knows Llama 3's and Qwen's files;
    Llama 4's take `o200k`."""
    chat_template: str = "keep"
    """Name of a chat template to write beside the tokenizer; `keep` leaves what the folder has."""
    license: str = ""
    """Licence of what is imported, such as Apache-2.0; it travels with everything made from it."""


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..model.chat import write_template
    from ..model.tokenizer import load_tokenizer

    adopt(inputs.one("files").path, runtime.out, pretokenizer=params.pretokenizer)
    if params.chat_template != "keep":
        write_template(runtime.out, params.chat_template)
    licenses = [params.license] if params.license else []
    return {"vocab_size": len(load_tokenizer(runtime.out)), "licenses": licenses}


def adopt(source: Path, out: Path, *, pretokenizer: str = "auto") -> None:
    """Write the tokenizer of a file or folder into `out` as a Hugging Face folder with tokenizer.json.

    A folder's own tokenizer.json is kept as it is; a bare `tokenizer.model` (SentencePiece or tiktoken ranks, told
    apart by content) or `*.tiktoken` is converted. InputError if none of these is there.
    """
    from ..model.tokenizer import copy_tokenizer
    from . import from_sentencepiece, from_tiktoken

    if source.is_dir():
        if (source / "tokenizer.json").is_file():
            copy_tokenizer(source, out)
            return
        found = [file for pattern in ("tokenizer.model", "*.tiktoken", "*.model") for file in source.glob(pattern)]
        if not found:
            raise InputError(
                "no tokenizer here (looked for tokenizer.json, tokenizer.model, *.tiktoken)", where=str(source)
            )
        if (source / "chat_template.jinja").is_file():
            (out / "chat_template.jinja").write_bytes((source / "chat_template.jinja").read_bytes())
        source = found[0]
    if not source.is_file():
        raise InputError("no such file or folder", where=str(source))
    raw = source.read_bytes()
    if from_tiktoken.looks_like_ranks(raw):
        from_tiktoken.write_folder(raw, out, pattern=pretokenizer, where=str(source))
    else:
        from_sentencepiece.write_folder(raw, out, where=str(source))


def estimate(params: Params, facts: Mapping[str, Any]) -> Mapping[str, float]:
    return {"seconds": 10.0, "disk_bytes": 2e7}


STAGE = Stage(
    name="vocab.import",
    revision=1,
    summary="A tokenizer from outside: SentencePiece model, tiktoken ranks or Hugging Face folder.",
    params=Params,
    inputs={"files": Role(kinds=("tokenizer", "checkpoint"), help="tokenizer.model, ranks, or a folder")},
    output="tokenizer",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="Exact conversion of the published file formats (SentencePiece, tiktoken), checked against golden ids.",
)
