"""Peak memory of merging three checkpoints of eight billion parameters (the shapes of Llama 3 8B).

    python benchmarks/merge_8b_memory.py --folder /tmp/merge --out benchmarks/results/merge_8b_memory.json

The inputs (16 GB each) are sparse files: real headers and shards, random numbers in the norms and the first layer, and
holes, which read as zeros, for the rest. The output is written in full and removed (16 GB of disk for a while). The
stage runs in a process of its own, whose peak is measured; digests of inputs and output, which stream too, are left out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from merge_checkpoints import llama_config, llama_shapes, plan_of, write_side_files

from sampan.model import tensors
from sampan.model.tensors import TensorWriter

CONFIG = llama_config(hidden=4096, layers=32, ffn=14_336, vocab=128_256, heads=32, kv_heads=8)
BAR = 1e9
FILLED = ("norm", "layers.0.")
LAUNCH = (
    "import json, os, subprocess, sys, time\n"
    "clock = time.perf_counter()\n"
    "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
    "_, status, used = os.wait4(process.pid, 0)\n"
    "print(json.dumps([status, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime, time.perf_counter() - clock]))\n"
)
"""Started for the run, because a process's peak memory counts what its parent held when it was started."""
MERGE = (
    "import json, sys\n"
    "from pathlib import Path\n"
    "from sampan.core.stage import Artifact, Inputs, Runtime\n"
    "from sampan.merge.weights import STAGE\n"
    "method, threads, out, state, *paths = sys.argv[1:]\n"
    "base, *models = [Artifact(path=Path(p), kind='checkpoint', digest=p, name=Path(p).name) for p in paths]\n"
    "knobs = {'density': 0.5} if method != 'task_arithmetic' else {}\n"
    "params = STAGE.params(method=method, normalize=False, weights=[0.5, 0.5], **knobs)\n"
    "runtime = Runtime(out=Path(out), state=Path(state), threads=int(threads))\n"
    "STAGE.run(params, Inputs({'base': [base], 'models': models}), runtime)\n"
)


def sparse_model(folder: Path, seed: int) -> Path:
    """A model folder whose shards are holes but for a few tensors."""
    write_side_files(folder, CONFIG)
    shapes, rng = llama_shapes(CONFIG), np.random.default_rng(seed)
    allocate, tensors._allocate = tensors._allocate, lambda file, size: (file.flush(), file.truncate(size))
    try:
        writer = TensorWriter(folder, plan_of(shapes))
    finally:
        tensors._allocate = allocate
    for item in writer.plan:
        if any(part in item.name for part in FILLED):
            for start in range(0, int(np.prod(item.shape)), 1 << 20):
                writer.write(item.name, rng.standard_normal(min(1 << 20, int(np.prod(item.shape)) - start), np.float32))
        else:
            writer.skip()
    writer.close()
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--methods", nargs="*", default=["dare_ties", "della_linear"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        work = Path(folder)
        paths = [str(sparse_model(work / name, seed)) for seed, name in enumerate(("base", "one", "two"))]
        for method in options.methods:
            with tempfile.TemporaryDirectory(dir=work) as place:
                out, state = Path(place, "out"), Path(place, "state")
                out.mkdir()
                state.mkdir()
                merge = [sys.executable, "-c", MERGE, method, str(options.threads), str(out), str(state), *paths]
                done = subprocess.run([sys.executable, "-c", LAUNCH, *merge], capture_output=True, text=True)
                status, peak, cpu, wall = json.loads(done.stdout)
                if status:
                    sys.exit(done.stderr)
                written = sum(path.stat().st_size for path in out.iterdir())
            found[method] = {
                "peak_bytes": peak,
                "cpu_seconds": round(cpu, 1),
                "wall_seconds": round(wall, 1),
                "written_bytes": written,
            }
            print(method, found[method], file=sys.stderr, flush=True)
    peak = max(each["peak_bytes"] for each in found.values())
    line = {
        "claim": "peak memory of merging three checkpoints of 8.03 B parameters in bfloat16",
        "ours": peak,
        "bar": BAR,
        "ok": peak <= BAR,
        "methods": found,
        "threads": options.threads,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
    }
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(line, indent=1) + "\n")
    print(json.dumps(line))
    return 0 if line["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
