"""The commands of docs/how-to/merge.md, as they stand on the page, on models too small to know anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "merge.md"


def sampan(*words: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "sampan.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def test_the_commands_of_the_merge_page(tmp_path):
    english = "languages=[eng_Latn]"
    village = ("do", "corpus.village", "--with", english)
    sampan(*village, "--with", "part=documents", "--with", "num_documents=40", "--out", "TEXT", cwd=tmp_path)
    sampan(*village, "--with", "part=held_out", "--with", "num_documents=2", "--out", "DEV", cwd=tmp_path)
    sampan("do", "vocab.train", "--from", "documents=TEXT", "--with", "vocab_size=384", "--out", "VOCAB", cwd=tmp_path)
    shape = [word for given in ("hidden_size=32", "num_layers=1", "num_heads=2") for word in ("--with", given)]
    for seed, name in enumerate(("BASE", "ONE", "TWO")):
        more = ("--with", f"seed={seed}", "--out", name)
        sampan("do", "model.init", "--from", "tokenizer=VOCAB", *shape, *more, cwd=tmp_path)
    lines = re.findall(r"^sampan (do .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line.split()[1] for line in lines] == ["merge.weights", "merge.search"]
    for line in lines:
        sampan(*line.split(), cwd=tmp_path)
    found = json.loads((tmp_path / "found/search.json").read_text(encoding="utf-8"))
    assert len(found["trials"]) == 6
    assert {"model.safetensors", "search.svg"} <= {path.name for path in (tmp_path / "found").iterdir()}
