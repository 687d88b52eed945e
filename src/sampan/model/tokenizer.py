"""Tokenizers in a Hugging Face folder: find their files, load them, copy them, digest them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.identity import digest_file, digest_value

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "fertility.json",
)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a Hugging Face folder, offline and without remote code; InputError if there is none."""
    if not (folder / "tokenizer.json").is_file():
        raise InputError(
            "no tokenizer.json in this folder",
            where=str(folder),
            how="Import the model or tokenizer first: `sampan do model.import --from files=FOLDER --out DIR`.",
        )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises many types for a damaged folder
        raise InputError(
            f"the tokenizer does not load ({type(error).__name__}: {str(error)[:200]})", where=str(folder)
        ) from error


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer's files, whichever exist, unchanged."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def tokenizer_digest(folder: Path) -> str:
    """One digest over the files that decide ids and text (the chat template and reports do not)."""
    names = [name for name in TOKENIZER_FILES if name not in ("chat_template.jinja", "fertility.json")]
    return digest_value([[name, digest_file(folder / name)] for name in names if (folder / name).is_file()])
