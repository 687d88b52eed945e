"""Our side of corpus_vs_datatrove.py: WARC to clean, identified, filtered, deduplicated Parquet, in one process.

Run by the benchmark: `python sampan_corpus.py WARC_FOLDER OUT_FOLDER`. Every stage has its default parameters.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sampan.core.params import parse_params
from sampan.recipe.alone import run_alone
from sampan.recipe.engines import Place
from sampan.recipe.stages import STAGES

STEPS = (
    ("extract", "crawl.warc", "files"),
    ("identify, filter", "corpus.clean", "documents"),
    ("deduplicate", "corpus.dedup", "documents"),
)


def main(pages: str, out: str) -> None:
    source = Path(pages)
    for name, kind, role in STEPS:
        stage = STAGES.load(kind)
        clock = time.process_time()
        run_alone(
            stage,
            parse_params(stage.params, {}, where=kind),
            {role: [source]},
            Path(out) / kind,
            state=lambda key: Path(out) / "state" / key,
            place=Place(workers=1),
        )
        print(f"{name}\t{time.process_time() - clock:.2f}", flush=True)
        source = Path(out) / kind


if __name__ == "__main__":
    main(*sys.argv[1:])
