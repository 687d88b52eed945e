"""Does every runtime read a grown tokenizer alike? All shared text in 13 languages, cut by all that can read it.

Llama 2, Llama 3 and Qwen are grown by vocab.expand. On every document, and on the golden inputs of llama.cpp, the ids
of the fast tokenizer are compared with those of `sentencepiece` or `tiktoken` (the base's own reader) and of llama.cpp
itself, which reads the vocabulary as `export.gguf` writes it. Decoding must give the text back, every new piece must be
reached, and the golden ids must be as they were where no new piece is in them. A special token's name in a text, such
as <s> on the help page of a program, is read as text by all.

    python benchmarks/tokenizers_agree.py --llama-python .venv-llama/bin/python [--out benchmarks/results/…json]

`--llama-python` is a Python with llama-cpp-python. Examples of differences go to standard error only.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from result import conclude
from shared_data import SHARED
from vocab_texts import CODES, dead, rows, run_stage, write_documents

from sampan.export.gguf import _special_tokens
from sampan.export.gguf_file import write_gguf
from sampan.export.gguf_vocab import read_vocabulary
from sampan.model.tokenizer import load_tokenizer

BASES = {
    "llama2": ("llama2/tokenizer.model", "ggml-vocab-llama-spm", {}, ""),
    "qwen": ("qwen/qwen.tiktoken", "ggml-vocab-qwen2", {}, ""),
    "llama3_keep": ("llama3/tokenizer.model", "ggml-vocab-llama-bpe", {"pretokenizer": "keep"}, ""),
    "llama3_repaired": ("llama3/tokenizer.model", "ggml-vocab-llama-bpe", {}, "llama-bpe"),
}
"""File, golden files, params of vocab.expand, and the name to give llama.cpp where it has none for the expression."""
NAMELESS = "llama3_repaired"
"""Its differences in llama.cpp are reported; tokenizer_report.json says beforehand that it has no name there."""
LANGUAGES = ["en", "zh", "vi", "id", "th", "ms", "km", "lo", "my", "tl", "ta", "jv", "su"]
EXAMPLES = 5

Groups = dict[str, list[str]]


def shared_texts(shared: Path, every: int) -> Groups:
    found = {
        short: [row["text"] for path in sorted((shared / "data/text" / short).glob("*.jsonl.gz")) for row in rows(path)]
        for short in LANGUAGES
    }
    return {short: texts[::every] for short, texts in found.items()}


def golden(folder: Path, name: str) -> tuple[list[str], list[list[int]]]:
    texts = (folder / f"{name}.gguf.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    lines = (folder / f"{name}.gguf.out").read_text().split("\n")
    wanted = [[int(number) for number in line.split()] for line in lines]
    return texts, wanted[: len(texts)]


def own_reader(folder: Path) -> tuple[str, Callable[[str], Sequence[int]]]:
    """The reader of the base's own file format."""
    if (folder / "tokenizer.model").is_file():
        import sentencepiece

        return "sentencepiece", sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).encode
    import tiktoken

    report = json.loads((folder / "tokenizer_report.json").read_text("utf-8"))
    pairs = (line.split() for line in (folder / "tokenizer.tiktoken").read_bytes().split(b"\n") if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    pattern = report["word_expression"]
    encoding = tiktoken.Encoding("grown", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return "tiktoken", encoding.encode_ordinary


def start_llama_cpp(python: Path, folder: Path, name: str, groups: Groups, work: Path) -> subprocess.Popen:
    """llama.cpp at work on all texts, beside us."""
    work.mkdir()
    tokenizer = load_tokenizer(folder)
    vocabulary = read_vocabulary(folder, max(tokenizer.get_vocab().values()) + 1, pre_type=name)
    write_gguf(work / "vocabulary.gguf", "llama", _special_tokens(tokenizer), vocabulary, {}, ())
    with open(work / "texts.jsonl", "w", encoding="utf-8") as file:
        for text in (text for texts in groups.values() for text in texts):
            file.write(json.dumps(text) + "\n")
    script = Path(__file__).parent / "peers" / "llama_cpp_ids.py"
    args = [python, script, work / "vocabulary.gguf", work / "texts.jsonl", work]
    return subprocess.Popen(list(map(str, args)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def llama_cpp_ids(process: subprocess.Popen, work: Path) -> Iterator[list[int]]:
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"llama.cpp failed:\n{errors[-2000:]}")
    ids, lengths = (np.fromfile(work / f"{name}.bin", np.int64) for name in ("ids", "lengths"))
    yield from (part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1])


def show(side: str, group: str, text: str, mine: Sequence[int], theirs: Sequence[int], tokenizer) -> None:
    at = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    start = len(tokenizer.decode(mine[:at])) if at else 0
    near = {
        name: tokenizer.convert_ids_to_tokens(list(ids[at : at + 4])) for name, ids in (("hf", mine), (side, theirs))
    }
    print(group, repr(text[max(0, start - 15) : start + 15]), near, file=sys.stderr, flush=True)


def compare(folder: Path, groups: Groups, llama_cpp: Iterator[list[int]] | None) -> dict:
    """Per group: documents, and how many each reader cuts otherwise; `round_trip`: texts that do not come back."""
    tokenizer = load_tokenizer(folder)
    tokenizer.backend_tokenizer.encode_special_tokens = True
    name, other = own_reader(folder)
    table: dict = {}
    shown: dict[str, int] = {}
    for group, texts in groups.items():
        row = dict.fromkeys(("round_trip", name, *(["llama_cpp"] if llama_cpp else [])), 0)
        for start in range(0, len(texts), 256):
            some = texts[start : start + 256]
            found = [item.ids for item in tokenizer.backend_tokenizer.encode_batch_fast(some, add_special_tokens=False)]
            back = tokenizer.batch_decode(found)
            for text, ids, decoded in zip(some, found, back, strict=True):
                row["round_trip"] += decoded != text
                given = {name: other(text)} | ({"llama_cpp": next(llama_cpp)} if llama_cpp else {})
                for side, theirs in given.items():
                    if ids != theirs:
                        row[side] += 1
                        shown[side] = shown.get(side, 0) + 1
                        if shown[side] <= EXAMPLES:
                            show(side, group, text, ids, theirs, tokenizer)
        table[group] = {"documents": len(texts), "differing": row}
    return table


def measure(base: str, options: argparse.Namespace, root: Path, texts: Groups) -> dict:
    """One base grown and read by all."""
    file, golden_name, values, pre_type = BASES[base]
    tokenizers = options.shared / "data/tokenizers"
    run_stage("vocab.import", root / f"{base}-base", {"files": tokenizers / file})
    given = {"base": root / f"{base}-base", "documents": root / "documents.jsonl"}
    values = {"num_new_tokens": options.new_tokens, "max_documents": options.max_documents, **values}
    metrics = run_stage("vocab.expand", root / base, given, **values)
    inputs, wanted = golden((tokenizers / file).parent, golden_name)
    groups = {**texts, "golden": inputs}
    work = root / f"{base}-llama"
    llama_cpp = None
    if options.llama_python:
        process = start_llama_cpp(options.llama_python, root / base, pre_type, groups, work)
        llama_cpp = llama_cpp_ids(process, work)
    clock = time.process_time()
    table = compare(root / base, groups, llama_cpp)
    before, after = load_tokenizer(root / f"{base}-base"), load_tokenizer(root / base)
    now = [after(text, add_special_tokens=False)["input_ids"] for text in inputs]
    old = [max(ids, default=0) < len(before) for ids in now]
    return {
        "new_pieces": metrics["new_tokens"],
        "dead_pieces": dead(before.backend_tokenizer, after.backend_tokenizer),
        "golden_without_new_pieces": sum(old),
        "golden_changed": sum(o and a != b for o, a, b in zip(old, now, wanted, strict=True)),
        "golden_with_new_pieces": len(old) - sum(old),
        "runtimes": metrics["runtimes"],
        "documents": sum(row["documents"] for row in table.values()),
        "differing": {
            side: {group: row["differing"][side] for group, row in table.items() if row["differing"][side]}
            for side in table["golden"]["differing"]
        },
        "cpu_seconds": round(time.process_time() - clock, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--llama-python", type=Path)
    parser.add_argument("--bases", nargs="+", default=list(BASES), choices=list(BASES))
    parser.add_argument("--every", type=int, default=1, help="take every n-th document")
    parser.add_argument("--new-tokens", type=int, default=4096)
    parser.add_argument("--max-documents", type=int, default=200, help="documents a language that are grown on")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sides = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_documents(options.shared, root / "documents.jsonl", list(CODES))
        texts = shared_texts(options.shared, options.every)
        for base in options.bases:
            sides[base] = measure(base, options, root, texts)
            print(base, json.dumps(sides[base]), flush=True)
    bad = {
        base: sum(
            sum(found.values()) for side, found in row["differing"].items() if (base, side) != (NAMELESS, "llama_cpp")
        )
        + row["dead_pieces"]
        + row["golden_changed"]
        for base, row in sides.items()
    }
    line = {
        "claim": "documents that a runtime cuts otherwise, dead pieces and changed golden ids, over grown tokenizers",
        "ours": sum(bad.values()),
        "peer": None,
        "ratio": None,
        "bar": 0,
        "ok": not any(bad.values()),
    }
    size = sum(len(text.encode()) for some in texts.values() for text in some)
    details = {"sides": sides, "every": options.every, "text_bytes": size}
    return conclude(line, options.out, packages=("tokenizers", "sentencepiece", "tiktoken"), details=details)


if __name__ == "__main__":
    sys.exit(main())
