"""`vocab.budget_curve`: what each part of an expansion saved, where the curve bends, and what each size would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages


@params
class Params:
    points: int = 16
    """Sizes measured between none and all of the new pieces, evenly spaced."""
    order: Literal["language", "id"] = "language"
    """What a smaller size keeps: `language`, the first pieces of every language in equal shares; `id`, the first of
    the vocabulary, right where all languages were grown together."""
    languages: tuple[str, ...] = ()
    """Languages to measure; empty for all that the documents have."""
    max_documents: int = 500
    """Texts measured at most per language, chosen by a digest of their id."""
    min_saving: float = 0.01
    """Share of the tokens that 1,000 more pieces of a language must save to be worth it. Ours, not a paper's."""
    hidden_size: int = 4096
    """Width of the model whose cost is reckoned, where the inputs are no checkpoints; this and the next are Llama 2
    7B's."""
    num_layers: int = 32
    """Its layers."""
    intermediate_size: int = 11_008
    """Width of its MLP."""
    kv_size: int = 0
    """Width of its keys and values together over their heads; 0 for `hidden_size`."""
    tied: bool = False
    """Whether embedding and head are one matrix."""

    def __post_init__(self) -> None:
        check_languages(self)
        if min(self.points, self.max_documents, self.hidden_size, self.num_layers, self.intermediate_size) < 1:
            raise ValueError("points, max_documents and the model's sizes must be at least 1")
        if not 0 < self.min_saving < 1:
            raise ValueError("min_saving is a share between 0 and 1")


def run(params: Params, inputs: Inputs, runtime: Runtime) -> Mapping[str, Any]:
    from .budget import curve
    from .budget_files import write_curve
    from .measured_text import measured_texts
    from .open_tokenizer import read_spec, tokenizer_file
    from .truncation import Truncation

    base, expanded = inputs.one("base"), inputs.one("expanded")
    texts, licenses = measured_texts(
        inputs.many("documents"), runtime, languages=params.languages, max_documents=params.max_documents
    )
    files = [tokenizer_file(item.path, runtime.state / role) for role, item in (("base", base), ("expanded", expanded))]
    report = curve(params, files[0], Truncation(*map(read_spec, files)), texts, _shape(params, inputs), runtime)
    write_curve(runtime.out, report)
    return {
        "new_pieces": report["new_pieces"],
        "relative_tokens": report["points"][-1]["relative_tokens"],
        "knee": report["knees"]["all"],
        "licenses": licenses,
    }


def _shape(params: Params, inputs: Inputs) -> Any:
    """The model's shape: a checkpoint's own where one is given, else the params'."""
    from ..model.checkpoint import read_config
    from .model_cost import Shape, shape_of

    for role in ("expanded", "base"):
        path = inputs.one(role).path
        if (path / "config.json").is_file():
            return shape_of(read_config(path), where=str(path))
    return Shape(
        hidden_size=params.hidden_size,
        num_layers=params.num_layers,
        intermediate_size=params.intermediate_size,
        kv_size=params.kv_size or params.hidden_size,
        tied=params.tied,
    )


def estimate(params: Params, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """A tokenizer is built and the text encoded once for each size."""
    size = sum(fact.get("text_bytes", 1e6) for fact in facts.get("documents", ()))
    return {"seconds": 5 + (params.points + 2) * (2 + size / 1e6), "memory_bytes": 1e9 + 4 * size, "disk_bytes": 1e5}


STAGE = Stage(
    name="vocab.budget_curve",
    revision=1,
    summary="Compression against the number of new pieces by language, its knees, and what each size costs.",
    params=Params,
    inputs={
        "base": Role(kinds=("tokenizer", "checkpoint"), help="the tokenizer that was expanded"),
        "expanded": Role(kinds=("tokenizer", "checkpoint"), help="what vocab.expand made of it"),
        "documents": Role(kinds=("documents",), help="text by language that was not learned from", many=True),
    },
    output="bundle",
    run=run,
    estimate=estimate,
    heavy=True,
    paper="Ours: an expansion shortened piece by piece; the chord rule is Kneedle (Satopää et al. 2011); "
    "FLOPs as in Kaplan et al. 2020 (arXiv:2001.08361).",
)
