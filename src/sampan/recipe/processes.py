"""Child processes that die with their parent, and their failures as errors a person can act on."""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from ..core.errors import SampanError, StageError
from ..core.shards import Job, run_job
from ..store.files import disk_errors


def die_with(lifeline: Connection) -> None:
    """End this process when the other end of `lifeline` closes, by its holder's will or by its death."""
    threading.Thread(target=_wait_for_the_end, args=(lifeline,), daemon=True).start()


def _wait_for_the_end(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()  # nothing is ever sent
    os._exit(1)


def died(code: int | None) -> StageError:
    """The error of a process that ended without an answer."""
    how = "It was killed, most often for lack of memory: see `sampan plan`, lower the batch or use a larger machine."
    return StageError(f"its process ended without a word (exit status {code})", how=how if code in (-9, 137) else "")


def plain_error(error: BaseException, *, where: str, folder: Path) -> StageError:
    """Any exception as one that can be sent and shown. The traceback of a fault goes into `folder` for a developer."""
    if isinstance(error, MemoryError):
        return StageError("ran out of memory", where=where, how="See `sampan plan` for its forecast.")
    how = ""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "traceback.txt"
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        how = f"This is a fault of the stage's code rather than of its input; its traceback is in {path}"
    return StageError(" ".join(traceback.format_exception_only(error)[-1].split()), where=where, how=how)


def attempt(job: Job) -> SampanError | None:
    """Do one shard, wherever this process is; returns what went wrong, so that it can be sent."""
    try:
        with disk_errors(job.folder):
            run_job(job)
    except SampanError as error:
        return error
    except Exception as error:
        return plain_error(error, where=job.function, folder=job.folder.parent)
    return None
