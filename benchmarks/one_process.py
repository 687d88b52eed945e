"""A command in a process of its own: CPU and wall seconds from start-up to the last byte, and its peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_LAUNCH = (
    "import json, os, subprocess, sys, time\n"
    "clock = time.perf_counter()\n"
    "with open(sys.argv[1], 'w') as log:\n"
    "    process = subprocess.Popen(sys.argv[2:], stdout=log, stderr=subprocess.STDOUT)\n"
    "    _, status, used = os.wait4(process.pid, 0)\n"
    "print(json.dumps([status, used.ru_utime + used.ru_stime, time.perf_counter() - clock, used.ru_maxrss * 1024]))\n"
)
"""Started for every run, because a process's peak memory counts what its parent held when it was started."""


def measured(command: list[str], log: Path, env: Mapping[str, str] | None = None) -> dict[str, float]:
    """`cpu_seconds`, `wall_seconds` and `peak_bytes` of a command, whose words go into `log`; ends the benchmark with
    them if it fails."""
    launch = [sys.executable, "-c", _LAUNCH, str(log), *command]
    status, cpu, wall, peak = json.loads(subprocess.run(launch, env=env, capture_output=True, check=True).stdout)
    if status:
        sys.exit(f"{command[:4]} failed:\n{log.read_text()[-2000:]}")
    return {"cpu_seconds": round(cpu, 2), "wall_seconds": round(wall, 2), "peak_bytes": peak}
