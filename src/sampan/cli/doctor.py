"""Look at this machine: Python, libraries, cores, memory, disk, accelerator and store; say what is missing and how to
get it. Exit status 1 if something that every recipe needs is not there."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from ..core.errors import SampanError
from ..store.store import Store
from .main import add_store
from .text import size

EXAMPLES = """examples:
  sampan doctor
  sampan doctor --store /data/sampan"""

OK, NOTE, BAD = "ok", "note", "MISSING"


def arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)


def call(options: argparse.Namespace) -> int:
    found = [*_machine(options), *_libraries(), *_accelerator()]
    for level, what, text in found:
        print(f"{level:8}{what:16}{text}")
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
    rows = []
    for line in requires("sampan") or []:
        name, _, marker = line.partition(";")
        name = name.strip().split(">")[0].split("=")[0].split("<")[0].split("[")[0].strip()
        try:
            rows.append((OK, name, version(name)))
        except PackageNotFoundError:
            if "extra ==" in marker:
                extra = marker.split("extra ==")[1].strip(" '\"")
                rows.append((NOTE, name, f"optional, for pip install 'sampan[{extra}]'"))
            else:
                rows.append((BAD, name, "pip install sampan again"))
    if sum(importlib.util.find_spec(name) is not None for name in ("fasttext_pybind", "fasttext")) > 1:
        rows.append((NOTE, "fasttext", "another fasttext package may shadow the one that language identification uses"))
    return [row for row in rows if row[1] != "sampan"]


def _accelerator() -> list[tuple[str, str, str]]:
    try:
        import torch
    except ImportError:
        return []
    if torch.cuda.is_available():
        return [(OK, "accelerator", torch.cuda.get_device_name(0))]
    bf16 = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()) or bool(
        getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    )
    return [(NOTE, "accelerator", "none: training runs on the CPU in " + ("bfloat16" if bf16 else "float32"))]
