"""Time and memory of growing by 16 384 pieces on 50 MB of mixed text, beside training a fresh vocabulary of that size.

Peers, on the same text in the same run: `tokenizers` (byte-level BPE) and `sentencepiece` (BPE, byte fallback), both of
the base's size and 16 384 more. Each side runs in a process of its own, of which CPU time, time by the clock and peak
memory are told; `holds` says which of the three bars ours meets. The clock means something on a quiet machine only.

    python benchmarks/vocab_grow_vs_fresh.py --shared ../shared [--out benchmarks/results/vocab_grow_vs_fresh.json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

from result import conclude
from shared_data import SHARED
from vocab_texts import CODES, run_stage, texts_of, write_documents

NEW_TOKENS, BASE = 16_384, 32_000
BARS = {"cpu_seconds": 180.0, "wall_seconds": 180.0, "peak_bytes": 2 * 2**30}
"""Three minutes, by the clock and of one core, though two may be used, and 2 GiB."""


def ours(root: Path) -> None:
    given = {"base": root / "base", "documents": root / "documents.jsonl"}
    run_stage("vocab.expand", root / "ours", given, num_new_tokens=NEW_TOKENS)


def tokenizers_peer(root: Path) -> None:
    from tokenizers import Tokenizer, models, trainers

    from sampan.model import byte_letters

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_letters.pre_tokenizer(byte_letters.QWEN35)
    letters = list(byte_letters.letters())
    trainer = trainers.BpeTrainer(vocab_size=BASE + NEW_TOKENS, show_progress=False, initial_alphabet=letters)
    tokenizer.train_from_iterator((t for texts in texts_of(root / "documents.jsonl").values() for t in texts), trainer)
    tokenizer.save(str(root / "fresh.json"))


def sentencepiece_peer(root: Path) -> None:
    import sentencepiece

    texts = texts_of(root / "documents.jsonl")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(
            line for some in texts.values() for text in some for line in text.split("\n") if line.strip()
        ),
        model_prefix=str(root / "fresh"),
        model_type="bpe",
        vocab_size=BASE + NEW_TOKENS,
        byte_fallback=True,
        character_coverage=0.9995,
        max_sentence_length=1 << 20,
        num_threads=2,
        minloglevel=2,
    )


def timed(side, root: Path) -> None:
    """Run a side and leave its CPU-seconds and peak memory in a file."""
    clock, wall = time.process_time(), time.perf_counter()
    side(root)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"cpu_seconds": time.process_time() - clock, "wall_seconds": time.perf_counter() - wall, "peak_bytes": peak}
    (root / f"{side.__name__}.json").write_text(json.dumps(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    fork = multiprocessing.get_context("spawn")
    result: dict = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        size = write_documents(options.shared, root / "documents.jsonl", list(CODES))
        run_stage("vocab.import", root / "base", {"files": options.shared / "data/tokenizers/llama2/tokenizer.model"})
        for side in (ours, tokenizers_peer, sentencepiece_peer):
            process = fork.Process(target=timed, args=(side, root))
            process.start()
            process.join()
            found = json.loads((root / f"{side.__name__}.json").read_text()) if not process.exitcode else {}
            result[side.__name__] = {key: round(value, 1) for key, value in found.items()}
            print(side.__name__, result[side.__name__], flush=True)
    mine, theirs = result["ours"], result["sentencepiece_peer"]
    holds = {name: mine[name] <= bar for name, bar in BARS.items()}
    line = {
        "claim": f"CPU-seconds to grow by {NEW_TOKENS} pieces on {size / 1e6:.0f} MB; peer: a fresh sentencepiece",
        "ours": mine["cpu_seconds"],
        "peer": theirs.get("cpu_seconds"),
        "ratio": round(theirs["cpu_seconds"] / mine["cpu_seconds"], 2) if theirs else None,
        "bar": BARS["cpu_seconds"],
        "ok": all(holds.values()),
    }
    details = {"bars": BARS, "holds": holds, "sides": result, "text_bytes": size}
    return conclude(line, options.out, packages=("tokenizers", "sentencepiece", "tiktoken"), details=details)


if __name__ == "__main__":
    sys.exit(main())
