"""Ask Common Crawl's index, keep the list of answers, and fetch its records one by one, going on after a kill.

The index is asked through the CDX server API (https://github.com/webrecorder/pywb/wiki/CDX-Server-API). What it answers
today it may not answer tomorrow, so the list of records goes into the artifact, and is asked only once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from ..artifacts.document_shards import second_name
from ..core.errors import InputError, RecipeError
from ..core.identity import digest_file
from ..core.lines import lines_of
from ..core.stage import Runtime
from ..lang.codes import normalise_code
from ..store.files import appended_lines, write_atomic
from .polite import Polite
from .warc_records import declared_length

_ANSWER_BYTES = 256 << 20
_COLUMNS = ("url", "timestamp", "filename", "offset", "length", "digest", "languages", "mime-detected", "status")
_THEIR_CODES = {"zsm": "msa", "fil": "tgl", "cmn": "zho", "yue": "zho"}
"""Where the first part of our code is not the one that CLD2, which Common Crawl uses, gives."""


def fetch_all(params: Any, runtime: Runtime) -> dict[str, Any]:
    """Write `index.jsonl` and `pages.warc.gz` and return metrics."""
    if params.requests_per_second <= 0 or params.retries < 1:
        raise RecipeError("`requests_per_second` and `retries` must be above 0", where="crawl.common_crawl")
    client = Polite(params.requests_per_second, params.retry_seconds, params.retries)
    index = runtime.state / "index.jsonl"
    counts = runtime.state / "counts.json"
    if not index.is_file():
        rows, left_out = _chosen(params, client, runtime)
        write_atomic(counts, json.dumps(left_out))
        write_atomic(index, "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows))
    rows = [json.loads(line) for line in lines_of(index)]
    if not rows:
        raise InputError(
            f"the index knows no such page (left out: {json.loads(counts.read_text())})",
            where=", ".join(params.crawls),
            how="Check `urls` (as in *.th or example.org/*) and `languages`.",
        )
    reasons = _fetch_rows(params, client, rows, runtime)
    shutil.copyfile(index, runtime.out / "index.jsonl")
    second_name(runtime.state / "pages.warc.gz", runtime.out / "pages.warc.gz")
    return {
        "records": len(rows) - reasons.total(),
        "dropped": dict(sorted((Counter(json.loads(counts.read_text())) + reasons).items())),
        "index_digest": digest_file(index),
        "requests": client.requests,
        "waits": client.waits,
    }


def _chosen(params: Any, client: Polite, runtime: Runtime) -> tuple[list[dict[str, str]], dict[str, int]]:
    """The wanted records by their place in the archive, and why others were left out."""
    wanted = [_their_code(code) for code in params.languages]
    left_out: Counter[str] = Counter()
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for crawl in params.crawls:
        for url in params.urls:
            for row in _ask(params, client, crawl, url, wanted):
                if reason := _refusal(params, row, wanted):
                    left_out[reason] += 1
                else:
                    rows[str(row["filename"]), int(row["offset"])] = {name: str(row.get(name, "")) for name in _COLUMNS}
            runtime.log(f"{crawl} {url}: {len(rows)} records so far")
    chosen, seen = [], set()
    for _, row in sorted(rows.items()):
        if row["digest"] and row["digest"] in seen:
            left_out["same_payload"] += 1
        else:
            seen.add(row["digest"])
            chosen.append(row)
    if params.max_pages and len(chosen) > params.max_pages:
        left_out["beyond_max_pages"] += len(chosen) - params.max_pages
        del chosen[params.max_pages :]
    return chosen, dict(left_out)


def _ask(params: Any, client: Polite, crawl: str, url: str, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """The index's answers, page by page. InputError for an answer that is longer than can be read: the list of
    records is kept for ever, so it must not lack any."""
    query = [("url", url), ("output", "json"), ("filter", "=status:200")]
    if wanted:
        query.append(("filter", f"~languages:.*({'|'.join(wanted)}).*"))
    base = f"{params.index_server.rstrip('/')}/{quote(crawl)}-index?{urlencode(query)}"
    status, body = client.get(f"{base}&showNumPages=true", max_bytes=_ANSWER_BYTES)
    if status == 404:  # how the server says that it knows nothing
        return
    pages = next(_json_lines(body), {}).get("pages")
    if status != 200 or type(pages) is not int:
        raise InputError(f"the index answers HTTP {status}: {body[:200].decode('utf-8', 'replace')}", where=base)
    for page in range(pages):
        status, body = client.get(f"{base}&page={page}", max_bytes=_ANSWER_BYTES)
        if status == 404:
            continue
        if status != 200 or len(body) >= _ANSWER_BYTES:
            said = f"HTTP {status}" if status != 200 else f"with {len(body)} bytes or more"
            raise InputError(
                f"the index answers {said}", where=f"{base}&page={page}", how="Ask for less in one of `urls`."
            )
        yield from _json_lines(body)


def _json_lines(body: bytes) -> Iterator[dict[str, Any]]:
    """The rows of an answer; one that cannot be read is an empty row, which is then counted as without a place."""
    for line in filter(bytes.strip, body.splitlines()):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = {}
        yield row if isinstance(row, dict) else {}


def _refusal(params: Any, row: dict[str, Any], wanted: list[str]) -> str:
    """Why a row of the index is not fetched, "" if it is."""
    place = [declared_length(str(row.get(name, ""))) for name in ("offset", "length")]
    if place[0] < 0 or place[1] < 1 or not row.get("filename"):
        return "no_place"
    if str(row.get("status", "")) != "200":
        return "http_status"
    if params.mime_types and row.get("mime-detected", row.get("mime", "")) not in params.mime_types:
        return "not_html"
    languages = str(row.get("languages", "")).split(",")
    if wanted and not set(languages[:1] if params.first_language else languages) & set(wanted):
        return "unwanted_language"
    return "too_large" if place[1] > params.max_record_bytes else ""


def _fetch_rows(params: Any, client: Polite, rows: list[dict[str, str]], runtime: Runtime) -> Counter[str]:
    """Append every row's record to `pages.warc.gz` in the state folder, once; returns why some have none.

    The journal has a line for each row that is done, with the bytes it gave; bytes beyond those are a killed attempt's.
    """
    data, journal = runtime.state / "pages.warc.gz", runtime.state / "journal.jsonl"
    done = [tuple(json.loads(line)) for line in appended_lines(journal)]
    data.touch()
    if data.stat().st_size < sum(size for size, _ in done):  # the records that the journal tells of are gone
        done = []
        write_atomic(journal, "")
    os.truncate(data, sum(size for size, _ in done))
    with open(data, "ab") as out, open(journal, "a", encoding="utf-8") as log:
        for row in rows[len(done) :]:
            record, reason = _fetch(params, client, row)
            out.write(record)
            out.flush()
            os.fsync(out.fileno())
            log.write(json.dumps([len(record), reason]) + "\n")
            log.flush()
            done.append((len(record), reason))
            runtime.progress(len(done), len(rows), "records")
    return Counter(reason for _, reason in done if reason)


def _fetch(params: Any, client: Polite, row: dict[str, str]) -> tuple[bytes, str]:
    """(a record's packed bytes, why there are none)."""
    first, length = int(row["offset"]), int(row["length"])
    url = f"{params.data_server.rstrip('/')}/{quote(row['filename'])}"
    status, body = client.get(url, max_bytes=length + 1, span=(first, first + length - 1))
    if status != 206:
        return b"", "no_range" if status == 200 else f"http_{status}"
    return (body, "") if len(body) == length and body[:2] == b"\x1f\x8b" else (b"", "not_a_record")


def _their_code(code: str) -> str:
    first = normalise_code(code, where="languages").partition("_")[0]
    return _THEIR_CODES.get(first, first)
