"""Engines: the same jobs give the same folders in processes, on Ray and by submitit; failures are told, none hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sampan.core.errors import InputError, RecipeError, StageError, StoreError
from sampan.core.identity import digest_tree
from sampan.core.stage import Runtime
from sampan.recipe.engines import Place
from sampan.store.files import disk_errors

WORK = """
import os, signal, time
from sampan.core.errors import InputError

def write(job, out):
    (out / "text").write_text("x" * job["n"])
    if job.get("sleep", 0) > 10:
        (out / "pid").write_text(str(os.getpid()))
    if job.get("refuse"):
        raise InputError("bad shard", where="file:3", how="Mend it.")
    if job.get("crash"):
        raise ZeroDivisionError("a fault")
    if job.get("full"):
        raise OSError(28, "No space left on device")
    if job.get("kill"):
        import threading
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    if job.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(job.get("sleep", 0))
    return {"n": job["n"], "pid": os.getpid()}
"""


@pytest.fixture(autouse=True)
def _work(tmp_path, monkeypatch):
    (tmp_path / "engine_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def _shards(tmp_path: Path, jobs, **place):
    runtime = Runtime(out=tmp_path / "out", state=tmp_path / "state")
    runtime.run_shards = Place(**place).runner()
    seen = []
    runtime.on_progress = lambda done, total, unit: seen.append(done)
    shards = runtime.shards("phase", "engine_work:write", jobs)
    assert seen[-1] == len(jobs)
    return shards


def _needs(module: str) -> None:
    """The package is in the dev extra, so only a developer's reduced environment may lack it."""
    if os.environ.get("CI"):
        __import__(module)
    pytest.importorskip(module)


def test_worker_processes_do_every_job_once_and_in_order(tmp_path):
    shards = _shards(tmp_path, [{"n": n, "sleep": 0.05} for n in range(9)], workers=3)
    assert [shard.facts["n"] for shard in shards] == list(range(9))
    assert os.getpid() not in {shard.facts["pid"] for shard in shards}
    assert len({shard.facts["pid"] for shard in shards}) > 1


def test_a_single_job_needs_no_process(tmp_path):
    assert _shards(tmp_path, [{"n": 1}], workers=3)[0].facts["pid"] == os.getpid()


def test_shared_slots_bound_what_runs_at_once(tmp_path):
    """Two pools of two workers with one slot between them: four jobs of 0.2 s cannot end in under 0.8 s."""
    place = {"workers": 1, "slots": str(tmp_path / "slots")}
    begun = time.monotonic()
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from sampan.core.stage import Runtime
        from sampan.recipe.engines import Place
        from sampan.recipe.engines.local import _Pool
        if __name__ == "__main__":
            runtime = Runtime(out=Path("out"), state=Path({str(tmp_path)!r}) / sys_argv)
            place = Place(**{place!r})
            runtime.run_shards = lambda jobs, done: _Pool(2, place).run(jobs, done)
            runtime.shards("phase", "engine_work:write", [{{"n": n, "sleep": 0.2}} for n in range(2)])
        """
    )
    for name in "ab":
        (tmp_path / f"main_{name}.py").write_text(code.replace("sys_argv", repr(name)))
    running = [subprocess.Popen([sys.executable, str(tmp_path / f"main_{name}.py")]) for name in "ab"]
    assert [each.wait(60) for each in running] == [0, 0]
    assert time.monotonic() - begun >= 0.8


@pytest.mark.parametrize("workers", [1, 3])
def test_a_refusal_is_raised_and_the_rest_resumes(tmp_path, workers):
    jobs = [{"n": n} for n in range(6)]
    with pytest.raises(InputError, match="bad shard"):
        _shards(tmp_path, [*jobs[:3], {**jobs[3], "refuse": True}, *jobs[4:]], workers=workers)
    assert [shard.facts["n"] for shard in _shards(tmp_path, jobs, workers=workers)] == list(range(6))


def test_a_fault_and_a_death_are_told_with_the_shard(tmp_path):
    with pytest.raises(StageError, match="ZeroDivisionError: a fault"):
        _shards(tmp_path / "a", [{"n": 1}, {"n": 2, "crash": True}], workers=2)
    with pytest.raises(StageError, match="shard 000001: .* without a word"):
        _shards(tmp_path / "b", [{"n": 1}, {"n": 2, "die": True}], workers=2)


def test_workers_die_with_a_killed_parent(tmp_path):
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from sampan.core.stage import Runtime
        from sampan.recipe.engines import Place
        if __name__ == "__main__":
            runtime = Runtime(out=Path("out"), state=Path({str(tmp_path)!r}) / "state")
            runtime.run_shards = Place(workers=2).runner()
            runtime.shards("phase", "engine_work:write", [{{"n": 1, "sleep": 60}}, {{"n": 2, "sleep": 60}}])
        """
    )
    (tmp_path / "main_killed.py").write_text(code)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "main_killed.py")])
    try:
        _until(lambda: sum(path.read_text() != "" for path in tmp_path.glob("state/phase/*.part/pid")) == 2)
        pids = [int(path.read_text()) for path in tmp_path.glob("state/phase/*.part/pid")]
        assert all(map(_alive, pids))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        _until(lambda: not any(map(_alive, pids)))
    finally:
        parent.kill()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(true, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_unknown_engine_is_named(tmp_path):
    with pytest.raises(RecipeError, match="Did you mean 'local'"):
        Place(engine="locl").runner()


@pytest.mark.slow
def test_ray_on_a_cluster_of_two_workers_gives_the_local_files(tmp_path, monkeypatch):
    _needs("ray")
    import ray

    jobs = [{"n": n} for n in range(6)]
    local = _shards(tmp_path / "local", jobs, workers=1)
    try:
        there = _shards(tmp_path / "ray", jobs, engine="ray", workers=2)
        with pytest.raises(InputError, match="bad shard"):
            _shards(tmp_path / "refused", [{"n": 1, "refuse": True}, {"n": 2}], engine="ray", workers=2)
    finally:
        ray.shutdown()
    assert os.getpid() not in {shard.facts["pid"] for shard in there}
    for a, b in zip(local, there, strict=True):
        assert digest_tree(a.folder, skip=["facts.json"]) == digest_tree(b.folder, skip=["facts.json"])


@pytest.mark.slow
def test_submitit_runs_the_same_jobs(tmp_path):
    _needs("submitit")
    options = {"cluster": "local"}
    jobs = [{"n": n} for n in range(3)]
    shards = _shards(tmp_path, jobs, engine="slurm", workers=2, options=options)
    assert [shard.facts["n"] for shard in shards] == [0, 1, 2]
    with pytest.raises(InputError, match="bad shard"):
        _shards(tmp_path / "refused", [{"n": 1, "refuse": True}, {"n": 2}], engine="slurm", workers=2, options=options)


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("local", {"x": 1}),
        ("ray", {"adress": "auto"}),
        ("ray", {"memory": "much"}),
    ],
)
def test_settings_that_an_engine_does_not_know(engine, options):
    if engine == "ray":
        _needs("ray")
    with pytest.raises(RecipeError, match=f"--engine-option: .*{next(iter(options))}"):
        Place(engine=engine, options=options).runner()


@pytest.mark.parametrize("options", [{}, {"cluster": "local", "slurm_partitio": "x"}, {"cluster": "foo"}])
def test_what_submitit_refuses(tmp_path, options, monkeypatch):
    _needs("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm here, wherever this runs
    with pytest.raises(RecipeError, match="--engine slurm: submitit refuses"):
        _shards(tmp_path, [{"n": 1}], engine="slurm", options=options)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_told_as_one(tmp_path, workers):
    """Wherever the shard runs: a worker's own error, not a fault of the stage's code."""
    with pytest.raises(StoreError, match="the disk is full"), disk_errors(tmp_path):
        _shards(tmp_path, [{"n": 1}, {"n": 2, "full": True}], workers=workers)
    assert [path.name for path in (tmp_path / "state/phase").iterdir()] == ["000000"]


def test_a_worker_killed_while_idle_is_told(tmp_path):
    """Its pipe is broken when it is given a job."""
    jobs = [{"n": 1, "kill": True}, *({"n": n, "sleep": 0.3} for n in range(2, 5))]
    with pytest.raises(StageError, match="without a word"):
        _shards(tmp_path, jobs, workers=2)
