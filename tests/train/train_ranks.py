"""Runs of training stages in groups of processes (rank_script.py), as the tests of several processes describe them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("rank_script.py")


def a_run(folder: Path, name: str, inputs: Mapping[str, Path], params: dict, spread: dict, **more: Any) -> dict:
    """One run of `train.causal_lm`, or of `stage`, into folder/name. Runs with one `state` go on from each other, and
    `stop` and `die` end a run early (see rank_script)."""
    return {
        "stage": "train.causal_lm",
        "inputs": {role: str(path) for role, path in inputs.items()},
        "params": params,
        "spread": spread,
        "out": str(folder / name),
        **more,
        "state": str(folder / f"{more.get('state') or name}-state"),
    }


def run_groups(folder: Path, groups: Sequence[tuple[int, list[dict]]]) -> None:
    """Every group's runs, one after the other, in as many processes as it says."""
    plan = folder / "runs.json"
    plan.write_text(json.dumps(groups))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(plan)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def save_pairs(folder: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """Preferences of a prompt and a worse answer each; the better answer is always the same."""
    from sampan.artifacts.conversations import Preference, write_preferences

    write_preferences(
        folder,
        [
            Preference(id=str(n), prompt=[{"role": "user", "content": prompt}], chosen="in", rejected=worse)
            for n, (prompt, worse) in enumerate(rows)
        ],
    )
    return folder
