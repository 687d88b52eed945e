"""What a merge writes: the weights, resumable, and the config, tokenizer and chat template beside them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..core.errors import RecipeError, StageError, did_you_mean
from ..core.stage import Runtime
from ..model.chat import TEMPLATES
from ..model.tensors import FLOATS, TensorInfo, TensorPlan, TensorWriter
from ..model.tokenizer import copy_tokenizer
from .folders import Folder, is_tied
from .method import Method
from .params import HERE, Params
from .slices import Cast, Layout, deep_config
from .stream import merge_folders
from .tally import Tally
from .vocabularies import Vocabulary

_BESIDE_UNION = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_TEMPLATE = "chat_template.jinja"


def write_weights(given: Params, method: Method, layout: Layout, runtime: Runtime) -> Tally:
    """Merge all tensors into `runtime.out`, by way of `runtime.state`, where a killed merge left what it had."""

    def stored(info: TensorInfo) -> str:
        return info.dtype if given.dtype == "same" or info.dtype not in FLOATS.values() else FLOATS[given.dtype]

    infos = [layout.reference.info(name) for name in layout.settings]
    plan = [TensorPlan(info.name, stored(info), info.shape) for info in infos]
    work, journal = runtime.state / "weights", runtime.state / "merged.json"
    work.mkdir(exist_ok=True)
    done, tally, last = 0, Tally.empty(len(layout.models)), time.monotonic()
    if journal.is_file():
        saved = json.loads(journal.read_text("utf-8"))
        done, tally = saved["done"], Tally.from_json(saved["tally"])
        runtime.log(f"resuming after {done} of {len(plan)} tensors")
    try:
        writer = TensorWriter(work, plan, shard_bytes=given.shard_bytes, done=done)
    except OSError as error:
        if done == 0:
            shutil.rmtree(work)
        raise _no_room(plan, runtime, error) from None

    def after_tensor(count: int) -> None:
        nonlocal last
        runtime.progress(count, len(plan), "tensors")
        if time.monotonic() - last >= runtime.checkpoint_seconds:
            writer.sync()
            aside = journal.with_suffix(".new")
            aside.write_text(json.dumps({"done": count, "tally": tally.to_json()}), "utf-8")
            os.replace(aside, journal)
            last = time.monotonic()

    try:
        merge_folders(
            method,
            layout.reference,
            layout.base,
            layout.models,
            layout.settings.__getitem__,
            writer,
            seed=given.seed,
            tally=tally,
            threads=runtime.threads,
            after_tensor=after_tensor,
        )
    except BaseException as error:
        with contextlib.suppress(OSError):
            writer.abandon()
        if isinstance(error, OSError):
            raise _no_room(plan, runtime, error) from None
        raise
    names = writer.close()
    journal.unlink(missing_ok=True)  # before the files leave: a kill between the two must start afresh
    for name in names:
        shutil.move(work / name, runtime.out / name)
    return tally


def _no_room(plan: Sequence[TensorPlan], runtime: Runtime, error: OSError) -> Exception:
    """What to say of a disk that is full; any other failure as it is."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error
    return StageError(
        f"the merged weights need {sum(item.num_bytes for item in plan):,} bytes, and there is no room "
        f"({error.strerror}; {shutil.disk_usage(runtime.state).free:,} bytes are free)",
        where=str(runtime.state),
        how="Make room and run again: tensors that are finished and synced are not merged again.",
    )


def write_rest(
    given: Params, cast: Cast, layout: Layout, vocabulary: Vocabulary, template: str | None, runtime: Runtime
) -> None:
    """config.json, generation config, tokenizer and chat template (None: the tokenizer's own)."""
    source = vocabulary.source
    text = json.dumps(_config(given, cast.reference, layout, vocabulary), indent=2, sort_keys=True, ensure_ascii=False)
    (runtime.out / "config.json").write_text(text + "\n", "utf-8")
    if (source.path / "generation_config.json").is_file():
        shutil.copyfile(source.path / "generation_config.json", runtime.out / "generation_config.json")
    if vocabulary.united is None:
        copy_tokenizer(source.path, runtime.out)
    else:
        text = json.dumps(vocabulary.united, indent=1, ensure_ascii=False)
        (runtime.out / "tokenizer.json").write_text(text + "\n", "utf-8")
        for name in _BESIDE_UNION:
            if (source.path / name).is_file():
                shutil.copyfile(source.path / name, runtime.out / name)
    if template is not None:
        (runtime.out / _TEMPLATE).write_text(template, "utf-8")


def _config(given: Params, reference: Folder, layout: Layout, vocabulary: Vocabulary) -> dict[str, Any]:
    """The source's config with the result's dtype, tying, number of layers and of tokens."""
    source = vocabulary.source
    config = dict(source.config)
    if layout.layers is not None:
        config = deep_config(config, layout.layers)
    if is_tied(source) != is_tied(reference):
        config["tie_word_embeddings"] = is_tied(reference)
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    if given.dtype != "same":
        config[key] = given.dtype
    elif source is not reference and (same := reference.config.get("dtype", reference.config.get("torch_dtype"))):
        config[key] = same
    if vocabulary.alignment is not None and "vocab_size" in config:
        config["vocab_size"] = vocabulary.alignment.rows
    return config


def chat_template(wanted: str, folders: Sequence[Folder]) -> str | None:
    """The chat template's text; None to leave what the tokenizer brought. RecipeError for a name that is not known."""
    if wanted == "keep":
        return None
    if wanted == "auto":
        found = Counter(text for folder in folders if (text := _template_of(folder)))
        return found.most_common(1)[0][0] if found else None
    if wanted in TEMPLATES:
        return TEMPLATES[wanted]
    if "{" not in wanted:
        raise RecipeError(
            f"there is no chat template '{wanted}'", where=HERE, how=did_you_mean(wanted, [*TEMPLATES, "keep", "auto"])
        )
    return wanted


def _template_of(folder: Folder) -> str:
    """A folder's chat template, from its own file or tokenizer_config.json; "" if it has none."""
    if (folder.path / _TEMPLATE).is_file():
        return (folder.path / _TEMPLATE).read_text("utf-8")
    try:
        text = json.loads((folder.path / "tokenizer_config.json").read_text("utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return ""
    return text if isinstance(text, str) else ""
