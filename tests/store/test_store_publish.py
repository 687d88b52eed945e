"""The store: equal bytes once, first result wins, nothing half published, names with history, and the way back."""

from __future__ import annotations

import json
import multiprocessing

import pytest

from sampan.core.errors import StoreError
from sampan.store.collect import find_garbage, remove
from sampan.store.store import Store

KEYS = ["a" * 64, "b" * 64, "c" * 64]


def publish(store, key, text="hello", inputs=None, kind="documents"):
    out, _ = store.scratch(key)
    (out / "x.txt").write_text(text)
    return store.publish(out, {"key": key, "kind": kind, "name": "s", "inputs": inputs or {}})


def test_publish_and_look_up(tmp_path):
    store = Store(tmp_path / "store")
    assert store.lookup(KEYS[0]) is None
    manifest = publish(store, KEYS[0])
    assert store.lookup(KEYS[0]) == manifest
    folder = store.object_path("documents", manifest["digest"])
    assert (folder / "x.txt").read_text() == "hello"
    assert json.loads((folder / "manifest.json").read_text())["digest"] == manifest["digest"]
    assert not list((tmp_path / "store" / "scratch").iterdir()), "scratch is gone after publishing"


def test_equal_bytes_are_one_object_under_two_keys(tmp_path):
    store = Store(tmp_path / "store")
    first, second = publish(store, KEYS[0]), publish(store, KEYS[1])
    assert first["digest"] == second["digest"]
    assert len(list((tmp_path / "store" / "objects" / "documents").iterdir())) == 1
    assert store.lookup(KEYS[1])["key"] == KEYS[1]


def test_first_result_for_a_key_wins(tmp_path):
    store = Store(tmp_path / "store")
    first = publish(store, KEYS[0], "one")
    assert publish(store, KEYS[0], "two") == first


def test_a_key_without_its_files_is_no_hit(tmp_path):
    """A kill between deleting files and deleting names, or a hand in the store, must lead to a rebuild."""
    import shutil

    store = Store(tmp_path / "store")
    manifest = publish(store, KEYS[0])
    shutil.rmtree(store.object_path("documents", manifest["digest"]))
    assert store.lookup(KEYS[0]) is None


def test_names_history_and_digests(tmp_path):
    store = Store(tmp_path / "store")
    old, new = publish(store, KEYS[0], "one"), publish(store, KEYS[1], "two")
    store.set_ref("r", "s", old)
    store.set_ref("r", "s", new)
    assert store.find("r/s") == store.find("s") == store.find(new["digest"][:10]) == new
    assert store.find("r/s@1") == old
    with pytest.raises(StoreError, match="only 2 results"):
        store.find("r/s@2")
    with pytest.raises(StoreError, match="Did you mean 'r/s'"):
        store.find("r/ss")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b"])
def test_names_stay_inside_the_store(tmp_path, name):
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError):
        store.set_ref("r", name, {"key": KEYS[0], "digest": "d"})


def test_a_folder_with_other_things_is_no_store(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(StoreError, match="something else than a store"):
        Store(tmp_path)


def hold(root, ready, leave):
    with Store(root).lock("recipe-r", what="the recipe r", wait=True):
        ready.set()
        leave.wait(30)


def test_a_lock_is_refused_with_its_holder_and_falls_with_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    store = Store(tmp_path / "store")
    process = context.Process(target=hold, args=(tmp_path / "store", ready, leave))
    process.start()
    assert ready.wait(30)
    with (
        pytest.raises(StoreError, match=f"the recipe r .process {process.pid}"),
        store.lock("recipe-r", what="the recipe r", wait=False),
    ):
        pass
    process.kill()
    process.join()
    with store.lock("recipe-r", what="the recipe r", wait=False):
        pass


def test_unfinished_work_is_kept_unless_asked(tmp_path):
    store = Store(tmp_path / "store")
    _, state = store.scratch("d" * 64)
    (state / "step-100").write_text("hours of work")
    remove(store, find_garbage(store))
    assert (state / "step-100").is_file()
    remove(store, find_garbage(store, scratch=True))
    assert not state.exists()


def test_a_killed_collection_leaves_no_object_in_part(tmp_path, monkeypatch):
    """The folder is out of the way before the first of its files goes."""
    import shutil

    store = Store(tmp_path / "store")
    manifest = publish(store, KEYS[0])
    target = store.object_path("documents", manifest["digest"])

    def killed(path, **_):
        assert not target.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove(store, find_garbage(store))
    monkeypatch.undo()
    assert publish(store, KEYS[0])["digest"] == manifest["digest"]
    assert (target / "x.txt").read_text() == "hello"


def test_a_first_opening_that_was_killed_is_no_obstacle(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".FORMAT.abc123").write_text("")
    assert Store(tmp_path / "store").lookup(KEYS[0]) is None


def test_garbage_is_what_no_name_reaches(tmp_path):
    store = Store(tmp_path / "store")
    parent = publish(store, KEYS[0], "parent")
    child = publish(store, KEYS[1], "child", {"documents": [{"key": KEYS[0], "digest": parent["digest"]}]})
    orphan = publish(store, KEYS[2], "orphan")
    store.set_ref("r", "s", child)
    store.scratch("d" * 64)
    garbage = find_garbage(store)
    assert [path.name for path in garbage.objects] == [orphan["digest"]]
    assert len(garbage.scratch) == 1
    remove(store, garbage)
    assert not list((tmp_path / "store" / "trash").iterdir())
    assert store.lookup(KEYS[2]) is None
    assert store.lookup(KEYS[0])
    assert store.lookup(KEYS[1])
