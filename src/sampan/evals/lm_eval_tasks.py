"""Finding and loading lm-eval's tasks without indexing the thousands that come with it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import lm_eval.tasks
from lm_eval.tasks import TaskManager

from ..core.errors import InputError, RecipeError, did_you_mean

if TYPE_CHECKING:
    from lm_eval.api.task import Task

BUNDLED = Path(lm_eval.tasks.__file__).parent


def task_manager(names: Sequence[str], folder: Path | None, *, bundled: bool) -> TaskManager:
    """A manager that knows `names`: from `folder`, and if `bundled` from those of lm-eval's folders that name one.

    RecipeError with the nearest name for a task that is nowhere.
    """
    folder = folder and folder.resolve()
    manager = TaskManager(include_path=str(folder) if folder else None, include_defaults=False)
    missing = [name for name in names if name not in manager.all_tasks]
    if missing and bundled:
        paths = [*_families(missing), *([folder] if folder else [])]
        manager = TaskManager(include_path=[str(path) for path in paths], include_defaults=False)
        missing = [name for name in names if name not in manager.all_tasks]
    if missing:
        known = manager.all_tasks if manager.all_tasks or not bundled else [path.name for path in BUNDLED.iterdir()]
        how = did_you_mean(missing[0], known)
        if not bundled:
            how += " Tasks that come with lm-eval need `bundled: true`; your own, the input `task_files`."
        raise RecipeError(f"lm-eval has no task '{missing[0]}' here", where="tasks", how=how.strip())
    return manager


def _families(names: Sequence[str]) -> Iterator[Path]:
    """lm-eval's task folders with a YAML file that defines one of `names`, read as text: parsing all takes 20 s."""
    words = "|".join(map(re.escape, names))
    wanted = re.compile(
        rf"""^\s*(?:-\s*)?(?:task|group|tag)?\s*:?\s*(?:-\s*)?["']?(?:{words})["']?\s*$""", re.MULTILINE
    )
    for family in sorted(path for path in BUNDLED.iterdir() if path.is_dir()):
        for file in family.rglob("*"):
            if file.suffix == ".yaml" or file.name.endswith("_yaml"):
                text = file.read_text(encoding="utf-8", errors="replace")
                if any(name in text for name in names) and wanted.search(text):
                    yield family
                    break


def load_tasks(manager: TaskManager, name: str, data: Path | None) -> dict[str, Task]:
    """The tasks behind `name` with their data; relative `data_files` are looked up in `data`.

    InputError where a file is missing or a task cannot be built.
    """
    with contextlib.chdir(data) if data else contextlib.nullcontext():
        try:
            return manager.load([name])
        except FileNotFoundError as error:
            raise InputError(
                f"a data file of task '{name}' is missing ({_first_line(error)})",
                where=str(data or Path.cwd()),
                how="Give the folder that its `data_files` are relative to as the input `data`.",
            ) from error
        except Exception as error:  # task files are users' code and data sets: any type can come out of them
            raise InputError(
                f"task '{name}' does not load ({type(error).__name__}: {_first_line(error)})", where="tasks"
            ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
