"""How well regressions of few runs rank mixtures: ours and RegMix's boosted trees, on RegMix's own published runs.

    git clone https://github.com/sail-sg/regmix
    python benchmarks/mixture_vs_lightgbm.py regmix/data [--out benchmarks/results/mixture_vs_lightgbm.json]

Both learn the Pile-CC loss of runs of a model of a million parameters from the same first runs, and are asked to rank
held-out mixtures that were trained at 1M, 60M and 1B. The peer's settings are those of RegMix's notebook.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from itertools import pairwise
from pathlib import Path

import lightgbm
import numpy as np
from result import conclude

from sampan.train.mixture_regression import fit, rank_correlation

RUNS = (64, 128, 512)
SIZES = ("1m", "60m", "1B")
BAR = 1.0
"""At 128 runs: the mean rank correlation over the three sizes is no worse than the peer's."""
TREES = {"objective": "regression", "learning_rate": 1e-2, "verbose": -1, "seed": 42, "num_threads": 1}


def read(folder: Path, kind: str, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares [P, 17] and Pile-CC losses [P] of the runs that have both."""
    shares, losses = (_rows(folder / f"{kind}_{name}_{size}.csv") for name in ("mixture", "pile_loss"))
    column = next(n for n, name in enumerate(losses[0]) if "pile_cc" in name)
    ids = [row for row in shares[1] if row in losses[1]]
    values = np.array([shares[1][row] for row in ids])
    return values / values.sum(1, keepdims=True), np.array([losses[1][row][column] for row in ids])


def _rows(path: Path) -> tuple[list[str], dict[str, list[float]]]:
    with open(path, newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    return head[1:], {row[0]: [float(value) for value in row[1:]] for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    shares, losses = read(options.data, "train", "1m")
    tests = {size: read(options.data, "test", size) for size in SIZES}
    table = {}
    for count in RUNS:
        clock = [time.process_time()]
        ours = fit(shares[:count], losses[:count])
        clock.append(time.process_time())
        trees = lightgbm.train(TREES, lightgbm.Dataset(shares[:count], losses[:count]), num_boost_round=1000)
        clock.append(time.process_time())
        table[str(count)] = {
            "ours": [round(rank_correlation(ours.predict(x)[:, 0], y), 3) for x, y in tests.values()],
            "peer": [round(rank_correlation(trees.predict(x), y), 3) for x, y in tests.values()],
            "seconds": [round(late - early, 2) for early, late in pairwise(clock)],
        }
        print(count, table[str(count)])
    result = {side: round(float(np.mean(table["128"][side])), 4) for side in ("ours", "peer")}
    ratio = round(result["ours"] / result["peer"], 3)
    line = {
        "claim": "rank correlation of predicted and measured loss of unseen mixtures, learnt from 128 runs",
        **result,
        "peer_is": "LightGBM as in RegMix's notebook",
        "ratio": ratio,
        "bar": BAR,
        "ok": ratio >= BAR,
        "sizes": SIZES,
        "by_runs": table,
    }
    return conclude(line, options.out, packages=("numpy", "lightgbm"))


if __name__ == "__main__":
    sys.exit(main())
