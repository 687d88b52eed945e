"""Broken checkpoints: each is refused with its tensor or file named, and nothing is left in the output."""

import errno
import json
import os

import numpy as np
import pytest

from merge_models import CONFIG, EMBED, HEAD, SHAPES, make, merge
from sampan.core.errors import InputError, SampanError
from sampan.merge import folders
from sampan.model.tensors import INDEX, SINGLE, TensorPlan, TensorWriter

UP = "model.layers.0.mlp.up_proj.weight"
METHODS = ["task_arithmetic", "ties", "karcher", "sce", "breadcrumbs", "model_stock"]


def refused(tmp_path, models, says, *, base=True, kind=InputError, **given):
    """Expect an error of one paragraph that matches `says`, and an empty output folder."""
    first, *rest = models
    with pytest.raises(kind, match=says) as raised:
        merge(tmp_path, first if base else None, rest if base else models, **given)
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "out").iterdir())


@pytest.fixture
def pair(tmp_path):
    return [make(tmp_path / name, seed=i)[0] for i, name in enumerate(("base", "good"))]


def test_missing_tensor(tmp_path, pair):
    bad, _ = make(tmp_path / "bad", shapes={n: s for n, s in SHAPES.items() if n != UP})
    refused(tmp_path, [*pair, bad], rf"base has 1 tensor more \(such as '{UP}'\)")


def test_extra_tensor(tmp_path, pair):
    bad, _ = make(tmp_path / "bad", shapes={**SHAPES, "adapter.weight": (2, 2)})
    refused(tmp_path, [*pair, bad], r"bad has 1 tensor more \(such as 'adapter.weight'\)")


def test_other_shape(tmp_path, pair):
    bad, _ = make(tmp_path / "bad", shapes={**SHAPES, UP: (6, 9)})
    refused(tmp_path, [*pair, bad], f"tensor '{UP}' is 9×6 in base but 6×9 in bad")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_numbers_that_are_none(tmp_path, pair, method, value):
    tensor = np.ones((9, 6), np.float32)
    tensor[3, 3] = value
    bad, _ = make(tmp_path / "bad", values={UP: tensor})
    given = {"normalize": None, "strict": False, "method": method}
    given |= {"density": 0.5} if method in ("ties", "sce", "breadcrumbs") else {}
    with np.errstate(all="ignore"):
        refused(tmp_path, [*pair, bad], f"tensor '{UP}' holds NaN or infinite values in .*bad", **given)


def test_numbers_that_overflow_the_stored_dtype_are_named(tmp_path):
    large = {UP: np.full((9, 6), 3e38, np.float32)}
    base, _ = make(tmp_path / "base")
    models = [make(tmp_path / name, values=large)[0] for name in ("one", "two")]
    with np.errstate(over="ignore", invalid="ignore"):
        refused(tmp_path, [base, *models], f"tensor '{UP}' holds NaN or infinite values")


def corrupt(folder, change):
    path = folder / SINGLE
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-10], "the file ends 10 bytes before the end of tensor"),
        (lambda data: data[:20], "not a safetensors file.*cut short"),
        (lambda data: b"", "not a safetensors file"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (lambda data: data.replace(b'"BF16"', b'"BF61"', 1), "unknown dtype BF61"),
        (lambda data: data.replace(b"{", b"[", 1), "header is damaged"),
        (lambda data: data.replace(b'"shape":[9,6]', b'"shape":[9,7]'), "a wrong number of bytes"),
    ],
)
def test_corrupted_weights(tmp_path, pair, change, says):
    bad, _ = make(tmp_path / "bad")
    corrupt(bad.path, change)
    refused(tmp_path, [*pair, bad], says)


def test_missing_shard_and_wrong_index(tmp_path, pair):
    bad, tensors = make(tmp_path / "bad")
    (bad.path / SINGLE).unlink()
    writer = TensorWriter(bad.path, [TensorPlan(n, "BF16", t.shape) for n, t in tensors.items()], shard_bytes=150)
    for name, tensor in tensors.items():
        writer.write(name, tensor)
    names = writer.close()
    index = json.loads((bad.path / INDEX).read_text())
    other = next(name for name in names if name not in (INDEX, index["weight_map"][UP]))
    (bad.path / INDEX).write_text(json.dumps({"weight_map": {**index["weight_map"], UP: other}}))
    refused(tmp_path, [*pair, bad], f"places tensor '{UP}' in .* which does not hold it")
    (bad.path / INDEX).write_text(json.dumps(index))
    (bad.path / names[0]).unlink()
    (tmp_path / "out").rmdir()
    refused(tmp_path, [*pair, bad], "the shard cannot be opened")


def test_pickled_weights_are_not_read(tmp_path, pair):
    bad, _ = make(tmp_path / "bad")
    (bad.path / SINGLE).rename(bad.path / "pytorch_model.bin")
    refused(tmp_path, [*pair, bad], "pickled weights")


def test_a_file_cut_short_after_it_was_opened(tmp_path, pair, monkeypatch):
    real = folders.open_folder

    def cut(label, path):
        opened = real(label, path)
        if label == "good":
            os.truncate(path / SINGLE, (path / SINGLE).stat().st_size // 2)
        return opened

    monkeypatch.setattr(folders, "open_folder", cut)
    refused(tmp_path, pair, "the file ends inside tensor")


@pytest.mark.parametrize("stored", ["I8", "F8_E4M3", "F64"])
def test_dtypes_that_cannot_be_mixed(tmp_path, pair, stored):
    bad, tensors = make(tmp_path / "bad")
    plan = [TensorPlan(n, stored if n == UP else "BF16", t.shape) for n, t in tensors.items()]
    writer = TensorWriter(bad.path, plan)
    for item in plan:
        writer.write(item.name, tensors[item.name] if item.name != UP else bytes(item.num_bytes))
    writer.close()
    refused(tmp_path, [*pair, bad], f"tensor '{UP}' is BF16 in base and {stored} in bad.*bfloat16 can be mixed")


def test_integer_buffers_must_agree(tmp_path):
    made = []
    for number, name in enumerate(("base", "one")):
        artifact, tensors = make(tmp_path / name)
        plan = [TensorPlan(n, "BF16", t.shape) for n, t in tensors.items()] + [TensorPlan("steps", "I64", (1,))]
        writer = TensorWriter(artifact.path, plan)
        for item in plan:
            writer.write(item.name, tensors.get(item.name, np.array([number], "<i8").tobytes()))
        writer.close()
        made.append(artifact)
    refused(tmp_path, made, r"tensor 'steps' \(I64\) is not of floats and differs between base and one")


def test_tied_in_one_model_only(tmp_path):
    tied, _ = make(
        tmp_path / "tied",
        shapes={n: s for n, s in SHAPES.items() if n != HEAD},
        config={**CONFIG, "tie_word_embeddings": True},
    )
    own, _ = make(tmp_path / "own", seed=1)
    refused(tmp_path, [tied, own], f"'{HEAD}' of own has learnt its own values, but tied ties it to '{EMBED}'")


def test_config_that_is_missing_or_broken(tmp_path, pair):
    for text, says in ((None, "config.json cannot be read"), ("{", "cannot be read"), ("[]", "not an object")):
        bad, _ = make(tmp_path / f"bad{len(says)}")
        (bad.path / "config.json").unlink()
        if text is not None:
            (bad.path / "config.json").write_text(text)
        (tmp_path / "out").rmdir() if (tmp_path / "out").exists() else None
        refused(tmp_path, [*pair, bad], says)


def test_damaged_tokenizer(tmp_path, pair):
    bad, _ = make(tmp_path / "bad")
    (bad.path / "tokenizer.json").write_text('{"model": {"vocab": 3}}')
    refused(tmp_path, [*pair, bad], "this tokenizer.json is damaged")


def test_out_of_disk_shows_before_any_tensor_is_written(tmp_path, pair, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    refused(tmp_path, pair, r"the merged weights need 408 bytes.*No space left", kind=SampanError)
    assert not list((tmp_path / "out-state").iterdir())


def test_out_of_disk_midway_resumes_when_there_is_room(tmp_path, pair, monkeypatch):
    whole, _ = merge(tmp_path, pair[0], [pair[1]], name="whole")
    real, calls = TensorWriter.write, []

    def full(self, name, values):
        calls.append(name)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, name, values)

    monkeypatch.setattr(TensorWriter, "write", full)
    refused(tmp_path, pair, "No space left on device", kind=SampanError)
    (tmp_path / "out").rmdir()
    again, _ = merge(tmp_path, pair[0], [pair[1]])
    assert (again / SINGLE).read_bytes() == (whole / SINGLE).read_bytes()
    assert len(calls) == 3 + 2
