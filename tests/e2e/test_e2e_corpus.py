"""A corpus recipe through the real command line: any number of workers, Ray and a killed run give the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = """
recipe: corpus
languages: [tha_Thai, khm_Khmr, mya_Mymr, vie_Latn]
inputs: {web: "dir:?"}
stages:
  crawled: {stage: crawl.warc, from: {files: web}}
  clean: {stage: corpus.clean, from: {documents: crawled}, with: {languages: [tha_Thai, khm_Khmr, mya_Mymr, vie_Latn]}}
  unique: {stage: corpus.dedup, from: {documents: clean}}
"""
FILES = 6
FINISHED = "scratch/*/state/*/??????/facts.json"
"""Of shards whose folder has its name; one still being written has a longer one."""


def sampan(*words) -> list[str]:
    return [sys.executable, "-m", "sampan.cli.main", *map(str, words)]


def call(*words) -> str:
    done = subprocess.run(sampan(*words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """The recipe beside a crawl of several WARC files."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "web").mkdir()
    for number in range(FILES):
        out = folder / f"pages-{number}"
        given = {
            "part": "pages",
            "num_documents": 25,
            "seed": number,
            "languages": "[tha_Thai, khm_Khmr, mya_Mymr, vie_Latn]",
        }
        call("do", "corpus.village", "--out", out, *(f"--with={name}={value}" for name, value in given.items()))
        (warc,) = out.glob("*.warc.gz")
        warc.rename(folder / "web" / f"{number}.warc.gz")
    path = folder / "corpus.yaml"
    path.write_text(RECIPE.replace('"dir:?"', f'"dir:{folder / "web"}"'))
    return path


def digests(recipe: Path, store: Path) -> dict[str, str]:
    plan = json.loads(call("plan", recipe, "--store", store, "--json"))
    return {stage["name"]: stage["digest"] for stage in plan["stages"]}


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory) -> dict[str, str]:
    """Digests of the run with one worker."""
    store = tmp_path_factory.mktemp("alone")
    call("run", recipe, "--store", store, "--workers", 1)
    found = digests(recipe, store)
    assert all(found.values())
    return found


def test_four_workers_give_what_one_gives(recipe, alone, tmp_path):
    call("run", recipe, "--store", tmp_path, "--workers", 4)
    assert digests(recipe, tmp_path) == alone


@pytest.mark.slow
def test_a_ray_cluster_gives_what_one_worker_gives(recipe, alone, tmp_path, ray_address):
    engine = ("--engine", "ray", "--engine-option", f"address={ray_address}")
    call("run", recipe, "--store", tmp_path, "--workers", 2, *engine)
    assert digests(recipe, tmp_path) == alone


def test_a_killed_run_goes_on_without_redoing_finished_shards(recipe, alone, tmp_path):
    running = subprocess.Popen(
        sampan("run", recipe, "--store", tmp_path, "--workers", 1), start_new_session=True, stderr=subprocess.DEVNULL
    )
    shards = _wait_for(lambda: list(tmp_path.glob(FINISHED)), running)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = {path: path.stat().st_ino for path in tmp_path.glob(FINISHED)}
    assert set(shards) <= set(before)
    again = subprocess.Popen(sampan("run", recipe, "--store", tmp_path, "--workers", 1), stderr=subprocess.DEVNULL)
    redone = set()
    while again.poll() is None:
        redone |= {path for path, inode in before.items() if _inode(path) not in (inode, None)}
        time.sleep(0.01)
    assert again.returncode == 0
    assert not redone
    assert digests(recipe, tmp_path) == alone


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _wait_for(found, running):
    end = time.monotonic() + 60
    while not (result := found()):
        assert running.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.002)
    return result
