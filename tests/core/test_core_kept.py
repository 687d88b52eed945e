"""Kept tables: made once, read again, made anew when they are gone, broken or about something else."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from sampan.core.kept import kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "sampan" / "tables"


def counting(made: list, *modules):
    def table():
        made.append(1)
        return np.arange(4, dtype=np.uint8)

    return lambda: kept(*modules)(table)()


def test_a_table_is_made_once(folder):
    made: list = []
    ask = counting(made)
    for _ in range(3):
        assert ask().tolist() == [0, 1, 2, 3]
    assert len(made) == 1
    assert len(list(folder.iterdir())) == 1


def test_a_broken_file_is_replaced(folder):
    made: list = []
    ask = counting(made)
    ask()
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-2])
    assert ask().tolist() == [0, 1, 2, 3]
    ask()
    assert len(made) == 2


def test_another_source_is_another_table(folder, tmp_path, monkeypatch):
    made: list = []
    module = ModuleType("patterns")
    module.__file__ = str(tmp_path / "patterns.py")
    for text in ("A = 1", "A = 2"):
        (tmp_path / "patterns.py").write_text(text)
        counting(made, module)()
    monkeypatch.setattr(sys, "version", "another Python")
    counting(made, module)()
    assert len(made) == len(list(folder.iterdir())) == 3


def test_a_folder_that_cannot_be_written_is_done_without(folder):
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file where the folder should be")
    made: list = []
    ask = counting(made)
    assert ask().tolist() == ask().tolist() == [0, 1, 2, 3]
    assert len(made) == 2
