"""Compile `products.product` with numba and write its machine code to a file, tried out before:

    python -m sampan.train.kernels.build FILE

A process of its own does so once on a machine. What loads the file needs llvmlite alone, which takes 45 MB where numba
takes 110, and a tenth of its time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np

from . import NAME, SCRATCH, ask_for_tiles, open_object


def compile_product() -> bytes:
    """An object file in which NAME is `products.product`; RuntimeError if that needs anything else."""
    from .products import product

    (signature,) = product.signatures
    symbol = product.overloads[signature].fndesc.llvm_func_name
    module = llvm.parse_assembly(product.inspect_llvm(signature))
    for function in module.functions:
        if function.name == symbol:
            function.name, function.linkage = NAME, "external"
        elif not function.is_declaration:
            function.linkage = "internal"
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(llvm.get_host_cpu_name(), features, opt=3, codemodel="jitdefault", jit=True)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)
    needed = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    if needed:
        raise RuntimeError(f"the compiled product needs {', '.join(needed)}")
    return machine.emit_object(module)


def check(product: Callable[..., int]) -> None:
    """RuntimeError unless it multiplies."""
    whole = np.zeros(SCRATCH + 64, np.uint8)
    scratch = whole[-whole.ctypes.data % 64 :]
    left, right = np.random.default_rng(0).standard_normal((2, 70, 70), np.float32)
    out = np.ones((70, 70), np.float32)
    sides = (left.ctypes.data, 280, 1, right.ctypes.data, 280, 0)
    product(scratch.ctypes.data, *sides, out.ctypes.data, 280, 70, 70, 70, 1)
    if not np.allclose(out, left @ right + 1, atol=1e-4):
        raise RuntimeError("the compiled product is wrong")


def main(path: Path) -> None:
    code = compile_product()
    ask_for_tiles()
    check(open_object(code))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(code)
    part.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
