"""crawl.chat: conversations or preferences from tables in the field's usual shapes, or through a template."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles

_BYTES_PER_ROW = 600  # for forecasts


@params
class Params:
    part: Literal["conversations", "preferences"] = "conversations"
    """What the rows are, and the kind of artifact made."""
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder; empty reads every table."""
    language: str = ""
    """Language of every row; empty keeps the rows' own."""
    language_field: str = ""
    """Column that holds a row's language, when it is not called `language` or `lang`."""
    languages: list[str] = field(default_factory=list)
    """Keep only these languages; empty keeps all."""
    license: str = ""
    """Licence of every row, over what the rows say."""
    source: str = ""
    """Source name of every row, over what the rows say."""
    max_rows: int = 0
    """Most rows kept from one file, the first ones of the split; 0 keeps all."""
    split: Literal["all", "train", "held_out"] = "all"
    """Which side of a split by the hash of the row's id; the two sides never meet."""
    held_out_share: float = 0.05
    """Expected share of rows on the held-out side."""
    salt: str = ""
    """Changes which rows are held out."""
    template: dict[str, str] = field(default_factory=dict)
    """Text by role with `{column}` places, to make conversations (keys system, user, assistant) or preferences (keys
    system, user, chosen, rejected) of rows with other columns, such as parallel sentences."""

    def __post_init__(self) -> None:
        check_languages(self)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .chat_rows import crawl

    return crawl(params, inputs.many("files"), runtime)


def estimate(params: Params, inputs) -> dict:
    from ..artifacts.tables import file_kind
    from .files import forecast_bytes

    size = forecast_bytes(inputs.get("files", []), params.paths, lambda path: file_kind(path) != "")
    if params.max_rows:
        size = min(size, params.max_rows * _BYTES_PER_ROW * max(1, len(params.paths)))
    return {"text_bytes": size, "documents": size / _BYTES_PER_ROW, "disk_bytes": size / 3, "seconds": size / 1e7}


STAGE = Stage(
    name="crawl.chat",
    revision=2,
    summary="Conversations or preferences from Alpaca, ShareGPT, OpenAI, TRL or templated tables.",
    params=Params,
    inputs={"files": Role(kinds=("conversations", "preferences"), help="a table file, or a folder of them", many=True)},
    output=lambda params, given: params.part,
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="The door for instruction and preference data; shapes as in LLaMA-Factory and TRL.",
)
