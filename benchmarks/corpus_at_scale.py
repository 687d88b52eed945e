"""A gigabyte of web pages through the corpus stages on this machine: memory, resumption after a kill, rates per stage.

    python benchmarks/corpus_at_scale.py --shared ../shared --out benchmarks/results/corpus_at_scale.json

The input repeats real pages, each copy with its own URL and about two words in a hundred replaced, so that some copies
are near duplicates and most are not quite. It is run at a quarter of the size, at full size, and at full size again
with a `kill -9` of every process in the middle. Checked: peak memory per process does not grow with the input, the
killed run redoes no finished shard, and its result has the digest of the run that was left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from result import conclude
from shared_data import SHARED
from web_pages import pages, write_warc

FILE_BYTES = 62_500_000
"""HTML in one WARC file: the same at both sizes, since a job is at most a file."""
EDITS = 0.02
MAX_GROWTH = 1.2
"""Peak memory of the largest process at full size against a quarter of it; allocator noise is below a tenth."""
RECIPE = """
recipe: scale
languages: [tha_Thai, khm_Khmr, lao_Laoo, mya_Mymr, tam_Taml, vie_Latn, ind_Latn, msa_Latn, tgl_Latn, zho_Hans]
inputs: {{web: "dir:{web}"}}
stages:
  crawled: {{stage: crawl.warc, from: {{files: web}}}}
  clean: {{stage: corpus.clean, from: {{documents: crawled}}}}
  unique: {{stage: corpus.dedup, from: {{documents: clean}}}}
"""
_WORD = re.compile(rb"(?<=[ >])[a-z]{4,9}(?=[ .,<])")


def edited(shared: Path, size: int) -> Iterator[tuple[str, bytes]]:
    """Pages up to `size` bytes of HTML, every round with other words replaced."""
    made, turn = 0, 0
    while made < size:
        rng = random.Random(turn)
        for url, html in pages(shared):
            copy = html
            if turn:
                copy = _WORD.sub(lambda m, r=rng: m[0][::-1] if r.random() < EDITS else m[0], html)
            yield f"{url}?{turn}", copy
            made += len(copy)
            if made >= size:
                return
        turn += 1


def make_input(shared: Path, folder: Path, size: int) -> dict:
    folder.mkdir(parents=True)
    source, count, total = edited(shared, size), 0, 0
    files = max(1, round(size / FILE_BYTES))
    for number in range(files):
        share = size * (number + 1) // files - total
        rows = _take(source, share)
        n, b = write_warc(folder / f"part-{number:02d}.warc.gz", rows)
        count, total = count + n, total + b
    return {"pages": count, "html_bytes": total}


def _take(source: Iterator[tuple[str, bytes]], size: int) -> Iterator[tuple[str, bytes]]:
    taken = 0
    while taken < size and (row := next(source, None)) is not None:
        taken += len(row[1])
        yield row


class Watch(threading.Thread):
    """The largest resident memory of any process of a session, sampled."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session, self.peak, self.over = session, 0, threading.Event()

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self.over.wait(0.1):
            for stat in Path("/proc").glob("[0-9]*/stat"):
                try:
                    fields = stat.read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.session:
                    self.peak = max(self.peak, int(fields[21]) * page)


def run(recipe: Path, store: Path, workers: int, kill_at: float = 0.0) -> tuple[int, float]:
    """(peak bytes of one process, wall seconds) of a run; with `kill_at`, killed after that many seconds."""
    command = [sys.executable, "-m", "sampan.cli.main", "run", recipe, "--store", store, "--workers", workers]
    clock = time.monotonic()
    process = subprocess.Popen([*map(str, command)], start_new_session=True)
    watch = Watch(process.pid)
    watch.start()
    if kill_at:
        time.sleep(kill_at)
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    watch.over.set()
    if code and not kill_at:
        sys.exit(f"the run failed with {code}")
    return watch.peak, time.monotonic() - clock


def finished(store: Path) -> dict[str, int]:
    return {str(path): path.stat().st_ino for path in store.glob("scratch/*/state/*/*/facts.json")}


def manifests(recipe: Path, store: Path) -> dict[str, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "sampan.cli.main", "plan", str(recipe), "--store", str(store), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for stage in json.loads(done.stdout)["stages"]:
        (path,) = store.glob(f"keys/*/{stage['key']}.json")
        found[stage["name"]] = json.loads(path.read_text())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="the shared data folder")
    parser.add_argument("--scratch", type=Path, default=Path("scale-scratch"))
    parser.add_argument("--size", type=float, default=1e9, help="bytes of HTML (default 1e9)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    peaks, facts, wall = {}, {}, {}
    for name, size in (("quarter", options.size / 4), ("full", options.size)):
        facts[name] = make_input(options.shared, options.scratch / name, int(size))
        recipe = options.scratch / f"{name}.yaml"
        recipe.write_text(RECIPE.format(web=(options.scratch / name).resolve()))
        peaks[name], wall[name] = run(recipe, options.scratch / f"store-{name}", options.workers)
    whole = manifests(recipe, options.scratch / "store-full")
    killed = options.scratch / "store-killed"
    run(recipe, killed, options.workers, kill_at=wall["full"] / 3)
    before = finished(killed)
    redone = _run_watching(recipe, killed, options.workers, before)
    same = manifests(recipe, killed)["unique"]["digest"] == whole["unique"]["digest"]
    count = facts["full"]["pages"]
    rates = {}
    for name, manifest in whole.items():
        rows = count if name == "crawled" else whole["crawled" if name == "clean" else "clean"]["metrics"]["documents"]
        rates[name] = {
            "documents_in": rows,
            "documents_out": manifest["metrics"]["documents"],
            "cpu_seconds": manifest["times"]["cpu_seconds"],
            "documents_per_cpu_second": round(rows / manifest["times"]["cpu_seconds"], 1),
        }
        print(name, rates[name])
    growth = round(peaks["full"] / peaks["quarter"], 3)
    line = {
        "claim": "memory of the corpus stages does not grow with the corpus, and a killed run redoes no finished shard",
        "ours": growth,
        "peer": 4.0,
        "peer_is": "what memory in proportion to the input would be",
        "ratio": growth,
        "bar": MAX_GROWTH,
        "ok": growth <= MAX_GROWTH and same and not redone and bool(before),
        "peak_megabytes_per_process": {name: round(peak / 1e6) for name, peak in peaks.items()},
        "shards_finished_before_the_kill": len(before),
        "shards_redone": len(redone),
        "same_digest_after_the_kill": same,
        "input": facts,
        "wall_seconds": {name: round(seconds, 1) for name, seconds in wall.items()},
        "workers": options.workers,
        "stages": rates,
    }
    return conclude(line, options.out)


def _run_watching(recipe: Path, store: Path, workers: int, before: dict[str, int]) -> set[str]:
    """Run again and return the shards of `before` that were written anew."""
    redone: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            now = finished(store)
            redone.update(path for path, inode in before.items() if now.get(path, inode) != inode)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    run(recipe, store, workers)
    over.set()
    watcher.join()
    return redone


if __name__ == "__main__":
    sys.exit(main())
