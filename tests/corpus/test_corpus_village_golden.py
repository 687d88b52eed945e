"""What the village says at this revision: a digest of the languages' files and one document in each language.

`python tests/corpus/test_corpus_village_golden.py` (with src on the path) writes both golden files; run it, and raise
the stage's revision, in the commit that changes a language.
"""

import importlib.resources
import json
from pathlib import Path

from sampan.core.identity import digest_text, digest_value
from sampan.corpus.village.codes import LANGUAGES
from sampan.corpus.village.documents import make_plan, tell_plan
from sampan.corpus.village.stage import STAGE
from sampan.corpus.village.world import build_world

GOLDEN = Path(__file__).parents[1] / "golden"
COMMAND = "python tests/corpus/test_corpus_village_golden.py"
NUMBER = 3


def languages_digest():
    folder = importlib.resources.files("sampan.corpus.village").joinpath("languages")
    files = {p.name: digest_text(p.read_text(encoding="utf-8")) for p in folder.iterdir() if p.name.endswith(".yaml")}
    assert sorted(files) == sorted(f"{code}.yaml" for code in LANGUAGES)
    return digest_value(files)


def languages_golden():
    return {"command": COMMAND, "revision": STAGE.revision, "digest": languages_digest()}


def documents_golden():
    plan = make_plan(build_world(0), 0, NUMBER)
    texts = {code: tell_plan(plan, code, 0, NUMBER).text for code in LANGUAGES}
    return {"command": COMMAND, "revision": STAGE.revision, "number": NUMBER, "texts": texts}


def read(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def test_languages_change_only_with_the_revision():
    assert read("village_languages.json") == languages_golden(), (
        f"A language's file changed: raise STAGE.revision in corpus/village/stage.py, then run {COMMAND}"
    )


def test_one_document_in_every_language():
    assert read("village_documents.json") == documents_golden()


if __name__ == "__main__":
    for name, value in (("village_languages.json", languages_golden()), ("village_documents.json", documents_golden())):
        text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
        (GOLDEN / name).write_text(text + "\n", encoding="utf-8")
