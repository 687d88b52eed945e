"""Write a recipe to start from: clean text, expand the vocabulary, pre-train on, fine-tune, merge, score, ship."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.errors import RecipeError
from ..lang.codes import normalise_code
from ..lang.profile import load_profile
from ..recipe.load import check_name
from ..recipe.starter import starter
from ..store.files import disk_errors, write_atomic
from ..store.outside import check_spec

EXAMPLES = """examples:
  sampan new mekong --languages th,lo,km --base hf:org/base@0123456789abcdef0123456789abcdef01234567
  sampan new my-model --languages tha_Thai --base dir:/models/base"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the recipe's name; it is written to NAME.yaml")
    parser.add_argument("--languages", required=True, metavar="CODES", help="comma-separated: th or tha_Thai")
    parser.add_argument("--base", required=True, metavar="SPEC", help="dir:PATH, or hf:org/name@<commit>")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default NAME.yaml)")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")


def call(options: argparse.Namespace) -> int:
    check_name(options.name, where="sampan new")
    codes = [normalise_code(code.strip(), where="--languages") for code in options.languages.split(",") if code.strip()]
    check_spec(options.base, where="--base")
    out = options.out or Path(f"{options.name}.yaml")
    if out.exists() and not options.force:
        raise RecipeError("there is such a file already", where=str(out), how="Give another name, --out or --force.")
    recipe = starter(options.name, codes, [load_profile(code).name for code in codes], options.base)
    with disk_errors(out.parent, option="--out"):
        write_atomic(out, recipe)
    print(f"wrote {out}; next: sampan plan {out} --set inputs.text=DIR --set inputs.chat=FILE")
    return 0
