"""Write a GGUF file one tensor at a time, and read it back to compare every value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .gguf_vocab import Vocabulary

Fields = Mapping[str, Any]


def write_gguf(
    path: Path,
    arch: str,
    fields: Fields,
    vocabulary: Vocabulary,
    specs: Mapping[str, tuple[tuple[int, ...], str]],
    tensors: Iterable[tuple[str, torch.Tensor]],
) -> None:
    """Write header, metadata, tensor table and data. `specs` gives (shape, dtype) of every tensor, in data order."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, arch)
    for key, value in fields.items():
        _add(writer, key, value)
    _add_vocabulary(writer, vocabulary)
    for name, (shape, dtype) in specs.items():
        kind = _ggml_type(dtype)
        plain = np.dtype(np.float32 if dtype == "float32" else np.float16)
        size = int(np.prod(shape)) * (4 if dtype == "float32" else 2)
        writer.add_tensor_info(name, shape, plain, size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for (name, tensor), wanted in zip(tensors, specs, strict=True):
        if name != wanted:
            raise StageError(f"tensor {name} came where {wanted} was announced", where=str(path))
        writer.write_tensor_data(_bits(tensor))
    writer.close()


def verify_gguf(
    path: Path,
    fields: Fields,
    vocabulary: Vocabulary,
    tensors: Iterable[tuple[str, torch.Tensor]],
    count: int,
    progress: Callable[[int, int, str], None],
) -> None:
    """Read the file with gguf's own reader; StageError unless names, shapes, values and metadata are as meant."""
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(path)
    for key, value in fields.items():
        _same(key, reader.fields[key].contents() if key in reader.fields else None, value)
    _same("tokens", reader.fields["tokenizer.ggml.tokens"].contents(), vocabulary.tokens)
    _same("token types", reader.fields["tokenizer.ggml.token_type"].contents(), vocabulary.types)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    seen = 0
    for name, tensor in tensors:
        if name not in stored:
            raise StageError(f"the GGUF file lacks tensor {name}", where=str(path))
        found = stored[name]
        _same(f"shape of {name}", tuple(int(n) for n in reversed(found.shape)), tuple(tensor.shape))
        values = gguf.dequantize(found.data, found.tensor_type).reshape(tuple(tensor.shape))
        if not np.array_equal(values, tensor.float().numpy()):
            raise StageError(f"tensor {name} reads back with other values", where=str(path))
        seen += 1
        progress(seen, count, "tensors checked")
    _same("number of tensors", len(stored), seen)


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, list(value))


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.model == "llama":
        writer.add_token_scores(vocabulary.scores)
        writer.add_bool("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix)
    else:
        writer.add_token_merges(vocabulary.merges)


def _ggml_type(dtype: str) -> Any:
    import gguf

    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
    return gguf.GGMLQuantizationType[names[dtype]]


def _bits(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's memory as numpy sees it; bfloat16, which numpy lacks, as its 16 bits."""
    import torch

    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _same(what: str, found: Any, meant: Any) -> None:
    if isinstance(meant, float):
        import numpy as np

        equal = found is not None and np.float32(found) == np.float32(meant)  # GGUF stores these as float32
    else:
        equal = (list(found) == list(meant)) if isinstance(meant, list | tuple) else found == meant
    if not equal:
        raise StageError(f"the GGUF file reads back with another {what}: {str(found)[:80]} for {str(meant)[:80]}")
