"""Compiled modules: absent without numba, kept in the user's cache, and the garbage collector is left as it was."""

from __future__ import annotations

import gc
import subprocess
import sys

from sampan.core.compiled import cache_folder, load_compiled


def test_without_numba_there_are_no_loops():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from sampan.core.compiled import load_compiled as load\n"
        "from sampan.crawl import kernels; kernels.WORTH = 0\n"
        "print(load('sampan.lang.kernels.words'), kernels.loops(), kernels.scan('<body>x'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "None", "None"]


def test_machine_code_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sampan" / "numba"


def test_loading_leaves_the_collector_running():
    load_compiled("sampan.lang.kernels.words")
    assert gc.isenabled()


def test_what_is_kept_loads_without_what_compiling_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = (
        "import sys, numpy as np\n"
        "from sampan.core.compiled import load_compiled as load\n"
        "words = load('sampan.crawl.kernels.words')\n"
        "found = words.find_word(*(np.frombuffer(part, np.uint8) for part in (b'a datetime=', b'datetime=')))\n"
        "print(found, 'numba.np.npyimpl' in sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert [run.stdout.split() for run in runs] == [["2", "True"], ["2", "False"]]
