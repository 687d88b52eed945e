"""Look at this machine: Python, libraries, cores, memory, disk, accelerator and store; say what is missing and how to
get it. Exit status 1 if something that every recipe needs is not there."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

from ..core.errors import SampanError
from ..store.store import Store
from .main import add_store
from .text import size

EXAMPLES = """examples:
  sampan doctor
  sampan doctor --store /data/sampan"""

OK, NOTE, BAD = "ok", "note", "MISSING"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)")


def arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    found = [*_machine(options), *_libraries(), *_accelerator()]
    width = max(len(what) for _, what, _ in found) + 2
    for level, what, text in found:
        print(f"{level:8}{what:{width}}{text}")
    return int(any(level == BAD for level, _, _ in found))


def _machine(options: argparse.Namespace) -> list[tuple[str, str, str]]:
    rows = [(OK if sys.version_info >= (3, 11) else BAD, "python", platform.python_version())]
    rows.append((OK, "cores", str(os.cpu_count())))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        rows.append(
            (OK if memory > 4e9 else NOTE, "memory", f"{size(memory)}" + ("" if memory > 4e9 else ", 4 GB is little"))
        )
    try:
        store = Store(options.store)
    except SampanError as error:
        return [*rows, (BAD, "store", str(error))]
    free = shutil.disk_usage(store.root).free
    writable = os.access(store.root, os.W_OK)
    rows.append((OK if writable else BAD, "store", f"{store.root}" + ("" if writable else " is not writable")))
    rows.append((OK if free > 5e9 else NOTE, "free disk", size(free)))
    return rows


def _libraries() -> list[tuple[str, str, str]]:
    rows: dict[str, tuple[str, str, str]] = {}
    for line in requires("sampan") or []:
        name = _NAME.match(line)[0]
        try:
            rows.setdefault(name, (OK, name, version(name)))
        except PackageNotFoundError:
            extra = _EXTRA.search(line)
            missing = (
                (NOTE, name, f"optional: pip install 'sampan[{extra[1]}]'")
                if extra
                else (BAD, name, "reinstall sampan")
            )
            rows.setdefault(name, missing)
    rows.pop("sampan", None)
    rivals = packages_distributions().get("fasttext", [])
    if len(set(rivals)) > 1:
        rows["fasttext"] = (NOTE, "fasttext", f"{' and '.join(sorted(set(rivals)))} overwrite each other; keep one")
    return list(rows.values())


def _accelerator() -> list[tuple[str, str, str]]:
    try:
        import torch
    except ImportError:
        return []
    if torch.cuda.is_available():
        return [(OK, "accelerator", torch.cuda.get_device_name(0))]
    return [(NOTE, "accelerator", "none: training runs on the CPU in float32")]
