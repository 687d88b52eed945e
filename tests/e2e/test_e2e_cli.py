"""The real command line: quick where it must be quick, and one clear paragraph where something is wrong."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
ENV = {**os.environ, "SAMPAN_STORE": "", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
RECIPE = """\
recipe: words
inputs: {rows: "file:rows.jsonl"}
stages:
  table: {stage: crawl.table, from: {files: rows}}
  train: {stage: corpus.split, from: {documents: table}, with: {part: train}}
"""


def sampan(*words, cwd=None, **kwargs) -> subprocess.CompletedProcess:
    return python("-m", "sampan.cli.main", *words, cwd=cwd, **kwargs)


def python(*words, cwd, env=(), **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, words)]
    env = {k: v for k, v in ENV.items() if k != "SAMPAN_STORE"} | dict(env)
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, **kwargs)


def fails(*words, cwd=None) -> str:
    """Standard error of a command that must fail, in one paragraph and without a traceback."""
    done = sampan(*words, cwd=cwd)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    paragraphs = [line for line in done.stderr.strip().splitlines() if line.startswith("sampan: ")]
    assert len(paragraphs) == 1, done.stderr
    return paragraphs[0]


@pytest.fixture
def here(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    rows = [{"id": str(n), "text": f"Row {n} says something.", "language": "en"} for n in range(50)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "empty").mkdir()
    return tmp_path


def best_of(count, *words, cwd) -> float:
    """Processor seconds of the fastest of a few runs of Python. On an idle machine that is the time a person waits;
    unlike the clock, it does not count other programs' work on a busy one. Modules are compiled once and kept, as they
    are after an installation, even where the environment forbids it (containers often do): compiling takes 60 ms."""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(Path(cwd) / "compiled")}
    times = []
    for _ in range(count):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = python(*words, cwd=cwd, env=compiled)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stderr
    return min(times)


def share_of_300_ms(*words, cwd) -> float:
    """The time of a verb in 300 ms. Where importing pydantic alone takes more than 110 ms, the machine is slow at what
    starting a program is made of (a busy one is, too), and has as much more."""
    imports = best_of(5, "-c", "import pydantic.main, pydantic.dataclasses", cwd=cwd)
    return best_of(5, "-m", "sampan.cli.main", *words, cwd=cwd) / (0.3 * max(1.0, imports / 0.11))


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["plan", "recipe.yaml"], ["show"], ["show", "words/table"]]
)
def test_quick_verbs_take_less_than_300_ms(here, words):
    assert sampan("run", "recipe.yaml", cwd=here).returncode == 0
    assert share_of_300_ms(*words, cwd=here) < 1


def test_planning_the_village_takes_less_than_300_ms(tmp_path):
    assert share_of_300_ms("plan", ROOT / "recipes" / "village.yaml", cwd=tmp_path) < 1


@pytest.mark.parametrize(
    "words", [["--help"], ["plan", "recipe.yaml"], ["show", "words/table"], ["do", "train.sft", "--help"]]
)
def test_quick_verbs_do_not_import_torch(here, words):
    sampan("run", "recipe.yaml", cwd=here)
    code = f"import sys\nfrom sampan.cli.main import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"], capture_output=True, text=True, cwd=here
    )
    assert done.stdout.strip().endswith("False"), done.stderr


def test_every_verb_has_help_with_examples():
    from sampan.cli.main import VERBS

    for verb in VERBS:
        text = sampan(verb, "--help").stdout
        assert "examples:" in text or verb == "doctor", verb
        assert "usage: sampan" in text


def test_a_session(here):
    """Run, run again, show, explain a change, collect the garbage."""
    first = sampan("run", "recipe.yaml", cwd=here)
    assert "2 built, 0 hits" in first.stdout, first.stderr
    assert "0 built, 2 hits" in sampan("run", "recipe.yaml", cwd=here).stdout
    changed = sampan("run", "recipe.yaml", "--set", "train.held_out_share=0.5", cwd=here)
    assert "1 built, 1 hits" in changed.stdout
    assert "param held_out_share" in sampan("explain", "words/train", cwd=here).stdout
    shown = sampan("show", "words/train", cwd=here).stdout
    assert "made by corpus.split" in shown
    assert "says something" in shown, "sample rows"
    assert "1 objects" in sampan("gc", "--yes", cwd=here).stdout
    assert json.loads(sampan("plan", "recipe.yaml", "--json", cwd=here).stdout)["stages"][0]["status"] == "hit"
    assert sampan("doctor", cwd=here).returncode == 0


WRONG = {
    "no recipe": (["run", "none.yaml"], "none.yaml: no such recipe"),
    "unknown bundled recipe": (["run", "vilage"], "no recipe 'vilage'. Did you mean 'village'[?]$"),
    "unlike any recipe": (["run", "x"], "no recipe 'x'. Give a YAML file or one of: real-mini,"),
    "setting": (["run", "recipe.yaml", "--set", "table.languag=x"], "no parameter 'languag'. Did you mean 'language'"),
    "target": (["run", "recipe.yaml", "--to", "tabel"], "no stage 'tabel'. Did you mean 'table'"),
    "missing input": (["run", "recipe.yaml", "--set", "inputs.rows=nothing.jsonl"], "no such file"),
    "show": (["show", "words/none"], "nothing here is called"),
    "do: unknown stage": (["do", "corpus.claen", "--out", "x"], "Did you mean 'corpus.clean'"),
    "do: no out": (["do", "crawl.table", "--from", "files=rows.jsonl"], "--out DIR"),
    "do: missing file": (["do", "crawl.table", "--from", "files=no.jsonl", "--out", "x"], "no.jsonl: no such file"),
    "do: address": (["do", "crawl.table", "--from", "files=s3://x/y.jsonl", "--out", "x"],
                    'files=s3://x/y.jsonl: an address, .*inputs: [{]files: "url:s3://x/y.jsonl"'),
    "do: role": (["do", "crawl.table", "--from", "file=rows.jsonl", "--out", "x"], "no input 'file'. Did you mean"),
    "do: no input": (["do", "crawl.table", "--out", "x"], "needs the input 'files' .* Give it with --from files=PATH"),
    "do: parameter": (["do", "corpus.dedup", "--from", "documents=rows.jsonl", "--with", "threshold=3", "--out", "x"],
                      "sampan do corpus.dedup: threshold is a similarity"),
    "do: language": (["do", "crawl.table", "--from", "files=rows.jsonl", "--with", "language=xx", "--out", "x"],
                     "sampan do crawl.table: language: there is no language 'xx'. Known: eng_Latn, "),
    "do: empty folder": (["do", "crawl.table", "--from", "files=empty", "--out", "x"],
                         "/empty: no file of a kind .*reads. The folder is empty[.]$"),
    "chat with text": (["chat", "rows.jsonl"], "nothing here is called"),
    "report": (["report", "recipe.yaml", "--to", "x"], "no stage 'x'"),
    "report into a folder": (["report", "recipe.yaml", "--out", "empty"], "--out empty: this is a folder. Name"),
    "new": (["new", "m", "--languages", "tha_Tha", "--base", "dir:x"], "Did you mean 'tha_Thai'"),
    "new: unpinned": (["new", "m", "--languages", "th", "--base", "hf:org/name@main"], "not pinned"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_commands(here, case):
    words, says = WRONG[case]
    assert re.search(says, fails(*words, cwd=here)), fails(*words, cwd=here)


def test_damaged_tables(here):
    (here / "latin.jsonl").write_bytes('{"text": "café"}\n'.encode("latin-1"))
    assert "latin.jsonl:1: not UTF-8" in fails(
        "do", "crawl.table", "--from", "files=latin.jsonl", "--out", "x", cwd=here
    )
    whole = gzip.compress(b'{"text": "one two three"}\n' * 2000)
    (here / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    assert sampan("do", "crawl.table", "--from", "files=cut.jsonl.gz", "--out", "rest", cwd=here).returncode == 0
    summary = json.loads((here / "rest" / "summary.json").read_text())
    assert summary["documents"] > 0
    assert summary["dropped"] == {"damaged": {"": 1}}
    (here / "cut.jsonl.gz").write_bytes(whole[:20])
    assert "cut off" in fails("do", "crawl.table", "--from", "files=cut.jsonl.gz", "--out", "x", cwd=here)
    assert not (here / "x").exists(), "no half result"


def test_do_does_not_overwrite(here):
    assert sampan("do", "crawl.table", "--from", "files=rows.jsonl", "--out", "out", cwd=here).returncode == 0
    assert (here / "out" / "manifest.json").is_file()
    assert "there is something already" in fails(
        "do", "crawl.table", "--from", "files=rows.jsonl", "--out", "out", cwd=here
    )
    again = sampan("do", "corpus.split", "--from", "documents=out", "--out", "split", cwd=here)
    assert again.returncode == 0, again.stderr


def test_a_dry_run_forecasts_and_makes_nothing(here):
    (here / "config.json").write_text("{}")
    save_file({"weight": np.zeros((300, 400), np.float32)}, here / "model.safetensors")
    merge = ["--from", "base=.", "--from", "models=.", "--with", "method=task_arithmetic", "--with", "normalize=true"]
    said = sampan("do", "merge.weights", *merge, "--out", "merged", "--dry-run", cwd=here)
    assert re.search(r"parameters +~120k\n", said.stdout), said.stderr + said.stdout
    assert re.search(r"disk +~48\d kB\n", said.stdout), "120,000 floats and the few other files here"
    assert not (here / "merged").exists()
    assert "no such file" in fails(
        "do", "merge.weights", "--from", "base=gone", *merge[2:], "--out", "m", "--dry-run", cwd=here
    )


def test_new_writes_a_recipe_that_plans(here):
    (here / "base").mkdir()
    (here / "text").mkdir()
    (here / "text" / "a.jsonl").write_text('{"text": "x", "language": "lo"}\n')
    assert sampan("new", "mekong", "--languages", "th,lao_Laoo", "--base", "dir:base", cwd=here).returncode == 0
    done = sampan("plan", "mekong.yaml", "--set", "inputs.text=text", "--set", "inputs.chat=rows.jsonl", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "vocab.expand" in done.stdout


def test_readme_and_docs_show_commands_that_exist():
    """Every `sampan` command line in the docs parses up to its verb and options; every linked page is there."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"^\s*(?:\.venv/bin/)?sampan (.*)$", text, re.MULTILINE):
            verb, *rest = line.split("#")[0].split()
            if verb.isupper():
                continue
            shown = sampan(verb, "--help").stdout
            assert shown.startswith("usage"), f"{page.name}: sampan {line}"
            for word in rest:
                if word.startswith("--"):
                    assert word in shown, f"{page.name}: {word} in sampan {line}"
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_reference_pages_are_fresh(tmp_path):
    """docs/reference is what docs/generate.py writes today (`make docs`)."""
    copy = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", copy)
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    done = subprocess.run([sys.executable, copy / "generate.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        assert page.read_text() == (copy / "reference" / page.name).read_text(), f"{page.name} is stale: make docs"


def test_force_replaces_only_what_do_has_made(here):
    """--force must not cost anybody a folder of their own, least of all the one with the input."""
    words = ["do", "crawl.table", "--from", "files=rows.jsonl", "--force", "--out"]
    for out, says in [(".", "this folder holds"), ("rows.jsonl", "this folder holds|not a folder")]:
        assert re.search(says, fails(*words, out, cwd=here))
    (here / "mine").mkdir()
    (here / "mine" / "letter.txt").write_text("precious")
    assert "not made by" in fails(*words, "mine", cwd=here)
    assert (here / "mine" / "letter.txt").read_text() == "precious"
    for _ in range(2):
        assert sampan(*words, "out", cwd=here).returncode == 0


def test_a_file_as_store(here):
    (here / "file").write_text("x")
    fails("plan", "recipe.yaml", "--store", "file", cwd=here)


@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "cannot write here")])
def test_a_disk_that_cannot_be_written_is_told_with_the_option_for_another(here, monkeypatch, capsys, number, says):
    """By `new`, `report` and `do`, whose place is --out and not the store."""
    import sampan.cli.main as cli
    import sampan.cli.new
    import sampan.cli.report
    import sampan.recipe.alone

    def broken(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.chdir(here)
    monkeypatch.setattr(sampan.cli.new, "write_atomic", broken)
    monkeypatch.setattr(sampan.cli.report, "write_atomic", broken)
    monkeypatch.setattr(sampan.recipe.alone, "run_stage", broken)
    for words in (
        ["new", "m", "--languages", "th", "--base", "dir:x"],
        ["report", "recipe.yaml"],
        ["do", "crawl.table", "--from", "files=rows.jsonl", "--out", "x"],
    ):
        assert cli.main(words) == 1
        said = capsys.readouterr().err
        assert says in said, words
        assert "--out" in said, words
        assert "--store" not in said, words
    assert not (here / "x").exists()


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".table"))


def test_do_leaves_nothing_beside_what_it_makes(here):
    (here / "bad.jsonl").write_text("{}\n")
    assert "needs a string column" in fails(
        "do", "corpus.clean", "--from", "documents=bad.jsonl", "--out", "table", cwd=here
    )
    assert _left(here) == []
    assert sampan("do", "crawl.table", "--from", "files=rows.jsonl", "--out", "table", cwd=here).returncode == 0
    assert _left(here) == []


def test_do_goes_on_after_a_kill_and_clears_up(here):
    """The first of two shards is finished when the whole process group is killed, and is not done again."""
    (here / "in").mkdir()
    text = "Some words to count, so that the file is of a size. " * 40
    for name in "ab":
        rows = (json.dumps({"id": f"{name}{n}", "text": text, "language": "en"}) + "\n" for n in range(9000))
        (here / f"in/{name}.jsonl").write_text("".join(rows))
    command = [sys.executable, "-m", "sampan.cli.main", "do", "crawl.table", "--from", "files=in", "--out", "table"]
    out = subprocess.DEVNULL
    first = subprocess.Popen([*command, "--workers", "1"], cwd=here, start_new_session=True, stdout=out, stderr=out)
    finished, until = [], time.monotonic() + 60
    while not finished and first.poll() is None:
        assert time.monotonic() < until
        finished = list(here.glob(".table.unfinished/*/read/000000/facts.json"))
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGSTOP)  # so that it cannot end before it is killed
    assert "another process is making this folder" in fails(*command[3:], cwd=here)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    stamp = finished[0].stat().st_mtime_ns
    os.utime(finished[0].parent, ns=(stamp, stamp))
    (here / ".table.unfinished/out/half").write_text("x")
    process = json.loads(finished[0].read_text())["process"]
    assert process == first.pid
    done = sampan(*command[3:], cwd=here)
    assert done.returncode == 0, done.stderr
    assert json.loads((here / "table/manifest.json").read_text())["metrics"]["documents"] == 18000
    assert not (here / "table/half").exists()
    assert _left(here) == []


def test_names_that_are_no_text_and_pipes_are_refused(here):
    (here / "in").mkdir()
    os.mkfifo(here / "in/rows.jsonl")
    call = ("do", "crawl.table", "--from", "files=in", "--out", "table")
    assert "not a plain file" in fails(*call, cwd=here)
    (here / "in/rows.jsonl").unlink()
    os.rename(here / "rows.jsonl", os.fsencode(here / "in") + b"/\xbb\xc3.jsonl")
    assert "name is not UTF-8" in fails(*call, cwd=here)


@pytest.mark.parametrize("verb", ["do", "run"])
def test_an_engine_that_cannot_be_had_is_said_first(here, verb):
    before = sorted(path.name for path in here.iterdir())
    call = (
        ("run", "recipe.yaml") if verb == "run" else ("do", "crawl.table", "--from", "files=rows.jsonl", "--out", "t")
    )
    assert "Did you mean 'local'" in fails(*call, "--engine", "loca", cwd=here)
    assert "no setting 'x'" in fails(*call, "--engine-option", "x=1", cwd=here)
    assert "NAME=VALUE" in fails(*call, "--engine-option", "x", cwd=here)
    assert sorted(path.name for path in here.iterdir() if path.name != ".sampan") == before, "nothing was written"


def test_the_commands_of_the_how_to_pages(here):
    """Those that need nothing but files, as they stand on the page, one after another."""
    (here / "TEXT").mkdir()
    sentences = ["The river is high in August.", "Boats wait at the pier.", "Rice is carried to the mill before noon."]
    rows = [{"id": str(n), "text": f"Day {n}. " + " ".join(sentences[n % 3 :] * 3), "language": "en"} for n in range(9)]
    (here / "TEXT/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = f"<html><title>A page</title><body><p>{' '.join(sentences) * 3}</p></body></html>"
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{page}"
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/\r\nContent-Length: {len(http)}\r\n\r\n"
    (here / "crawl").mkdir()
    (here / "crawl/a.warc.gz").write_bytes(gzip.compress(f"{head}{http}\r\n\r\n".encode()))
    article = "<title>A</title><ns>0</ns><id>1</id><revision><text>Words.</text></revision>"
    wiki = f'<mediawiki xml:lang="th"><page>{article}</page></mediawiki>'
    (here / "thwiki-20240101-pages-articles.xml.bz2").write_bytes(bz2.compress(wiki.encode()))
    ran = []
    for name in ("adapt", "real-text"):
        text = (ROOT / "docs/how-to" / f"{name}.md").read_text(encoding="utf-8")
        for line in re.findall(r"^\s*sampan (do .*)$", text, re.MULTILINE):
            done = sampan(*line.split(), cwd=here)
            assert done.returncode == 0 or "was kept" in done.stderr, f"{name}.md: {line}: {done.stderr}"
            ran.append(line.split()[1])
    assert ran == ["crawl.table", "corpus.clean", "crawl.warc", "crawl.mediawiki"]


def test_a_machine_is_planned_for_and_an_unknown_one_refused(here):
    assert (
        "nothing to train, generate or evaluate"
        in sampan("plan", "recipe.yaml", "--machine", "h100x8", cwd=here).stdout
    )
    assert "no machine 'v100'" in fails("plan", "recipe.yaml", "--machine", "v100", cwd=here)
    assert "MFU is a share" in fails("plan", "recipe.yaml", "--machine", "core", "--mfu", "40", cwd=here)
    trains = RECIPE + "  base: {stage: model.import, from: {files: rows}}\n"
    trains += "  cpt: {stage: train.causal_lm, from: {model: base, tokens: packed}, with: {num_tokens: 4.0e+9}}\n"
    trains += "  packed: {stage: corpus.pack, from: {documents: table, tokenizer: base}}\n"
    (here / "recipe.yaml").write_text(trains)
    done = sampan("plan", "recipe.yaml", "--machine", "h100x64", "--price", "2", "--json", cwd=here)
    found = {stage["name"]: stage.get("on_machine") for stage in json.loads(done.stdout)["stages"]}
    assert found["cpt"]["steps"] == 954  # of 4,194,304 tokens
    assert found["cpt"]["cost"] == pytest.approx(found["cpt"]["seconds"] / 3600 * 64 * 2)
    assert found["table"] is None
    assert "954" in sampan("plan", "recipe.yaml", "--machine", "h100x64", cwd=here).stdout


def test_a_recipe_is_not_run_by_every_process_of_a_launcher(here, monkeypatch):
    monkeypatch.setitem(ENV, "WORLD_SIZE", "4")
    monkeypatch.setitem(ENV, "RANK", "1")
    assert "started 4 times" in fails("run", "recipe.yaml", cwd=here)
