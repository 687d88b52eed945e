"""From WARC to clean, language-identified, filtered, deduplicated Parquet: ours against datatrove, on the same files.

    make bench-env          # the peer's environment, in .venv-peers
    python benchmarks/corpus_vs_datatrove.py --shared ../shared --out benchmarks/results/corpus_vs_datatrove.json

The input is real pages, several rounds of them, each round with two words in a hundred replaced. Both sides run as one
process on one core, alternating (ours before and after each run of the peer), and are measured in CPU seconds, start-up
and imports included. The claim is made of `--size`, about two thousand pages, since a worker of either side starts
once for far more, in a WARC that names each payload's type, as Common Crawl's do. Without that, which is how other
crawlers write them, the peer asks libmagic and leaves out every fifth page or so, and what it does not do costs it no
time; that stands beside the claim. One run of ours before, unmeasured, compiles the loops
and the modules and makes the tables that are kept on the machine. The work of both is the same kind of work and not the
same verdicts, so what each did is checked and printed: how many HTML pages it read, how many documents it delivered,
and how much of the text delivered by the peer ours delivers too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from corpus_at_scale import edited
from result import conclude
from shared_data import PEERS_PYTHON, SHARED
from web_pages import write_warc

BAR = 10.0
MAX_MEMORY = 1e9
HERE = Path(__file__).parent
MIN_COMMON = 0.9
"""Share of the peer's pages (by address) whose text must be found by ours too, before filters: less would mean that we
are fast by leaving work out."""


def measured(command: list[str], log: Path) -> dict[str, float]:
    """CPU seconds and peak bytes of a command and its children."""
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[1]} failed:\n{log.read_text()[-2000:]}")
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * 1024, **steps(log)}


ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"), "1")
UNUSUAL = "PYTHONDONTWRITEBYTECODE"
"""Left out for both sides: without bytecode on disk each process compiles the modules of a checkout anew, where those
of an installed package have theirs."""
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != UNUSUAL} | ONE_THREAD


def steps(log: Path) -> dict:
    rows = [line.split("\t") for line in log.read_text().splitlines() if line.count("\t") == 1]
    return {"steps": {name: float(seconds) for name, seconds in rows}}


def urls(folder: Path, column: str) -> list[str]:
    import pyarrow.parquet as pq

    found = []
    for file in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(file)
        if column == "url":
            found += table.column("url").to_pylist()
        else:
            found += [row["url"] for row in table.column("metadata").to_pylist()]
    return found


SIDES = {"ours": "sampan_corpus.py", "peer": "datatrove_corpus.py"}
TURN = ("ours", "peer", "ours")
TIMEOUT = "Timeout while cleaning record"
"""What datatrove logs for a page that took too long by the clock: on a busy machine that is most of them, and then its
time says nothing."""


def compared(options: argparse.Namespace, *, identified: bool) -> dict[str, Any]:
    """Both sides on the same pages, `--rounds` times TURN after one run of ours that is not counted: rates, what came
    out, and whether all of it is right. `identified`: the WARC names its payloads' types."""
    scratch = options.scratch / ("identified" if identified else "plain")
    warc = scratch / "warc"
    warc.mkdir(parents=True)
    pages, html_bytes = write_warc(
        warc / "pages.warc.gz", edited(options.shared, int(options.size)), identified=identified
    )
    runs: dict[str, list[dict]] = {name: [] for name in SIDES}
    for name in ("ours", *TURN * options.rounds):
        out = scratch / f"{name}-{len(runs[name])}"
        python = options.peer if name == "peer" else sys.executable
        command = [str(python), str(HERE / "peers" / SIDES[name]), str(warc), str(out)]
        runs[name].append(measured(command, out.with_suffix(".log")))
    del runs["ours"][0]
    ours, peer = scratch / "ours-0", scratch / "peer-0"
    extracted, theirs = urls(ours / "crawl.warc", "url"), urls(peer / "filtered", "metadata")
    delivered = {"ours": len(urls(ours / "corpus.dedup", "url")), "peer": len(urls(peer / "unique", "metadata"))}
    common = len(set(theirs) & set(extracted)) / max(1, len(theirs))
    seconds = {name: median(run["cpu_seconds"] for run in each) for name, each in runs.items()}
    ratio = round(seconds["peer"] / seconds["ours"], 2)
    lost = pages - len(extracted)
    late = max(log.read_text().count(TIMEOUT) for log in scratch.glob("peer-*.log"))
    sound = late == lost == 0 and max(run["peak_bytes"] for run in runs["ours"]) <= MAX_MEMORY and common >= MIN_COMMON
    return {
        "ours": round(pages / seconds["ours"], 1),
        "peer": round(pages / seconds["peer"], 1),
        "ratio": ratio,
        "bar": BAR,
        "ok": ratio >= BAR and sound,
        "html_pages": pages,
        "html_bytes": html_bytes,
        "cpu_seconds": {name: [round(run["cpu_seconds"], 2) for run in each] for name, each in runs.items()},
        "pages_without_a_document": {"ours": lost, "peer": pages - _read_by_peer(peer)},
        "documents_delivered": delivered,
        "delivered_per_cpu_second": {name: round(delivered[name] / seconds[name], 1) for name in SIDES},
        "pages_the_peer_gave_up_for_time": late,
        "peers_pages_that_ours_extracts": round(common, 4),
        "peak_megabytes": {name: round(max(run["peak_bytes"] for run in each) / 1e6) for name, each in runs.items()},
        "steps_cpu_seconds": {name: each[-1]["steps"] for name, each in runs.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="the shared data folder")
    parser.add_argument("--peer", type=Path, default=PEERS_PYTHON, help="the peers' Python")
    parser.add_argument("--scratch", type=Path, default=Path("corpus-scratch"))
    parser.add_argument("--size", type=float, default=2e8, help="bytes of HTML (default 2e8)")
    parser.add_argument("--rounds", type=int, default=1, help="runs of the peer; ours runs twice as often")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    line = {
        "claim": "WARC to clean, identified, filtered, deduplicated Parquet: pages read per CPU-second",
        "peer_is": "datatrove 0.10.1 with Trafilatura 1.11.0, its defaults",
        **compared(options, identified=True),
        "without_payload_types": compared(options, identified=False),
    }
    return conclude(line, options.out, packages=("sampan",), versions={"datatrove": "0.10.1"})


def _read_by_peer(folder: Path) -> int:
    """Pages that the peer's extractor gave any text for, from its statistics."""
    stats = json.loads(next((folder / "logs" / "extract, identify, filter").glob("stats.json")).read_text())
    return next(step["stats"]["forwarded"] for step in stats if "Trafilatura" in step["name"])


if __name__ == "__main__":
    sys.exit(main())
