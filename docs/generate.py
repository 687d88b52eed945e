"""Write the reference pages from the code: every stage with its inputs and parameters, every verb with its options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmark_tables import benchmarks_page
from merge_tables import merges_page

from sampan.cli.main import VERBS
from sampan.core.params import describe
from sampan.recipe.stages import STAGES

HERE = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by docs/generate.py (`make docs`); edit the code's doc strings instead. -->\n"


def stages_page() -> str:
    """Markdown of all stages."""
    parts = [NOTE, "# Stages\n", "A stage is named in a recipe with `stage:`, or run alone with `sampan do`.\n"]
    parts += [*contents(), ""]
    for name in STAGES:
        stage = STAGES.load(name)
        made = stage.output if isinstance(stage.output, str) else "depends on its params and inputs"
        parts += [f"## {name}\n", f"{stage.summary}\n", f"Makes: {made}. Revision {stage.revision}. {stage.paper}\n"]
        parts += ["| input | takes | what |", "|---|---|---|"] if stage.inputs else ["It has no inputs."]
        for role, spec in stage.inputs.items():
            takes = " or ".join(spec.kinds) + (", many" if spec.many else "") + ("" if spec.required else ", optional")
            parts.append(f"| `{role}` | {takes} | {cell(spec.help)} |")
        parts += ["", "| param | type | default | what |", "|---|---|---|---|"]
        for row in describe(stage.params):
            parts.append(f"| `{row['name']}` | `{cell(row['type'])}` | `{cell(row['default'])}` | {cell(row['doc'])} |")
        parts.append("")
    return "\n".join(parts)


def contents() -> list[str]:
    """A line of links for each room, in the order of the page."""
    rooms: dict[str, list[str]] = {}
    for name in STAGES:
        room, _, own = name.partition(".")
        rooms.setdefault(room, []).append(f"[{own}](#{name.replace('.', '')})")
    return [f"- {room}: {', '.join(links)}" for room, links in rooms.items()]


def cli_page() -> str:
    """Markdown of all verbs, from their own --help."""
    parts = [NOTE, "# Command line\n"]
    for verb in VERBS:
        env = {**os.environ, "COLUMNS": "100", "SAMPAN_STORE": ".sampan", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "sampan.cli.main", verb, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
        parts += [f"## sampan {verb}\n", "```text", done.stdout.rstrip(), "```\n"]
    return "\n".join(parts)


def cell(text: str) -> str:
    """Text that may stand in a table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def merging_page() -> str:
    """Markdown of what merges make of single elements."""
    return NOTE + "\n" + merges_page()


def results_page() -> str:
    """Markdown of what the benchmarks measured."""
    return NOTE.replace("the code's doc strings", "the results") + "\n" + benchmarks_page()


PAGES = {"stages.md": stages_page, "cli.md": cli_page, "merges.md": merging_page, "benchmarks.md": results_page}

if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
        print(f"wrote {HERE / name}")
