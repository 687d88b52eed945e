"""Build what is missing: ready stages side by side in processes, each result published before the next needs it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import yaml

from ..core.errors import RecipeError, SampanError
from ..core.spread import ALONE, Spread
from ..store.files import disk_errors, write_atomic
from ..store.shared import Shared, SharedAt
from ..store.store import Store
from . import licence_gate, worker
from .engines import Place
from .plan import HIT, RUN, Plan, Step, check_inputs, manifest_of, plan_step
from .processes import died
from .resolve import Node, lock


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How to run, none of it part of any identity. Results are bit-equal for one value of `threads` on one machine."""

    workers: int = 0
    """Stages side by side, and shards side by side; 0 = as many as the cores allow at `threads` each."""
    threads: int = 1
    """Compute threads a stage."""
    device: str = "cpu"
    shards: str = "local"
    """Where the shards of a stage run: a name of `engines.ENGINES`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that engine."""
    checkpoint_seconds: float = 30.0
    spread: Spread = ALONE
    """Processes and memory of the stages that train."""
    keep_going: bool = False
    """After a failure, go on with what does not depend on it (otherwise only what has started is finished)."""
    wait: bool = False
    """Wait for another run of this recipe in this store instead of refusing."""
    shared: SharedAt | None = None
    """A bucket that other machines build into too."""

    @property
    def slots(self) -> int:
        return self.workers or max(1, (os.cpu_count() or 1) // max(1, self.threads))

    def place(self, store: Store) -> Place:
        """Where a stage of this run puts its shards."""
        slots = str(store.root / "locks" / f"slots-{self.slots}")
        return Place(
            engine=self.shards, workers=self.slots, threads=self.threads, slots=slots, options=dict(self.options)
        )


@dataclass
class Outcome:
    """What a run did: stages by how they ended. `failed` maps a name to its error."""

    built: list[str] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    failed: dict[str, SampanError] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.failed and not self.skipped


Event = Callable[[str, Step, Any], None]
"""Called as (what, step, detail): started process id, progress (done, total, unit), log text, built manifest, hit
manifest, failed error."""


def run_plan(plan: Plan, store: Store, engine: Engine, on_event: Event = lambda what, step, detail: None) -> Outcome:
    """Build every step that is not a hit, in the order of the graph; returns when nothing more can be done.

    One run per recipe and store: StoreError if another is at it; RecipeError if an input is missing or the licence gate
    refuses a source that is known already. A stage's failure is in the outcome, not raised.
    """
    check_inputs(plan)
    clock = time.monotonic()
    recipe = plan.recipe
    with (
        store.lock("users", what="collecting garbage in this store", wait=engine.wait, shared=True),
        store.lock(f"recipe-{recipe.name}", what=f"the recipe {recipe.name}", wait=engine.wait),
    ):
        _write_lock(plan, store)
        outcome = Outcome()
        for name, step in list(plan.steps.items()):  # looked at again: while it waited, things came and went
            step = plan_step(step.node, plan.steps, plan.outside, recipe, store)
            plan.steps[name] = step
            if step.status == HIT:
                store.set_ref(recipe.name, name, step.manifest or {})
                outcome.hits.append(name)
                on_event("hit", step, step.manifest)
        _offer(plan, store, engine)
        licence_gate.check(plan.licence_findings())
        if len(outcome.hits) < len(plan.steps):
            _Scheduler(plan, store, engine, on_event, outcome).loop()
        outcome.seconds = time.monotonic() - clock
        return outcome


def _offer(plan: Plan, store: Store, engine: Engine) -> None:
    """Give other machines what this one has built and they have not seen: it was offline, or killed just then."""
    if engine.shared:
        shared = Shared(engine.shared)
        shared.check()
        for step in plan.steps.values():
            if step.manifest:
                shared.publish(step.manifest, store)


def _write_lock(plan: Plan, store: Store) -> None:
    pins = {name: item.digest for name, item in plan.outside.items()}
    full = lock(plan.recipe, {name: step.node for name, step in plan.steps.items()}, pins)
    path = store.root / "refs" / plan.recipe.name / "recipe.lock.yaml"
    text = yaml.dump(full, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False, allow_unicode=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with disk_errors(store.root):
            write_atomic(path, text)


@dataclass
class _Running:
    step: Step
    process: Any
    pipe: Connection
    lifeline: Connection


class _Scheduler:
    """Starts ready steps while there are slots, and listens to the ones that run."""

    def __init__(self, plan: Plan, store: Store, engine: Engine, on_event: Event, outcome: Outcome) -> None:
        self.plan, self.store, self.engine, self.on_event, self.outcome = plan, store, engine, on_event, outcome
        self.running: dict[str, _Running] = {}
        self.context = _context(any(step.node.stage.heavy for step in plan.steps.values() if step.status != HIT))

    def loop(self) -> None:
        todo = [name for name, step in self.plan.steps.items() if step.status != HIT]
        try:
            while todo or self.running:
                todo = self._start_ready(todo)
                if not self.running:
                    break
                self._listen()
        finally:
            for each in self.running.values():
                each.process.kill()
        self.outcome.skipped = todo

    def _start_ready(self, todo: list[str]) -> list[str]:
        """Start what is ready; returns what still waits. A step that turns out to be a hit frees others at once."""
        left = list(todo)
        again = True
        while again:
            again = False
            for name in list(left):
                stop = self.outcome.failed and not self.engine.keep_going
                if stop or len(self.running) >= self.engine.slots:
                    return left
                step = self._refresh(name)
                if step.status == HIT:
                    left.remove(name)
                    if self._refused(name, step):
                        continue
                    self.store.set_ref(self.plan.recipe.name, name, step.manifest or {})
                    self.outcome.hits.append(name)
                    self.on_event("hit", step, step.manifest)
                    again = True
                elif step.status == RUN:
                    left.remove(name)
                    self._start(name, step)
        return left

    def _refresh(self, name: str) -> Step:
        """Look at a step again now that more of its inputs may be there."""
        old = self.plan.steps[name]
        parents = [self.plan.steps[p] for p in old.node.parents if p in self.plan.steps]
        if old.status == RUN or any(parent.status != HIT for parent in parents):
            return old
        step = plan_step(old.node, self.plan.steps, self.plan.outside, self.plan.recipe, self.store)
        self.plan.steps[name] = step
        return step

    def _start(self, name: str, step: Step) -> None:
        pipe, child_pipe = self.context.Pipe(duplex=False)
        child_life, lifeline = self.context.Pipe(duplex=False)
        job = make_job(step.node, step.key or "", step.inputs, self.store, self.engine)
        process = self.context.Process(target=worker.main, args=(job, child_pipe, child_life), name=name)
        process.start()
        child_pipe.close()
        child_life.close()
        self.running[name] = _Running(step, process, pipe, lifeline)
        self.on_event("started", step, process.pid)

    def _listen(self) -> None:
        by_pipe = {each.pipe: name for name, each in self.running.items()}
        for pipe in wait(list(by_pipe)):
            name = by_pipe[pipe]
            each = self.running[name]
            try:
                what, *detail = each.pipe.recv()
            except EOFError:
                each.process.join()
                what, detail = "failed", [died(each.process.exitcode)]
            if what in ("done", "taken"):
                self._finish(name, each, detail[0], built=what == "done")
            elif what == "failed":
                self._fail(name, each, detail[0])
            else:
                self.on_event(what, each.step, tuple(detail) if what == "progress" else detail[0])

    def _finish(self, name: str, each: _Running, manifest: dict[str, Any], *, built: bool) -> None:
        self._end(name, each)
        each.step.status, each.step.manifest = HIT, manifest
        if self._refused(name, each.step):
            return
        self.store.set_ref(self.plan.recipe.name, name, manifest)
        (self.outcome.built if built else self.outcome.hits).append(name)
        self.on_event("built" if built else "hit", each.step, manifest)

    def _refused(self, name: str, step: Step) -> bool:
        """Whether the licence gate refuses what a finished step brings in; then it counts as failed."""
        try:
            licence_gate.check([each for each in self.plan.licence_findings() if each.stage == name])
        except RecipeError as error:
            step.status = RUN
            self.outcome.failed[name] = error
            self.on_event("failed", step, error)
            return True
        return False

    def _fail(self, name: str, each: _Running, error: SampanError) -> None:
        self._end(name, each)
        error.where = error.where or each.step.node.decl.kind
        self.outcome.failed[name] = error
        self.on_event("failed", each.step, error)

    def _end(self, name: str, each: _Running) -> None:
        del self.running[name]
        each.process.join()
        each.pipe.close()
        each.lifeline.close()


def make_job(node: Node, key: str, inputs: dict[str, Any], store: Store, engine: Engine) -> worker.Job:
    """The job of one step whose inputs are there."""
    manifest = manifest_of(node, key, inputs)
    return worker.Job(
        store=str(store.root),
        kind=node.decl.kind,
        params=manifest["params"],
        inputs=inputs,
        manifest=manifest,
        threads=engine.threads,
        device=engine.device,
        checkpoint_seconds=engine.checkpoint_seconds,
        place=engine.place(store),
        spread=engine.spread,
        shared=engine.shared,
    )


def _context(heavy: bool):
    """Processes are forked from a clean server that has already imported torch if any stage needs it."""
    # Threads that wait by spinning take the cores from the stage beside them; read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sampan.recipe.preload"] if heavy else ["sampan.recipe.worker"])
    return context
