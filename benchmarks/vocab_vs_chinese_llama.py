"""Chinese-LLaMA's published pieces in Llama 2's vocabulary: added so that each is reached, against its own merge.

    python benchmarks/vocab_vs_chinese_llama.py [--shared FOLDER] [--out benchmarks/results/vocab_vs_chinese_llama.json]

The peer is what the published script does: every piece that Llama 2 has not got is appended with score 0. Ours gives
the same pieces falling scores in an order in which each is reached. Both sides are written as tokenizer.model and read
by sentencepiece itself. A piece is dead if its own text, by itself, is not cut into it. Three forms of ours: with the
intermediate pieces that some need (counted in its size), cut to the peer's size, and with given pieces alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from pathlib import Path

import sentencepiece
from result import conclude
from sentencepiece import sentencepiece_model_pb2 as protobuf
from shared_data import SHARED

from sampan.lang.codes import normalise_code
from sampan.vocab.adopt import adopt
from sampan.vocab.growth import open_growth
from sampan.vocab.proposals import Proposal
from sampan.vocab.propose_apply import add_pieces

NORMAL = 1
SPACE = "▁"


def read_model(path: Path) -> protobuf.ModelProto:
    model = protobuf.ModelProto()
    model.ParseFromString(path.read_bytes())
    return model


def texts(folder: Path, evaluation: Path, short: str, code: str) -> dict[str, list[str]]:
    """All shared text of a language by file, and its FLORES-200 devtest sentences."""
    found = {}
    for path in sorted((folder / short).glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found[path.name.partition(".")[0]] = [json.loads(line)["text"] for line in file]
    with gzip.open(evaluation / "flores200" / "devtest.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    name = next(key for key in rows[0] if normalise_code(key) == code)
    return found | {"flores200 devtest": [row[name] for row in rows]}


def peer_merge(base: protobuf.ModelProto, given: list[str]) -> bytes:
    """Chinese-LLaMA's merge: what is missing goes to the end, score 0."""
    merged = protobuf.ModelProto()
    merged.CopyFrom(base)
    held = {piece.piece for piece in base.pieces}
    for piece in given:
        if piece not in held:
            merged.pieces.add(piece=piece, score=0)
    return merged.SerializeToString()


def our_merge(base: Path, given: list[str], **how) -> tuple[bytes, dict]:
    growth = open_growth(base, scripts=["Hani"])
    clock = time.process_time()
    pieces = [Proposal(piece.replace(SPACE, " "), "zho_Hans") for piece in given]
    out = add_pieces(growth, pieces, **{"budget": 1 << 20, **how})
    seconds = time.process_time() - clock
    facts = {"given_pieces_added": out.added, "characters": out.characters, "intermediates": out.intermediates}
    return growth.grown_model(), facts | {"left_out": dict(out.left_out), "cpu_seconds": round(seconds, 2)}


def measure(raw: bytes, base: protobuf.ModelProto, chinese: dict, english: dict) -> dict:
    """Size, dead new pieces, old pieces that are dead only now, and tokens by text."""
    model = protobuf.ModelProto()
    model.ParseFromString(raw)
    reader = sentencepiece.SentencePieceProcessor(model_proto=raw)
    new = [piece.piece for piece in model.pieces][len(base.pieces) :]
    old = [piece.piece for piece in base.pieces if piece.type == NORMAL]
    died = dead(model, old) - dead(base, old)
    tokens = {name: sum(map(len, reader.encode(some))) for name, some in chinese.items()}
    return {
        "new_pieces": len(new),
        "dead": len(dead(model, new)),
        "old_pieces_that_died": len(died),
        "tokens": sum(tokens.values()),
        "tokens_by_text": tokens,
        "english_tokens": sum(sum(map(len, reader.encode(some))) for some in english.values()),
    }


def dead(model: protobuf.ModelProto, pieces: list[str]) -> set[str]:
    bare = protobuf.ModelProto()
    bare.CopyFrom(model)
    bare.normalizer_spec.add_dummy_prefix = False
    reader = sentencepiece.SentencePieceProcessor(model_proto=bare.SerializeToString())
    return {piece for piece in pieces if reader.encode(piece.replace(SPACE, " "), out_type=str) != [piece]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = options.shared / "data"
    source = data / "tokenizers" / "llama2" / "tokenizer.model"
    base = read_model(source)
    published = read_model(data / "tokenizers" / "chinese_llama" / "chinese_sp.model")
    given = [piece.piece for piece in published.pieces if piece.type == NORMAL]
    chinese, english = (
        texts(data / "text", data / "eval", *names) for names in (("zh", "zho_Hans"), ("en", "eng_Latn"))
    )
    sides = {"llama2": measure(base.SerializeToString(), base, chinese, english)}
    sides["peer"] = measure(peer_merge(base, given), base, chinese, english)
    size = sides["peer"]["new_pieces"]
    forms = {"ours": {}, "ours_same_size": {"budget": size}, "ours_given_alone": {"intermediates": False}}
    with tempfile.TemporaryDirectory() as folder:
        adopt(source, Path(folder))
        for name, how in forms.items():
            raw, facts = our_merge(Path(folder), given, **how)
            sides[name] = measure(raw, base, chinese, english) | facts
    for name, side in sides.items():
        short = {key: value for key, value in side.items() if key not in ("tokens_by_text", "left_out")}
        print(f"{name:18} {short}")
    ok = all(sides[name]["dead"] == 0 and sides[name]["tokens"] <= sides["peer"]["tokens"] for name in forms)
    line = {
        "claim": "tokens of the shared Chinese text with Chinese-LLaMA's published pieces, none of them dead",
        "ours": sides["ours"]["tokens"],
        "peer": sides["peer"]["tokens"],
        "peer_is": "Chinese-LLaMA's own merge: the same pieces appended with score 0",
        "ratio": round(sides["ours"]["tokens"] / sides["peer"]["tokens"], 4),
        "bar": "0 dead pieces and no more tokens than the peer, in each of the three forms",
        "ok": ok,
        "sides": sides,
    }
    return conclude(line, options.out, packages=("sentencepiece",))


if __name__ == "__main__":
    sys.exit(main())
