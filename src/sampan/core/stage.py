"""What a stage is: typed inputs, typed params, one function, one artifact out.

A stage lives in `<room>/<stage>.py`, imports nothing heavy at module level (`plan` and `--help` load it), and exposes
one `STAGE`. Its `run` writes files into `runtime.out`, which the engine then publishes, and returns metrics.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import RecipeError, StageError, did_you_mean
from .identity import stage_key
from .params import NoParams, non_default
from .shards import Job, Shard, ShardEngine, finished, one_by_one, run_job
from .spread import ALONE, Spread

KINDS = (
    "pages",
    "documents",
    "scorer",
    "limits",
    "mixture",
    "conversations",
    "preferences",
    "items",
    "findings",
    "tokenizer",
    "pieces",
    "tokens",
    "neurons",
    "checkpoint",
    "scores",
    "bundle",
)
EXTERNAL = "external"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """Something a stage reads: a published result or a pinned file or folder from outside."""

    path: Path
    """The folder (or, for external inputs only, the file)."""
    kind: str
    """One of KINDS, or `external` for a pinned input, whose shape its reader finds out."""
    digest: str
    """Digest of its bytes."""
    name: str
    """What the recipe calls it: the stage or input name."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Its manifest (empty for external inputs)."""

    @property
    def licenses(self) -> list[str]:
        return list(self.manifest.get("licenses", []))


@dataclass(frozen=True, kw_only=True)
class Role:
    """One named input of a stage."""

    kinds: tuple[str, ...]
    """Accepted kinds; an external input is accepted too unless `external` is False."""
    help: str
    many: bool = False
    """Whether a list may be given."""
    required: bool = True
    external: bool = True

    def accepts(self, kind: str) -> bool:
        return kind in self.kinds or (kind == EXTERNAL and self.external)


class Inputs(Mapping[str, Sequence[Artifact]]):
    """Artifacts by role, each role a list in recipe order."""

    def __init__(self, by_role: Mapping[str, Sequence[Artifact]]) -> None:
        self._by_role = {role: list(items) for role, items in by_role.items()}

    def __getitem__(self, role: str) -> list[Artifact]:
        return self._by_role[role]

    def __iter__(self):
        return iter(self._by_role)

    def __len__(self) -> int:
        return len(self._by_role)

    def one(self, role: str) -> Artifact:
        """The single artifact of a role; StageError if there is not exactly one."""
        items = self.many(role)
        if len(items) != 1:
            raise StageError(f"role '{role}' needs exactly one input, got {len(items)}")
        return items[0]

    def many(self, role: str) -> list[Artifact]:
        """All artifacts of a role, [] if it was left out."""
        return self._by_role.get(role, [])

    def optional(self, role: str) -> Artifact | None:
        """The single artifact of a role, or None if it was left out."""
        return self.one(role) if self.many(role) else None


@dataclass(kw_only=True)
class Runtime:
    """Where and how to run. None of it enters a stage's key, so none of it may change a result's bytes."""

    out: Path
    """Empty folder; what is written here becomes the artifact."""
    state: Path
    """Folder that survives a kill: partial work of this very key, to resume from."""
    threads: int = 1
    """Compute threads this stage may use. Part of the machine layout: bit-equality holds for one value of it."""
    run_shards: ShardEngine = one_by_one
    """Runs the jobs of `shards`: in this process, in worker processes or on a cluster."""
    device: str = "cpu"
    spread: Spread = ALONE
    """Processes and memory of a stage that trains."""
    checkpoint_seconds: float = 30.0
    """How much work a kill may cost at most."""
    elsewhere_seconds: float = 0.0
    """CPU time of shards that other processes have done for this stage."""
    on_progress: Callable[[int, int | None, str], None] = lambda done, total, unit: None
    on_log: Callable[[str], None] = lambda text: None

    @property
    def own_device(self) -> str:
        """The device of this process, where several run the stage together."""
        many = self.spread.processes > 1 and self.device == "cuda"
        return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if many else self.device

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Say how far the work is; `total` None if unknown. Cheap to call often."""
        self.on_progress(done, total, unit)

    def log(self, text: str) -> None:
        """Say one thing worth reading in a log."""
        self.on_log(text)

    def shards(
        self,
        phase: str,
        function: str,
        jobs: Sequence[Mapping[str, Any]],
        *,
        weights: Sequence[float] | None = None,
        unit: str = "shards",
    ) -> list[Shard]:
        """Call `function` (`package.module:attribute`) on every job, as `function(job, out) -> facts`; returns the
        finished shards in the order of `jobs`.

        `phase` names the step within the stage. A job is a JSON value and all that its function may depend on; it
        writes into its empty folder `out` and returns JSON facts. A job that an earlier, killed attempt finished is not
        run again. `weights` (of `unit`, such as bytes) let the progress bar count what matters.
        """
        todo = [Job(function, job, self.state / phase / f"{number:06d}") for number, job in enumerate(jobs)]
        weigh = dict(zip((job.folder for job in todo), weights or [1] * len(todo), strict=True))
        total, done = int(sum(weigh.values())), 0.0
        self.progress(0, total, unit)

        def tell(job: Job) -> None:
            nonlocal done
            done += weigh[job.folder]
            self.progress(int(done), total, unit)

        left = []
        for job in todo:
            if finished(job) is None:
                left.append(job)
            else:
                tell(job)
        self.run_shards(left, tell)
        shards = [run_job(job) for job in todo]
        self.elsewhere_seconds += sum(shard.cpu_seconds for shard in shards if shard.process != os.getpid())
        return shards


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A kind of step: what it takes, what it makes, and the function that does it."""

    name: str
    revision: int
    """Raised in the commit that changes what the stage computes for equal params and inputs."""
    summary: str
    run: Callable[[Any, Inputs, Runtime], Mapping[str, Any]]
    """`run(params, inputs, runtime) -> metrics`. Metrics are JSON values; those called `documents`, `text_bytes`,
    `tokens`, `parameters` and `vocab_size` are the facts that later stages' estimates read, and `licenses` is added to
    the union of the inputs' licences."""
    inputs: Mapping[str, Role]
    output: str | Callable[[Any, Mapping[str, Sequence[str]]], str]
    """The kind made, or a function of (params, {role: kinds given})."""
    params: type = NoParams
    estimate: Callable[[Any, Mapping[str, Sequence[Mapping[str, Any]]]], Mapping[str, float]] | None = None
    """Forecast from params and the inputs' facts (an input from outside has its `path` among them). Any of: documents,
    text_bytes, tokens, parameters, vocab_size, flops, memory_bytes, disk_bytes, seconds (on one core)."""
    reads: Callable[[Any], Mapping[str, str]] | None = None
    """By name, what of the package decides the result beside the stage's own revision: digests of language profiles and
    task files, revisions of the methods, filters and objectives that are used. Part of the key."""
    check: Callable[[Any, Mapping[str, Sequence[str]]], None] | None = None
    """Refuses params that do not go with the inputs, before anything is built: of (params, {role: kinds given})."""
    check_facts: Callable[[Any, Mapping[str, Sequence[Mapping[str, Any]]]], None] | None = None
    """The same with what is known of the inputs, which may be little, such as a model's window: of what `estimate` is
    given."""
    heavy: bool = False
    """Whether `run` imports torch and transformers, so that the engine can load them once for all stages."""
    spreads: bool = False
    """Whether several processes can run it together, each calling `run` with the same params and inputs."""
    paper: str = ""
    """Where the method comes from, or why it exists."""
    example: str = ""
    """Commands that show its use, one a line, for --help; '' where the general ones do."""

    def kind(self, params: Any, given: Mapping[str, Sequence[str]]) -> str:
        return self.output(params, given) if callable(self.output) else self.output

    def key(self, params: Any, inputs: Mapping[str, Sequence[str]]) -> str:
        """The stage key of these params on these content digests by role."""
        read = {f"reads {name}": [digest] for name, digest in (self.reads(params) if self.reads else {}).items()}
        return stage_key(self.name, self.revision, non_default(params), {**inputs, **read})

    def check_inputs(
        self,
        given: Mapping[str, Sequence[str]],
        params: Any,
        *,
        where: str,
        add: str = "Add it under `from:`, as `{role}: NAME`.",
    ) -> None:
        """RecipeError unless the roles and kinds `given` ({role: kinds}) are what this stage takes with these params.
        `add` tells how an input is given."""
        for role, kinds in given.items():
            spec = self.inputs.get(role)
            if spec is None:
                raise RecipeError(
                    f"stage {self.name} has no input '{role}'", where=where, how=did_you_mean(role, self.inputs)
                )
            if len(kinds) > 1 and not spec.many:
                raise RecipeError(f"input '{role}' takes one artifact, {len(kinds)} were given", where=where)
            for kind in kinds:
                if not spec.accepts(kind):
                    raise RecipeError(f"input '{role}' takes {' or '.join(spec.kinds)}, not {kind}", where=where)
        for role, spec in self.inputs.items():
            if spec.required and not given.get(role):
                raise RecipeError(
                    f"stage {self.name} needs the input '{role}' ({spec.help})",
                    where=where,
                    how=add.format(role=role),
                )
        _refuse(self.check, params, given, where=where)

    def check_known(self, facts: Mapping[str, Sequence[Mapping[str, Any]]], params: Any, *, where: str) -> None:
        """RecipeError if what is known of the inputs, by role, does not go with these params."""
        _refuse(self.check_facts, params, facts, where=where)


def _refuse(check: Callable[[Any, Any], None] | None, params: Any, given: Any, *, where: str) -> None:
    """Let `check` look, and say where what it refuses stands."""
    try:
        if check:
            check(params, given)
    except RecipeError as error:
        raise RecipeError(error.what, where=where, how=error.how) from None
