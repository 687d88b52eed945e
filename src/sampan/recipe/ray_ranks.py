"""The processes of a training stage as actors of a Ray cluster: `python -m sampan.recipe.ray_ranks JOB`, which is what
`--launcher ray` starts (see `ranks`).

Every actor has a place of its own, with the job's threads as CPUs and one GPU if the job wants one, and runs
`sampan.recipe.rank` in a process. What ranks say is passed on; when one of them dies, all end, and `ranks` starts them
again if it may. The cluster is that of RAY_ADDRESS, or one of this machine alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..lang.profile import VARIABLE, own_profiles
from .ranks import LIFELINE, MARK, free_port

_GRACE_SECONDS = 30.0
"""How long to wait for the one that died first to be heard: the others see only that a connection broke, and what an
actor yields can be seconds on its way through a busy cluster."""


class Member:
    """One of the actors."""

    def where(self) -> tuple[str, int]:
        """The address of its machine, and a free port of it."""
        import ray

        return ray.util.get_node_ip_address(), free_port()

    def run(self, job: str, log: str, environment: dict[str, str]) -> Iterator[str | int]:
        """Run a rank; yields what it says, line by line, and its exit status at the end."""
        command = [sys.executable, "-m", "sampan.recipe.rank", job]
        with open(log, "wb") as errors:
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment, LIFELINE: "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            for line in process.stdout:
                text = line.decode("utf-8", "replace")
                if text.startswith(MARK):
                    yield text
            yield process.wait()


def main(path: str) -> int:
    """Start all ranks and listen to them; 0 once all have ended well."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        import ray
    except ImportError as error:
        return _refuse(f"Ray cannot be imported ({error})", "Run `pip install 'sampan[ray]'`.")
    count, each = job["spread"]["processes"], {"CPU": float(job["threads"])}
    if job["device"].startswith("cuda"):
        each["GPU"] = 1.0
    address = os.environ.get("RAY_ADDRESS")
    local = {} if address else {"num_cpus": count * job["threads"], "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    except Exception as error:  # of many kinds, by what is wrong with the address or the cluster
        reason = " ".join(str(error).split())[:200]
        return _refuse(f"no Ray cluster at {address or 'this machine'} ({reason})", "Check RAY_ADDRESS.")
    there = ray.cluster_resources()
    for name, size in each.items():
        if there.get(name, 0) < count * size:
            what = f"the Ray cluster has {there.get(name, 0):g} {name}s, and {count} processes want {count * size:g}"
            return _refuse(what, "Lower --processes or --threads, or add machines.")
    return _run(ray, path, job, each)


def _run(ray: Any, path: str, job: dict[str, Any], each: dict[str, float]) -> int:
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    count = job["spread"]["processes"]
    group = ray.util.placement_group([each] * count, strategy="PACK")
    ray.get(group.ready())
    actors = [
        ray.remote(Member)
        .options(
            num_cpus=each["CPU"],
            num_gpus=each.get("GPU", 0),
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number),
        )
        .remote()
        for number in range(count)
    ]
    places = ray.get([actor.where.remote() for actor in actors])
    streams = {}
    for number, actor in enumerate(actors):
        environment = _environment(number, places, str(job["threads"]))
        log = str(Path(job["state"]) / f"rank-{number}.log")
        streams[actor.run.options(num_returns="streaming").remote(path, log, environment)] = number
    try:
        return _listen(ray, streams)
    finally:
        for actor in actors:
            ray.kill(actor)


def _environment(number: int, places: list[tuple[str, int]], threads: str) -> dict[str, str]:
    """What rank `number` must know to meet the others, whose places are given."""
    (address, port), alone = places[0], len({address for address, _ in places}) == 1
    found = {
        "RANK": str(number),
        "WORLD_SIZE": str(len(places)),
        "LOCAL_RANK": "0",  # Ray shows an actor its own GPU only
        "MASTER_ADDR": "127.0.0.1" if alone else address,
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
    }
    if own := own_profiles():
        found[VARIABLE] = str(own)
    return {**found, "GLOO_SOCKET_IFNAME": "lo"} if alone and sys.platform == "linux" else found


def _listen(ray: Any, streams: dict[Any, int]) -> int:
    """Pass on what the ranks say until all have ended well, or one has not: then the cause is told, once."""
    broken: list[str] = []
    until = float("inf")
    while streams and time.monotonic() < until:
        ready, _ = ray.wait(list(streams), num_returns=1, timeout=min(1.0, max(0.0, until - time.monotonic())))
        for stream in ready:
            number = streams[stream]
            try:
                said = ray.get(next(stream))
            except (ray.exceptions.RayError, StopIteration) as error:
                said, broken = -1, [f"rank {number}: its machine or actor was lost ({type(error).__name__})", *broken]
            if isinstance(said, str):
                what, *detail = json.loads(said[len(MARK) :])
                if what == "broken":
                    broken.append(f"rank {number}: {detail[0]}")
                else:
                    _say(what, *detail)
                if what == "refused":
                    return 1
                continue
            del streams[stream]
            if said:
                until = min(until, time.monotonic() + _GRACE_SECONDS)
            if said < 0 and not any("was lost" in text for text in broken):
                broken.insert(0, f"rank {number}: its process ended without a word (exit status {said})")
                until = 0.0
    if until < float("inf"):
        _say("broken", broken[0] if broken else "a rank ended with an error")
        return 1
    return 0


def _refuse(what: str, how: str) -> int:
    _say("refused", what, "--launcher ray", how)
    return 1


def _say(*message: Any) -> None:
    print(f"{MARK}{json.dumps(message)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
