"""Reading and writing safetensors without torch, against the safetensors library and torch's rounding."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.core.errors import InputError
from sampan.model.tensors import INDEX, SINGLE, TensorFolder, TensorPlan, TensorWriter, bf16_bits, decode


def write(folder, tensors, *, pieces=3, **kwargs):
    """Write {name: (dtype, float32 array)} in `pieces` pieces per tensor."""
    plan = [TensorPlan(name, dtype, array.shape) for name, (dtype, array) in tensors.items()]
    writer = TensorWriter(folder, plan, **kwargs)
    for name, (_, array) in tensors.items():
        for piece in np.array_split(array.ravel(), min(pieces, array.size)):
            writer.write(name, piece)
    return writer.close()


def some_tensors():
    rng = np.random.default_rng(3)
    return {
        "a.weight": ("BF16", bf16_exact(rng.standard_normal((7, 5), np.float32))),
        "b.weight": ("F32", rng.standard_normal(11, np.float32)),
        "c.scalar": ("F32", np.array(2.5, np.float32)),
        "d.weight": ("F16", np.float16(rng.standard_normal((2, 3, 4))).astype(np.float32)),
    }


def bf16_exact(array):
    return decode(bf16_bits(array), "BF16")


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=300))
def test_bf16_rounding_is_torchs_for_any_bits(bits):
    torch = pytest.importorskip("torch")
    values = np.array(bits, np.uint32).view(np.float32)
    theirs = torch.from_numpy(values.copy()).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    ours = bf16_bits(values)
    number = ~np.isnan(values)
    assert (ours[number] == theirs[number]).all()
    assert (ours[~number] == 0x7FC0).all()


def test_bf16_halfway_goes_to_even():
    one, ulp = 1.0, 2.0**-7
    halves = np.array([one + ulp / 2, one + 3 * ulp / 2, -(one + ulp / 2), 3.4e38], np.float32)
    expected = np.array([one, one + 2 * ulp, -one, np.inf], np.float32)
    assert (decode(bf16_bits(halves), "BF16") == expected).all()


@pytest.mark.parametrize("shard_bytes", [10**9, 60, 1])
def test_written_tensors_read_back_here_and_in_safetensors(tmp_path, shard_bytes):
    from safetensors import safe_open

    tensors = some_tensors()
    files = write(tmp_path, tensors, shard_bytes=shard_bytes)
    assert (SINGLE in files) == (shard_bytes == 10**9)
    with TensorFolder(tmp_path) as folder:
        assert list(folder) == sorted(tensors)
        for name, (dtype, array) in tensors.items():
            assert (folder[name].dtype, folder[name].shape) == (dtype, array.shape)
            assert np.array_equal(folder.read(name), array)
    for file in files:
        if file != INDEX:
            with safe_open(tmp_path / file, "pt") as theirs:
                for name in theirs.keys():  # noqa: SIM118 (it is not a mapping)
                    assert np.array_equal(theirs.get_tensor(name).float().numpy(), tensors[name][1])


def test_reads_what_safetensors_wrote_in_any_piece(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    tensor = torch.randn(13, 9).to(torch.bfloat16)
    save_file({"x": tensor, "ids": torch.arange(4)}, tmp_path / SINGLE)
    flat = tensor.float().numpy().ravel()
    with TensorFolder(tmp_path) as folder:
        for start, stop in [(0, 117), (0, 1), (50, 77), (116, 117), (5, 5)]:
            assert np.array_equal(folder.read_flat("x", start, stop), flat[start:stop])
        assert folder.read_bytes("ids") == np.arange(4, dtype="<i8").tobytes()
        with pytest.raises(InputError, match="'ids' is I64"):
            folder.read("ids")


def test_writer_continues_after_tensors_already_done(tmp_path):
    tensors = some_tensors()
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir(), part.mkdir()
    write(whole, tensors, shard_bytes=60)
    plan = [TensorPlan(name, dtype, array.shape) for name, (dtype, array) in tensors.items()]
    first = TensorWriter(part, plan, shard_bytes=60)
    first.write("a.weight", tensors["a.weight"][1])
    first.write("b.weight", tensors["b.weight"][1][:4])  # half a tensor, lost
    first.sync()
    first.abandon()
    second = TensorWriter(part, plan, shard_bytes=60, done=1)
    for name in list(tensors)[1:]:
        second.write(name, tensors[name][1])
    for file in second.close():
        assert (part / file).read_bytes() == (whole / file).read_bytes()


def test_writer_refuses_wrong_order_overflow_and_gaps(tmp_path):
    writer = TensorWriter(tmp_path, [TensorPlan("a", "F32", (2,)), TensorPlan("b", "F32", (2,))])
    with pytest.raises(ValueError, match="not the next"):
        writer.write("b", np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="room for 8"):
        writer.write("a", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="not complete"):
        writer.close()


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..", "a\\b", ""])
def test_index_cannot_point_outside_the_folder(tmp_path, shard):
    write(tmp_path, {"x": ("F32", np.ones(2, np.float32))})
    model = tmp_path / "model"
    model.mkdir()
    (tmp_path / SINGLE).rename(tmp_path / "secret.safetensors")
    (model / INDEX).write_text(json.dumps({"weight_map": {"x": shard}}))
    with pytest.raises(InputError, match="not a plain file name"):
        TensorFolder(model)


def damaged(tmp_path, change):
    write(tmp_path, {"x": ("F32", np.ones((2, 2), np.float32))})
    data = (tmp_path / SINGLE).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    (tmp_path / SINGLE).write_bytes(change(header, data[8 + length :], data))
    return tmp_path


def pack(header, body):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda h, body, data: data[:-3], "ends 3 bytes before the end of tensor 'x'"),
        (lambda h, body, data: data[:20], "not a safetensors file"),
        (lambda h, body, data: b"", "not a safetensors file"),
        (lambda h, body, data: b"version https://git-lfs.github.com/spec/v1\n" + b" " * 99, "git lfs pull"),
        (lambda h, body, data: data[:8] + b"[" + data[9:], "header is damaged"),
        (lambda h, body, data: pack({"x": {**h["x"], "shape": [2, 3]}}, body), "wrong number of bytes"),
        (lambda h, body, data: pack({"x": {**h["x"], "dtype": "F3"}}, body), "unknown dtype F3"),
        (lambda h, body, data: pack({"x": {**h["x"], "data_offsets": [-16, 0]}}, body), "wrong number of bytes"),
        (lambda h, body, data: pack({"x": 1}, body), "header is damaged"),
    ],
)
def test_damage_is_named(tmp_path, change, says):
    with pytest.raises(InputError, match=says):
        TensorFolder(damaged(tmp_path, change))


def test_missing_shard_stale_index_and_pickles_are_named(tmp_path):
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"x": "model-1.safetensors"}}))
    with pytest.raises(InputError, match="shard cannot be opened"):
        TensorFolder(tmp_path)
    write(tmp_path, {"y": ("F32", np.ones(2, np.float32))})
    (tmp_path / SINGLE).rename(tmp_path / "model-1.safetensors")
    with pytest.raises(InputError, match="places tensor 'x'"):
        TensorFolder(tmp_path)
    (tmp_path / INDEX).unlink()
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match="pickled weights"):
        TensorFolder(tmp_path)
