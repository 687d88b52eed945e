"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that is not part of the repository: $SAMPAN_SHARED or ../shared.

    It exists on the project's own machines; elsewhere these tests are skipped. In CI its absence is a failure, so that
    nothing is skipped in silence.
    """
    folder = Path(os.environ.get("SAMPAN_SHARED", ROOT.parent / "shared"))
    if (folder / "data").is_dir():
        return folder
    if os.environ.get("CI"):
        pytest.fail(f"CI needs the shared data, and {folder} is not there")
    pytest.skip("needs the shared data folder (SAMPAN_SHARED)")


@pytest.fixture(scope="session")
def ray_address():
    """The address of a Ray cluster of two workers, started once for all tests that only need one to be there."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    code = (
        "import ray; found = ray.init(num_cpus=2, include_dashboard=False, logging_level='ERROR'); "
        "print(found.address_info['address'], flush=True); input()"
    )
    os.environ["RAY_AUTH_MODE"] = "disabled"  # else nobody but the process that started it could join it
    command = [sys.executable, "-c", code]
    cluster = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    address = cluster.stdout.readline().strip()
    assert address, "Ray does not start"
    yield address
    cluster.communicate("\n", timeout=30)
    del os.environ["RAY_AUTH_MODE"]


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; without one the tests that look at pages are skipped, and fail in CI."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium (apt-get install chromium)")
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        # No sandbox: CI and containers run as root, and the pages are our own.
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def golden(request):
    """Compare text with a file under tests/golden, or write it with --update-golden."""

    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden file {name}: make golden"
        assert path.read_text(encoding="utf-8") == text, f"{name} differs: if it is meant, make golden"

    return check


@pytest.fixture
def one_and_two_processes(tmp_path):
    """What a stage writes alone and in two processes: (stage, params, inputs) gives [{file name: bytes}, the same].
    The folders stay: `tmp_path / "2" / "out"`."""
    from sampan.core.spread import Spread
    from sampan.core.stage import Runtime
    from sampan.recipe.ranks import run_stage

    def run(stage, params, inputs) -> list[dict[str, bytes]]:
        written = []
        for processes in (1, 2):
            folder = tmp_path / str(processes)
            for name in ("out", "state"):
                (folder / name).mkdir(parents=True)
            runtime = Runtime(out=folder / "out", state=folder / "state", spread=Spread(processes=processes))
            run_stage(stage, params, inputs, runtime)
            written.append({path.name: path.read_bytes() for path in (folder / "out").iterdir()})
        return written

    return run
