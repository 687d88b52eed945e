"""Llama 3's and Qwen's byte-level vocabularies grown for the region, with the word expression repaired and kept.

On FLORES devtest: tokens against the base for Khmer, Lao, Burmese and Tamil; characters per token against continued
BPE under the unrepaired expression with the same budget; English sentences changed; dead pieces. The pieces of
languages that share English's script are left out (`shared_script: skip`), and every kept document must be identical.

    python benchmarks/vocab_byte_level.py --shared ../shared [--out benchmarks/results/vocab_byte_level.json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from shared_data import SHARED
from tokenizers import Tokenizer
from vocab_texts import changed, count, dead, facts, flores, rows, run_stage, write_documents

BASES = {"llama3": "llama3/tokenizer.model", "qwen": "qwen/qwen.tiktoken"}
LANGUAGES = ["th", "lo", "km", "my", "ta"]
NEW_TOKENS, DOCUMENTS = 16_384, 500
FEWER, AT_LEAST = 2.5, {"th": 1.2, "lo": 1.6, "km": 1.6, "my": 1.6}
SENTENCES = 1000


def others(shared: Path) -> dict[str, list[str]]:
    """Text that must not change: English and Vietnamese sentences, and Python source."""
    table = flores(shared)
    ntrex = [
        line for row in rows(shared / "data/text/en/ntrex128.jsonl.gz") for line in row["text"].split("\n") if line
    ]
    source = [path.read_text("utf-8") for path in sorted(Path(json.__file__).parents[1].glob("*/*.py"))[:200]]
    english = [row["en"] for row in table if row.get("en")] + ntrex
    return {"english": english[:SENTENCES], "vietnamese": [r["vi"] for r in table if r.get("vi")], "code": source}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table, fixed, sides = flores(options.shared), others(options.shared), {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        documents = root / "documents.jsonl"
        write_documents(options.shared, documents, [*LANGUAGES, "en"])
        for base, file in BASES.items():
            run_stage("vocab.import", root / base, {"files": options.shared / "data/tokenizers" / file})
            tokenizers = {"base": Tokenizer.from_file(str(root / base / "tokenizer.json"))}
            sides[base] = {"runtimes": {}}
            for mode in ("repair", "keep"):
                clock, out = time.process_time(), root / f"{base}_{mode}"
                values = {"num_new_tokens": NEW_TOKENS, "pretokenizer": mode, "max_kept_change": 0.0}
                values["max_documents"] = DOCUMENTS
                given = {"base": root / base, "documents": documents}
                metrics = run_stage("vocab.expand", out, given, shared_script="skip", **values)
                tokenizers[mode] = Tokenizer.from_file(str(out / "tokenizer.json"))
                sides[base][f"cpu_seconds_{mode}"] = round(time.process_time() - clock, 1)
                sides[base]["runtimes"][mode] = metrics["runtimes"]
                sides[base][f"new_tokens_{mode}"] = metrics["new_tokens"]
            sides[base] |= measure(tokenizers, table, fixed)
            print(base, json.dumps(sides[base]), flush=True)
    passed = all(side["ok"] for side in sides.values())
    worst = min(row["tokens_base_over_ours"] for side in sides.values() for row in side["languages"].values())
    gains = [
        side["languages"][short]["characters_per_token_over_kept"] / bar
        for side in sides.values()
        for short, bar in AT_LEAST.items()
    ]
    line = {
        "claim": "characters per token against continued BPE under the unrepaired word expression, least share of bar",
        "ours": round(min(gains), 3),
        "peer": 1.0,
        "ratio": round(min(gains), 3),
        "fewer_tokens_than_base": worst,
        "bar": 1.0,
        "ok": passed,
    }
    if options.out:
        options.out.write_text(json.dumps(line | {"sides": sides} | facts(), ensure_ascii=False, indent=1) + "\n")
    print(json.dumps(line))
    return 0 if passed else 1


def measure(tokenizers: dict[str, Tokenizer], table: list[dict[str, str]], fixed: dict[str, list[str]]) -> dict:
    languages = {}
    for short in LANGUAGES:
        texts = [row[short] for row in table if row.get(short)]
        counts = {mode: count(tokenizer, texts) for mode, tokenizer in tokenizers.items()}
        languages[short] = {
            "characters_per_token": {m: round(sum(map(len, texts)) / n, 3) for m, n in counts.items()},
            "tokens_base_over_ours": round(counts["base"] / counts["repair"], 3),
            "characters_per_token_over_kept": round(counts["keep"] / counts["repair"], 3),
        }
    base, ours = tokenizers["base"], tokenizers["repair"]
    moved = {kind: f"{changed(base, ours, texts)} of {len(texts)}" for kind, texts in fixed.items()}
    lost = dead(base, ours)
    fewer = all(languages[short]["tokens_base_over_ours"] >= FEWER for short in ("km", "lo", "my", "ta"))
    gain = all(languages[short]["characters_per_token_over_kept"] >= bar for short, bar in AT_LEAST.items())
    return {
        "languages": languages,
        "changed": moved,
        "dead_pieces": lost,
        "ok": fewer and gain and not lost and moved["english"].startswith("0 "),
    }


if __name__ == "__main__":
    sys.exit(main())
