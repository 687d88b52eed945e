"""crawl.table: documents from JSONL, Parquet or text files."""

from __future__ import annotations

from dataclasses import field

from ..core.params import params
from ..core.stage import Inputs, Role, Runtime, Stage


@params
class Params:
    paths: list[str] = field(default_factory=list)
    """Glob patterns relative to the input folder (`th/*.jsonl.gz`, `**/*.parquet`); empty reads every table."""
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


def run(params: Params, inputs: Inputs, runtime: Runtime) -> dict:
    from dataclasses import replace

    from ..artifacts.documents import DocumentWriter, document_of
    from ..artifacts.tables import file_kind, read_rows
    from ..core.errors import InputError, RecipeError
    from ..lang.codes import normalise_code
    from .files import matching_files, row_name

    override = normalise_code(params.language, where="language") if params.language else ""
    wanted = {normalise_code(code, where="languages") for code in params.languages}
    given = {name: value for name in ("license", "source", "quality") if (value := getattr(params, name))}
    sources = [
        (s, f) for s in inputs.many("files") for f in matching_files(s, params.paths, lambda p: file_kind(p) != "")
    ]
    seen = 0
    with DocumentWriter(runtime.out) as writer:
        for number, (source, file) in enumerate(sources):
            runtime.progress(number, len(sources), "files")
            kept = 0
            for place, row in read_rows(file):
                seen += 1
                name = row["id"] if row.get("id") not in (None, "") else row_name(source, file, place)
                document = document_of({**row, "id": name}, place)
                try:
                    language = override or (normalise_code(document.language) if document.language else "")
                except RecipeError:
                    writer.drop("unknown_language", "", f"{document.language}: {document.id}")
                    continue
                if wanted and language not in wanted:
                    writer.drop("unwanted_language", language)
                elif not document.text.strip():
                    writer.drop("empty", language, document.id)
                else:
                    writer.write(replace(document, language=language, **given))
                    kept += 1
                if params.max_documents and kept >= params.max_documents:
                    break
        summary = writer.summary()
    if not summary["documents"]:
        raise InputError(
            f"none of {seen} rows became a document (dropped: {summary['dropped']})",
            where=", ".join(sorted({s.name for s, _ in sources})),
            how="Check `languages` and the rows' `language`; `language` overrides it.",
        )
    return {"rows": seen, "files": len(sources), "documents": summary["documents"], "text_bytes": summary["text_bytes"]}


def estimate(params: Params, inputs) -> dict:
    from ..artifacts.tables import file_kind
    from .files import forecast_bytes

    size = forecast_bytes(inputs.get("files", []), params.paths, lambda path: file_kind(path) != "")
    return {"text_bytes": size, "disk_bytes": size / 3, "seconds": size / 3e7}


STAGE = Stage(
    name="crawl.table",
    revision=1,
    summary="Documents from JSONL, Parquet or text files.",
    params=Params,
    inputs={"files": Role(kinds=("documents",), help="a table file, or a folder of them", many=True)},
    output="documents",
    run=run,
    estimate=estimate,
    paper="The door for text that others have collected; no method of its own.",
)
