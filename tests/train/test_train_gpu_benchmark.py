"""The benchmark that runs on a GPU runs here too, on tiny models: same code, same losses of all variants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_for_a_gpu_runs_on_tiny_models(tmp_path):
    script, out = ROOT / "benchmarks" / "train_on_gpu.py", tmp_path / "out.json"
    command = [sys.executable, str(script), "--device", "cpu", "--tiny", "--out", str(out)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    told = json.loads(out.read_text())
    assert told["ok"]
    assert [row["side"] for row in told["variants"]] == ["ours", "ours", "plain"]
    assert all(row["tokens_per_second"] > 0 and len(row["losses"]) == 4 for row in told["variants"])
    assert all(row["less"] >= 0.6 for row in told["loss"])  # the bar on a GPU; a small vocabulary gains less
