"""Shards: each job once, an interrupted one anew, a changed one again."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from sampan.core.shards import Job, finished, run_job
from sampan.core.stage import Runtime

THIS = "core_shard_work"


@pytest.fixture(autouse=True)
def _work(tmp_path, monkeypatch):
    (tmp_path / f"{THIS}.py").write_text(
        "def square(job, out):\n"
        "    (out / 'ran').write_text('x')\n"
        "    with open(job['log'], 'a') as log:\n"
        "        log.write(f\"{job['n']}\\n\")\n"
        "    if job.get('fail'):\n"
        "        raise ValueError('no')\n"
        "    return {'square': job['n'] ** 2}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def _job(tmp_path: Path, **job) -> Job:
    return Job(f"{THIS}:square", {"log": str(tmp_path / "log"), **job}, tmp_path / "state" / "000000")


def test_a_finished_job_does_not_run_again(tmp_path):
    assert finished(_job(tmp_path, n=3)) is None
    assert run_job(_job(tmp_path, n=3)).facts == {"square": 9}
    assert run_job(_job(tmp_path, n=3)).facts == {"square": 9}
    assert (tmp_path / "log").read_text() == "3\n"


def test_another_job_in_the_same_place_runs(tmp_path):
    run_job(_job(tmp_path, n=3))
    assert run_job(_job(tmp_path, n=4)).facts == {"square": 16}


def test_a_failed_job_leaves_nothing_finished(tmp_path):
    with pytest.raises(ValueError, match="no"):
        run_job(_job(tmp_path, n=3, fail=True))
    assert finished(_job(tmp_path, n=3, fail=True)) is None


def test_shards_come_in_the_order_of_the_jobs_and_resume(tmp_path):
    seen = []
    runtime = Runtime(out=tmp_path / "out", state=tmp_path / "state")
    runtime.on_progress = lambda done, total, unit: seen.append((done, total, unit))
    jobs = [{"n": n, "log": str(tmp_path / "log")} for n in range(4)]
    with pytest.raises(ValueError, match="no"):
        runtime.shards("squares", f"{THIS}:square", [*jobs[:2], {**jobs[2], "fail": True}, jobs[3]])
    shards = runtime.shards("squares", f"{THIS}:square", jobs, weights=[1, 2, 3, 4], unit="bytes")
    assert [shard.facts["square"] for shard in shards] == [0, 1, 4, 9]
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2", "2", "3"]
    assert seen[-1] == (10, 10, "bytes")


@pytest.mark.parametrize("facts", ["", '{"job": ', "[]", "7", '{"job": "another"}'])
def test_broken_facts_mean_not_finished(tmp_path, facts):
    run_job(_job(tmp_path, n=3))
    (tmp_path / "state/000000/facts.json").write_text(facts)
    assert run_job(_job(tmp_path, n=3)).facts == {"square": 9}
    assert (tmp_path / "log").read_text() == "3\n3\n"


def test_an_attempt_given_up_that_goes_on_harms_nothing(tmp_path, monkeypatch):
    """A cluster may start a job again while the first attempt, cut off from it, is still writing."""
    job = _job(tmp_path, n=3)
    (tmp_path / "slow.py").write_text(
        "from sampan.core import shards\n"
        "def work(job, out):\n"
        "    (out / 'half').write_text('of the first')\n"
        "    if job['first']:\n"
        "        job['first'].clear()\n"
        "        job['again']()\n"
        "    (out / 'rest').write_text('x')\n"
        "    return {}\n"
    )
    first, made = {"yes": True}, []

    def again():
        with monkeypatch.context() as other:
            other.setattr("platform.node", lambda: "another-machine")
            made.append(run_job(second))
            (made[0].folder / "mark").write_text("of the second")

    job = Job("slow:work", {"first": first, "again": again}, tmp_path / "state" / "000000")
    second = Job("slow:work", {"first": {}, "again": again}, job.folder)
    monkeypatch.setattr("sampan.core.shards._digest", lambda job: "one")
    assert run_job(job).facts == made[0].facts
    assert sorted(path.name for path in job.folder.iterdir()) == ["facts.json", "half", "mark", "rest"]
    assert [path.name for path in job.folder.parent.iterdir()] == ["000000"]


def test_what_a_killed_attempt_left_is_cleared(tmp_path):
    job = _job(tmp_path, n=3)
    dead = job.folder.with_name(f"000000.{platform.node()}.{2**22 + 1}.part")  # beyond the largest process id
    elsewhere = job.folder.with_name("000000.another-machine.7.part")
    for path in (dead, elsewhere):
        path.mkdir(parents=True)
    run_job(job)
    assert not dead.exists()
    assert elsewhere.exists(), "it may be at work"


def test_a_shard_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A power cut keeps what was synced: the files and their folder before the rename, the new name after it."""
    done = []
    name, rename = {}, os.rename

    def fsync(handle):
        done.append(os.readlink(f"/proc/self/fd/{handle}"))

    def renamed(source, target):
        name["aside"] = str(source)
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renamed)
    run_job(_job(tmp_path, n=3))
    before, after = done[: done.index("rename")], done[done.index("rename") + 1 :]
    assert {f"{name['aside']}/ran", f"{name['aside']}/facts.json", name["aside"]} <= set(before)
    assert after == [str(tmp_path / "state")]
