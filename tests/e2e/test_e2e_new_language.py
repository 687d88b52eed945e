"""docs/how-to/new-language.md, followed word for word on a copy of the package that does not know Javanese."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "new-language.md"
CODE = "jav_Latn"
TEXT = {
    "jv": ["wikipedia_sentences", "nusax_train", "talpco"],
    "id": ["ntrex128", "nusax_train", "talpco"],
    "en": ["ntrex128"],
}
SMALL = {
    "known.epochs": 1,
    "known.max_characters_per_language": 200_000,
    "expanded.num_new_tokens": 512,
    "cpt.num_tokens": 60_000,
    "cpt.lr": 3e-3,
    "cpt.global_batch_tokens": 4096,
    "cpt.micro_batch_tokens": 4096,
    "cpt.context_len": 256,
}
"""The page's recipe at a size for tests; the model here is untrained, so its learning rate is higher."""


class Lab:
    """A folder with a package that lacks the language, and what the page gives to write."""

    def __init__(self, here: Path, shared: Path) -> None:
        self.here, self.text = here, PAGE.read_text(encoding="utf-8")
        shutil.copytree(ROOT / "src" / "sampan", here / "package" / "sampan")
        (here / "package" / "sampan" / "lang" / "profiles" / f"{CODE}.yaml").unlink()
        profile, recipe = re.findall(r"^```yaml\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)
        (here / "languages").mkdir()
        (here / "languages" / f"{CODE}.yaml").write_text(profile, encoding="utf-8")
        (here / "javanese.yaml").write_text(recipe, encoding="utf-8")
        for language, names in TEXT.items():
            (here / "text" / language).mkdir(parents=True)
            for name in names:
                file = f"text/{language}/{name}.jsonl.gz"
                rows = gzip.decompress((shared / "data" / file).read_bytes()).splitlines()[:150]
                (here / file).write_bytes(gzip.compress(b"\n".join(rows) + b"\n", mtime=0))

    def commands(self, verb: str) -> list[list[str]]:
        return [line.split()[1:] for line in re.findall(rf"^sampan {verb} .*$", self.text, re.MULTILINE)]

    def sampan(self, *words: str, own: bool = True) -> subprocess.CompletedProcess:
        env = {**os.environ, "PYTHONPATH": str(self.here / "package")}
        env.pop("SAMPAN_PROFILES", None)
        if own:
            env["SAMPAN_PROFILES"] = "languages"
        command = [sys.executable, "-m", "sampan.cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.here, env=env)

    def do(self, *words: str, own: bool = True) -> str:
        done = self.sampan(*words, own=own)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def result(self, stage: str) -> Path:
        """The folder of a stage of the recipe."""
        ref = json.loads((self.here / f".sampan/refs/javanese/{stage}.json").read_text())
        return next((self.here / ".sampan/objects").glob(f"*/{ref['digest']}"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory, shared):
    lab = Lab(tmp_path_factory.mktemp("lab"), shared)
    lab.do("do", "crawl.table", "--from", "files=text/en", "--out", "english", own=False)
    lab.do("do", "vocab.train", "--from", "documents=english", "--with", "vocab_size=512", "--out", "VOCAB", own=False)
    shape = [word for given in ("hidden_size=64", "num_layers=2", "num_heads=2") for word in ("--with", given)]
    lab.do("do", "model.init", "--from", "tokenizer=VOCAB", *shape, "--out", "BASE", own=False)
    return lab


@pytest.mark.shared
@pytest.mark.slow
def test_a_language_is_added_by_its_profile_and_text_alone(lab):
    """Every command of the page; then that Javanese was known, kept, cheaper in tokens and learned."""
    words = ("--from", "documents=english", "--with", "languages=[jv]", "--out", "none")
    missing = lab.sampan("do", "corpus.clean", *words, own=False)
    assert "there is no language 'jv'" in missing.stderr, "the copy must not know it"
    ran = lab.commands("do")
    assert [words[1] for words in ran] == ["crawl.table", "lang.train_identifier", "corpus.clean", "corpus.calibrate"]
    small = ("--with", "epochs=1", "--with", "max_characters_per_language=200000")
    for words in ran:
        lab.do(*words, *(small if words[1] == "lang.train_identifier" else ()))
    read, clean = (json.loads((lab.here / name / "summary.json").read_text()) for name in ("read", "clean"))
    assert "unknown_language" not in read.get("dropped", {})
    kept, was = (facts["by_language"][CODE]["documents"] for facts in (clean, read))
    assert kept >= 0.99 * was, "the page calls a loss below 1 % of trusted text good"
    recall = json.loads((lab.here / "known/manifest.json").read_text())["metrics"]["held_out_recall"]
    assert recall[CODE] >= 0.95, "the page's good value"

    settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    for words in (*lab.commands("plan"), *lab.commands("run"), *lab.commands("report")):
        lab.do(*words, *settings, own=False)  # the recipe names the folder itself
    assert (lab.here / "javanese-report.html").is_file()
    fertility = json.loads((lab.result("measured") / "fertility.json").read_text())
    tokens = {each["name"]: each["by_language"][CODE]["tokens"] for each in fertility["tokenizers"]}
    assert tokens["expanded"] < 0.8 * tokens["start"], "new pieces are of its words"
    bits = _bits(lab.result("scores"))
    assert bits["cpt"] < 0.9 * bits["start"], "an untrained model learns more than a tenth in a minute"


def _bits(folder: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    return {row["model"]: row["value"] for row in rows if row["language"] == CODE and "bits" in row["metric"]}


@pytest.mark.shared
@pytest.mark.slow
def test_other_languages_results_are_the_same_bytes(lab):
    (lab.here / "others").mkdir()
    for language in ("id", "en"):
        shutil.copytree(lab.here / "text" / language, lab.here / "others" / language)
    for own in (True, False):
        out = "with" if own else "without"
        lab.do("do", "crawl.table", "--from", "files=others", "--out", f"{out}-read", own=own)
        keep = "languages=[ind_Latn,eng_Latn]"
        lab.do(
            "do", "corpus.clean", "--from", f"documents={out}-read", "--with", keep, "--out", f"{out}-clean", own=own
        )
    for name in ("read", "clean"):
        assert _bytes(lab.here / f"with-{name}") == _bytes(lab.here / f"without-{name}")


def _bytes(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert files
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.shared
@pytest.mark.slow
def test_the_profile_s_content_is_part_of_what_a_result_is(lab):
    """A changed word changes the keys of stages that know languages, and of none that does not."""
    folder = lab.here / "languages"
    file = folder / f"{CODE}.yaml"
    before = file.read_text(encoding="utf-8")
    shown = []
    try:
        for text in (before, before.replace("[lan, ing,", "[lan, ing, sawijining,")):
            file.write_text(text, encoding="utf-8")
            given = ("--set", "inputs.base=BASE", "--set", "cpt.context_len=256")  # a small base has a short window
            plan = lab.do("plan", "javanese.yaml", *given, "--json", "--store", "other", own=False)
            shown.append({stage["name"]: stage.get("key") for stage in json.loads(plan)["stages"]})
    finally:
        file.write_text(before, encoding="utf-8")
    assert shown[0]["read"] != shown[1]["read"]
    assert shown[0]["start"] == shown[1]["start"]
