"""The merge itself: block by block from the models' files into the output file, in float32, whatever the model's size.

Memory is a few blocks per model and thread. Because draws depend on positions only and trims on whole-tensor
thresholds, block size and thread count do not change a bit of the result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from ..core.errors import InputError
from ..model.tensors import FLOATS, TensorInfo, TensorWriter, encode
from .folders import Reader
from .kernels import WORTH, fused_chain
from .lanes import Lane
from .method import Block, Method, Settings
from .sparsify import trim_threshold
from .survey import grains_of
from .tally import Tally

BLOCK = 1 << 16
"""Elements per block: what fits a core's cache for two or three models (262 kB each as float32)."""
_KEPT_BYTES = 31 << 20
"""Below glibc's limit (32 MB) for what a process learns to keep."""


SettingsOf = Callable[[str], Settings]
"""The settings of a tensor of the output, by its name."""


Chain = Callable[..., tuple[np.ndarray, Tally]]
"""`chain(base, models, settings, block, stop)`: merged elements block.start … stop - 1, encoded, and their tally."""


def numpy_chain(
    method: Method,
    stored: str,
    base: Reader | None,
    models: Sequence[Reader],
    settings: Settings,
    block: Block,
    stop: int,
) -> tuple[np.ndarray, Tally]:
    """The chain that every method has; the merged elements are encoded as `stored`."""
    deltas_MN = np.empty((len(models), stop - block.start), np.float32)
    base_N = base(block.start, stop) if base else None
    for delta_N, read in zip(deltas_MN, models, strict=True):
        if base_N is None:
            delta_N[:] = read(block.start, stop)
        else:
            np.subtract(read(block.start, stop), base_N, out=delta_N)
    mixed = method.run(deltas_MN, settings, block)
    tally = Tally(
        elements=mixed.delta_N.size,
        merged_sq=float(np.dot(mixed.delta_N, mixed.delta_N)),
        base_sq=float(np.dot(base_N, base_N)) if base_N is not None else 0.0,
        gram_MM=_gram(deltas_MN),
        kept_M=np.array(mixed.kept_M, np.int64),
    )
    return encode(mixed.delta_N if base_N is None else base_N + mixed.delta_N, stored), tally


def _gram(deltas_MN: np.ndarray) -> np.ndarray:
    """The inner products of all pairs, float64 of float32 sums. One by one, since BLAS is slow on a few long rows."""
    gram_MM = np.empty((len(deltas_MN), len(deltas_MN)))
    for a, one_N in enumerate(deltas_MN):
        for b in range(a + 1):
            gram_MM[a, b] = gram_MM[b, a] = np.dot(one_N, deltas_MN[b])
    return gram_MM


def merge_tensor(
    method: Method,
    base: Reader | None,
    models: Sequence[Reader],
    settings: Settings,
    *,
    name: str,
    shape: Sequence[int],
    seed: int = 0,
    stored: str = "F32",
    kernels: bool = False,
    block_size: int = BLOCK,
    pool: ThreadPoolExecutor | None = None,
    ahead: int = 1,
) -> Iterator[tuple[np.ndarray, Tally]]:
    """Merge one tensor; yields merged blocks, encoded as `stored`, in order. `pool` works up to `ahead` blocks at once;
    `kernels` says whether to look for a fused kernel."""
    size = int(np.prod(shape, dtype=np.int64))
    columns = shape[-1] if len(shape) > 1 else size
    thresholds = _thresholds(base, models, settings, size, block_size) if method.trims and size else ()
    whole = Block(tensor=name, start=0, columns=columns, seed=seed, thresholds=thresholds)
    if method.survey and size:
        grains = grains_of(base, models, whole, size, rows=method.grain == "row")
        whole = replace(whole, survey=method.survey(grains, settings, size))
    step = max(1, block_size // columns) * columns if method.grain == "row" and columns else block_size
    starts = range(0, size, step)
    chain = fused_chain(method, base, models, stored) if kernels and whole.survey is None else None
    chain = chain or functools.partial(numpy_chain, method, stored)

    def work(start: int) -> tuple[np.ndarray, Tally]:
        block = replace(whole, start=start)
        return chain(base, models, settings, block, min(start + step, size))

    if pool is None or len(starts) < 2:
        yield from map(work, starts)
        return
    waiting: list[Future] = []
    for start in starts:
        waiting.append(pool.submit(work, start))
        if len(waiting) > ahead:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _thresholds(
    base: Reader | None, models: Sequence[Reader], settings: Settings, size: int, block_size: int
) -> tuple[float, ...]:
    """Per model the magnitude from which a trim to its density keeps the elements; 0 where it keeps all."""

    def of(read: Reader, density: float) -> float:
        if density >= 1:
            return 0.0

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, size, block_size):
                stop = min(start + block_size, size)
                yield read(start, stop) - base(start, stop) if base else read(start, stop)

        return trim_threshold(blocks, size, density)

    return tuple(of(read, density) for read, density in zip(models, settings.density, strict=True))


def merge_arrays(
    method: Method,
    base: np.ndarray | None,
    models: Sequence[np.ndarray],
    settings: Settings,
    *,
    name: str = "weight",
    seed: int = 0,
    block_size: int = BLOCK,
) -> np.ndarray:
    """Merge arrays of one shape as if they were the tensor `name`: the same numbers as a merge of files. float32."""

    def reader(array: np.ndarray) -> Reader:
        flat = np.ascontiguousarray(array, np.float32).ravel()
        return lambda start, stop: flat[start:stop]

    shape = models[0].shape
    parts = merge_tensor(
        method,
        None if base is None else reader(base),
        [reader(model) for model in models],
        settings,
        name=name,
        shape=shape,
        seed=seed,
        block_size=block_size,
    )
    return np.concatenate([np.empty(0, np.float32), *(part for part, _ in parts)]).reshape(shape)


def merge_folders(
    method: Method,
    reference: Lane,
    base: Lane | None,
    models: Sequence[Lane],
    settings_of: SettingsOf,
    writer: TensorWriter,
    *,
    seed: int,
    tally: Tally,
    threads: int = 1,
    after_tensor: Callable[[int], None] = lambda done: None,
) -> None:
    """Merge the tensors that `writer` has still to write, adding to `tally`; `after_tensor(done)` after each.

    `settings_of(name)` gives a tensor's settings, with as many weights as there are models.
    """
    keep_freed_memory()
    total = sum(reference.info(item.name).size for item in writer.plan) * (len(models) + (base is not None))
    with ThreadPoolExecutor(threads) as threads_pool:
        pool = threads_pool if threads > 1 else None
        while writer.done < len(writer.plan):
            info = reference.info(writer.plan[writer.done].name)
            if info.dtype not in FLOATS.values() or info.size == 0:
                writer.write(info.name, reference.read_bytes(info.name))
            else:
                settings = settings_of(info.name)
                part = _merge_one(method, info, base, models, settings, writer, seed, total >= WORTH, pool, 2 * threads)
                tally.add(part)
            after_tensor(writer.done)


def keep_freed_memory() -> None:
    """Let this process keep the memory of its blocks instead of handing it back and asking again, page by page.

    glibc keeps freed memory up to the size of the largest array it has seen freed; this one is never touched. Without
    it half the time of a merge goes into page faults. Elsewhere it does nothing.
    """
    np.empty(_KEPT_BYTES, np.uint8)


def _merge_one(
    method: Method,
    info: TensorInfo,
    base: Lane | None,
    models: Sequence[Lane],
    settings: Settings,
    writer: TensorWriter,
    seed: int,
    kernels: bool,
    pool: ThreadPoolExecutor | None,
    ahead: int,
) -> Tally:
    here = Tally.empty(len(models))
    blocks = merge_tensor(
        method,
        base.reader(info.name) if base else None,
        [model.reader(info.name) for model in models],
        settings,
        name=info.name,
        shape=info.shape,
        seed=seed,
        stored=writer.plan[writer.done].dtype,
        kernels=kernels,
        pool=pool,
        ahead=ahead,
    )
    for merged_N, part in blocks:
        writer.write(info.name, merged_N)
        here.add(part)
    _check_finite(here, info.name, [model.label(info.name) for model in models])
    return here


def _check_finite(tally: Tally, name: str, labels: Sequence[str]) -> None:
    bad = [label for label, square in zip(labels, np.diag(tally.gram_MM), strict=True) if not np.isfinite(square)]
    if bad or not np.isfinite(tally.merged_sq):
        raise InputError(
            f"tensor '{name}' holds NaN or infinite values"
            + (f" in {' or '.join(bad)} or the base" if bad else " after the merge"),
            where="merge",
            how="That checkpoint's training broke; take an earlier one.",
        )
