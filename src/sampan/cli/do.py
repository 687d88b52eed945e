"""Run one stage on plain files, without a recipe or a store; the output is a plain folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import RecipeError, StoreError
from ..core.params import describe, parse_params
from ..core.stage import Stage
from ..recipe import yaml
from ..recipe.alone import foresee, run_alone
from ..recipe.engines import Place
from ..recipe.ranks import follows
from ..recipe.stages import STAGES
from ..store.files import disk_errors
from ..store.locks import locked
from ..store.store import MANIFEST
from .engine import add_engine, add_spread, engine_options, spread_of
from .main import at_least
from .progress import Bar
from .text import duration, quantity, size, table

EXAMPLES = """examples:
  sampan do                                                     all stages
  sampan do corpus.clean --help                                 its inputs and parameters
  sampan do crawl.warc --from files=crawl.warc.gz --out pages
  sampan do corpus.clean --from documents=pages --with languages=[tha_Thai] --out clean
  sampan do train.causal_lm --from model=base --from tokens=packed --out cpt --processes 2
  sampan do merge.weights --config mergekit.yaml --out merged   mergekit's own YAML
  sampan do merge.weights --config mergekit.yaml --out merged --dry-run   what it would take"""


_ADDRESS = re.compile(r"(?:url:)?[a-zA-Z][\w+.-]+://|hf:")


class _StageName(argparse.Action):
    """Keeps the stage's name, and puts its inputs and parameters below the help text."""

    def __call__(self, parser, namespace, value, option=None):
        if value is not None:
            parser.epilog = stage_help(STAGES.load(value))
        setattr(namespace, self.dest, value)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", nargs="?", action=_StageName, help="a stage kind, such as corpus.clean")
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="ROLE=PATH",
        help="an input: a file or folder (repeatable; a role that takes many may be given again)",
    )
    parser.add_argument(
        "--with",
        dest="params",
        action="append",
        default=[],
        metavar="PARAM=VALUE",
        help="a parameter, written as in a recipe (repeatable)",
    )
    parser.add_argument("--config", type=Path, metavar="YAML", help="for merge.weights: a mergekit configuration")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder to make")
    parser.add_argument(
        "--dry-run", action="store_true", help="check the parameters and inputs, forecast the cost, and make nothing"
    )
    parser.add_argument("--force", action="store_true", help="replace DIR if it is there")
    parser.add_argument(
        "--threads", type=at_least(1), default=os.cpu_count() or 1, metavar="N", help="compute threads (default: all)"
    )
    parser.add_argument(
        "--workers",
        type=at_least(0),
        default=os.cpu_count() or 1,
        metavar="N",
        help="shards side by side, for stages that have shards (default: all cores)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    add_engine(parser)
    add_spread(parser)


def call(options: argparse.Namespace) -> int:
    if options.stage is None:
        print(table(["stage", "what it does"], [[name, STAGES.load(name).summary] for name in STAGES]))
        return 0
    stage: Stage = STAGES.load(options.stage)
    if options.out is None:
        raise RecipeError("say where to put the result", where=f"sampan do {stage.name}", how="Give --out DIR.")
    sources, given = _sources(options.sources), _params(options.params)
    if not follows():
        _check_out(options.out, options.force, [path for paths in sources.values() for path in paths])
    if options.config is not None:
        sources, given = _from_mergekit(stage, options.config, sources, given)
    params = parse_params(
        stage.params, given, where=f"sampan do {stage.name}", how=f"See `sampan do {stage.name} --help`."
    )
    if options.dry_run:
        print(_foretell(stage, foresee(stage, params, sources), options.out))
    else:
        _publish(stage, params, sources, options)
    return 0


def _foretell(stage: Stage, forecast: dict[str, float], out: Path) -> str:
    shown = {"tokens": quantity, "parameters": quantity, "flops": quantity, "memory_bytes": size, "disk_bytes": size}
    rows = [[key.removesuffix("_bytes"), f"~{form(forecast[key])}"] for key, form in shown.items() if forecast.get(key)]
    if forecast.get("seconds"):
        rows.append(["time", f"~{duration(forecast['seconds'])} of one core"])
    free = f"{size(shutil.disk_usage(next(p for p in out.absolute().parents if p.exists())).free)} free at {out}"
    return "\n".join([f"{stage.name} would make {out}; nothing was made", table(["", "forecast"], rows), free])


def _check_out(out: Path, force: bool, inputs: Sequence[Path]) -> None:
    """RecipeError unless the result can go to `out` without harming anything but an earlier result of `do`."""
    real = out.resolve()
    for path in [*inputs, Path.cwd()]:
        if real == path.resolve() or real in path.resolve().parents:
            raise RecipeError(f"this folder holds {path}", where=f"--out {out}", how="Give a folder of its own.")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise RecipeError("this is not a folder", where=f"--out {out}")
    if out.exists() and any(out.iterdir()):
        if not force:
            raise RecipeError("there is something already", where=str(out), how="Give another --out, or --force.")
        if not (out / MANIFEST).is_file():
            raise RecipeError("this was not made by `sampan do`, so --force does not replace it", where=f"--out {out}")


def _publish(stage: Stage, params: Any, sources: dict[str, list[Path]], options: argparse.Namespace) -> None:
    """Run aside, then rename into place, so that a failure leaves no half result and never harms an old one."""
    out: Path = options.out.absolute()
    place = Place(
        engine=options.engine,
        workers=options.workers or os.cpu_count() or 1,
        options=engine_options(options.engine_options),
    )
    place.runner()  # an engine that cannot be had is said before anything is read
    if follows():
        with tempfile.TemporaryDirectory() as folder:
            _run(stage, params, sources, options, place, aside=_aside_of(out), made=Path(folder) / "out")
        return
    with disk_errors(out.parent, option="--out"), _aside(out) as aside:
        manifest = _run(stage, params, sources, options, place, aside=aside, made=aside / "out")
        if out.exists():
            os.rename(out, aside / "old")
        os.rename(aside / "out", out)
        shutil.rmtree(aside, ignore_errors=True)
    print(f"{manifest['kind']} in {options.out}")
    print(json.dumps(manifest["metrics"], ensure_ascii=False, indent=1))


def _run(
    stage: Stage, params: Any, sources: dict[str, list[Path]], options: argparse.Namespace, place: Place, *, aside, made
):
    """Run the stage into the folder `made`, with unfinished work kept in `aside`; returns the manifest."""
    bar = Bar(stage.name)
    manifest = run_alone(
        stage,
        params,
        sources,
        made,
        state=lambda key: aside / key[:16],
        place=place,
        threads=options.threads,
        device=options.device,
        spread=spread_of(options),
        on_progress=bar.progress,
        on_log=bar.log,
    )
    bar.close()
    return manifest


def _aside_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.unfinished")


@contextlib.contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """The folder beside `out` where it is made, alone. What a failed or killed attempt had finished stays there under
    its stage key; the rest of it is cleared away by the next attempt, and all of it with success."""
    aside = _aside_of(out)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(aside / "lock", what=str(out), wait=False))
        except StoreError:
            raise RecipeError(
                "another process is making this folder", where=f"--out {out}", how="Wait for it, or give another --out."
            ) from None
        if (aside / "old").is_dir() and not out.exists():  # killed between the two renames
            os.rename(aside / "old", out)
        for name in ("old", "out"):
            shutil.rmtree(aside / name, ignore_errors=True)
        try:
            yield aside
        finally:
            shutil.rmtree(aside / "out", ignore_errors=True)
            if aside.is_dir() and not any(path.is_file() for path in aside.rglob("*") if path != aside / "lock"):
                shutil.rmtree(aside, ignore_errors=True)


def _sources(given: Sequence[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for item in given:
        role, equals, path = item.partition("=")
        if not equals or not path:
            raise RecipeError("an input is ROLE=PATH", where=f"--from {item}")
        if _ADDRESS.match(path) and not Path(path).exists():
            raise RecipeError(
                "an address, and `sampan do` reads files and folders of this machine",
                where=f"--from {item}",
                how=f"Download it first; or run a recipe, whose inputs may be addresses, with "
                f'`inputs: {{{role}: "{path if path.startswith(("url:", "hf:")) else f"url:{path}"}"}}`.',
            )
        found.setdefault(role, []).append(Path(path).expanduser())
    return found


def _params(given: Sequence[str]) -> dict[str, Any]:
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise RecipeError("a parameter is NAME=VALUE", where=f"--with {item}")
        found[name] = yaml.parse_value(value, where=f"--with {item}")
    return found


def _from_mergekit(stage: Stage, config: Path, sources: dict[str, list[Path]], given: dict[str, Any]):
    if stage.name != "merge.weights":
        raise RecipeError("--config belongs to merge.weights", where=f"sampan do {stage.name}")
    from ..merge.mergekit_yaml import read_mergekit

    plan = read_mergekit(config)
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)
    roles = {"models": [_model(name, config) for name in plan.models]}
    if plan.base:
        roles["base"] = [_model(plan.base, config)]
    return {**roles, **sources}, {**plan.params, **given}


def _model(name: str, config: Path) -> Path:
    """A model that a mergekit configuration names: a folder, relative to the current one as mergekit has it."""
    if not Path(name).expanduser().is_dir():
        raise RecipeError(f"no such folder: {name}", where=str(config), how="Download the model and name its folder.")
    return Path(name).expanduser()


def stage_help(stage: Stage) -> str:
    """Inputs, output and parameters of a stage, for --help."""
    lines = [f"{stage.name}: {stage.summary}", "", "inputs (--from):"]
    for role, spec in stage.inputs.items():
        notes = [" or ".join(spec.kinds), *(["many"] if spec.many else []), *([] if spec.required else ["optional"])]
        lines.append(f"  {role}: {spec.help} ({', '.join(notes)})")
    lines += ["", "parameters (--with):"]
    for row in describe(stage.params):
        lines.append(f"  {row['name']}: {row['type']} = {row['default']}")
        lines += [f"      {line}" for line in row["doc"].splitlines()]
    lines += ["", f"method: {stage.paper}"] if stage.paper else []
    lines += ["", "examples:", *(f"  {line}" for line in stage.example.splitlines())] if stage.example else []
    return "\n".join(lines)
