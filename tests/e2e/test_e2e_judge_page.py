"""The judge's commands of docs/how-to/evaluate.md, as they stand there, with a server that follows a script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from scripted_server import ScriptedServer
from tiny_model import save_tiny

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "evaluate.md"


def rows(path: Path, values: list[dict]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def test_the_judge_commands_of_the_evaluation_page(tmp_path, monkeypatch):
    """The first command asks the endpoint with its key; the second asks nobody and writes the same bytes."""
    monkeypatch.setenv("JUDGE_KEY", "secret")
    save_tiny(tmp_path / "CHAT", context_len=256)
    asked = [{"question_id": n, "category": ("math", "writing")[n % 2], "turns": ["the cab", "abc"]} for n in range(6)]
    told = [{"question_id": n, "model_id": "gpt-4", "choices": [{"turns": ["a", "b"]}]} for n in range(6)]
    rows(tmp_path / "question.jsonl", asked)
    rows(tmp_path / "references.jsonl", told)
    lines = re.findall(r"^sampan (do evals\.judge .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 2
    with ScriptedServer(lambda body: f"[[{1 + len(body['messages'][1]['content']) % 10}]]") as server:
        for line in lines:
            words = line.replace("http://127.0.0.1:8000/v1", server.url).split()
            command = [sys.executable, "-m", "sampan.cli.main", *words]
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        assert 0 < len(server.seen) <= 8  # two questions of two categories in two turns, equal requests once
        assert {headers["Authorization"] for headers, _ in server.seen} == {"Bearer secret"}
    for file in (tmp_path / "judged").iterdir():
        if file.name != "manifest.json":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name
