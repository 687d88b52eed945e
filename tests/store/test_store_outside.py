"""Inputs from elsewhere: fetched once, known by their digest, and refused when they change."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sampan.core.errors import InputError, RecipeError, StoreError
from sampan.core.identity import digest_file
from sampan.recipe.load import _input_spec
from sampan.store.outside import DigestCache, check_spec, fetch, open_input
from sampan.store.remote import open_remote
from sampan.store.store import Store

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Quiet(SimpleHTTPRequestHandler):
    asked = []

    def log_message(self, *_):
        self.asked.append(self.path)


@pytest.fixture
def web(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web/rows.jsonl").write_text('{"text": "hello"}\n')
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Quiet.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}/rows.jsonl"
    server.shutdown()
    server.server_close()


def use(spec, store):
    return fetch(open_input(spec, "data", DigestCache(store), where="test"), store)


def test_a_url_is_fetched_once_and_named_by_its_bytes(web, tmp_path):
    store = Store(tmp_path / "store")
    first = use(f"url:{web}", store)
    assert first.path.name == "rows.jsonl"
    assert first.path.read_text() == '{"text": "hello"}\n'
    assert first.digest == digest_file(tmp_path / "web/rows.jsonl"), "the same as for a file: input"
    (tmp_path / "web/rows.jsonl").write_text("changed")
    assert use(f"url:{web}", store) == first
    assert len(Quiet.asked) == 1


def test_a_changed_address_is_an_error_that_names_it(web, tmp_path):
    store = Store(tmp_path / "store")
    first = use(f"url:{web}", store)
    first.path.unlink()
    (tmp_path / "web/rows.jsonl").write_text("changed")
    with pytest.raises(InputError, match=r"rows\.jsonl: this address serves another file") as error:
        use(f"url:{web}", store)
    assert hashlib.sha256(b"changed").hexdigest() in str(error.value)
    assert not first.path.exists()


def test_a_given_digest_is_known_before_anything_is_fetched(web, tmp_path):
    store = Store(tmp_path / "store")
    digest = digest_file(tmp_path / "web/rows.jsonl")
    artifact = open_input(f"url:{web}#sha256={digest}", "data", DigestCache(store), where="test")
    assert artifact.digest == digest
    assert not Quiet.asked
    assert fetch(artifact, store).path.is_file()
    with pytest.raises(InputError, match="another file"):
        use(f"url:{web}#sha256={'0' * 64}", store)


def test_file_systems_of_fsspec(tmp_path):
    import fsspec

    with fsspec.open("memory://bucket/rows.jsonl", "wb") as file:
        file.write(b'{"text": "x"}\n')
    assert use("url:memory://bucket/rows.jsonl", Store(tmp_path / "store")).path.read_bytes() == b'{"text": "x"}\n'


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "memory://bucket/none", "nosuch://x/y"])
def test_what_cannot_be_fetched_is_named(tmp_path, url):
    with pytest.raises(InputError, match=url):
        use(f"url:{url}", Store(tmp_path / "store"))
    assert not list((tmp_path / "store/cache").rglob(".fetching*"))


@pytest.mark.parametrize(
    "spec",
    [
        "url:/a/path",
        "url:https://host/",
        "url:https://host/x#sha256=12",
        "hf:org/name@main",
        "hf:datasets/org/name",
        "x:y",
    ],
)
def test_malformed_and_unpinned_inputs(spec):
    with pytest.raises(RecipeError):
        check_spec(spec, where="test")


@pytest.mark.parametrize(
    "spec", [f"hf:org/name@{COMMIT}", f"hf:datasets/org/name@{COMMIT}/th/*.parquet", "url:s3://b/x"]
)
def test_well_formed_inputs(spec):
    assert check_spec(spec, where="test") == spec


def test_an_address_on_the_command_line():
    assert _input_spec("https://host/x.parquet") == "url:https://host/x.parquet"
    assert _input_spec("url:s3://b/x") == "url:s3://b/x"


def test_a_data_set_of_the_hub(tmp_path, monkeypatch):
    import huggingface_hub

    asked = {}

    def download(repo, **options):
        asked.update(options, repo=repo)
        folder = options["local_dir"]
        (folder / ".cache/huggingface").mkdir(parents=True)
        (folder / "th").mkdir()
        (folder / "th/a.jsonl").write_text("{}")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    made = use(f"hf:datasets/org/name@{COMMIT}/th/*", Store(tmp_path / "store"))
    assert (asked["repo"], asked["revision"], asked["repo_type"]) == ("org/name", COMMIT, "dataset")
    assert asked["allow_patterns"] == ["th/*"]
    assert [p.name for p in made.path.rglob("*") if p.is_file()] == ["a.jsonl"]


def test_a_file_may_be_called_as_our_own_notes(web, tmp_path):
    store = Store(tmp_path / "store")
    for name in ("source.json", "x" * 150 + ".jsonl"):
        (tmp_path / "web" / name).write_text('{"text": "hello"}')
        spec = f"url:{web.replace('rows.jsonl', name)}"
        assert use(spec, store).path.read_text() == '{"text": "hello"}'
        assert use(spec, store).path.name.endswith(name[-6:])


def test_an_address_that_leads_to_a_local_file_is_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")

    class Elsewhere(Quiet):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", secret.as_uri())
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(InputError, match="cannot be fetched"):
            use(f"url:http://127.0.0.1:{server.server_port}/a.jsonl", Store(tmp_path / "store"))
    finally:
        server.shutdown()
        server.server_close()


def test_a_full_disk_while_fetching(web, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sampan.store.remote.os.fsync", full)
    store = Store.__new__(Store)
    store.root = tmp_path / "store"
    with pytest.raises(StoreError, match="the disk is full"):
        open_remote(f"url:{web}", store, where="test")
    assert not [path for path in store.root.rglob("*") if path.is_file()]
