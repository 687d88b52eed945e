"""Write one self-contained HTML page of a recipe's lineage: graph, scoreboard, fertility, corpus funnel, loss curves,
and the same prompts answered by every checkpoint. Works on a half-built lineage too."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.errors import RecipeError
from ..recipe.plan import check_inputs
from ..recipe.report import render
from ..recipe.reporting import report_data
from ..store.files import disk_errors, write_atomic
from .main import add_recipe
from .opening import open_plan
from .text import size

EXAMPLES = """examples:
  sampan report recipes/village.yaml
  sampan report recipes/village.yaml --out village.html --open"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page to write (default: RECIPE-report.html)")
    parser.add_argument("--open", action="store_true", help="open it in a browser")


def call(options: argparse.Namespace) -> int:
    plan, store = open_plan(options)
    check_inputs(plan)
    out = options.out or Path(f"{plan.recipe.name}-report.html")
    if out.is_dir():
        raise RecipeError("this is a folder", where=f"--out {out}", how=f"Name the page: --out {out}/report.html.")
    page = render(report_data(plan, store))
    with disk_errors(out.parent, option="--out"):
        write_atomic(out, page)
    print(f"{out} ({size(len(page.encode()))})")
    if options.open:
        import webbrowser

        webbrowser.open(out.absolute().as_uri())
    return 0
