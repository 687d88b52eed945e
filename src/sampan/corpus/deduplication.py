"""The work of corpus.dedup: its phases, and the jobs that decide on equal documents and write what stays.

    sign      per shard     digests, ranks, shingles, band keys, onto disk              (signing.py)
    exact     per key range equal documents brought together; one stays
    bands     per shard     the band keys of those that stayed, sorted                  (near.py)
    pairs     per key range documents that share a band                                 (near.py)
    verify    per shard     exact Jaccard similarity of the pairs                       (near.py)
    clusters  once          chains of similar documents joined; one of each stays       (near.py)
    write     per shard     documents that stay, and the drops with their reasons

Every phase is a set of jobs that any engine may run in any order. Memory holds one shard or one key range; only
`clusters` needs some for every document that has a near duplicate, about 200 bytes. On disk a document takes 4 bytes
for each n-gram and 32 for each band, till the stage ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..artifacts.document_shards import gather_documents, read_job
from ..artifacts.documents import DocumentWriter
from ..core.shards import Shard
from ..core.stage import Artifact, Runtime
from .minhash import bands
from .phases import documents_in, phase, root, shard_jobs
from .spill import bucket_ranges, read_range, shard_folders
from .verdicts import EARLIER, EXACT, REASONS, STAYS, judge, read_verdicts


def deduplicate(
    params: Any, sources: Sequence[Artifact], runtime: Runtime, *, against: Sequence[Artifact] = ()
) -> dict[str, Any]:
    """Write one document of each set and return metrics; InputError if there is no document.

    Documents that are in a set with one of `against` all go.
    """
    jobs = shard_jobs(params, sources, against)
    sign = phase(runtime, "sign", "signing:sign", jobs, read=True)
    seen = documents_in(sign, jobs, sources)
    total = sum(shard.facts["documents"] for shard in sign)
    ranges = [{"sign": root(sign), "range": bounds} for bounds in bucket_ranges(total)]
    exact = phase(runtime, "exact", "deduplication:exact", ranges)
    roots, compared = {"sign": root(sign), "exact": root(exact)}, 0
    if params.method == "minhash":
        roots["near"], compared = _near(params, runtime, roots, sign)
    write = [{**job, **roots} for job in jobs if not job["earlier"]]
    shards = phase(runtime, "write", "deduplication:write", write, read=True)
    summary = gather_documents(shards, runtime.out)
    return {
        "documents_in": seen,
        "documents": summary["documents"],
        "text_bytes": summary["text_bytes"],
        "pairs_compared": compared,
        "dropped": {reason: sum(counts.values()) for reason, counts in summary["dropped"].items()},
    }


def _near(params: Any, runtime: Runtime, roots: Mapping[str, str], sign: Sequence[Shard]) -> tuple[str, int]:
    """Find near duplicates; (where the verdicts are, how many pairs were compared)."""
    numbers = [{**roots, "shard": shard, "threshold": params.threshold} for shard in range(len(sign))]
    sorted_bands = phase(runtime, "bands", "near:bands", numbers)
    records = sum(shard.facts["documents"] for shard in sorted_bands) * bands(params.num_perm, params.threshold)[0]
    ranges = [{"bands": root(sorted_bands), "range": bounds} for bounds in bucket_ranges(records)]
    pairs = phase(runtime, "pairs", "near:pairs", ranges)
    verify = phase(runtime, "verify", "near:verify", [{**job, "pairs": root(pairs)} for job in numbers])
    found = phase(runtime, "clusters", "near:clusters", [{**roots, "verify": root(verify)}])
    return root(found), sum(shard.facts["compared"] for shard in verify)


def exact(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Verdicts on the equal documents whose digests are in the job's range."""
    members = read_range(job["sign"], "exact.npy", *job["range"])
    verdicts = judge(members, EXACT)
    np.save(out / "verdicts.npy", verdicts)
    return {"documents": len(members)}


def write(job: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The shard's documents that stay."""
    reasons, sizes = _decided(job)
    counted = job["params"]["count_copies"]
    with DocumentWriter(out) as writer:
        for row, document in enumerate(read_job(job)):
            if reasons[row] == STAYS:
                if counted:
                    document.meta["copies"] = int(sizes[row])
                writer.write(document)
            else:
                writer.drop(REASONS[reasons[row]], document.language, document.text, source=document.source)
    return {}


def _decided(job: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(reasons [D], sizes [D]) of the shard's documents."""
    folder = shard_folders(job["sign"])[job["shard"]]
    number = len(np.load(folder / "ranks.npy", mmap_mode="r"))
    reasons, sizes = np.zeros(number, np.uint8), np.ones(number, np.uint32)
    for name in ("exact", "near"):
        if name in job:
            rows, verdicts = read_verdicts(job[name], job["shard"])
            reasons[rows], sizes[rows] = verdicts["reason"], verdicts["size"]
        if name == "exact":
            twins = np.load(folder / "twins.npy")
            reasons[twins[:, 0]] = np.where(reasons[twins[:, 1]] == EARLIER, EARLIER, EXACT)
    return reasons, sizes
