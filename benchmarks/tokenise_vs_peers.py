"""Tokenise and pack: our stage against datatrove, `datasets.map`, and encoders with nothing around them.

    python benchmarks/tokenise_vs_peers.py --peers-python .venv-peers/bin/python \
        --out benchmarks/results/tokenise_vs_peers.json

All read the same Parquet file of real text in 13 languages and must give the same ids. Measured is CPU time of one
thread; fastokens, which takes all cores unless told otherwise and fills a cache of words in each, is told. What is done
once whatever the size of the corpus (opening the tokenizer; for us, also choosing the engine) is left out on every side
and reported as `setup_seconds` for ours. The bare encoders read the text and encode it, and do nothing else
(`tokenizers`, far slower, has the text in memory); `in_memory` is the fastest's figure without reading. It and we take
turns, each time with a tokenizer opened anew, as an engine that has seen a text encodes it faster; both have seen the
sample on which we choose the engine. Both begin with memory that was just in use: a virtual machine has to ask its host
for what was long free, at ten times the price, and no side is to pay for that.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock

os.environ.update(TOKENIZERS_PARALLELISM="false", FASTOKENS_BPE_THREADS="1", RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1")

import numpy as np
import pyarrow.parquet as pq
from result import conclude
from shared_data import PEERS_PYTHON, SHARED

from sampan.artifacts.document_shards import document_jobs
from sampan.artifacts.documents import Document, write_documents
from sampan.artifacts.tokens import read_tokens
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.corpus import encoders
from sampan.corpus.encoder_choice import sample_texts
from sampan.corpus.packing import FAST_JOB_BYTES
from sampan.recipe.stages import STAGES
from sampan.vocab.adopt import adopt

BARE, PEER = 0.9, 5.0
"""Bars: against the fastest encoder that reads the tokenizer, and against datatrove and `datasets.map`."""
ROUNDS = 5
MEMORY = 512 << 20
"""Bytes in use just before the clock starts: more than either side needs."""
TOKENIZERS = {
    "llama3": ("llama3/tokenizer.model", "<|end_of_text|>", "tiktoken"),
    "llama2": ("llama2/tokenizer.model", "</s>", "sentencepiece"),
    "qwen": ("qwen/qwen.tiktoken", "<|endoftext|>", "tiktoken"),
}
"""File, end of a document, and the engine that we are also measured with alone. `qwen` on demand."""


def write_text(shared: Path, folder: Path) -> int:
    """All shared text as Documents; its UTF-8 bytes."""
    folder.mkdir()

    def rows() -> Iterator[Document]:
        for file in sorted((shared / "data/text").glob("*/*.jsonl.gz")):
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    yield Document(id=row["id"], text=row["text"], language=row["lang"], source=row["source"])

    return write_documents(folder, rows())["text_bytes"]


def ours(documents: Path, tokenizer: Path, work: Path) -> tuple[float, float, dict]:
    """(CPU seconds of the work, of what comes before it, metrics) of one run of corpus.pack into work/out."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "out").mkdir(parents=True)
    encoders.open_encoder.cache_clear()
    encoders.open_reference.cache_clear()
    before: list[float] = []
    begun: list[float] = []

    def begin(*_: object) -> None:
        if not begun:
            before.append(time.process_time())
            use_memory()
            begun.append(time.process_time())

    runtime = Runtime(out=work / "out", state=work / "state", on_progress=begin)
    stage = STAGES.load("corpus.pack")
    given = {role: [_artifact(path)] for role, path in (("documents", documents), ("tokenizer", tokenizer))}
    start = time.process_time()
    metrics = stage.run(parse_params(stage.params, {"add_bos": False}, where="benchmark"), Inputs(given), runtime)
    return time.process_time() - begun[0], before[0] - start, metrics


def _artifact(path: Path) -> Artifact:
    return Artifact(path=path, kind="external", digest="0" * 64, name=path.name)


def use_memory() -> None:
    """Touch MEMORY bytes and give them back to the system, which hands them out again first."""
    np.ones(MEMORY, np.uint8)


def texts(documents: Path) -> Iterator[list[str]]:
    for file in sorted(documents.glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(1024, columns=["text"]):
            yield batch.column(0).to_pylist()


def bare(engine: str, batches: Iterable[list[str]], tokenizer: Path, seen: list[str]) -> float:
    """CPU seconds of encoding the batches, and of reading them if they are read, with an engine that has only `seen`
    the sample."""
    encode = open_bare(engine, tokenizer)
    encode(seen)
    use_memory()
    start = time.process_time()
    for batch in batches:
        encode(batch)
    return time.process_time() - start


def open_bare(engine: str, tokenizer: Path) -> Callable:
    """The engine as its own documentation uses it; ValueError if it does not read this tokenizer."""
    file = str(tokenizer / "tokenizer.json")
    if engine == "tokenizers":
        from tokenizers import Tokenizer

        found = Tokenizer.from_file(file)
        return lambda batch: found.encode_batch_fast(batch, add_special_tokens=False)
    if engine == "fastokens":
        import fastokens

        return fastokens.Tokenizer.from_file(file).encode_batch_flat
    if engine == "sentencepiece":
        from sentencepiece import SentencePieceProcessor

        if not (tokenizer / "tokenizer.model").is_file():
            raise ValueError("no tokenizer.model")
        model = SentencePieceProcessor(model_file=str(tokenizer / "tokenizer.model"))
        return lambda batch: model.encode(batch, num_threads=1)
    encode, _ = encoders.ENGINES["tiktoken"](Path(file).read_text(encoding="utf-8"), tokenizer)
    return encode


def start_peer(name: str, python: Path, documents: Path, tokenizer: Path, eos: str, out: Path) -> subprocess.Popen:
    """A peer at work beside us: its CPU time is its own."""
    out.mkdir(parents=True)
    script = Path(__file__).parent / "peers" / "tokenise.py"
    args = [python, script, name, documents, tokenizer / "tokenizer.json", eos, out]
    environment = {**os.environ, "PYTHONPATH": ""}
    return subprocess.Popen(
        list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def end_peer(name: str, process: subprocess.Popen, theirs: Path, mine: Path) -> float:
    """The peer's CPU seconds; its ids must be ours."""
    printed, errors = process.communicate()
    if process.returncode:
        sys.exit(f"{name} failed:\n{errors[-2000:]}")
    shards = read_tokens(mine)
    same = np.array_equal(np.fromfile(theirs / "ids.bin", np.uint32), shards.ids)
    if not (same and np.array_equal(np.fromfile(theirs / "lengths.bin", np.int64), np.diff(shards.offsets))):
        sys.exit(f"the ids of {name} are not ours")
    return float(printed.rsplit("cpu_seconds", 1)[1])


def measure(name: str, shared: Path, documents: Path, size: int, folder: Path, python: Path) -> dict:
    """The rates in MB/s of one tokenizer on all sides, and what our metrics say."""
    file, eos, _ = TOKENIZERS[name]
    tokenizer, run = folder / name, folder / "run"
    tokenizer.mkdir()
    adopt(shared / "data/tokenizers" / file, tokenizer)
    engines, unread = [], {}
    for engine in encoders.ENGINES:
        try:
            open_bare(engine, tokenizer)
            engines.append(engine)
        except Exception as error:
            unread[engine] = str(error)
    # Once for each shows which is fastest; it and we take turns, before the peers make the machine busy.
    seen = sample_texts(document_jobs([_artifact(documents)], job_bytes=FAST_JOB_BYTES))
    rounds: dict[str, list] = {engine: [(bare(engine, texts(documents), tokenizer, seen),)] for engine in engines}
    rounds["ours"], fastest = [], min(engines, key=rounds.get)
    for _ in range(ROUNDS):
        rounds["ours"].append(ours(documents, tokenizer, run))
        rounds[fastest].append((bare(fastest, texts(documents), tokenizer, seen),))
    in_memory = list(texts(documents))
    alone = min(bare(fastest, in_memory, tokenizer, seen) for _ in range(ROUNDS))
    outs = {one: folder / f"{name}-{one}" for one in ("datatrove", "datasets")}
    working = {one: start_peer(one, python, documents, tokenizer, eos, out) for one, out in outs.items()}
    rounds["tokenizers"] = [(bare("tokenizers", in_memory, tokenizer, seen),)]
    best = {engine: min(found[0] for found in values) for engine, values in rounds.items()}
    metrics = rounds["ours"][-1][2]
    row = {
        "engine": metrics["engine"],
        "ours": best.pop("ours"),
        "bare": best,
        "in_memory": {fastest: alone},
        "peers": {one: end_peer(one, process, outs[one], run / "out") for one, process in working.items()},
    }
    table = _rates(row, size / 1e6)
    return {
        **table,
        "tokens_per_second": round(metrics["tokens"] / row["ours"]),
        "setup_seconds": round(min(found[1] for found in rounds["ours"]), 2),
        "does_not_read": unread,
        "to_fastest_bare": round(table["ours"] / table["bare"][fastest], 2),
        "to_fastest_in_memory": round(table["ours"] / table["in_memory"][fastest], 2),
        **{f"to_{p}": round(table["ours"] / rate, 1) for p, rate in table["peers"].items()},
    }


def _rates(row: dict, megabytes: float) -> dict:
    """Seconds as MB per CPU-second."""
    return {
        key: value
        if isinstance(value, str)
        else _rates(value, megabytes)
        if isinstance(value, dict)
        else round(megabytes / value, 2)
        for key, value in row.items()
    }


def forced(engine: str, name: str, documents: Path, size: int, folder: Path) -> dict:
    """Ours when only one engine is installed, against that engine alone."""
    mine, alone = [], []
    seen = sample_texts(document_jobs([_artifact(documents)], job_bytes=FAST_JOB_BYTES))
    with (
        mock.patch.object(encoders, "installed", lambda other: other == engine),
        mock.patch("sampan.corpus.encoder_choice.installed", lambda other: other == engine),
    ):
        for _ in range(2):
            mine.append(ours(documents, folder / name, folder / "run"))
            alone.append(bare(engine, texts(documents), folder / name, seen))
    if mine[-1][2]["engine"] != engine:
        sys.exit(f"{engine} was not taken: {mine[-1][2]}")
    rates = [round(size / 1e6 / min(seconds), 2) for seconds in ([m[0] for m in mine], alone)]
    return {"ours": rates[0], "bare": rates[1], "ratio": round(rates[0] / rates[1], 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON)
    parser.add_argument("--tokenizers", nargs="+", default=["llama3", "llama2"], choices=list(TOKENIZERS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not options.peers_python.exists():
        sys.exit(f"{options.peers_python} is not there: `make bench-env` installs benchmarks/peers/peers.txt there")
    table, alone = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_text(options.shared, folder / "documents")
        for one in options.tokenizers:
            table[one] = measure(one, options.shared, folder / "documents", size, folder, options.peers_python)
            print(one, json.dumps(table[one]), flush=True)
            engine = TOKENIZERS[one][2]
            alone[f"{one}, {engine} alone"] = forced(engine, one, folder / "documents", size, folder)
            print(json.dumps(alone), flush=True)
    lowest = min([row["to_fastest_bare"] for row in table.values()] + [row["ratio"] for row in alone.values()])
    over_peers = min(min(row["to_datatrove"], row["to_datasets"]) for row in table.values())
    first = next(iter(table.values()))
    result = {
        "claim": "tokenise and pack real text in 13 languages, MB of text per CPU-second of one thread",
        "ours": first["ours"],
        "peer": max(first["bare"].values()),
        "ratio": lowest,
        "bar": BARE,
        "ratio_to_datatrove_and_datasets": over_peers,
        "bar_to_datatrove_and_datasets": PEER,
        "ok": lowest >= BARE and over_peers >= PEER,
    }
    return conclude(
        result,
        options.out,
        packages=("tokenizers", "fastokens", "tiktoken", "sentencepiece", "pyarrow", "numpy"),
        versions=_versions(options.peers_python, ("datatrove", "datasets")),
        details={"text_bytes": size, "by_tokenizer": table, "one_engine": alone},
    )


def _versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    code = f"import importlib.metadata as m, json; print(json.dumps({{p: m.version(p) for p in {packages!r}}}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
