"""Folders and patterns in a bucket, and web servers that are busy, break off or change."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest

from sampan.core.errors import InputError, RecipeError
from sampan.core.identity import digest_file, digest_tree
from sampan.store import away, web
from sampan.store.outside import DigestCache, check_spec, check_unchanged, fetch, open_input
from sampan.store.store import Store

FILES = {"a.jsonl": "one", "th/b.jsonl": "two", "th/deep/c.txt": "three", "th/deep/d.jsonl": "four"}


@pytest.fixture
def bucket():
    import fsspec

    files = fsspec.filesystem("memory")
    for name, text in FILES.items():
        files.pipe(f"/bucket/rows/{name}", text.encode())
    files.pipe("/bucket/rows-of-others/x.jsonl", b"other")
    yield files
    files.store.clear()


def use(spec, store):
    return fetch(open_input(spec, "data", DigestCache(store), where="test"), store)


def below(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("rows/", [*FILES]),
        ("rows/*.jsonl", ["a.jsonl"]),
        ("rows/**/*.jsonl", ["a.jsonl", "th/b.jsonl", "th/deep/d.jsonl"]),
        ("rows/th/deep/[cd].*", ["c.txt", "d.jsonl"]),
        ("row?/a.*", ["rows/a.jsonl"]),
    ],
)
def test_a_folder_or_pattern_is_a_folder_of_its_files(bucket, tmp_path, pattern, names):
    store = Store(tmp_path / "store")
    made = use(f"url:memory://bucket/{pattern}", store)
    assert sorted(below(made.path)) == sorted(names)
    assert made.digest == digest_tree(made.path), "as of a dir: with these files"
    check_unchanged([made], store)
    bucket.pipe("/bucket/rows/a.jsonl", b"changed")
    assert use(f"url:memory://bucket/{pattern}", store) == made


def test_the_files_of_a_folder_on_this_machine(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/a.jsonl").write_text("one")
    (tmp_path / "rows/b.txt").write_text("two")
    store = Store(tmp_path / "store")
    assert below(use(f"url:file://{tmp_path}/rows/*.jsonl", store).path) == {"a.jsonl": "one"}
    assert below(use(f"url:file://{tmp_path}/rows/", store).path) == {"a.jsonl": "one", "b.txt": "two"}


def test_a_fetch_that_was_cut_off_goes_on(bucket, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    read, brought = away.read_away, []

    def broken(files, path, url):
        brought.append(path)
        if len(brought) == 3:
            raise InputError("cut off", where=url)
        return read(files, path, url)

    monkeypatch.setattr(away, "_AT_ONCE", 1)
    monkeypatch.setattr(away, "read_away", broken)
    with pytest.raises(InputError, match="cut off"):
        use("url:memory://bucket/rows/", store)
    bucket.rm("/bucket/rows/a.jsonl")  # brought, and gone since
    made = use("url:memory://bucket/rows/", store)
    assert sorted(below(made.path)) == sorted(FILES)[1:]
    assert len(brought) == 3 + 2, "one of the first two was kept"
    assert not list(store.root.rglob(".fetching*"))


def test_a_changed_folder_is_an_error_that_says_what_changed(bucket, tmp_path):
    store = Store(tmp_path / "store")
    first = use("url:memory://bucket/rows/", store)
    (first.path / "a.jsonl").unlink()
    assert below(use("url:memory://bucket/rows/", store).path) == FILES
    (first.path / "a.jsonl").unlink()
    bucket.rm("/bucket/rows/th/b.jsonl")
    bucket.pipe("/bucket/rows/new.jsonl", b"new")
    with pytest.raises(InputError, match=r"other files than before.*1 new \(new\.jsonl\) and 1 gone \(th/b\.jsonl\)"):
        use("url:memory://bucket/rows/", store)
    assert not first.path.exists()


def test_a_given_digest_of_a_folder(bucket, tmp_path):
    digest = use("url:memory://bucket/rows/", Store(tmp_path / "first")).digest
    store = Store(tmp_path / "store")
    artifact = open_input(f"url:memory://bucket/rows/#sha256={digest}", "data", DigestCache(store), where="test")
    assert artifact.digest == digest
    assert not artifact.path.exists(), "nothing is fetched before it is needed"
    assert below(fetch(artifact, store).path) == FILES
    with pytest.raises(InputError, match="other files"):
        use(f"url:memory://bucket/rows/#sha256={'0' * 64}", store)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://bucket/none/", "no file is there|FileNotFound"),
        ("memory://bucket/rows/*.parquet", "no file matches"),
        ("memory://bucket/rows", "this is a folder.*Write a / behind it"),
        ("nosuch://bucket/*", "cannot be fetched"),
    ],
)
def test_what_is_no_folder_is_told(bucket, tmp_path, url, message):
    with pytest.raises(InputError, match=f"(?s)bucket.*({message})"):
        use(f"url:{url}", Store(tmp_path / "store"))


@pytest.mark.parametrize("name", ["../../x", "a//b", "./x"])
def test_names_that_lead_out_of_the_folder_are_refused(monkeypatch, bucket, tmp_path, name):
    listing = {f"/bucket/rows/{name}": {"size": 1, "type": "file"}}
    monkeypatch.setattr(type(bucket), "find", lambda *_, **__: listing)
    with pytest.raises(InputError, match="cannot be a file's name in this folder"):
        use("url:memory://bucket/rows/", Store(tmp_path / "store"))


def test_what_stands_for_a_folder_is_no_file(monkeypatch, bucket, tmp_path):
    """Consoles of object stores make empty objects with a slash at their end."""
    listing = {f"/bucket/rows/{name}": {"size": 3 * bool(name), "type": "file"} for name in ("", "th/", "a.jsonl")}
    monkeypatch.setattr(type(bucket), "find", lambda *_, **__: listing)
    assert below(use("url:memory://bucket/rows/", Store(tmp_path / "store")).path) == {"a.jsonl": "one"}


def test_a_web_server_has_no_patterns():
    with pytest.raises(RecipeError, match=r"no pattern can be matched.*\n?.*an input for each file"):
        check_spec("url:https://host/crawl/*.warc.gz", where="test")
    for spec in ("url:https://host/a%2A?list=*", "url:s3://bucket/", "url:gs://bucket/a/**/*.gz"):
        assert check_spec(spec, where="test") == spec


BODY = bytes(range(256)) * 9000


class Flaky(BaseHTTPRequestHandler):
    """Serves BODY by a script: each request takes the next word, the last one for ever."""

    script, asked, tag = [], [], '"1"'

    def log_message(self, *_): ...

    def do_GET(self):
        self.asked.append(self.headers.get("Range", ""))
        word = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(word, int):
            self.send_response(word)
            self.send_header("Retry-After", "7")
            self.end_headers()
            return
        start = 0
        if (given := self.headers.get("Range")) and self.headers["If-Range"] == self.tag and "no-ranges" not in word:
            start = int(given.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.tag)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        self.wfile.write(BODY[start : start + 1_200_000] if "break" in word else BODY[start:])


@pytest.fixture
def flaky(monkeypatch):
    waits = []
    monkeypatch.setattr(web.time, "sleep", waits.append)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(Flaky, "asked", [])

    def fetched(tmp_path, *script):
        monkeypatch.setattr(Flaky, "script", list(script))
        path = use(f"url:http://127.0.0.1:{server.server_port}/pages.gz", Store(tmp_path / "store"))
        assert path.path.read_bytes() == BODY
        assert path.digest == digest_file(path.path)
        return waits

    yield fetched
    server.shutdown()
    server.server_close()


def test_a_busy_server_is_asked_again(flaky, tmp_path):
    assert flaky(tmp_path, 503, 429, "all") == [7, 7], "as late as the server said"
    assert len(Flaky.asked) == 3


def test_a_broken_connection_goes_on_where_it_was(flaky, tmp_path):
    waits = flaky(tmp_path, "break", "all")
    assert Flaky.asked == ["", "bytes=1200000-"]
    assert waits == [1.0]


@pytest.mark.parametrize("script", [("break", "all no-ranges"), ("break", "break no-ranges", "all")])
def test_a_server_without_ranges_is_read_anew(flaky, tmp_path, script):
    flaky(tmp_path, *script)


def test_a_file_that_changed_meanwhile_is_read_anew(flaky, tmp_path, monkeypatch):
    monkeypatch.setattr(web.time, "sleep", lambda _: monkeypatch.setattr(Flaky, "tag", '"2"'))
    flaky(tmp_path, "break", "all")
    assert Flaky.asked == ["", "bytes=1200000-"]


@pytest.mark.parametrize(("status", "times"), [(404, 1), (403, 1), (503, web.TRIES)])
def test_what_waiting_does_not_mend_is_told_at_once(flaky, tmp_path, status, times):
    with pytest.raises(InputError, match=f"cannot be fetched .*{status}"):
        flaky(tmp_path, status)
    assert len(Flaky.asked) == times


def test_waits_double_and_end():
    waits = [web.wait_seconds(attempt, 1.0, "") for attempt in range(12)]
    assert all(1.2 * before < after for before, after in pairwise(waits[:10]))
    assert max(waits) == waits[-1] == 600
    assert web.wait_seconds(0, 1.0, "Wed, 21 Oct 2015") == 1.0
