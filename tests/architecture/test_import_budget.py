"""`plan`, `show` and `--help` answer at once: they never import torch, and loading every stage stays cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "pyarrow", "numpy", "sentencepiece", "tokenizers", "fastwarc", "resiliparse")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("room", ["core", "lang", "lang.segment", "lang.identify", "lang.normalise"])
def test_low_rooms_import_without_torch(room):
    assert run_python(f"import sys, sampan.{room}; print('torch' in sys.modules)").strip() == "False"


def test_all_stages_load_without_heavy_libraries():
    code = (
        "import sys\nfrom sampan.recipe.stages import STAGES\nfor n in STAGES: STAGES.load(n)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_merging_needs_no_transformers():
    code = (
        "import sys, sampan.merge.stream, sampan.model.tensors; print({'transformers', 'torch'} & sys.modules.keys())"
    )
    assert run_python(code).strip() == "set()"
