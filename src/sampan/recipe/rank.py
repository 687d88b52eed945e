"""The body of one of the processes that run a stage together: `python -m sampan.recipe.rank JOB`, see `ranks`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from ..core.errors import SampanError
from ..core.params import parse_params
from ..core.spread import Spread
from ..core.stage import Artifact, Inputs, Runtime
from ..store.files import disk_errors
from .ranks import LIFELINE, MARK
from .stages import STAGES

_PROGRESS_SECONDS = 0.2


def main(path: str) -> int:
    """Run the job; what is sent goes to standard output, all that libraries print to standard error."""
    rank = int(os.environ.get("RANK", "0"))
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if os.environ.get(LIFELINE):
        threading.Thread(target=_end_with_parent, daemon=True).start()

    def send(*message: Any) -> None:
        pipe.write(f"{MARK}{json.dumps(message)}\n")
        pipe.flush()

    try:
        job = json.loads(Path(path).read_text(encoding="utf-8"))
        with contextlib.ExitStack() as folders:
            out = Path(job["out"]) if rank == 0 else Path(folders.enter_context(tempfile.TemporaryDirectory()))
            metrics = _run(job, out, send if rank == 0 else lambda *message: None)
        if rank == 0:
            send("done", metrics)
    except SampanError as error:
        send("refused", error.what, error.where, error.how)
        return 1
    except BaseException as error:
        traceback.print_exc()
        send("broken", " ".join(traceback.format_exception_only(error)[-1].split())[:300])
        return 1
    return 0


def _run(job: dict[str, Any], out: Path, send: Any) -> dict[str, Any]:
    stage = STAGES.load(job["stage"])
    params = parse_params(stage.params, job["params"], where=job["stage"])
    inputs = {
        role: [Artifact(**{**item, "path": Path(item["path"])}) for item in items]
        for role, items in job["inputs"].items()
    }
    runtime = Runtime(
        out=out,
        state=Path(job["state"]),
        threads=job["threads"],
        device=job["device"],
        checkpoint_seconds=job["checkpoint_seconds"],
        spread=Spread(**job["spread"]),
        on_progress=_throttled(send),
        on_log=lambda text: send("log", text),
    )
    with disk_errors(runtime.state):
        return dict(stage.run(params, Inputs(inputs), runtime) or {})


def _throttled(send: Any) -> Any:
    last = [0.0]

    def progress(done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        if now - last[0] >= _PROGRESS_SECONDS or (total is not None and done >= total):
            last[0] = now
            send("progress", done, total, unit)

    return progress


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
