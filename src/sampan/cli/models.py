"""Which folder a person means by the name of a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.errors import StoreError
from ..store.store import Store

MODEL_KINDS = ("checkpoint", "bundle")


def model_folder(options: argparse.Namespace) -> tuple[Path, str]:
    """(folder, name) of a Hugging Face folder on disk, or of a checkpoint or bundle in the store."""
    path = Path(options.model)
    if (path / "config.json").is_file():
        return path, path.resolve().name
    store = Store(options.store, create=False)
    manifest = store.find(options.model)
    if manifest["kind"] not in MODEL_KINDS:
        raise StoreError(
            f"'{options.model}' is {manifest['kind']}, not a model",
            where=str(store.root),
            how="Give the name of a checkpoint (`sampan show` lists them) or a Hugging Face folder.",
        )
    folder = store.object_path(manifest["kind"], manifest["digest"])
    if not (folder / "config.json").is_file():
        raise StoreError(
            f"'{options.model}' is not a Hugging Face folder",
            where=str(folder),
            how="Give the checkpoint it was made from.",
        )
    return folder, options.model
