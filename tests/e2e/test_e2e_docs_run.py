"""Every command of the README and of docs/ is run by a test; what is not is named here with its reason."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_e2e_docs import commands

from sampan.cli.main import main
from tiny_model import save_tiny

TESTED_BY = {
    "adapt.md": "test_e2e_adapt_page.py",
    "new-language.md": "test_e2e_new_language.py",
    "merge.md": "test_e2e_merge_page.py",
    "lineages.md": "test_e2e_lineages.py",
    "cost.md": "test_e2e_lineages.py",
    "variants.md": "test_e2e_variants_page.py",
    "real-text.md": "test_e2e_cli.py",
}
"""Pages whose commands a test of their own runs, one after another as they stand. Where a recipe takes long, that test
plans it (`run --dry-run`), and these build it: test_e2e_village.py, test_e2e_shared.py (real-mini), and
benchmarks/tiny_twins.py and ablations_village.py."""

ELSEWHERE = {
    "run village": "test_e2e_village.py builds it",
    "do evals.judge": "test_e2e_judge_page.py, with a server for the judge",
    "answer_url=": "test_e2e_served_page.py, with a server for the model",
    "--help": "test_e2e_docs.py",
    "run real-mini": "test_e2e_shared.py, with the data that it needs",
}
ONLY_PARSED = {
    "--engine ray": "needs a Ray cluster at `auto`; test_recipe_engines.py runs the engine on one of its own",
    "--engine slurm": "needs Slurm; test_recipe_engines.py runs the engine with `cluster=local`",
    "--remote s3://BUCKET/team": "needs a bucket; test_e2e_s3.py runs the option on a server of its own",
    "--device cuda": "needs several GPUs; test_recipe_ranks.py runs the options on processes of this machine",
    "run sea-lion-v3-effects": "takes some ten minutes; benchmarks/effects_of_steps.py runs it",
    "vocab.measure --from tokenizers=llama2": "needs files of others; vocabulary.md has the same command",
}
"""What of a command needs a place that a test has not, and what is run in its stead."""

RECIPE = """\
recipe: NAME
languages: [eng_Latn]
stages:
  english: {stage: corpus.village, with: {part: documents, languages: [eng_Latn], num_documents: 60}}
  vocab: {stage: vocab.train, from: {documents: english}, with: {vocab_size: 384, chat_template: seallm-v2}}
  start: {stage: model.init, from: {tokenizer: vocab}, with: {hidden_size: 32, num_layers: 1, num_heads: 2}}
  tokens: {stage: corpus.pack, from: {documents: english, tokenizer: vocab}}
  cpt:
    stage: train.causal_lm
    from: {model: start, tokens: tokens}
    with: &small {num_tokens: 2048, lr: 2e-3, global_batch_tokens: 512, context_len: 128, micro_batch_tokens: 512}
  cpt_no_replay: {stage: train.causal_lm, from: {model: start, tokens: tokens}, with: {<<: *small, seed: 1}}
  chats: {stage: corpus.village, with: {part: conversations, languages: [eng_Latn], num_conversations: 12}}
  sft:
    stage: train.sft
    from: {model: cpt, conversations: chats}
    with: {lr: 1e-3, global_batch_tokens: 512, context_len: 128, micro_batch_tokens: 512}
  final:
    stage: merge.weights
    from: {base: cpt, models: [sft, cpt_no_replay]}
    with: {method: linear, weights: [1, 1], normalize: true}
"""
"""Stands for village.yaml, with the stages that pages name, where building the village would take minutes."""

HERE = {
    "README.md",
    "tutorial.md",
    "cluster.md",
    "post-train.md",
    "train.md",
    "evaluate.md",
    "language-identification.md",
}
HERE |= {"export.md", "self-preference.md", "mixture.md", "vocabulary.md", "effects.md", "fertility.md"}


def _reason(words: list[str], table: dict[str, str]) -> str:
    line = " ".join(words)
    return next((why for part, why in table.items() if part in line), "")


def test_every_command_is_run_or_named_with_a_reason():
    pages = {page for page, _ in commands()}
    assert pages == TESTED_BY.keys() | HERE, "a page with commands that no test runs"
    tests = Path(__file__).parent
    assert all((tests / file).is_file() for file in TESTED_BY.values())
    here = [" ".join(words) for page, words in commands() if page in HERE]
    for part in (*ELSEWHERE, *ONLY_PARSED):
        assert any(part in line for line in here), f"no page has '{part}' any more"
    for why in (*ELSEWHERE.values(), *ONLY_PARSED.values()):
        for file in re.findall(r"test_\w+\.py", why):
            assert list(tests.parent.rglob(file)), file
        for file in re.findall(r"benchmarks/\w+\.py", why):
            assert (tests.parents[1] / file).is_file()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with what the pages' commands name: recipes, models, text, questions."""
    here = tmp_path_factory.mktemp("lab")
    (here / "recipes").mkdir()
    for name, file in (("village", "village"), ("village", "recipes/village.yaml"), ("recipe", "recipe.yaml")):
        (here / file).write_text(RECIPE.replace("NAME", name), encoding="utf-8")
    (here / "ours.yaml").write_text(RECIPE.replace("NAME", "mekong"), encoding="utf-8")
    for name, more in {
        "TEXT": ("num_documents=60", "languages=[eng_Latn,tha_Thai]"),
        "pages": ("num_documents=20", "languages=[eng_Latn]"),
        "TRUSTED": ("num_documents=60", "languages=[eng_Latn,tha_Thai]", "seed=1"),
        "DEV": ("part=held_out", "num_documents=3", "languages=[eng_Latn,tha_Thai]"),
        "CHATS": ("part=conversations", "num_conversations=4", "languages=[eng_Latn]"),
        "DATA": ("part=task_files", "num_rows=1"),
    }.items():
        _run(here, "do", "corpus.village", *(word for given in more for word in ("--with", given)), "--out", name)
    save_tiny(here / "CHAT", context_len=1024)
    for name in ("MODEL", "BASE"):
        (here / name).symlink_to("CHAT")
    for large in ("flores200", "xlsum"):  # 156 directions and whole articles, where the page asks all that is there
        shutil.rmtree(here / "DATA" / large)
    asked = [[{"role": "user", "content": f"the cab {n}"}] for n in range(3)]
    _rows(here / "QUESTIONS.jsonl", [{"id": str(n), "language": "en", "messages": m} for n, m in enumerate(asked)])
    (here / "WORDS.txt").write_text("ตลาด\t9\nแม่น้ำ\t5\nหมู่บ้าน\t7\n", encoding="utf-8")
    sentences = {"eng_Latn": "the market opens early", "tha_Thai": "ตลาดเปิดแต่เช้า"}
    _rows(here / "TRANSLATIONS.jsonl", [{"id": "s1", "text": t, "language": code} for code, t in sentences.items()])
    (here / "my").mkdir()
    texts = {"eng_Latn": "The market opens early and boats wait.", "ind_Latn": "Pasar buka pagi dan perahu menunggu."}
    labelled = [{"text": f"{text} {n}", "language": code} for code, text in texts.items() for n in range(40)]
    _rows(here / "my/labelled.jsonl", labelled)
    vocab = ("--with", "vocab_size=600", "--out", "TARGET")
    _run(here, "do", "vocab.train", "--from", "documents=TEXT", *vocab)
    return here


def _rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _run(here: Path, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.delenv("SAMPAN_STORE", raising=False)
        patch.setattr(sys, "stdin", io.StringIO("Where does Malee live?\n/quit\n"))
        assert main(list(words)) == 0, f"sampan {' '.join(words)}"


def _serve(here: Path, *words: str) -> None:
    """Until it says its address."""
    command = [sys.executable, "-m", "sampan.cli.main", *words, "--port", "0"]
    process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert "http://127.0.0.1:" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial.md", *sorted(HERE - {"tutorial.md", "effects.md", "fertility.md"})])
def test_the_commands_of_a_page(lab, page):
    """As they stand, in one folder; the recipes `village` and `mekong` are small ones there."""
    here = [words for found, words in commands() if found == page]
    for recipe, file in (("village", "village"), ("mekong", "ours.yaml")):
        if any(recipe in word for words in here for word in words):
            _run(lab, "run", file)  # hits after the first page
    ran = 0
    for words in here:
        if _reason(words, ONLY_PARSED) or (_reason(words, ELSEWHERE) and words != ["run", "village"]):
            continue
        if words[0] == "serve":
            _serve(lab, *words)
        else:
            _run(lab, *words, *(["--force"] if words[0] == "do" else []))
        if words[:2] == ["do", "synth.self_preference"]:  # an untrained model's answers do not end: no pair is left
            pairs = ("part=preferences", "languages=[eng_Latn]", "num_conversations=3")
            given = [word for setting in pairs for word in ("--with", setting)]
            _run(lab, "do", "corpus.village", *given, "--out", "judged", "--force")
        ran += 1
    assert ran
