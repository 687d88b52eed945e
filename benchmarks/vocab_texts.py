"""What the vocabulary benchmarks share: the shared text by language, FLORES, and how to run the stage on them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CODES = {
    "vi": "vie_Latn",
    "zh": "zho_Hans",
    "th": "tha_Thai",
    "id": "ind_Latn",
    "km": "khm_Khmr",
    "lo": "lao_Laoo",
    "ms": "msa_Latn",
    "my": "mya_Mymr",
    "tl": "tgl_Latn",
    "ta": "tam_Taml",
    "en": "eng_Latn",
}
LEFT_OUT = ("tldr", "voa_zawgyi")
"""Help pages half of commands, and Burmese in an encoding that is not Unicode; Burmese NTREX is in it too."""


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def write_documents(shared: Path, out: Path, languages: Sequence[str]) -> int:
    """All shared text of some languages (short codes) as one JSONL table; returns its bytes of text."""
    size = 0
    with out.open("w", encoding="utf-8") as file:
        for short in languages:
            for path in sorted((shared / "data/text" / short).glob("*.jsonl.gz")):
                name = path.name.removesuffix(".jsonl.gz")
                if (name in LEFT_OUT and short != "en") or (short, name) == ("my", "ntrex128"):
                    continue
                for row in rows(path):
                    kept = {key: row[key] for key in ("id", "text", "license")}
                    line = kept | {"language": CODES[short], "source": f"{short}/{name}"}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    size += len(row["text"].encode("utf-8"))
    return size


def texts_of(documents: Path) -> dict[str, list[str]]:
    """The texts of such a table by language."""
    out: dict[str, list[str]] = {}
    with documents.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            row = json.loads(line)
            out.setdefault(row["language"], []).append(row["text"])
    return out


def flores(shared: Path) -> list[dict[str, str]]:
    """FLORES devtest, a row of translations each."""
    return list(rows(shared / "data/eval/flores200/devtest.jsonl.gz"))


def run_stage(name: str, out: Path, given: dict[str, Path], **values: Any) -> dict[str, Any]:
    """Run a stage on files into the new folder `out`; returns its metrics."""
    from sampan.core.params import parse_params
    from sampan.core.stage import Artifact, Inputs, Runtime
    from sampan.recipe.stages import STAGES

    stage = STAGES.load(name)
    state = out.with_name(out.name + ".state")
    for folder in (out, state):
        folder.mkdir(parents=True)
    inputs = Inputs(
        {role: [Artifact(path=path, kind="external", digest="", name=path.name)] for role, path in given.items()}
    )
    values = parse_params(stage.params, values, where="benchmark")
    return dict(stage.run(values, inputs, Runtime(out=out, state=state)))


def count(tokenizer: Any, texts: Sequence[str]) -> int:
    """Tokens of texts, without BOS."""
    return sum(len(item.ids) for item in tokenizer.encode_batch(list(texts), add_special_tokens=False))


def changed(a: Any, b: Any, texts: Sequence[str]) -> int:
    """How many texts two tokenizers cut differently."""
    pairs = zip(*(t.encode_batch(list(texts), add_special_tokens=False) for t in (a, b)), strict=True)
    return sum(x.ids != y.ids for x, y in pairs)


def dead(before: Any, after: Any) -> int:
    """New pieces whose own text is not encoded as that one piece: whole characters through the whole byte-level
    tokenizer, word expression included, parts of characters and SentencePiece's through the model."""
    known, special = before.get_vocab(), after.get_added_tokens_decoder()
    byte_level = "ByteLevel" in type(after.decoder).__name__
    lost = 0
    for token, number in after.get_vocab().items():
        if token in known or number in special:
            continue
        text = after.decoder.decode([token]) if byte_level else ""
        if text and "\ufffd" not in text:
            ids = after.encode(text, add_special_tokens=False).ids
        else:
            ids = [item.id for item in after.model.tokenize(token)]
        lost += ids != [number]
    return lost
