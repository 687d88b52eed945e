"""New embedding rows by every method, and expansion against none: bits per byte of held-out text after equal training.

A model of `recipes/real-mini.yaml`'s size is trained on English, its vocabulary is expanded for ten languages with
every method, and each result goes once through the same text of the region (and some English), in as many orders of
documents as there are SEEDS. `auxiliary` takes the rows of a model of the same shape with a vocabulary of its own,
trained on that text, which is not counted as the method's time. Beside them the unexpanded model is trained on the same
text (`equal_text`) and on as much of it as costs the same arithmetic (`equal_compute`). Every step is kept in
`--work`: a killed run goes on where it was.

    python benchmarks/init_methods.py [--shared ../shared] [--work build/init_methods]
        [--out benchmarks/results/init_methods.json] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import math
import shutil
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from result import conclude
from shared_data import SHARED

from sampan.core.identity import unit_interval
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.lang.codes import normalise_code
from sampan.recipe.stages import STAGES

METHODS = (
    "random",
    "mean_all",
    "mean_subword",
    "mean_subword_plain",
    "weighted_subword",
    "focus",
    "auxiliary",
    "distill",
)
SEEDS = (0, 1, 2)
REGION = ("th", "lo", "km", "my", "vi", "id", "ms", "tl", "ta", "zh")
TRAIN_BYTES, HELD_BYTES, ENGLISH_BYTES, RESERVED_BYTES = 32_000, 15_000, 50_000, 160_000
"""UTF-8 bytes of a language's training and held-out text, of the English that is mixed in, and of the English that the
base does not see."""
BASE_TOKENS, NEW_TOKENS, INIT_TOKENS, AUXILIARY_TOKENS = 1_000_000, 2048, 50_000, 400_000
SKIPPED = {"voa_zawgyi", "oscar_web", "c4_web"}
"""Another encoding, and raw crawl."""
LONGEST = 4000
TRAINING = {"lr": 3e-3, "context_len": 512, "micro_batch_tokens": 8192}
STEP_TOKENS = 1024


# -- text --------------------------------------------------------------------------------------------------------------


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
        parts = {"held": take(texts, HELD_BYTES)}
        if language == "en":
            parts |= {"cpt": take(take(texts, RESERVED_BYTES), ENGLISH_BYTES), "english": texts}
        else:
            parts["cpt"] = take(texts, TRAIN_BYTES)
        for name, part in parts.items():
            rows[name] += [{"id": i, "text": text, "language": normalise_code(language)} for i, text in part]
    for name in ("english", "cpt", "held"):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows[name])
        (work / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


# -- stages ------------------------------------------------------------------------------------------------------------


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
        from sampan.model.scoring import continuations, text_nats
        from sampan.model.tokenizer import load_tokenizer

        model, tokenizer = load_model(self.work / name), load_tokenizer(self.work / name)
        rows = [json.loads(line) for line in (self.work / "held.jsonl").read_text(encoding="utf-8").splitlines()]
        ids = [[tokenizer.bos_token_id, *tokenizer(row["text"], add_special_tokens=False)["input_ids"]] for row in rows]
        bits, sizes = defaultdict(float), defaultdict(int)
        score = functools.partial(continuations, model)
        for row, nats in zip(rows, text_nats(score, ids, context_len=context_len), strict=True):
            groups = (row["language"],) if row["language"] == "eng_Latn" else (row["language"], "region")
            for group in groups:
                bits[group] += nats / math.log(2)
                sizes[group] += len(row["text"].encode())
        scores = {group: bits[group] / sizes[group] for group in sorted(bits)}
        done.write_text(json.dumps(scores))
        return scores


def trained(lab: Lab, name: str, vocabulary: str, documents: str, num_tokens: int) -> None:
    """A model of the study's shape, trained on the documents with a vocabulary of their own."""
    lab.run(vocabulary, "vocab.train", {"documents": documents}, vocab_size=4096)
    shape = {"hidden_size": 160, "num_layers": 4, "num_heads": 4, "context_len": 1024}
    lab.run(f"{name}_start", "model.init", {"tokenizer": vocabulary}, **shape)
    lab.run(f"{name}_own_tokens", "corpus.pack", {"documents": documents, "tokenizer": vocabulary})
    given = {"model": f"{name}_start", "tokens": f"{name}_own_tokens"}
    lab.run(name, "train.causal_lm", given, num_tokens=num_tokens, global_batch_tokens=8192, **TRAINING)


def prepare(lab: Lab) -> None:
    """The English base and its packing of the text, and the model that `auxiliary` asks."""
    trained(lab, "base", "vocab", "english.jsonl", BASE_TOKENS)
    lab.run("base_tokens", "corpus.pack", {"documents": "cpt.jsonl", "tokenizer": "base"})
    trained(lab, "auxiliary", "region_vocab", "cpt.jsonl", AUXILIARY_TOKENS)


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
    given = {"base": "base", "documents": "cpt.jsonl"} | ({"vectors": "auxiliary"} if method == "auxiliary" else {})
    lab.run(name, "vocab.expand", given, init_tokens=INIT_TOKENS, **values)
    return name


def study(lab: Lab, method: str, seed: int) -> dict:
    """One method, one seed: scores of the new rows untrained and trained."""
    name = expanded(lab, method, seed)
    lab.run("new_tokens", "corpus.pack", {"documents": "cpt.jsonl", "tokenizer": name})  # the same for all
    start = lab.score(name, TRAINING["context_len"])
    done = train(lab, f"cpt-{method}-{seed}", name, "new_tokens", seed=seed)
    seconds = json.loads((lab.work / f"{name}.json").read_text())["seconds"]
    return {"start": start, "expand_seconds": seconds, **done}


def unexpanded(lab: Lab, seed: int) -> dict[str, dict]:
    """The base itself on the same text, and on tokens of it that cost as much arithmetic as an expanded run.

    A token costs 6 multiplications and additions for every parameter, the tied matrix counted once, as the head;
    attention's own products are left out on both sides.
    """
    size = {name: json.loads((lab.work / f"{name}.json").read_text()) for name in ("base", f"cpt-random-{seed}")}
    grown = size[f"cpt-random-{seed}"]
    same = grown["tokens"] * grown["parameters"] / size["base"]["parameters"]
    return {
        "equal_compute": train(lab, f"plain-compute-{seed}", "base", "base_tokens", seed=seed, num_tokens=same),
        "equal_text": train(lab, f"plain-text-{seed}", "base", "base_tokens", seed=seed),
    }


# -- result ------------------------------------------------------------------------------------------------------------


def summary(runs: list[dict]) -> dict:
    """Mean and sample deviation over seeds of bits per byte, before and after training, and what it cost."""

    def of(key: str, group: str) -> list[float]:
        values = [run[key][group] for run in runs]
        return [round(statistics.mean(values), 4), round(statistics.stdev(values), 4)]

    groups = sorted(runs[0]["scores"])
    out = {
        "after": {group: of("scores", group) for group in groups},
        "tokens": runs[0]["metrics"]["tokens"],
        "parameters": runs[0]["metrics"]["parameters"],
        "cpu_seconds": round(statistics.mean(run["metrics"]["seconds"] for run in runs), 1),
    }
    if "start" in runs[0]:
        out["before"] = {group: of("start", group) for group in ("eng_Latn", "region")}
        out["expand_seconds"] = round(statistics.mean(run["expand_seconds"] for run in runs), 1)
    return out


def verdict(methods: dict[str, dict], default: str) -> dict:
    """Whether the default is the best method, or tied: less than two standard errors of the difference behind it."""
    mean = {name: row["after"]["region"][0] for name, row in methods.items()}
    best = min(mean, key=mean.get)
    spread = [methods[name]["after"]["region"][1] for name in (default, best)]
    margin = 2 * math.sqrt(sum(value**2 for value in spread) / len(SEEDS))
    gap = mean[default] - mean[best]
    return {"best": best, "default": default, "gap": round(gap, 4), "margin": round(margin, 4), "ok": gap <= margin}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--work", type=Path, default=Path("build/init_methods"))
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=list(SEEDS), help="run only these; no result is written"
    )
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    lab = Lab(options.work)
    write_texts(options.shared, options.work)
    prepare(lab)
    methods = {name: [study(lab, name, seed) for seed in options.seeds] for name in METHODS}
    plain = [unexpanded(lab, seed) for seed in options.seeds]
    if tuple(options.seeds) != SEEDS:
        return 0
    table = {name: summary(runs) for name, runs in methods.items()}
    default = STAGES.load("vocab.expand").params().init
    line = {
        "claim": "bits per byte of held-out text after the same continued pre-training, for each initialisation",
        **verdict(table, default),
        "methods": table,
        "unexpanded": {name: summary([run[name] for run in plain]) for name in plain[0]},
        "base_parameters": json.loads((lab.work / "base.json").read_text())["parameters"],
        "base": {group: round(bits, 4) for group, bits in lab.score("base", TRAINING["context_len"]).items()},
        "seeds": len(SEEDS),
    }
    return conclude(line, options.out)


if __name__ == "__main__":
    sys.exit(main())
