"""crawl.table: documents from JSONL, Parquet or text files."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage
from ..lang.codes import check_languages
from ..lang.profile import reads_own_profiles


@params
class Params:
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder (`th/*.jsonl.gz`, `**/*.parquet`); empty reads every table."""
    text_column: str = ""
    """Column that holds the text, such as `content`; empty takes `text`."""
    id_column: str = ""
    """Column that names the row; empty takes `id`, and where there is none the row's place."""
    language_column: str = ""
    """Column that holds the language; empty takes `language` or `lang`."""
    url_column: str = ""
    """Column that holds the address; empty takes `url`."""
    language: str = ""
    """Language of every row, over what the rows say; empty keeps the rows' own."""
    languages: list[str] = field(default_factory=list)
    """Keep only these languages; empty keeps all."""
    license: str = ""
    """Licence of every row, over what the rows say."""
    source: str = ""
    """Source name of every row, over what the rows say."""
    quality: str = ""
    """Quality bucket given to every row, such as `high` for a curated source."""
    max_documents: int = 0
    """Most documents kept from one file, the first ones; 0 keeps all."""

    def __post_init__(self) -> None:
        check_languages(self)


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from .table_shards import crawl

    return crawl(params, inputs.many("files"), runtime)


def estimate(params: Params, inputs) -> dict:
    from ..artifacts.tables import file_kind
    from .files import forecast_bytes

    size = forecast_bytes(inputs.get("files", []), params.paths, lambda path: file_kind(path) != "")
    return {"text_bytes": size, "disk_bytes": size / 3, "seconds": size / 3e7}


STAGE = Stage(
    name="crawl.table",
    revision=3,
    summary="Documents from JSONL, Parquet or text files.",
    params=Params,
    inputs={"files": Role(kinds=("documents",), help="a table file, or a folder of them", many=True)},
    output="documents",
    run=run,
    reads=reads_own_profiles,
    estimate=estimate,
    paper="The door for text that others have collected; no method of its own.",
)
