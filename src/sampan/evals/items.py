"""`evals.items`: the questions of the bundled tasks as an artifact, to be looked for in training text or read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..core.identity import digest_resources
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles
from .suites import check_tasks


@params
class Params:
    tasks: list[str]
    """Bundled tasks, as in `evals.run`."""
    data_folder: str = ""
    """Where the tasks' files are inside the `data` input, as in `evals.run`."""
    languages: list[str] = field(default_factory=list)
    """Only these languages, as codes like tha_Thai; empty = every language that is there."""

    def __post_init__(self) -> None:
        check_tasks(self.tasks)
        if not self.tasks:
            raise ValueError("tasks is empty")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.items import write_items
    from .groups import code, only_languages
    from .task_items import task_groups

    groups = task_groups(params.tasks, inputs.one("data").path / params.data_folder, texts=True)
    languages = [code(language) for language in params.languages]
    groups = only_languages(groups, languages, {group.language for group in groups})
    summary = write_items(runtime.out, (item for group in groups for item in group.items))
    left_out = {f"{group.task}/{group.language}": group.left_out for group in groups if group.left_out}
    return {"documents": summary["rows"], "by_task": summary["by_task"], "left_out": left_out}


def reads(params: Params) -> dict[str, str]:
    return {"task files": digest_resources("sampan.evals", "tasks")} | reads_own_profiles()


STAGE = Stage(
    name="evals.items",
    revision=1,
    summary="The questions of bundled tasks, as items with the texts that they were made of.",
    params=Params,
    inputs={"data": Role(kinds=(), help="the folder with the tasks' files, as in `evals.run`")},
    output="items",
    run=run,
    reads=reads,
    paper="none: what `corpus.find_items` and `corpus.decontaminate` look for, named as `evals.run` names it.",
)
