"""Files that are on the disk and not only in the machine's memory, so that a power cut leaves them whole."""

from __future__ import annotations

import os
from pathlib import Path

from .identity import tree_files


def sync_tree(folder: Path) -> None:
    """fsync every file below `folder` and the folders that hold them."""
    folders = {folder}
    for name in tree_files(folder):
        path = folder / name
        folders.add(path.parent)
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    for each in folders:
        sync_folder(each)


def sync_folder(folder: Path) -> None:
    """fsync a folder: the names of the files in it, not what they hold."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
