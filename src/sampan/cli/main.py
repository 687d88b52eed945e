"""`sampan`: one command, one verb a thing a person wants."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import __version__
from ..core.errors import SampanError

VERBS = {
    "new": ("sampan.cli.new", "write a recipe to start from"),
    "plan": ("sampan.cli.plan", "what a run would do and cost, and why"),
    "run": ("sampan.cli.run", "build what is missing"),
    "show": ("sampan.cli.show", "one artifact: manifest, inputs, sample rows"),
    "inspect": ("sampan.cli.inspect", "which tokens are trained, in colour"),
    "explain": ("sampan.cli.explain", "why two results differ"),
    "report": ("sampan.cli.report", "one HTML page of the whole lineage"),
    "do": ("sampan.cli.do", "one stage on plain files, no recipe"),
    "chat": ("sampan.cli.chat", "talk to a model in the terminal"),
    "serve": ("sampan.cli.serve", "OpenAI-compatible server and web page"),
    "doctor": ("sampan.cli.doctor", "is this machine ready"),
    "gc": ("sampan.cli.gc", "free the space that no recipe names"),
}

EXAMPLES = """examples:
  sampan run recipes/village.yaml            build the demo lineage (minutes on a laptop)
  sampan plan recipes/village.yaml           what that would do
  sampan report recipes/village.yaml         what every step did, as one HTML page
  sampan chat village/final                  talk to a model of it
  sampan VERB --help                         more about one verb"""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print; returns the exit status: 0 done, 1 failed, 2 asked wrongly, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(argv)
    except SampanError as error:
        print(f"sampan: {error}", file=sys.stderr)
        if os.environ.get("SAMPAN_TRACEBACK"):
            raise
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            return 0
        print(f"sampan: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsampan: interrupted; what is published stays, run the same command to go on", file=sys.stderr)
        return 130
    except Exception as error:
        print(
            f"sampan: {type(error).__name__}: {error}. This is a fault in Sampan: please report it with the file "
            f"{_keep_traceback()}",
            file=sys.stderr,
        )
        return 1


def _keep_traceback() -> str:
    handle, path = tempfile.mkstemp(prefix="sampan-", suffix="-traceback.txt", text=True)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return path


def _main(argv: Sequence[str]) -> int:
    verb = next((word for word in argv if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="sampan",
        description="Build a language model for a region's languages, and see what every step did.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sampan {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, (module, summary) in VERBS.items():
        sub = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == verb:
            loaded = importlib.import_module(module)
            sub.description, sub.epilog = loaded.__doc__, getattr(loaded, "EXAMPLES", None)
            loaded.arguments(sub)
            sub.set_defaults(call=loaded.call)
    options = parser.parse_args(argv)
    if options.verb is None:
        parser.print_help()
        return 0
    return options.call(options)


def add_store(parser: argparse.ArgumentParser) -> None:
    """The --store option that most verbs share."""
    default = os.environ.get("SAMPAN_STORE", ".sampan")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path(default),
        metavar="DIR",
        help=f"where results live (default: $SAMPAN_STORE or .sampan; now {default})",
    )


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """The recipe and its --set, --to and --variant options."""
    parser.add_argument("recipe", type=Path, help="a recipe's YAML file, or the name of one that comes with Sampan")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="STAGE.PARAM=VALUE",
        help="change a parameter, or give an input: inputs.NAME=PATH (repeatable)",
    )
    parser.add_argument(
        "--to",
        dest="targets",
        action="append",
        default=[],
        metavar="STAGE",
        help="only this stage and what it needs; STAGE.VARIANT for a variant's (repeatable)",
    )
    parser.add_argument(
        "--variant",
        dest="variants",
        action="append",
        metavar="NAME",
        help="beside the recipe only this variant (repeatable), or `none`; default: all of its `variants:`",
    )
    add_store(parser)


def at_least(least: float) -> Callable[[str], float]:
    """An argparse type: a number of the type of `least` that is not below it."""

    def number(text: str) -> float:
        value = type(least)(text)
        if value < least:
            raise ValueError
        return value

    number.__name__ = f"number (at least {least})"
    return number


if __name__ == "__main__":
    sys.exit(main())
