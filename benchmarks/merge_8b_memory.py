"""Peak memory of merging three checkpoints of eight billion parameters (the shapes of Llama 3 8B).

    python benchmarks/merge_8b_memory.py --folder /tmp/merge --out benchmarks/results/merge_8b_memory.json

The inputs (16 GB each) are sparse files: real headers and shards, random numbers in the norms and the first layer, and
holes, which read as zeros, for the rest. The output is written in full and removed (16 GB of disk for a while). The
stage runs in a process of its own, whose peak is measured; digests, which stream too, are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from merge_checkpoints import llama_config, llama_shapes, write_side_files
from one_process import measured
from result import conclude

from sampan.model.tensors import bf16_bits

CONFIG = llama_config(hidden=4096, layers=32, ffn=14_336, vocab=128_256, heads=32, kv_heads=8)
BAR = 1e9
FILLED = ("norm", "layers.0.")
SHARDS = 4
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
    """A model folder in four shards that are holes but for a few tensors."""
    write_side_files(folder, CONFIG)
    shapes, rng = llama_shapes(CONFIG), np.random.default_rng(seed)
    names = list(shapes)
    weight_map = {name: f"model-{number * SHARDS // len(names)}.safetensors" for number, name in enumerate(names)}
    for shard in sorted(set(weight_map.values())):
        header, end = {}, 0
        for name in (name for name in names if weight_map[name] == shard):
            start, end = end, end + 2 * math.prod(shapes[name])
            header[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [start, end]}
        text = json.dumps(header).encode()
        with open(folder / shard, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in (name for name in header if any(part in name for part in FILLED)):
                file.seek(8 + len(text) + header[name]["data_offsets"][0])
                file.write(bf16_bits(rng.standard_normal(math.prod(shapes[name]), np.float32)).tobytes())
            file.truncate(8 + len(text) + end)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--methods", nargs="*", default=["dare_ties", "della_linear"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = {}
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        work = Path(folder)
        paths = [str(sparse_model(work / name, seed)) for seed, name in enumerate(("base", "one", "two"))]
        for method in options.methods:
            with tempfile.TemporaryDirectory(dir=work) as place:
                out, state = Path(place, "out"), Path(place, "state")
                out.mkdir()
                state.mkdir()
                merge = [sys.executable, "-c", MERGE, method, str(options.threads), str(out), str(state), *paths]
                found[method] = measured(merge, Path(place, "log"))
                found[method]["written_bytes"] = sum(path.stat().st_size for path in out.iterdir())
            print(method, found[method], file=sys.stderr, flush=True)
    peak = max(each["peak_bytes"] for each in found.values())
    line = {
        "claim": "peak memory of merging three checkpoints of 8.03 B parameters in bfloat16",
        "ours": peak,
        "bar": BAR,
        "ok": peak <= BAR,
        "methods": found,
        "threads": options.threads,
    }
    return conclude(line, options.out, packages=("numpy",))


if __name__ == "__main__":
    sys.exit(main())
