"""Runs: failures leave the rest, kills lose nothing, a full disk harms nothing, two runs do not meet."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sampan.core.errors import StoreError
from sampan.core.identity import digest_tree
from sampan.recipe.plan import HIT
from sampan.recipe.run import Engine, run_plan
from sampan.store.store import MANIFEST, Store

TWO_ARMS = """\
recipe: arms
inputs: {rows: "dir:rows", bad: "file:bad.jsonl"}
stages:
  broken: {stage: crawl.table, from: {files: bad}}
  after:  {stage: corpus.split, from: {documents: broken}}
  table:  {stage: crawl.table, from: {files: rows}}
  left:   {stage: corpus.split, from: {documents: table}}
"""


def check_store(root) -> None:
    """Every object is what its name says, and every key's object is there."""
    store = Store(root)
    for folder in (root / "objects").glob("*/*"):
        manifest = folder / MANIFEST
        text = manifest.read_bytes()
        manifest.unlink()
        try:
            assert digest_tree(folder) == folder.name
        finally:
            manifest.write_bytes(text)
    for key in (root / "keys").glob("*/*.json"):
        assert store.lookup(key.stem), "a key names files that are not there"


def test_a_failure_leaves_the_rest_and_says_where(workshop):
    workshop.path.write_text(TWO_ARMS)
    (workshop.folder / "bad.jsonl").write_text('{"text": broken\n')  # no row can be used
    outcome = workshop.run(workers=1, keep_going=True)
    assert not outcome.ok
    assert set(outcome.built) == {"table", "left"}
    assert outcome.skipped == ["after"]
    assert "bad.jsonl:1: not JSON" in str(outcome.failed["broken"])
    (workshop.folder / "bad.jsonl").write_text('{"text": "fine"}\n{"text": "mended"}\n')
    assert set(workshop.run().built) == {"broken", "after"}
    check_store(workshop.root)


def test_without_keep_going_nothing_new_starts(workshop):
    workshop.path.write_text(TWO_ARMS)
    (workshop.folder / "bad.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    outcome = workshop.run(workers=1)
    assert outcome.built == []
    assert "bad.jsonl:1: not UTF-8" in str(outcome.failed["broken"])


def test_two_runs_at_once(workshop):
    plan, store = workshop.plan()
    with (
        store.lock("recipe-chain", what="the recipe chain", wait=False),
        pytest.raises(StoreError, match="another process"),
    ):
        # flock is per open file, so a second handle in this process stands for a second process
        run_plan(plan, store, Engine())
    assert run_plan(plan, store, Engine()).ok


def test_same_bytes_whatever_the_workers(workshop, tmp_path):
    workshop.run(workers=1)
    one = workshop.digests()
    shutil.rmtree(workshop.root)
    workshop.run(workers=4)
    assert workshop.digests() == one
    assert all(one.values())


@pytest.mark.slow
def test_kill_at_random_moments_ends_with_the_same_digests(workshop):
    """Twenty times kill -9 at a random moment, then a run to the end: the digests of an undisturbed run."""
    workshop.run()
    wanted = workshop.digests()
    shutil.rmtree(workshop.root)
    command = [sys.executable, "-m", "sampan.cli.main", "run", str(workshop.path), "--store", str(workshop.root)]
    draw = random.Random(20)
    for _ in range(20):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(draw.uniform(0.05, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if workshop.root.is_dir():
            check_store(workshop.root)
        if draw.random() < 0.3:
            shutil.rmtree(workshop.root, ignore_errors=True)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert workshop.digests() == wanted
    check_store(workshop.root)


def test_full_disk(workshop, tmp_path):
    """On a real, small file system: a clear error, a non-zero exit, and a store that goes on once there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"CI must be able to mount a tmpfs: {mounted.stderr.decode()}")
        pytest.skip("mounting a small file system needs root")
    try:
        root = disk / "store"
        with open(workshop.folder / "rows" / "a.jsonl", "a") as rows:
            for n in range(4000):
                rows.write(json.dumps({"id": f"x{n}", "text": random.Random(n).randbytes(200).hex()}) + "\n")
        command = [sys.executable, "-m", "sampan.cli.main", "run", str(workshop.path), "--store", str(root)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert "the disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        check_store(root)
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert subprocess.run(command, capture_output=True).returncode == 0
        check_store(root)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_killed_stage_is_an_error_with_its_status(workshop):
    plan, store = workshop.plan()

    def kill_it(what, step, detail):
        if what == "started" and step.node.name == "table":
            os.kill(detail, signal.SIGKILL)

    outcome = run_plan(plan, store, Engine(workers=1), kill_it)
    assert "ended without a word" in str(outcome.failed["table"])
    assert workshop.run().ok
    assert set(workshop.statuses().values()) == {HIT}


def test_an_input_that_changes_while_it_is_read_is_an_error(workshop):
    """Published under the old digest, the result would be wrong for ever."""
    plan, store = workshop.plan()
    with open(workshop.folder / "rows" / "a.jsonl", "a") as rows:
        rows.write('{"id": "late", "text": "Written after the plan was made.", "language": "en"}\n')
    outcome = run_plan(plan, store, Engine(workers=1))
    assert "changed while the stage was reading it" in str(outcome.failed["table"])
    assert workshop.run().ok
