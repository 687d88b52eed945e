"""docs/how-to/adapt.md, command by command: a recipe from `sampan new` is planned, run, reported and explained."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "adapt.md"
SMALL = {
    "expanded.num_new_tokens": 128,
    "cpt.context_len": 128,
    "cpt.global_batch_tokens": 2048,
    "cpt.micro_batch_tokens": 2048,
    "cpt.num_tokens": 4096,
    "sft.context_len": 128,
    "sft.global_batch_tokens": 2048,
    "sft.micro_batch_tokens": 2048,
}
"""The starter's recipe at a size for tests."""


def sampan(*words: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "sampan.cli.main", *words], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


@pytest.fixture
def lab(tmp_path):
    """A folder with BASE, an untrained model that knows English letters, TEXT and CHAT."""
    village = ("do", "corpus.village", "--with", "num_documents=120")
    sampan(*village, "--with", "languages=[eng_Latn]", "--out", "english", cwd=tmp_path)
    sampan(*village, "--with", "languages=[eng_Latn,lao_Laoo]", "--out", "TEXT", cwd=tmp_path)
    vocab = ("--with", "vocab_size=384", "--with", "chat_template=chatml")
    sampan("do", "vocab.train", "--from", "documents=english", *vocab, "--out", "VOCAB", cwd=tmp_path)
    shape = [word for given in ("hidden_size=32", "num_layers=1", "num_heads=2") for word in ("--with", given)]
    sampan("do", "model.init", "--from", "tokenizer=VOCAB", *shape, "--out", "BASE", cwd=tmp_path)
    turns = [{"role": "user", "content": "ສະບາຍດີ"}, {"role": "assistant", "content": "ສະບາຍດີ ທ່ານ"}]
    rows = [{"id": str(n), "language": "lo", "messages": turns} for n in range(20)]
    (tmp_path / "CHAT.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_adapt_page(lab):
    text = PAGE.read_text(encoding="utf-8").replace("inputs.chat=CHAT", "inputs.chat=CHAT.jsonl")
    lines = [line.split() for line in re.findall(r"^ +sampan (.*)$", text, re.MULTILINE)]
    small = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    said = []
    for words in lines:
        more = small if "mekong.yaml" in words else []
        more = [*more, "--to", "cpt"] if "cpt.lr=2e-5" in words else more  # the rest takes the same time again
        said.append((words[0], sampan(*words, *more, cwd=lab)))
    verbs, shown = zip(*said, strict=True)
    assert verbs == ("new", "do", "do", "plan", "run", "run", "report", "run", "explain")
    assert "vocab.expand" in shown[3]
    assert "8 built, 0 hits" in shown[4], "as far as conversations are not needed"
    assert "6 built, 8 hits" in shown[5]
    assert (lab / "mekong-report.html").is_file()
    assert "1 built" in shown[7]
    assert "param lr: 1e-05 -> 2e-05" in shown[8]
