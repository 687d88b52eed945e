"""The peers of tokenise_vs_peers.py: a Parquet file's texts to ids by datatrove or `datasets.map`.

Run by the benchmark with the peers' Python: `python tokenise.py datatrove|datasets DOCUMENTS_FOLDER TOKENIZER_JSON EOS
OUT_FOLDER`. Prints the CPU seconds of the work; opening the tokenizer (and, for `datasets`, reading the file into its
own format) is done before. The ids go to `ids.bin`, uint32, and the tokens of each document to `lengths.bin`, int64.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", HF_HUB_OFFLINE="1")


def datatrove(documents: str, tokenizer: str, eos: str, out: Path) -> float:
    """Reader and DocumentTokenizer as in datatrove's own example, without shuffling, which would be more work."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    writer = DocumentTokenizer(
        str(out / "tokens"), tokenizer, eos_token=eos, shuffle_documents=False, save_filename="all"
    )
    size = writer.token_size  # opens the tokenizer
    clock = time.process_time()
    LocalPipelineExecutor(
        pipeline=[ParquetReader(documents, glob_pattern="*.parquet"), writer],
        tasks=1,
        workers=1,
        logging_dir=str(out / "logs"),
    ).run()
    seconds = time.process_time() - clock
    (file,) = (out / "tokens").glob("*.ds")
    np.fromfile(file, np.uint16 if size == 2 else np.uint32).astype(np.uint32).tofile(out / "ids.bin")
    ends = np.fromfile(next((out / "tokens").glob("*.ds.index")), np.int64)
    np.diff(ends, prepend=0).tofile(out / "lengths.bin")
    return seconds


def datasets(documents: str, tokenizer: str, eos: str, out: Path) -> float:
    """`map` over batches of texts, as training scripts do it; its result is an Arrow file of lists of ids."""
    from datasets import Dataset
    from tokenizers import Tokenizer

    table = Dataset.from_parquet(sorted(map(str, Path(documents).glob("*.parquet"))), cache_dir=str(out / "cache"))
    encoder = Tokenizer.from_file(tokenizer)
    end = encoder.token_to_id(eos)

    def encode(batch: dict) -> dict:
        found = encoder.encode_batch(batch["text"], add_special_tokens=False)
        return {"input_ids": [[*item.ids, end] for item in found]}

    clock = time.process_time()
    made = table.map(encode, batched=True, remove_columns=table.column_names, cache_file_name=str(out / "mapped.arrow"))
    seconds = time.process_time() - clock
    lists = [np.asarray(ids, np.uint32) for ids in made["input_ids"]]
    np.concatenate(lists).tofile(out / "ids.bin")
    np.asarray([len(ids) for ids in lists], np.int64).tofile(out / "lengths.bin")
    return seconds


if __name__ == "__main__":
    work = {"datatrove": datatrove, "datasets": datasets}[sys.argv[1]]
    print(f"cpu_seconds {work(*sys.argv[2:5], Path(sys.argv[5])):.3f}")
