"""SeaLLMs' compression table on the same work: Llama 2's tokenizer, 16 512 new pieces, nine languages of the region.

Tokens on FLORES devtest relative to Llama 2's English, times 1.19 (the denominator of the published table, which this
base reproduces within 2 %). Ours with English within 0.3 %, with targets and by default; ours with every English
document identical; and the ten-line script that people write: SentencePiece per language, pieces appended.

The targets are the published column. A first run finds the weights that they need, counted on translations that it
does not learn from: FLORES dev where the shared copy has the language, else every fifth document of NTREX (of TICO-19
for Burmese, whose NTREX is not in Unicode). The second run learns from all of the text with these weights. Devtest is
only measured on, when nothing is left to choose.

    python benchmarks/vocab_vs_sealllm.py --shared ../shared [--out benchmarks/results/vocab_vs_sealllm.json]
"""

from __future__ import annotations

import argparse
import io
import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path

from result import conclude
from shared_data import SHARED
from tokenizers import Tokenizer
from vocab_texts import CODES, changed, count, dead, flores, rows, run_stage, texts_of, write_documents

from sampan.lang.normalise import normalise

PUBLISHED = {"vi": 1.48, "zh": 1.40, "th": 1.87, "id": 1.36, "km": 2.67, "lo": 2.07, "ms": 1.50, "my": 1.93, "tl": 1.91}
"""SeaLLMs (arXiv:2312.00738), table 1, column SeaLLM."""
DENOMINATOR = 1.19
NEW_TOKENS, BAR, ENGLISH = 16_512, 0.92, 0.003
IN_DEV, IN_TICO, HELD = ("zh", "id", "ms"), ("my",), 5
"""Languages of FLORES dev, those that TICO-19 stands in for, and the share of documents that is held out: one in so
many."""


def hold_out_translations(shared: Path, documents: Path, learn: Path, translations: Path) -> None:
    """Cut a table of documents into what is learned from and translations, with FLORES dev beside them."""
    table = [json.loads(line) for line in documents.read_text("utf-8").split("\n") if line]
    held, parts = set[str](), {learn: [], translations: []}
    for name in ("ntrex128", "tico19"):
        held.update(sorted(row["id"] for row in table if row["source"] == f"en/{name}")[::HELD])
    for row in table:
        short, _, name = row["source"].partition("/")
        if row["id"] not in held:
            parts[learn].append(row)
        elif short == "en" or (short in IN_TICO if name == "tico19" else short not in IN_DEV):
            parts[translations].append({**row, "text": normalise(row["text"], row["language"])})
    for number, row in enumerate(rows(shared / "data/eval/flores200/dev.jsonl.gz")):
        texts = [{"id": f"dev/{number}", "language": CODES[s], "text": row[s]} for s in ("en", *IN_DEV) if row.get(s)]
        parts[translations] += texts
    for path, lines in parts.items():
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines), "utf-8")


def find_weights(shared: Path, root: Path) -> dict:
    """What each language costs on the translations, its target, and the weight that brings it there."""
    learn, translations = root / "learn.jsonl", root / "translations.jsonl"
    hold_out_translations(shared, root / "documents.jsonl", learn, translations)
    given = {"base": root / "base", "documents": learn, "translations": translations}
    targets = {CODES[short]: value / DENOMINATOR for short, value in PUBLISHED.items()}
    clock = time.process_time()
    metrics = run_stage("vocab.expand", root / "targets", given, num_new_tokens=NEW_TOKENS, targets=targets)
    return {"languages": metrics["targets"], "cpu_seconds": round(time.process_time() - clock, 1)}


def ten_lines(base: Path, texts: dict[str, list[str]], out: Path) -> None:
    """The peer: a SentencePiece model for each language, its pieces appended to the base's."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    from sampan.vocab.from_sentencepiece import write_folder

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(base.read_bytes())
    known = {piece.piece for piece in proto.pieces}
    score = -float(len(known))
    for language in sorted(texts):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts[language] for line in text.split("\n") if line.strip()),
            model_writer=model,
            model_type="bpe",
            vocab_size=4000,
            character_coverage=0.9995,
            minloglevel=2,
            max_sentence_length=1 << 20,
        )
        own = sentencepiece_model_pb2.ModelProto()
        own.ParseFromString(model.getvalue())
        fresh = [piece.piece for piece in own.pieces if piece.piece not in known and piece.type == 1]
        fresh.sort(key=lambda piece: len(piece) > 1)  # SentencePiece lists characters last; pieces need them
        for piece in fresh[: NEW_TOKENS // len(texts)]:
            known.add(piece)
            score -= 1
            proto.pieces.add(piece=piece, score=score)
    out.mkdir()
    write_folder(proto.SerializeToString(), out)


def measure(base: Tokenizer, after: Tokenizer, table: list[dict[str, str]]) -> dict:
    """The nine figures and what has become of English."""
    row: dict = {"ratios": {}, "ratios_odd_rows": {}}
    for short in PUBLISHED:
        for name, some in (("ratios", table), ("ratios_odd_rows", table[1::2])):
            pairs = [(r["en"], r[short]) for r in some if r.get("en") and r.get(short)]
            english = count(base, [a for a, _ in pairs])
            row[name][CODES[short]] = round(DENOMINATOR * count(after, [b for _, b in pairs]) / english, 4)
    for name in ("ratios", "ratios_odd_rows"):
        logs = [math.log(row[name][CODES[short]] / value) for short, value in PUBLISHED.items()]
        row[f"geo_mean_of_{name}"] = round(math.exp(sum(logs) / len(logs)), 4)
    row["worse_than_published"] = [s for s, value in PUBLISHED.items() if row["ratios"][CODES[s]] >= value]
    english = [r["en"] for r in table if r.get("en")]
    row["english_change"] = round(count(after, english) / count(base, english) - 1, 6)
    row["english_sentences_changed"] = f"{changed(base, after, english)} of {len(english)}"
    row["dead_pieces"] = dead(base, after)
    row["new_ids"] = after.get_vocab_size() - base.get_vocab_size()
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table = flores(options.shared)
    model = options.shared / "data/tokenizers/llama2/tokenizer.model"
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        documents = root / "documents.jsonl"
        size = write_documents(options.shared, documents, [*PUBLISHED, "en"])
        run_stage("vocab.import", root / "base", {"files": model})
        base = Tokenizer.from_file(str(root / "base/tokenizer.json"))
        given = {"base": root / "base", "documents": documents}
        targets = find_weights(options.shared, root)
        print("targets", json.dumps(targets), flush=True)
        weights = {language: row["weight"] for language, row in targets["languages"].items()}
        result = {"base": measure(base, base, table)}
        for side, values in (
            ("ours", {"weights": weights}),
            ("ours_default", {}),
            ("ours_identical", {"weights": weights, "max_kept_change": 0.0}),
            ("ten_lines", None),
        ):
            clock = time.process_time()
            metrics = {}
            if values is None:
                texts = texts_of(documents)
                texts.pop("eng_Latn")
                ten_lines(model, texts, root / side)
            else:
                metrics = run_stage("vocab.expand", root / side, given, num_new_tokens=NEW_TOKENS, **values)
            seconds = time.process_time() - clock
            after = Tokenizer.from_file(str(root / side / "tokenizer.json"))
            result[side] = measure(base, after, table) | {"cpu_seconds": round(seconds, 1)}
            if metrics:
                result[side] |= {name: metrics[name] for name in ("new_tokens_by_language", "dropped", "kept")}
            print(side, json.dumps(result[side]), flush=True)
    ours = result["ours"]
    passed = (
        not ours["worse_than_published"]
        and ours["geo_mean_of_ratios"] <= BAR
        and abs(ours["english_change"]) <= ENGLISH
        and not ours["dead_pieces"]
    )
    line = {
        "claim": "tokens in nine languages over SeaLLMs' column, geometric mean; each below, English within 0.3 %",
        "ours": ours["geo_mean_of_ratios"],
        "peer": result["ten_lines"]["geo_mean_of_ratios"],
        "ratio": ours["geo_mean_of_ratios"],
        "bar": BAR,
        "ok": passed,
    }
    details = {
        "published": {CODES[short]: value for short, value in PUBLISHED.items()},
        "targets": targets,
        "sides": result,
        "text_bytes": size,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return conclude(line, options.out, packages=("tokenizers", "sentencepiece", "tiktoken"), details=details)


if __name__ == "__main__":
    sys.exit(main())
