"""What may go wrong while a run is under way: killed at any moment, a full disk, nothing to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampan.core.errors import StageError, StoreError
from sampan.core.identity import digest_tree
from sampan.store.files import disk_errors
from sampan.train.causal_lm import STAGE
from sampan.train.resume import latest

SCRIPT = Path(__file__).with_name("kill_script.py")
STEPS = 12
PARAMS = {
    "context_len": 32,
    "micro_batch_tokens": 128,
    "global_batch_tokens": 128,
    "num_tokens": 128 * STEPS,
    "lr": 3e-3,
    "ema_decay": 0.5,
    "log_every": 3,
}
MOMENTS = ("step", "half written", "written", "renamed", "removing the one before")


@pytest.fixture(scope="module")
def runner(tiny, shards):
    """Does a run in a process of its own: (exit status, tokens that its steps told of)."""
    command, environment = [sys.executable, str(SCRIPT)], {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:

        def run(folder: Path, **more) -> tuple[int, list[int]]:
            seen = folder / "seen.json"
            seen.unlink(missing_ok=True)
            request = {"model": str(tiny), "tokens": str(shards), "out": str(folder / "out"), "seen": str(seen)}
            request |= {"state": str(folder / "state"), "params": PARAMS, **more}
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            status = int(server.stdout.readline())
            return status, json.loads(seen.read_text()) if seen.is_file() else []

        yield run


@pytest.fixture(scope="module")
def whole(runner, tmp_path_factory) -> str:
    """The digest of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    status, seen = runner(folder, interval=1e9)
    assert (status, len(seen)) == (0, STEPS)
    return digest_tree(folder / "out")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    kills=st.lists(st.tuples(st.sampled_from(MOMENTS), st.integers(1, STEPS - 1)), min_size=1, max_size=3),
    interval=st.integers(0, 4),
)
def test_killed_at_any_moment_it_ends_with_the_same_bytes(runner, whole, kills, interval):
    """kill -9 after any step and within the writing of any checkpoint, up to three times in one run."""
    with tempfile.TemporaryDirectory() as name:
        folder, reached = Path(name), 0
        for moment, number in kills:
            status, seen = runner(folder, interval=interval, moment=moment, number=number)
            # the step after the last checkpoint comes again, and no step before it
            assert not seen or seen[0] // 128 >= reached - max(1, interval)
            reached = max([reached, *(each // 128 for each in seen)])
            if status == 0:
                break  # it had no such moment left
            assert status == -9
        status, seen = runner(folder, interval=interval)
        assert status == 0
        assert not seen or seen[0] // 128 >= reached - max(1, interval)
        assert digest_tree(folder / "out") == whole


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a folder a file system of so many kilobytes, or changes how many it has."""
    mounted = []

    def mount(folder: Path, kilobytes: int) -> None:
        if folder in mounted:
            subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)
            return
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            if os.environ.get("CI"):
                pytest.fail(f"CI must be able to mount a tmpfs: {done.stderr.decode()}")
            pytest.skip("mounting a small file system needs root")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_at_a_checkpoint_is_told_and_the_one_before_it_goes_on(
    tiny, shards, run_stage, tmp_path, small_disk
):
    """On a real file system with room for one checkpoint and a half: the second cannot be written."""
    inputs = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
    _, expected = run_stage(STAGE, inputs, "whole", **PARAMS)
    state = tmp_path / "full-state"
    small_disk(state, 10_000)
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, inputs, "full", on_progress=_stop_at(3), checkpoint_seconds=0, **PARAMS)
    used = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    small_disk(state, 3 * used // 2048)
    with pytest.raises(StoreError, match="the disk is full"), disk_errors(state):
        run_stage(STAGE, inputs, "full", fresh_out=False, checkpoint_seconds=0, **PARAMS)
    assert latest(state).name == "step-000000002"
    assert not list(state.rglob("*.part"))
    small_disk(state, 10_000)
    _, out = run_stage(STAGE, inputs, "full", fresh_out=False, checkpoint_seconds=0, **PARAMS)
    assert digest_tree(out) == digest_tree(expected)


def _stop_at(step: int):
    def stop(done, total, unit):
        if done == step * 128:
            raise KeyboardInterrupt

    return stop


def test_a_checkpoint_that_was_damaged_is_told(tiny, shards, run_stage, tmp_path):
    """Not by a kill, which leaves it whole, but by a disk or a person."""
    inputs = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards])}
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, inputs, "run", on_progress=_stop_at(3), checkpoint_seconds=0, **PARAMS)
    file = next(latest(tmp_path / "run-state").iterdir())
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(StageError, match=r"step-000000002.*damaged.*Delete"):
        run_stage(STAGE, inputs, "run", fresh_out=False, **PARAMS)


def test_tokens_without_a_document_and_streams_without_a_token_are_refused(make_shards, tiny, run_stage, tmp_path):
    inputs = {"model": ("checkpoint", [tiny])}
    for number, streams in enumerate(({}, {"x": []}, {"x": [[]]})):
        empty = make_shards(tmp_path / f"empty{number}", streams)
        with pytest.raises(StageError, match="no token of these inputs is trained"):
            run_stage(STAGE, {**inputs, "tokens": ("tokens", [empty])}, f"empty{number}", **PARAMS)


def test_an_empty_stream_beside_a_full_one_is_left_out(make_shards, shards, tiny, run_stage, tmp_path):
    empty = make_shards(tmp_path / "empty", {"khm_Khmr": [[], []]})
    both = {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [shards, empty])}
    metrics, _ = run_stage(STAGE, both, **PARAMS)
    assert set(metrics["mixture"]) == {"0/tha_Thai", "0/eng_Latn"}


def test_ids_that_the_model_has_no_row_for_are_told(make_shards, tiny, run_stage, tmp_path):
    """Shards whose index says what their ids are not."""
    damaged = make_shards(tmp_path / "damaged", {"x": [[1, 5, 7, 9] * 40]})
    ids = damaged / "ids.bin"
    ids.write_bytes(b"\xff" * ids.stat().st_size)
    with pytest.raises(StageError, match="document 0 of stream 0/x has ids"):
        run_stage(STAGE, {"model": ("checkpoint", [tiny]), "tokens": ("tokens", [damaged])}, **PARAMS)
