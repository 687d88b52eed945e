"""A room imports only rooms on lower lines of the house (docs/why/architecture.md §2), at any depth of the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "sampan"
LINES = {
    "core": 0, "lang": 1, "artifacts": 2, "store": 2, "model": 3, "crawl": 4, "corpus": 4, "vocab": 4, "synth": 4,
    "train": 4, "merge": 4, "evals": 4, "export": 4, "serve": 4, "recipe": 5, "cli": 6,
}  # fmt: skip
FILES = sorted(SRC.rglob("*.py"))


def rooms_imported(path: Path) -> set[str]:
    """Rooms that a file imports, relative and absolute, also inside functions and TYPE_CHECKING."""
    package = ["sampan", *path.relative_to(SRC).with_suffix("").parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [stem] if stem != "sampan" else [f"{stem}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("sampan.")}
    return found & LINES.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_down(path):
    parts = path.relative_to(SRC).parts
    if len(parts) == 1:
        assert not rooms_imported(path), "the package itself imports no room"
        return
    room = parts[0]
    for other in rooms_imported(path) - {room}:
        assert LINES[other] < LINES[room], f"{room} (line {LINES[room]}) imports {other} (line {LINES[other]})"


def test_every_room_is_on_a_line():
    assert {p.name for p in SRC.iterdir() if p.is_dir() and p.name != "__pycache__"} == LINES.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_no_torchvision_no_pickle_no_remote_code(path):
    """torchvision and torchaudio break imports next to a CPU torch; unpickling and remote code run what a file says."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not {n.split(".")[0] for n in names} & {"torchvision", "torchaudio", "pickle", "dill", "triton"}
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            assert ast.unparse(node.value) == "False"
        if isinstance(node, ast.Attribute) and node.attr == "load" and isinstance(node.value, ast.Name):
            assert node.value.id != "torch", "torch.load unpickles; use safetensors"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_and_functions_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is {node.end_lineno - node.lineno + 1} lines"
