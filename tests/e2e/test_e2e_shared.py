"""Two machines run one recipe on one bucket, each with a disk of its own; one is killed in the middle of a stage."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

RECIPE = """
recipe: team
inputs:
  rows: "file:rows.jsonl"
stages:
  read: {stage: crawl.table, from: {files: rows}}
  slow: {stage: corpus.clean, from: {documents: read}}
  unique: {stage: corpus.dedup, from: {documents: slow}}
  parts: {stage: corpus.split, from: {documents: unique}}
  again: {stage: corpus.dedup, from: {documents: read}}
"""
DOCUMENTS = 3_000
"""Enough that cleaning them takes a second and more on any machine, in which it can be killed."""

PEOPLE = ["guru", "petani", "nelayan", "pedagang", "murid", "dokter", "sopir", "penulis", "tukang", "penjaga"]
PLACES = ["dari kota", "dari desa", "di pasar", "di sungai", "di gunung", "dari pantai", "di sekolah", "di rumah"]


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """(environment of a machine, client of the bucket, folder with the recipe)."""
    if not os.environ.get("CI"):
        pytest.importorskip("moto", reason="needs moto and s3fs")
        pytest.importorskip("s3fs", reason="needs moto and s3fs")
    import boto3

    folder = tmp_path_factory.mktemp("team")
    (folder / "team.yaml").write_text(RECIPE)
    rows = ({"text": _text(number), "lang": "id"} for number in range(DOCUMENTS))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = start_server()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    env = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    client.create_bucket(Bucket="lab")
    client.put_bucket_versioning(Bucket="lab", VersioningConfiguration={"Status": "Enabled"})
    yield {**os.environ, **env}, client, folder
    server.stop()


def start_server():
    """An S3 server that answers one request after the other: Amazon's creates an object for one of two that ask at the
    same time, Moto's looks whether it is there and then creates it for both."""
    from moto.moto_server import threaded_moto_server as moto

    lock = threading.Lock()

    class OneByOne(moto.DomainDispatcherApplication):
        def __call__(self, *request):
            with lock:
                return super().__call__(*request)

    with mock.patch.object(moto, "DomainDispatcherApplication", OneByOne):
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
    return server


def _text(number: int) -> str:
    """Some sentences, different in every document."""
    draw = random.Random(number)
    words = [[f"{who} {draw.choice(PLACES)}" for who in draw.sample(PEOPLE, 4)] for _ in range(3)]
    return "\n".join(f"{a} membaca buku dengan {b}, dan {c} tidak melihat {d} pada hari itu." for a, b, c, d in words)


def machine(team, name: str, prefix: str, lease_seconds: int = 2) -> subprocess.Popen:
    """A run with a store of its own, in a process group of its own."""
    env, _, folder = team
    command = [sys.executable, "-m", "sampan.cli.main", "run", "team.yaml", "--store", name]
    command += ["--workers", "1", "--remote", f"s3://lab/{prefix}", "--lease-seconds", str(lease_seconds)]
    return subprocess.Popen(
        command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def objects(client, prefix: str) -> dict[str, bytes]:
    """What stands in the bucket below a prefix, by name."""
    listed = client.list_objects_v2(Bucket="lab", Prefix=prefix).get("Contents", [])
    return {item["Key"]: client.get_object(Bucket="lab", Key=item["Key"])["Body"].read() for item in listed}


def times_written(client, prefix: str) -> dict[str, int]:
    """How often each object below a prefix was written: the bucket keeps versions."""
    counts: dict[str, int] = {}
    for version in client.list_object_versions(Bucket="lab", Prefix=prefix).get("Versions", []):
        counts[version["Key"]] = counts.get(version["Key"], 0) + 1
    return counts


def by_stage(store: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in store.glob("keys/*/*.json")]
    return {manifest["name"]: manifest for manifest in found}


def finish(run: subprocess.Popen) -> str:
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    return out


def _in_the_middle_of_cleaning(store: Path) -> bool:
    """Whether a shard of a stage is being written, and it is not the table's."""
    done = {manifest["key"] for manifest in by_stage(store).values()}
    return bool(done) and any(path.parts[-4] not in done for path in store.glob("scratch/*/state/*/*"))


@pytest.mark.slow
def test_a_killed_machine_s_stage_is_taken_over_and_nothing_is_built_twice(team):
    _, client, folder = team
    first = machine(team, "first", "killed")
    deadline = time.monotonic() + 60
    while not _in_the_middle_of_cleaning(folder / "first"):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = machine(team, "second", "killed")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert "slow" not in by_stage(folder / "first"), "killed in the middle of it"
    before = set(by_stage(folder / "first"))
    out = finish(second)

    built = by_stage(folder / "second")
    assert set(built) == {"read", "slow", "unique", "parts", "again"}
    assert f"{5 - len(before)} built, {len(before)} hits" in out, "what the dead machine had finished was taken"
    keys = times_written(client, "killed/keys/")
    assert sorted(keys) == sorted(f"killed/keys/{m['key'][:2]}/{m['key']}.json" for m in built.values())
    assert set(keys.values()) == {1}, "every stage was committed once"
    assert set(times_written(client, "killed/objects/").values()) == {1}
    leases = objects(client, f"killed/leases/{built['slow']['key']}/")
    assert [Path(name).stem for name in leases] == ["000001", "000002"], "the dead one's and the one that took over"
    dead, alive = (json.loads(text) for text in leases.values())
    assert not dead["over"]
    assert alive["over"]
    assert dead["pid"] != alive["pid"]
    for name in before:
        assert len(objects(client, f"killed/leases/{built[name]['key']}/")) == 1

    back = finish(machine(team, "first", "killed"))
    assert f"0 built, {len(built)} hits" in back, "the dead machine comes back and lacks nothing"
    assert by_stage(folder / "first") == built
    assert set(times_written(client, "killed/keys/").values()) == {1}


@pytest.mark.slow
def test_two_machines_at_once_build_every_stage_once(team):
    _, client, folder = team
    runs = [machine(team, name, "both", lease_seconds=30) for name in ("left", "right")]  # none falls, however slow
    shown = [finish(run) for run in runs]
    built = sum(int(out.split(" built")[0].split()[-1]) for out in shown)
    assert built == 5, shown
    assert by_stage(folder / "left") == by_stage(folder / "right")
    assert set(times_written(client, "both/keys/").values()) == {1}
    assert len(times_written(client, "both/leases/")) == 5, "no lease was ever taken over"
