"""`evals.items`: the questions of tasks as an artifact, to be looked for in training text or read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..core.errors import RecipeError
from ..core.identity import digest_resources
from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.profile import reads_own_profiles
from .suites import check_tasks


@params
class Params:
    tasks: list[str] = field(default_factory=list)
    """Bundled tasks on the files of the `data` input, as in `evals.run`."""
    data_folder: str = ""
    """Where the tasks' files are inside the `data` input, as in `evals.run`."""
    languages: list[str] = field(default_factory=list)
    """Only these languages, as codes like tha_Thai; empty = every language that is there."""

    def __post_init__(self) -> None:
        check_tasks(self.tasks)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from ..artifacts.items import write_items
    from .groups import code, only_languages
    from .lm_eval_items import read_questions
    from .task_items import task_groups

    sources, groups = inputs.many("scores"), []
    if not sources and not (params.tasks and inputs.many("data")):
        raise RecipeError(
            "there is no question",
            where="evals.items",
            how="Give `tasks` and the input `data`, or `scores` of evals.lm_eval.",
        )
    if params.tasks:
        groups = task_groups(params.tasks, inputs.one("data").path / params.data_folder, texts=True)
    asked = {(i.task, i.language, i.id): i for source in sources for i in read_questions(source)}
    languages = [code(language) for language in params.languages]
    known = {group.language for group in groups} | {item.language for item in asked.values()}
    groups = only_languages(groups, languages, known)
    rows = [item for group in groups for item in group.items]
    rows += [item for item in asked.values() if not languages or item.language in languages]
    summary = write_items(runtime.out, rows)
    left_out = {f"{group.task}/{group.language}": group.left_out for group in groups if group.left_out}
    return {"documents": summary["rows"], "by_task": summary["by_task"], "left_out": left_out}


def reads(params: Params) -> dict[str, str]:
    tasks = {"task files": digest_resources("sampan.evals", "tasks")} if params.tasks else {}
    return tasks | reads_own_profiles()


STAGE = Stage(
    name="evals.items",
    revision=2,
    summary="The questions of tasks, as items with the texts that they were made of.",
    params=Params,
    inputs={
        "data": Role(kinds=(), help="the folder with the tasks' files, as in `evals.run`", required=False),
        "scores": Role(
            kinds=("scores",), help="scores of `evals.lm_eval`: what its tasks asked", many=True, required=False
        ),
    },
    output="items",
    run=run,
    reads=reads,
    paper="none: what `corpus.find_items` and `corpus.decontaminate` look for, named as `evals.run` names it.",
)
