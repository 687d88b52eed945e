"""Running deduplication in tests: made-up texts by script, edits, and an engine of processes in shuffled order."""

from __future__ import annotations

import os
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sampan.artifacts.documents import Document, read_documents, write_documents
from sampan.core.params import parse_params
from sampan.core.shards import run_job
from sampan.core.stage import Artifact, Inputs, Runtime
from sampan.recipe.stages import STAGES

ALPHABETS = {
    "ind_Latn": "abdegiklmnoprstu",
    "tam_Taml": "கசதபமயரலவழளனற",
    "tha_Thai": "กขคงจชดตถทนบปพมยรลวสหอ",
    "lao_Laoo": "ກຂຄງຈສຊດຕຖທນບປຜຝພຟມຢຣລວຫອ",
    "khm_Khmr": "កខគងចជដតថទនបពមយរលវសហអ",
    "mya_Mymr": "ကခဂငစဆဇတထဒနပဖဗမယရလဝသဟအ",
    "zho_Hans": "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年",
}


def text_of(chance: random.Random, language: str, units: int) -> str:
    """Random words between spaces, or random letters in one line where there are none."""
    letters = ALPHABETS[language]
    if language in ("ind_Latn", "tam_Taml"):
        return " ".join("".join(chance.choices(letters, k=chance.randint(3, 6))) for _ in range(units))
    return "".join(chance.choices(letters, k=units))


def edited(chance: random.Random, text: str, language: str, share: float) -> str:
    """`share` of the text's units replaced, put in or taken out, each as often as the other."""
    joint = " " if " " in text else ""
    units = text.split(" ") if joint else list(text)
    for _ in range(round(share * len(units))):
        place, kind = chance.randrange(len(units)), chance.choice("rit")
        new = text_of(chance, language, 1)
        units[place : place + (kind != "i")] = [] if kind == "t" else [new]
    return joint.join(units)


def documents_artifact(folder: Path, documents: list[Document], parts: int = 1) -> Artifact:
    """The documents in so many folders of shards below `folder`."""
    for part in range(parts):
        (folder / f"part{part}").mkdir(parents=True)
        write_documents(folder / f"part{part}", documents[part::parts])
    return Artifact(path=folder, kind="documents", digest="0" * 64, name=folder.name)


def run_dedup(tmp_path: Path, inputs: dict[str, list], params=None, *, stage="corpus.dedup", engine=None, parts=1):
    """(kept documents, metrics, output folder) of the stage on {role: [list of documents, …]}."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    (folder / "out").mkdir()
    given = {
        role: [documents_artifact(folder / f"{role}{n}", docs, parts) for n, docs in enumerate(lists)]
        for role, lists in inputs.items()
    }
    options = {"run_shards": engine} if engine else {}
    runtime = Runtime(out=folder / "out", state=folder / "state", **options)
    spec = STAGES.load(stage)
    metrics = spec.run(parse_params(spec.params, params or {}, where="test"), Inputs(given), runtime)
    return list(read_documents(folder / "out")), metrics, folder / "out"


def four_workers(jobs, on_done):
    """Four processes, which take the jobs in shuffled order."""
    order = list(jobs)
    random.Random(len(order)).shuffle(order)
    with ProcessPoolExecutor(4) as pool:
        for job, _ in zip(order, pool.map(_run, order), strict=True):
            on_done(job)


def _run(job):
    os.environ["OMP_NUM_THREADS"] = "1"
    run_job(job)


def rows(documents) -> list[str]:
    return sorted(str(document.row()) for document in documents)
