"""`benchmarks/train_vs_peers.py`: peers get the tokens that we train on, and one that is not installed is named."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    yield importlib.import_module
    for name in ("train_vs_peers", "train_ours", "result"):
        sys.modules.pop(name, None)


def test_a_document_as_text_is_the_same_tokens(benchmark, tmp_path):
    """Names of special tokens that begin words cut them: t10 was t1, 0."""
    from transformers import AutoTokenizer

    compare = benchmark("train_vs_peers")
    compare.prepare(tmp_path, steps=1)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    documents = json.loads((tmp_path / "documents.json").read_text())
    for ids in documents[:20]:
        assert tokenizer(" ".join(f"t{n}" for n in ids), add_special_tokens=False)["input_ids"] == ids
    (tmp_path / "steps.json").write_text(json.dumps([documents[:3], documents[3:5]]))
    given = benchmark("train_ours").Given(tmp_path)
    pieces = given.at(0)
    assert [piece.ids.tolist() for piece in pieces] == documents[:3]
    assert all(np.array_equal(piece.labels[:-1], piece.ids[1:]) for piece in pieces)
    assert given.sizes == [sum(map(len, documents[:3])), sum(map(len, documents[3:5]))]


def test_a_peer_that_is_not_installed_is_left_out_by_name(benchmark, tmp_path, capsys):
    compare = benchmark("train_vs_peers")
    here, nowhere = Path(sys.executable), tmp_path / "python"
    pythons = {"trl": nowhere, "litgpt": nowhere, "llamafactory": here}
    assert list(compare.found_peers(["hf", "litgpt", "llamafactory"], pythons)) == ["llamafactory"]
    told = capsys.readouterr().err
    assert "no Python of litgpt" in told
    assert "make bench-env" in told
    assert "benchmarks/peers/trl.txt" in told
    assert all((BENCHMARKS / "peers" / f"{name}.txt").is_file() for name in pythons)
    with pytest.raises(SystemExit, match="no peer to compare with"):
        compare.found_peers(["hf", "litgpt"], pythons)
