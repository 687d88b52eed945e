"""The command of docs/how-to/evaluate.md for a model behind an endpoint, as it stands there, on our own server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

from sampan.artifacts.scores import read_scores
from tiny_model import save_tiny

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "evaluate.md"


def test_the_endpoint_command_of_the_evaluation_page(tmp_path):
    from sampan.serve.server import open_server

    model = save_tiny(tmp_path / "MODEL")
    items = [
        {"id": "1", "task": "say", "type": "generate", "language": "tha_Thai", "prompt": "มา ", "answer": "a"},
        {"id": "2", "task": "quiz", "type": "multiple_choice", "language": "tha_Thai", "prompt": "มา", "answer": "0"}
        | {"choices": [" a", " b"]},
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (line,) = re.findall(r"^sampan (do evals\.run .*answer_url.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    server = open_server(model, name="MODEL", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        words = line.replace("http://127.0.0.1:8000/v1", f"{server.url}/v1").split()
        command = [sys.executable, "-m", "sampan.cli.main", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    finally:
        server.stop()
        thread.join(timeout=20)
    assert done.returncode == 0, done.stderr
    assert {(score.model, score.task) for score in read_scores(tmp_path / "scores")} == {
        ("MODEL", "say"),
        ("MODEL", "quiz"),
    }
