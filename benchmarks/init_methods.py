"""New embedding rows by every method, and expansion against none: bits per byte of held-out text after the same training.

A model of `recipes/real-mini.yaml`'s size is trained on English, its vocabulary is expanded for ten languages with every
method, and each result goes once through the same text of the region (and some English), with SEEDS orders of documents.
Beside them the unexpanded model is trained on the same text (`equal text`) and on as much of it as costs the same
arithmetic (`equal compute`). Every step is kept in `--work`, so a killed run goes on where it was.

    python benchmarks/init_methods.py [--shared ../shared] [--work build/init_methods]
        [--out benchmarks/results/init_methods.json] [--only METHOD ...] [--prepare]
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import math
import platform
import shutil
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from sampan.core.identity import unit_interval
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.lang.codes import normalise_code
from sampan.recipe.stages import STAGES

METHODS = ("random", "mean_all", "mean_subword", "weighted_subword", "focus", "distill")
SEEDS = (0, 1, 2)
REGION = ("th", "lo", "km", "my", "vi", "id", "ms", "tl", "ta", "zh")
TRAIN_BYTES, HELD_BYTES, ENGLISH_BYTES = 80_000, 15_000, 160_000
"""UTF-8 bytes of a language's training and held-out text, and of the English that is mixed in."""
BASE_TOKENS, NEW_TOKENS, INIT_TOKENS = 1_000_000, 4096, 100_000
SKIPPED = {"voa_zawgyi", "oscar_web", "c4_web"}
"""Another encoding, and raw crawl."""
LONGEST = 4000
TRAINING = {"lr": 3e-3, "context_len": 512, "micro_batch_tokens": 8192}
STEP_TOKENS = 2048


# -- text ----------------------------------------------------------------------------------------------------------------


def read_texts(shared: Path, language: str) -> list[tuple[str, str]]:
    """(id, text) of a language's documents, cut to LONGEST characters, in an order that a hash of the id gives."""
    found = []
    for path in sorted((shared / "data" / "text" / language).glob("*.jsonl.gz")):
        if path.name.partition(".")[0] in SKIPPED:
            continue
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found += [(row["id"], row["text"][:LONGEST]) for row in map(json.loads, file)]
    return sorted(found, key=lambda pair: unit_interval("init_methods", f"{language}/{pair[0]}"))


def take(texts: list[tuple[str, str]], size: int) -> list[tuple[str, str]]:
    """Documents from the front, removed from `texts`, until they have `size` bytes."""
    taken = []
    while texts and size > 0:
        taken.append(texts.pop(0))
        size -= len(taken[-1][1].encode())
    return taken


def write_texts(shared: Path, work: Path) -> None:
    """english.jsonl (the base's text), cpt.jsonl (region and English), held.jsonl."""
    if (work / "held.jsonl").exists():
        return
    rows = defaultdict(list)
    for language in ("en", *REGION):
        texts = read_texts(shared, language)
        parts = {"held": take(texts, HELD_BYTES), "cpt": take(texts, ENGLISH_BYTES if language == "en" else TRAIN_BYTES)}
        if language == "en":
            parts["english"] = texts
        for name, part in parts.items():
            rows[name] += [{"id": i, "text": text, "language": normalise_code(language)} for i, text in part]
    for name in ("english", "cpt", "held"):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows[name])
        (work / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


# -- stages --------------------------------------------------------------------------------------------------------------


class Lab:
    """Runs stages into folders of `work`, each once."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def run(self, name: str, stage: str, given: dict[str, str], **values) -> dict:
        """The metrics of a stage, from its folder if it was run before; `seconds` is CPU time."""
        done = self.work / f"{name}.json"
        if done.exists():
            return json.loads(done.read_text())
        out, state = self.work / name, self.work / f"{name}.state"
        for folder in (out, state):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        spec = STAGES.load(stage)
        inputs = {role: [self._artifact(role, part)] for role, part in given.items()}
        began = time.process_time()
        metrics = spec.run(parse_params(spec.params, values, where=name), Inputs(inputs), Runtime(out=out, state=state))
        metrics = {**metrics, "seconds": round(time.process_time() - began, 2)}
        shutil.rmtree(state)
        done.write_text(json.dumps(metrics))
        print(f"{name}: {metrics['seconds']} s", flush=True)
        return metrics

    def _artifact(self, role: str, name: str) -> Artifact:
        kind = "tokens" if role == "tokens" else "external"
        return Artifact(path=self.work / name, kind=kind, digest=name, name=name)

    def score(self, name: str, context_len: int) -> dict[str, float]:
        """Bits per byte of held.jsonl by language, `region` over all bytes but English's."""
        done = self.work / f"{name}.scores.json"
        if done.exists():
            return json.loads(done.read_text())
        from sampan.model.checkpoint import load_model
        from sampan.model.scoring import text_nats
        from sampan.model.tokenizer import load_tokenizer

        model, tokenizer = load_model(self.work / name), load_tokenizer(self.work / name)
        rows = [json.loads(line) for line in (self.work / "held.jsonl").read_text(encoding="utf-8").splitlines()]
        ids = [[tokenizer.bos_token_id, *tokenizer(row["text"], add_special_tokens=False)["input_ids"]] for row in rows]
        bits, sizes = defaultdict(float), defaultdict(int)
        for row, nats in zip(rows, text_nats(model, ids, context_len=context_len), strict=True):
            groups = (row["language"],) if row["language"] == "eng_Latn" else (row["language"], "region")
            for group in groups:
                bits[group] += nats / math.log(2)
                sizes[group] += len(row["text"].encode())
        scores = {group: bits[group] / sizes[group] for group in sorted(bits)}
        done.write_text(json.dumps(scores))
        return scores


def prepare(lab: Lab) -> None:
    """The English base, and its packing of the text."""
    lab.run("vocab", "vocab.train", {"documents": "english.jsonl"}, vocab_size=4096)
    shape = {"hidden_size": 160, "num_layers": 4, "num_heads": 4, "context_len": 1024}
    lab.run("start", "model.init", {"tokenizer": "vocab"}, **shape)
    lab.run("english_tokens", "corpus.pack", {"documents": "english.jsonl", "tokenizer": "vocab"})
    lab.run(
        "base",
        "train.causal_lm",
        {"model": "start", "tokens": "english_tokens"},
        num_tokens=BASE_TOKENS,
        global_batch_tokens=8192,
        **TRAINING,
    )
    lab.run("base_tokens", "corpus.pack", {"documents": "cpt.jsonl", "tokenizer": "base"})


def train(lab: Lab, name: str, model: str, tokens: str, *, seed: int, num_tokens: float = 0) -> dict:
    """Scores and facts of one continued pre-training; the checkpoint itself is not kept."""
    values = {"seed": seed, "global_batch_tokens": STEP_TOKENS, "num_tokens": num_tokens, **TRAINING}
    metrics = lab.run(name, "train.causal_lm", {"model": model, "tokens": tokens}, **values)
    scores = lab.score(name, TRAINING["context_len"])
    shutil.rmtree(lab.work / name, ignore_errors=True)
    return {"metrics": metrics, "scores": scores}


def expanded(lab: Lab, method: str, seed: int) -> str:
    """The base with new tokens filled by `method`; returns the folder's name."""
    name = f"expanded-{method}-{seed}"
    values = {"num_new_tokens": NEW_TOKENS, "shared_script": "verified", "init": method, "seed": seed}
    lab.run(name, "vocab.expand", {"base": "base", "documents": "cpt.jsonl"}, init_tokens=INIT_TOKENS, **values)
    return name


def study(lab: Lab, method: str, seed: int) -> dict:
    """One method, one seed: scores of the new rows untrained and trained."""
    name = expanded(lab, method, seed)
    if seed == SEEDS[0] and method == METHODS[0]:
        lab.run("new_tokens", "corpus.pack", {"documents": "cpt.jsonl", "tokenizer": name})
    start = lab.score(name, TRAINING["context_len"])
    done = train(lab, f"cpt-{method}-{seed}", name, "new_tokens", seed=seed)
    seconds = json.loads((lab.work / f"{name}.json").read_text())["seconds"]
    return {"start": start, "expand_seconds": seconds, **done}


def flops_per_token(model: dict, width: int, rows: int) -> float:
    """Multiplications and additions of training on one token: 6 for every parameter, the tied matrix counted once as the
    head it is (looking a row up costs nothing); attention's own products are left out, alike on both sides."""
    return 6.0 * model["parameters"]


def summary(runs: list[dict], key: str = "scores") -> dict[str, list[float]]:
    """Mean and sample standard deviation over seeds, by group; [mean, deviation]."""
    return {
        group: [
            round(statistics.mean(run[key][group] for run in runs), 4),
            round(statistics.stdev(run[key][group] for run in runs), 4) if len(runs) > 1 else 0.0,
        ]
        for group in runs[0][key]
    }


if __name__ == "__main__":
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    write_texts(Path("/work/shared"), work)
    lab = Lab(work)
    prepare(lab)
    print(lab.score("base", 512))
    for method, seed in [x.split(":") for x in sys.argv[2:]]:
        r = study(lab, method, int(seed))
        print(method, seed, r["expand_seconds"], {k: round(v, 3) for k, v in r["start"].items() if k in ("eng_Latn", "region")}, r["metrics"]["seconds"], r["metrics"]["tokens"], {k: round(v, 3) for k, v in r["scores"].items() if k in ("eng_Latn", "region")}, flush=True)
