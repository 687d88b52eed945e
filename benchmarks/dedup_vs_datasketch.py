"""corpus.dedup against a script as people write it with datasketch: from Parquet to deduplicated Parquet.

    python benchmarks/dedup_vs_datasketch.py [--text FOLDER] [--out benchmarks/results/dedup_vs_datasketch.json]

Pages of 2.9 KB put together from real lines, one in five a copy of an earlier one with 5 % of its units edited. Both
sides use the same n-grams, 200 permutations in 40 bands of 5, the exact check at Jaccard 0.6 and union-find, and keep
one page of each set. The peer splits at blanks where there are some; for Thai, Khmer and Burmese it takes the clusters
of one regular expression, for blanks give no words there. Processor time of one thread, reading and writing included;
the two sides take turns. Both must keep exactly one page of 99 % or more of the sets of a page and its copies.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

import datasketch
import pyarrow as pa
import pyarrow.parquet as pq
from dedup_texts import DEFAULT, edited, pages, pool_of, real_texts
from result import conclude

from sampan.artifacts.documents import Document, write_documents
from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.corpus.dedup import STAGE, Params
from sampan.corpus.minhash import bands
from sampan.lang.segment import words

RATE_BAR, RATIO_BAR = 3000, 3
ROUNDS, PAGES, PAGE_BYTES, COPY_EVERY = 2, 1500, 2900, 5
SAME = 0.99
MIX = {"en": "eng_Latn", "id": "ind_Latn", "vi": "vie_Latn", "th": "tha_Thai", "km": "khm_Khmr", "my": "mya_Mymr"}
SPACED = ("en", "id", "vi")


def corpus(folder: Path, short: str) -> list[Document]:
    """Pages of one language; `meta.of` of a planted copy is the number of the page that it and its like come from."""
    chance = random.Random(5)
    texts = real_texts(folder, short)
    pool, made = pool_of(texts), []
    for number, page in enumerate(pages(chance, texts, PAGES, PAGE_BYTES)):
        of, text = number, page
        if number % COPY_EVERY == COPY_EVERY - 1:
            like = chance.choice([document for document in made if document.meta["of"] == int(document.id)])
            of, text = like.meta["of"], edited(chance, like.text, 0.05, pool)
        made.append(Document(str(number), text, language=MIX[short], meta={"of": of}))
    return made


def ours(given: Path, work: Path) -> dict[str, float]:
    """Seconds by phase."""
    (work / "out").mkdir(parents=True)
    runtime = Runtime(out=work / "out", state=work / "state")
    seconds: dict[str, float] = {}
    plain = runtime.shards

    def timed(phase: str, *args, **options):
        clock = time.process_time()
        shards = plain(phase, *args, **options)
        seconds[phase] = time.process_time() - clock
        return shards

    runtime.shards = timed
    source = Artifact(path=given, kind="documents", digest="", name="in")
    clock = time.process_time()
    STAGE.run(parse_params(Params, {}, where="benchmark"), Inputs({"documents": [source]}), runtime)
    seconds["total"] = time.process_time() - clock
    return seconds


def peer(given: Path, work: Path, split: Callable[[str], list[str]]) -> dict[str, float]:
    params = Params()
    n = params.word_ngram
    number, rows = bands(params.num_perm, params.threshold)
    clock = time.process_time()
    table = read(given)
    lsh = datasketch.MinHashLSH(num_perm=params.num_perm, params=(number, rows))
    sets, parents = [], list(range(len(table)))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    for place, text in enumerate(table.column("text").to_pylist()):
        units = split(text.casefold())
        grams = {" ".join(units[k : k + n]) for k in range(max(1, len(units) - n + 1))}
        sketch = datasketch.MinHash(num_perm=params.num_perm)
        sketch.update_batch([gram.encode() for gram in grams])
        for other in lsh.query(sketch):
            both = len(grams & sets[other])
            if both / (len(grams) + len(sets[other]) - both) >= params.threshold:
                parents[root(place)] = root(other)
        lsh.insert(place, sketch)
        sets.append(grams)
    kept = table.filter(pa.array([root(place) == place for place in range(len(table))]))
    work.mkdir(parents=True)
    (work / "out").mkdir()
    pq.write_table(kept, work / "out" / "kept.parquet", compression="zstd")
    return {"total": time.process_time() - clock}


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("*.parquet"))])


def check(documents: list[Document], outs: dict[str, Path]) -> None:
    """Both sides keep exactly one page of (nearly) every set of a page and its copies."""
    sets = {document.id: document.meta["of"] for document in documents}
    for name, out in outs.items():
        kept = Counter(sets[number] for number in read(out).column("id").to_pylist())
        right = sum(kept[of] == 1 for of in set(sets.values())) / len(set(sets.values()))
        if right < SAME:
            sys.exit(f"{name} keeps one page of {right:.1%} of the sets only")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=DEFAULT)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    totals, languages, steps = {"ours": 0.0, "peer": 0.0}, {}, {}
    for short in MIX:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            documents = corpus(options.text, short)
            (folder / "in").mkdir()
            write_documents(folder / "in", documents)
            split = str.split if short in SPACED else lambda text, code=MIX[short]: words(text, code)
            seconds = {"ours": [], "peer": []}
            for turn in range(ROUNDS):
                seconds["ours"].append(ours(folder / "in", folder / f"ours{turn}"))
                seconds["peer"].append(peer(folder / "in", folder / f"peer{turn}", split))
            check(documents, {side: folder / f"{side}0" / "out" for side in seconds})
        rates = {}
        for side, rounds in seconds.items():
            spent = median(row["total"] for row in rounds)
            totals[side] += spent
            rates[side] = round(PAGES / spent)
        for phase in seconds["ours"][0]:
            steps[phase] = steps.get(phase, 0.0) + median(row[phase] for row in seconds["ours"])
        languages[MIX[short]] = rates
        print(MIX[short], rates, flush=True)
    everything = PAGES * len(MIX)
    rates = {side: round(everything / spent) for side, spent in totals.items()}
    microseconds = {phase: round(spent / everything * 1e6, 1) for phase, spent in steps.items()}
    print("microseconds per page:", microseconds)
    line = {
        "claim": "MinHash deduplication from Parquet to Parquet, pages of 2.9 KB per CPU-second of one thread",
        "ours": rates["ours"],
        "peer": rates["peer"],
        "peer_is": "datasketch MinHashLSH with exact check and union-find in memory",
        "ratio": round(rates["ours"] / rates["peer"], 2),
        "bar": {"ours": RATE_BAR, "ratio": RATIO_BAR},
        "ok": rates["ours"] >= RATE_BAR and rates["ours"] >= RATIO_BAR * rates["peer"],
        "by_language": languages,
        "microseconds_by_phase": microseconds,
    }
    return conclude(line, options.out, packages=("datasketch",))


if __name__ == "__main__":
    sys.exit(main())
