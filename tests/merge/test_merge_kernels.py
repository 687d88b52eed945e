"""The fused kernels write what the numpy path writes, bit for bit, for every method, cut and kind of number."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.merge import kernels, stream
from sampan.merge.method import Settings
from sampan.merge.methods import METHODS
from sampan.merge.tally import Tally
from sampan.merge.weights import STAGE
from sampan.model.tensors import FlatTensor, TensorFolder, TensorPlan, TensorWriter, bf16_bits, decode

FUSED = [name for name in METHODS if METHODS.load(name).fused]
NAME = "model.layers.0.mlp.up_proj.weight"

if "CI" not in os.environ:
    pytest.importorskip("numba")


def folder(path, values, dtype="BF16"):
    path.mkdir()
    writer = TensorWriter(path, [TensorPlan(NAME, dtype, values.shape)])
    writer.write(NAME, values)
    writer.close()
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": False}))
    tokenizer = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": []}
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return path


def numbers(shape, seed, models=3):
    """A base and models near it: wide ranges of magnitude, many equal differences, zeros of both signs."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 2, shape)
    base[rng.random(shape) < 0.1] = 0
    base[rng.random(shape) < 0.05] *= -0.0
    steps = [np.round(rng.standard_normal(shape), 1) * 2.0 ** rng.integers(-14, 1, shape) for _ in range(models)]
    return [decode(bf16_bits(np.float32(each)), "BF16") for each in (base, *(base + step for step in steps))]


def merged(method, tensors, knobs, kernel, block_size):
    readers = [FlatTensor(each, NAME) for each in tensors]
    base = readers[0] if method.needs_base else None
    parts = list(
        stream.merge_tensor(
            method,
            base,
            readers[1:],
            knobs,
            name=NAME,
            shape=tensors[0][NAME].shape,
            seed=5,
            stored="BF16",
            kernels=kernel,
            block_size=block_size,
        )
    )
    tally = Tally.empty(len(readers) - 1)
    for _, part in parts:
        tally.add(part)
    return np.concatenate([part for part, _ in parts]), tally


@pytest.mark.parametrize("name", FUSED)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 300),
    models=st.integers(1, 4),
    normalize=st.booleans(),
    density=st.sampled_from([0.2, 0.5, 0.9, 1.0]),
    lambda_=st.sampled_from([1.0, 0.7]),
    block_size=st.sampled_from([64, 2050, 1 << 16]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_bytes_equal_those_of_numpy(
    tmp_path_factory, name, rows, columns, models, normalize, density, lambda_, block_size, seed
):
    method, path = METHODS.load(name), tmp_path_factory.mktemp("kernels")
    arrays = numbers((rows, columns), seed, models)
    tensors = [TensorFolder(folder(path / str(number), values)) for number, values in enumerate(arrays)]
    knobs = Settings(
        weights=(0.5, 1.0, -0.25, 0.0)[:models],
        density=(density, *[0.6] * (models - 1)),
        epsilon=0.05 if density < 1 else 0.15,
        lambda_=lambda_,
        normalize=normalize,
    )
    plain, told = merged(method, tensors, knobs, False, block_size)
    fused, summed = merged(method, tensors, knobs, True, block_size)
    assert plain.dtype == fused.dtype == np.uint16
    assert np.array_equal(plain, fused)
    assert np.array_equal(told.kept_M, summed.kept_M)
    # the report's sums are of up to 12 000 float32 products, added up in another order
    np.testing.assert_allclose(summed.gram_MM, told.gram_MM, rtol=1e-4, atol=1e-4 * abs(told.gram_MM).max())
    assert summed.merged_sq == pytest.approx(told.merged_sq, rel=1e-4)
    assert summed.base_sq == pytest.approx(told.base_sq, rel=1e-4)
    for each in tensors:
        each.close()


@pytest.mark.parametrize("columns", [1, 2, 700, 70_000, (1 << 20) + 3])
def test_ranks_are_those_of_whole_magnitudes(columns):
    """Where a key holds too few bits of a magnitude, as in rows that are wide or full of near-equal numbers."""
    if kernels.load_compiled() is None:
        pytest.fail("numba is missing")
    from sampan.merge.kernels.chain import _order

    rng = np.random.default_rng(columns)
    near = np.float32(1) + rng.integers(0, 50, columns).astype(np.float32) * np.float32(2**-23)
    wide = rng.standard_normal(columns).astype(np.float32)
    few = np.where(rng.random(columns) < 20 / columns, near, np.round(wide, 1)).astype(np.float32)
    for row in (near, wide, few, -near)[: 4 if columns < 1e6 else 1]:
        expected = np.argsort(np.abs(row), kind="stable")
        assert np.array_equal(_order(row, columns).astype(np.int64), expected)


def test_draws_are_those_of_the_numpy_path():
    from sampan.merge.draws import draws
    from sampan.merge.kernels import compiled

    for start in (0, 1, 2, 3, 4, 1_000_003):
        words = np.empty(30, np.uint64)
        compiled.draw(np.uint64(0xFEDCBA9876543210), start, words)
        assert np.array_equal(words.view(np.uint16)[start % 4 :][:100], draws(0xFEDCBA9876543210, start, 100))


@pytest.mark.parametrize("missing", [False, True])
def test_stage_gives_equal_files_with_and_without(tmp_path, monkeypatch, missing):
    """Through the stage, threads and all, for checkpoints that are worth it (here: any)."""
    base, *models = [
        Artifact(path=folder(tmp_path / str(i), values), kind="checkpoint", digest=str(i), name=str(i))
        for i, values in enumerate(numbers((300, 500), 1, 2))
    ]

    def run(name, threads):
        out, state = tmp_path / name, tmp_path / f"{name}-state"
        out.mkdir()
        state.mkdir()
        params = STAGE.params(method="della", normalize=True, density=0.5)
        STAGE.run(params, Inputs({"base": [base], "models": models}), Runtime(out=out, state=state, threads=threads))
        return (out / "model.safetensors").read_bytes()

    plain = run("plain", 1)
    monkeypatch.setattr(stream, "WORTH", 0)
    if missing:
        monkeypatch.setattr(kernels, "load_compiled", lambda: None)
    assert run("one", 1) == plain
    assert run("four", 4) == plain


def test_is_chosen_for_bfloat16_files_only(tmp_path):
    values = numbers((4, 8), 0, 1)
    half = [FlatTensor(TensorFolder(folder(tmp_path / f"b{i}", v)), NAME) for i, v in enumerate(values)]
    single = [FlatTensor(TensorFolder(folder(tmp_path / f"f{i}", v, "F32")), NAME) for i, v in enumerate(values)]
    method = METHODS.load("dare_ties")
    assert kernels.fused_chain(method, half[0], half[1:], "BF16")
    assert not kernels.fused_chain(method, half[0], half[1:], "F32")
    assert not kernels.fused_chain(method, single[0], half[1:], "BF16")
    assert not kernels.fused_chain(method, lambda start, stop: None, half[1:], "BF16")
    assert not kernels.fused_chain(METHODS.load("consensus_ta"), half[0], half[1:], "BF16")


def test_without_numba_the_numpy_path_is_taken():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from sampan.merge.kernels import load_compiled; print(load_compiled(), 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "True"]
