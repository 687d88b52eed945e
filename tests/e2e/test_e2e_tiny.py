"""A whole lineage through the real command line: built, built again, killed and taken up, shown, reported, served."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = Path(__file__).with_name("tiny.yaml")
KILLS = 20


def command(*words) -> list[str]:
    return [sys.executable, "-m", "sampan.cli.main", *map(str, words)]


def sampan(*words, cwd=None) -> str:
    done = subprocess.run(command(*words), capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(store: Path) -> dict[str, str]:
    import json

    plan = json.loads(sampan("plan", RECIPE, "--store", store, "--json"))
    return {stage["name"]: stage["digest"] for stage in plan["stages"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("tiny") / "store"
    sampan("run", RECIPE, "--store", store)
    return store


def test_second_run_is_all_hits_within_three_seconds(built):
    clock = time.monotonic()
    said = sampan("run", RECIPE, "--store", built)
    assert re.search(r"0 built, \d+ hits", said)
    assert time.monotonic() - clock < 3


def test_every_stage_kind_is_in_the_lineages_under_test():
    """What is neither here nor in the village's own recipe is a door for outside files, tested in its room."""
    from sampan.recipe.stages import STAGES

    text = RECIPE.read_text() + RECIPE.with_name("quality.yaml").read_text()
    doors = {"crawl.table", "crawl.html", "crawl.mediawiki", "crawl.common_crawl", "crawl.chat"}
    doors |= {"corpus.split", "lang.train_identifier", "vocab.import", "model.import", "evals.lm_eval"}
    doors |= {"evals.sea_helm", "evals.items", "evals.mean_of_runs"}
    assert {name for name in STAGES if name not in text} == doors


def test_one_changed_param_reruns_its_descendants(built, tmp_path):
    """Exactly what depends on the change is planned again, and explain names the parameter."""
    store = tmp_path / "store"
    shutil.copytree(built, store)
    change = ["--set", "sft.lr=2e-3"]
    plan = sampan("plan", RECIPE, "--store", store, *change)
    status = {line.split()[1]: line.split()[0] for line in plan.splitlines()[1:] if line[:3] in ("hit", "run", "pen")}
    changed = {name for name, what in status.items() if what != "hit"}
    assert changed == {
        "sft",
        "judged",
        "aligned",
        "final",
        "searched",
        "scores",
        "chat_scores",
        "clean_scores",
        "forgetting",
        "ship",
        "ship_gguf",
    }
    sampan("run", RECIPE, "--store", store, "--to", "sft", *change)
    assert "sft: param lr: 0.001 -> 0.002" in sampan("explain", "tiny/sft", "--store", store)


def test_report_is_one_file_with_every_stage(built, tmp_path):
    page = tmp_path / "report.html"
    sampan("report", RECIPE, "--store", built, "--out", page)
    text = page.read_text(encoding="utf-8")
    for name in digests(built):
        assert name in text
    assert not re.search(r"""(?:src|href)=["']https?:|@import|url\(\s*["']?https?:""", text)


def test_the_scoreboard_is_complete_with_errors_and_a_ledger(built, tmp_path):
    """Every model that was asked in every language on every task, each with its standard error; every step in the
    ledger."""
    page = tmp_path / "report.html"
    sampan("report", RECIPE, "--store", built, "--out", page)
    text = page.read_text(encoding="utf-8")
    one = r'<h3>([^<]+)</h3><p class="note">Value ± standard error.*?<table class="board">(.*?)</table>'
    boards = re.findall(one, text, re.DOTALL)
    # A tokenizer has no error, and what a judge saw is test_e2e_judge_page's.
    boards = [(title, table) for title, table in boards if not title.startswith(("Tokenizer", "Mt bench"))]
    assert len(boards) >= 10
    for title, table in boards:
        languages = table.count('scope="col"') - 1
        rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL)
        assert [re.match(r"\w+", name)[0] for name, _ in rows] == ["base", "cpt", "final"], title
        for _, cells in rows:
            assert cells.count("±") == languages >= 1, title
    ledger = re.search(r'id="ledger".*?</section>', text, re.DOTALL)[0]
    assert all(f"{parent} → {child}" in ledger for parent, child in (("base", "cpt"), ("cpt", "final")))


def test_report_of_a_lineage_that_is_not_built(tmp_path):
    page = tmp_path / "report.html"
    sampan("report", RECIPE, "--store", tmp_path / "empty", "--out", page)
    assert "pending" in page.read_text(encoding="utf-8")


def test_manifests_tell_the_whole_story(built):
    import json

    manifest = json.loads(sampan("show", "tiny/ship", "--json", "--store", built))
    assert manifest["licenses"] == ["CC0-1.0"]
    assert {"torch", "transformers", "numpy"} <= manifest["libraries"].keys()
    assert manifest["inputs"]["model"][0]["digest"] == digests(built)["final"]


def test_chat_in_the_terminal(built):
    done = subprocess.run(
        command("chat", "tiny/final", "--store", built, "--max-tokens", "5"),
        input="Where does Malee live?\n/quit\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_serve_with_the_openai_client(built):
    """The real client chats, streaming and not; without the token it is refused; only loopback is bound."""
    openai = pytest.importorskip("openai")
    process = subprocess.Popen(
        command("serve", "tiny/final", "--store", built, "--port", "0", "--token", "secret"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="secret", max_retries=0)
        ask = {
            "model": "tiny/final",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 8,
            "temperature": 0,
        }
        whole = client.chat.completions.create(**ask).choices[0].message.content
        parts = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**ask, stream=True)]
        assert "".join(parts) == whole
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).chat.completions.create(**ask)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) is not None


def test_serving_beyond_this_machine_needs_a_token(built):
    env = {key: value for key, value in os.environ.items() if key != "SAMPAN_TOKEN"}
    words = command("serve", "tiny/final", "--store", built, "--host", "0.0.0.0", "--port", "0")
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert "token" in done.stderr


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(built, tmp_path):
    """kill -9 at twenty random moments of one build, training included: the digests of an undisturbed one."""
    store = tmp_path / "store"
    draw = random.Random(4)
    for _ in range(KILLS):
        process = subprocess.Popen(
            command("run", RECIPE, "--store", store, "--checkpoint-seconds", "0.5"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(draw.uniform(0.1, 7.0))
        process.kill()
        process.wait()
    sampan("run", RECIPE, "--store", store)
    assert digests(store) == digests(built)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_real_report_in_a_browser_without_a_network(built, browser, tmp_path, width):
    file = tmp_path / "report.html"
    sampan("report", RECIPE, "--store", built, "--out", file)
    page = browser.new_context(viewport={"width": width, "height": 900}, offline=True).new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert said == []
    assert asked == [file.as_uri()]
    for name in digests(built):
        assert page.locator(f'.node[data-stage="{name}"]').count() == 1, name
    page.context.close()


def test_a_mergekit_configuration_runs_as_it_is(built, tmp_path):
    """The same merge as the recipe's: its YAML in mergekit's words, its folders from the store."""
    path = {
        name: sampan("show", f"tiny/{name}", "--path", "--store", built).strip() for name in ("cpt", "sft", "aligned")
    }
    (tmp_path / "merge.yml").write_text(
        f"merge_method: task_arithmetic\nbase_model: {path['cpt']}\nmodels:\n"
        f"  - model: {path['sft']}\n    parameters: {{weight: 0.5}}\n"
        f"  - model: {path['aligned']}\n    parameters: {{weight: 0.5}}\n"
        "parameters: {normalize: false}\ndtype: float32\n"
    )
    sampan("do", "merge.weights", "--config", tmp_path / "merge.yml", "--out", tmp_path / "merged")
    assert (tmp_path / "merged" / "model.safetensors").stat().st_size > 1000
    (tmp_path / "merge.yml").write_text(
        "merge_method: linear\nmodels:\n  - {model: /nowhere, parameters: {weight: 1}}\n"
    )
    done = subprocess.run(
        command("do", "merge.weights", "--config", tmp_path / "merge.yml", "--out", tmp_path / "none"),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no such folder: /nowhere" in done.stderr
