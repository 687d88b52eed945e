"""Merging three bfloat16 checkpoints of half a billion parameters: ours against mergekit, whole commands, one thread.

    make bench-env          # the peer's environment, in .venv-mergekit
    python benchmarks/merge_vs_mergekit.py --folder /tmp/merge --out benchmarks/results/merge_vs_mergekit.json

The checkpoints (3 GB) are made in --folder once and used again. Every run is one process from start-up to the last
byte, measured in CPU seconds and peak memory; ours also digests all it reads and writes. Ours runs with the fused
kernels (cold: compiling them; warm: from their cache) and without numba, which must give the same bytes. That both
tools do the same work is checked on whole tensors: the spread of the change, its correlation with the plain mean, and
the share of elements left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from merge_checkpoints import llama_config, make_trio
from one_process import measured
from result import conclude

from sampan.core.identity import digest_file
from sampan.model.tensors import TensorFolder

CONFIG = llama_config(hidden=1536, layers=14, ffn=4096, vocab=32_000, heads=12, kv_heads=12)
BARS = {"dare_ties": {"fused": 6.0, "numpy": 4.0}, "della_linear": {"fused": 4.0, "numpy": 3.0}}
MAX_MEMORY = 0.5e9
DENSITY, WEIGHT, EPSILON = 0.5, 0.5, 0.15
LOOKED_AT = ("model.layers.3.mlp.down_proj.weight", "model.layers.9.self_attn.q_proj.weight")
SAME_WORK = {"std": 0.01, "correlation": 0.01, "untouched": 0.005}
"""Greatest differences: of the change's standard deviation (relative; DELLA's is allowed what mergekit's rescale adds,
see `RESCALED`), of correlation and of share. 8.6 million elements show a thousandth."""
RESCALED = 0.08
"""mergekit rescales DELLA by a norm ratio, which makes the change about 6 % too large."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
NO_NUMBA = "import sys; sys.modules['numba'] = None; from sampan.cli.main import main; sys.exit(main())"
COPY = (
    "import os, sys\n"
    "*sources, target = sys.argv[1:]\n"
    "buffer = memoryview(bytearray(4 << 20))\n"
    "for source in sources:\n"
    "    with open(source, 'rb', buffering=0) as file:\n"
    "        while file.readinto(buffer): pass\n"
    "size = os.path.getsize(sources[0])\n"
    "with open(target, 'wb', buffering=0) as file:\n"
    "    for start in range(0, size, len(buffer)): file.write(buffer[: size - start])\n"
)


def run(command: list[str], log: Path, **env: str) -> dict[str, float]:
    """Both sides on one thread, from compiled modules, as installed ones are."""
    env = {**os.environ, **ONE_THREAD, **env}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return measured(command, log, env)


def our_arguments(method: str, paths: list[Path], out: Path) -> list[str]:
    base, *models = paths
    given = {"method": method, "normalize": "false", "density": DENSITY, "weights": [WEIGHT, WEIGHT]}
    given |= {"epsilon": EPSILON} if method.startswith("della") else {}
    sources = ["--from", f"base={base}", *(part for model in models for part in ("--from", f"models={model}"))]
    params = [part for name, value in given.items() for part in ("--with", f"{name}={value}")]
    return ["do", "merge.weights", *sources, *params, "--threads", "1", "--out", str(out)]


def mergekit_config(method: str, paths: list[Path]) -> dict:
    base, *models = map(str, paths)
    knobs = {"weight": WEIGHT, "density": DENSITY} | ({"epsilon": EPSILON} if method.startswith("della") else {})
    return {
        "merge_method": method,
        "base_model": base,
        "models": [{"model": model, "parameters": knobs} for model in models],
        "parameters": {"normalize": False},
        "dtype": "bfloat16",
    }


def work_done(folder: Path, paths: list[Path]) -> dict[str, float]:
    """What a merge did to some tensors: the change's spread, its correlation with the mean of the task vectors, and the
    share of elements that stayed as they were in the base."""
    changes, means = [], []
    with TensorFolder(folder) as merged:
        opened = [TensorFolder(path) for path in paths]
        for name in LOOKED_AT:
            base, *models = (each.read(name).ravel() for each in opened)
            changes.append(merged.read(name).ravel() - base)
            means.append(sum(model - base for model in models) * np.float32(WEIGHT))
        for each in opened:
            each.close()
    change, mean = np.concatenate(changes), np.concatenate(means)
    return {
        "std": float(change.std()),
        "correlation": float(np.corrcoef(change, mean)[0, 1]),
        "untouched": float((change == 0).mean()),
    }


def same_work(method: str, ours: dict[str, float], peer: dict[str, float]) -> bool:
    spread = RESCALED if method.startswith("della") else SAME_WORK["std"]
    return (
        abs(ours["std"] / peer["std"] - 1) <= spread
        and abs(ours["correlation"] - peer["correlation"]) <= SAME_WORK["correlation"]
        and abs(ours["untouched"] - peer["untouched"]) <= SAME_WORK["untouched"]
    )


def compare(method: str, paths: list[Path], work: Path, peer: Path, rounds: int) -> dict:
    """Both sides on one method, taking turns."""
    ours, numba = [sys.executable, "-m", "sampan.cli.main"], str(work / "numba")
    out, log = work / "ours", work / "log.txt"
    runs: dict[str, list[dict]] = {"fused_cold": [], "fused": [], "numpy": [], "mergekit": [], "copy": []}
    digests, works = set(), {}
    for number in range(rounds):
        sides = ["fused_cold"] * (number == 0) + ["fused", "numpy", "mergekit", "copy"]
        for side in sides:
            if side == "copy":
                files = [str(path / "model.safetensors") for path in paths]
                runs[side].append(run([sys.executable, "-c", COPY, *files, str(work / "copy")], log))
                (work / "copy").unlink()
                continue
            if side == "mergekit":
                (work / "config.yml").write_text(json.dumps(mergekit_config(method, paths)))
                command = [str(peer), str(work / "config.yml"), str(out), "--random-seed", "1", "--quiet"]
            else:
                program = [sys.executable, "-c", NO_NUMBA] if side == "numpy" else ours
                command = [*program, *our_arguments(method, paths, out)]
            runs[side].append(run(command, log, NUMBA_CACHE_DIR=numba))
            if side != "mergekit":
                digests.add(digest_file(out / "model.safetensors"))
            if side in ("fused", "mergekit"):
                works[side] = work_done(out, paths)
            shutil.rmtree(out)
            print(method, side, runs[side][-1], file=sys.stderr, flush=True)
    seconds = {side: round(median(run["cpu_seconds"] for run in each), 2) for side, each in runs.items()}
    memory = {side: max(run["peak_bytes"] for run in each) for side, each in runs.items()}
    ratios = {side: round(seconds["mergekit"] / seconds[side], 2) for side in ("fused", "fused_cold", "numpy")}
    fine = same_work(method, works["fused"], works["mergekit"]) and len(digests) == 1
    fast = all(ratios[side] >= bar for side, bar in BARS[method].items())
    return {
        "cpu_seconds": seconds,
        "wall_seconds": {side: round(min(run["wall_seconds"] for run in each), 1) for side, each in runs.items()},
        "peak_bytes": memory,
        "ratio": ratios,
        "bar": BARS[method],
        "times_a_plain_copy": round(seconds["fused"] / seconds["copy"], 2),
        "work": works,
        "same_work": fine,
        "ok": fine and fast and max(memory["fused"], memory["fused_cold"], memory["numpy"]) <= MAX_MEMORY,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "sampan-merge-benchmark")
    parser.add_argument("--peer", type=Path, default=Path(".venv-mergekit/bin/mergekit-yaml"))
    parser.add_argument("--methods", nargs="*", default=list(BARS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    peer, folder = options.peer.absolute(), options.folder.absolute()
    paths = make_trio(folder / "trio", CONFIG)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        found = {name: compare(name, paths, Path(work), peer, options.rounds) for name in options.methods}
    line = {
        "claim": "three bfloat16 checkpoints of 495 M parameters merged, CPU seconds of whole commands with one thread",
        "peer_is": "mergekit-yaml 0.1.5",
        "methods": found,
        "rounds": options.rounds,
        "max_memory": MAX_MEMORY,
        "ok": all(each["ok"] for each in found.values()),
    }
    return conclude(line, options.out, packages=("numpy", "numba"))


if __name__ == "__main__":
    sys.exit(main())
