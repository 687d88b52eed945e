"""A bucket between stores: what one publishes another takes, the first wins, and leases fall when they stand still."""

from __future__ import annotations

import json
import threading

import pytest

from sampan.core.errors import RecipeError, StoreError
from sampan.store.shared import Shared, SharedAt
from sampan.store.store import Store

KEY = "a" * 64


@pytest.fixture
def bucket(tmp_path):
    """A bucket in this process's memory, its own for each test, with leases of a third of a second."""
    return SharedAt(f"memory://{tmp_path.name}/team", seconds=0.3)


def published(store: Store, text: str = "hello", key: str = KEY) -> dict:
    out, _ = store.scratch(key)
    (out / "part").mkdir()
    (out / "part/x.txt").write_text(text)
    return store.publish(out, {"key": key, "kind": "documents", "name": "s", "inputs": {}})


def test_what_one_publishes_another_takes(bucket, tmp_path):
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    manifest = published(ours)
    assert Shared(bucket).lookup(KEY) is None
    assert Shared(bucket).publish(manifest, ours) == manifest
    found = Shared(bucket).lookup(KEY)
    assert Shared(bucket).take(found, theirs) == manifest == theirs.lookup(KEY)
    assert (theirs.object_path("documents", manifest["digest"]) / "part/x.txt").read_text() == "hello"


def test_the_first_to_publish_a_key_wins(bucket, tmp_path):
    first, second = Store(tmp_path / "first"), Store(tmp_path / "second")
    one, two = published(first, "one"), published(second, "two")
    shared = Shared(bucket)
    assert shared.publish(one, first) == shared.publish(two, second) == one


def test_damaged_files_are_not_taken(bucket, tmp_path):
    store, shared = Store(tmp_path / "store"), Shared(bucket)
    manifest = shared.publish(published(store), store)
    shared._fs.pipe_file(f"{shared._object_path(manifest)}/part/x.txt", b"other")
    with pytest.raises(StoreError, match="damaged"):
        shared.take(manifest, Store(tmp_path / "other"))


def test_one_holds_a_lease_and_the_next_gets_the_result(bucket, tmp_path):
    """The waiter waits longer than a lease lasts, because the holder shows that it lives."""
    store, shared, seen = Store(tmp_path / "store"), Shared(bucket), []
    manifest = published(store)

    def wait() -> None:
        with Shared(bucket).lease(KEY) as found:
            seen.append(found)

    with shared.lease(KEY) as found:
        assert found is None
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(timeout=1.0)
        assert waiter.is_alive()
        assert seen == []
        shared.publish(manifest, store)
    waiter.join(timeout=5)
    assert seen == [manifest]


def test_a_lease_that_stands_still_is_taken_over(bucket):
    shared = Shared(bucket)
    dead = f"{shared._root}/leases/{KEY}/000001.json"
    shared._write(dead, {"host": "gone", "pid": 1, "beat": 7, "over": False})
    with shared.lease(KEY) as found:
        assert found is None
    assert shared._last_lease(KEY)[0] == 2
    assert json.loads(shared._fs.cat_file(dead))["host"] == "gone"


def test_a_failed_holder_lets_go_at_once(bucket):
    shared = Shared(bucket)
    with pytest.raises(ValueError, match="broken"), shared.lease(KEY):
        raise ValueError("broken")
    number, last = shared._last_lease(KEY)
    assert (number, last["over"]) == (1, True)


def test_a_folder_that_is_listed_as_itself_is_no_object(bucket, tmp_path, monkeypatch):
    """As s3fs lists one in which another machine's first object appears between its two questions."""
    store, shared = Store(tmp_path / "store"), Shared(bucket)
    find = type(shared._fs).find

    def late(fs, path, **asked):
        return find(fs, path, **asked) | {path: {"name": path, "size": 0, "type": "directory"}}

    monkeypatch.setattr(type(shared._fs), "find", late)
    assert shared._last_lease(KEY) == (0, None)
    manifest = shared.publish(published(store), store)
    assert shared.take(manifest, Store(tmp_path / "other")) == manifest
    with shared.lease("b" * 64) as found:
        assert found is None
        assert shared._last_lease("b" * 64)[0] == 1


def test_a_bucket_that_overwrites_is_refused(bucket, monkeypatch):
    shared = Shared(bucket)
    shared.check()
    shared.check()
    monkeypatch.setattr(Shared, "_create", lambda *_: True)
    with pytest.raises(StoreError, match="If-None-Match"):
        shared.check()


def test_a_library_that_looks_first_and_then_creates_is_refused(bucket, monkeypatch):
    """As s3fs does it before 2024.12, under which two machines won one lease."""
    from fsspec import AbstractFileSystem

    shared = Shared(bucket)
    monkeypatch.setattr(type(shared._fs), "pipe_file", AbstractFileSystem.pipe_file)
    with pytest.raises(StoreError, match=r"(?s)looks whether an object is there.*pip install --upgrade"):
        shared.check()


def test_addresses_that_are_none_are_told():
    with pytest.raises(RecipeError, match="no shared store"):
        SharedAt("team")
    with pytest.raises(StoreError, match="nosuch://x"):
        Shared(SharedAt("nosuch://x/y"))
