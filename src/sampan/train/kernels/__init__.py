"""Products of float32 matrices on a processor with matrix tiles (Intel AMX); `products` says what they compute.

They come with the extra `sampan[kernels]`: numba compiles them once on a machine, into the user's cache folder.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...core.compiled import cache_folder

NAME = "sampan_product"
SCRATCH = 1 << 20
"""Bytes that a product works in."""
_FLAGS = {"amx_tile", "amx_bf16", "avx512f"}
_ARCH_PRCTL, _ASK_FOR_FEATURE, _TILE_DATA = 158, 0x1023, 18
"""Linux on x86-64: the system call, its request for a feature that needs leave, and the number of tiles' contents
(Documentation/arch/x86/xstate.rst)."""
_NUMBER, _FLAG = ctypes.c_int64, ctypes.c_bool
_SIDE = (_NUMBER, _NUMBER, _FLAG)
_KIND = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 2, _NUMBER, *_SIDE * 2, *[_NUMBER] * 5, _FLAG)
"""`products.product` as numba compiles it: two places for what it gives back and raises, then its arguments."""
_nothing = (ctypes.c_void_p * 2)()


@functools.cache
def expected() -> bool:
    """Whether `load` should find something, told without loading it, which takes 55 MB."""
    return sys.platform == "linux" and all(map(find_spec, ("numba", "llvmlite"))) and _has_tiles()


@functools.cache
def load() -> Callable[..., int] | None:
    """`products.product`; None without numba, such a processor, or the system's leave to use its tiles."""
    if not expected() or not ask_for_tiles():
        return None
    try:
        path = _object_file()
        if not path.exists():
            subprocess.run([sys.executable, "-m", f"{__name__}.build", str(path)], check=True, capture_output=True)
        return open_object(path.read_bytes())
    except (ImportError, PackageNotFoundError, OSError, subprocess.CalledProcessError):
        return None


def open_object(code: bytes) -> Callable[..., int]:
    """The product of an object file."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    place = ctypes.addressof(_nothing)
    product = functools.partial(_KIND(engine.get_function_address(NAME)), place, place + ctypes.sizeof(ctypes.c_void_p))
    product.engine = engine  # type: ignore[attr-defined] - which owns the code
    return product


def ask_for_tiles() -> bool:
    """Ask the system for leave to use tiles, for this process."""
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ASK_FOR_FEATURE, _TILE_DATA) == 0


def _has_tiles() -> bool:
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    known = next((line for line in lines if line.startswith("flags")), "").split()
    return _FLAGS.issubset(known)


def _object_file() -> Path:
    """The file of the machine code: another one for other code, another compiler or another processor."""
    from llvmlite import binding

    parts = [version("numba"), version("llvmlite"), binding.get_host_cpu_name()]
    parts.append(binding.get_host_cpu_features().flatten())
    parts += [file.read_text() for file in sorted(Path(__file__).parent.glob("*.py"))]
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return cache_folder() / f"products-{digest[:16]}.o"
