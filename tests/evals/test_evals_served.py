"""`evals.run` on models behind an OpenAI-compatible endpoint: our own server, and ones that follow a script."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampan.artifacts.items import Item, write_items
from sampan.artifacts.scores import read_scores
from sampan.core.errors import InputError, RecipeError, StageError
from sampan.core.params import parse_params
from sampan.core.spread import Spread
from sampan.core.stage import Inputs, Runtime
from sampan.evals.run import STAGE, Params
from scripted_server import ScriptedServer, error
from tiny_model import LETTERS

URL = "http://127.0.0.1:1/v1"


@pytest.fixture(scope="module")
def wordy(make_tiny, tmp_path_factory):
    """Single bytes and control tokens are never the likeliest: bytes that are no text are shown otherwise in a stream,
    and so could not be compared."""
    import torch

    from sampan.model.checkpoint import load_model, save_model

    folder = make_tiny(tmp_path_factory.mktemp("served") / "wordy")
    model = load_model(folder)
    with torch.no_grad():
        model.lm_head.weight[:259] = 0
    save_model(model, folder)
    return folder


@pytest.fixture(scope="module")
def url(wordy):
    from sampan.serve.server import open_server

    server = open_server(wordy, name="served", port=0, token="secret")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"{server.url}/v1"
    server.stop()
    thread.join(timeout=20)


@pytest.fixture
def questions(tmp_path, artifact):
    """Choices in plain text and in a chat, preferences, and answers to be written, some of which end at a stop."""
    rows = []
    for n in range(10):
        ask = f"มา {LETTERS[3 * n % 50]} ask {n}: "
        chat = [{"role": "user", "content": f"{LETTERS[n]} the {n}"}]
        choices = [" the", "b a", f"{n} มานา"]
        rows.append(Item(f"{n}", "quiz", "multiple_choice", "tha_Thai", ask, choices, str(n % 3)))
        rows.append(Item(f"{n}", "chat_quiz", "multiple_choice", "eng_Latn", chat, choices, str(n % 3)))
        rows.append(Item(f"{n}", "better", "preference", "eng_Latn", chat, ["the cab", "มา"]))
        rows.append(Item(f"{n}", "say", "generate", "eng_Latn", ask, [], "a", meta={"stop": ["a", "b"]}))
        rows.append(Item(f"{n}", "chat_say", "generate", "eng_Latn", chat, [], "a"))
    (tmp_path / "items").mkdir()
    write_items(tmp_path / "items", rows)
    return artifact(tmp_path / "items", "items")


@pytest.fixture
def held_out(tmp_path, artifact):
    path = tmp_path / "held.jsonl"
    rows = [{"text": text, "language": "tha_Thai"} for text in ("มานาน the cab " * 9, "a", "ฉันไ abc\n" * 4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return artifact(path, "external")


def rows_of(out, name: str, model: str) -> list[dict]:
    lines = (out / name).read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row.pop("model") == model]


def test_evals_served_and_local_models_get_the_same_scores(
    run_stage, artifact, wordy, url, questions, held_out, monkeypatch
):
    """The same checkpoint here and behind our server, asked everything that `evals.run` can ask, in one run."""
    monkeypatch.setenv("SERVED_KEY", "secret")
    given = {"models": [artifact(wordy, "checkpoint")], "items": [questions], "held_out": [held_out]}
    given["tokenizer"] = [artifact(wordy, "checkpoint")]
    how = {"max_new_tokens": 6, "context_len": 32, "answer_models": ["served"], "answer_url": url}
    how |= {"answer_key_variable": "SERVED_KEY", "prompt_price": 2e6}
    out, metrics = run_stage(STAGE, given, **how)
    here, there = ({(s.task, s.metric): s for s in read_scores(out) if s.model == m} for m in ("wordy", "served"))
    tasks = {"held_out", "quiz", "chat_quiz", "better", "say", "chat_say"}
    assert {task for task, _ in here} == tasks
    assert here.keys() == there.keys()
    for key, score in here.items():
        # sums of log-probabilities differ by the rounding of single and batched passes
        assert there[key].value == pytest.approx(score.value, abs=1e-4), key
        assert (there[key].prompt_digest, there[key].n) == (score.prompt_digest, score.n)
    answers = set()
    pairs = zip(rows_of(out, "records.jsonl", "wordy"), rows_of(out, "records.jsonl", "served"), strict=True)
    for mine, theirs in pairs:
        if mine["task"] in ("say", "chat_say"):
            assert mine["output"] == theirs["output"]
            answers.add(mine["output"])
        else:
            assert mine["extracted"] == theirs["extracted"]
        assert mine["verdict"] == pytest.approx(theirs["verdict"])
    assert len(answers) > 10
    assert metrics["failed"] == {"served": {}}
    spent = metrics["spent"]["served"]
    assert spent["cost"] == 2 * spent["prompt_tokens"] > 0
    again = {**given, "replies": [artifact(out, "scores")]}
    monkeypatch.setattr("sampan.model.endpoint.Client.ask_all", lambda *_: pytest.fail("asked again"))
    repeated, _ = run_stage(STAGE, again, state="again", **how)
    for file in out.iterdir():
        assert file.read_bytes() == (repeated / file.name).read_bytes(), file.name


def test_evals_served_tasks_that_cannot_be_asked_are_named_before_any_question(
    run_stage, artifact, tiny, questions, held_out, url, make_tiny, tmp_path, monkeypatch
):
    given = {"items": [questions], "held_out": [held_out]}
    how = {"answer_models": ["served"], "answer_url": url, "answer_key_variable": "SERVED_KEY"}
    monkeypatch.setenv("SERVED_KEY", "secret")
    named = "held_out, better, chat_quiz, quiz cannot be asked there"
    with pytest.raises(InputError, match=f"{named}: .*Give its folder as the input `tokenizer`"):
        run_stage(STAGE, given, **how)
    odd = make_tiny(tmp_path / "odd")
    text = (odd / "tokenizer.json").read_text(encoding="utf-8").replace('"ข"', '"ฃ"').replace('"ค"', '"ฅ"')
    (odd / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"{named}: `tokenizer` is not that of served"):
        run_stage(STAGE, {**given, "tokenizer": [artifact(odd, "checkpoint")]}, **how)
    plain = {"choices": [{"text": "x", "logprobs": None}], "usage": {}}
    given["tokenizer"] = [artifact(tiny, "checkpoint")]
    with ScriptedServer(lambda body: (200, plain)) as server:
        with pytest.raises(InputError, match=f"{named}: the server gives no log-probabilities"):
            run_stage(STAGE, given, answer_models=["m"], answer_url=server.url)
        assert len(server.seen) == 2
    chats_only = ScriptedServer(lambda body: "x" if "messages" in body else error(404, "no such route"))
    with chats_only as server, pytest.raises(InputError, match=f"{named}: .*nothing to ask.*A server that only chats"):
        run_stage(STAGE, given, answer_models=["m"], answer_url=server.url)


@pytest.fixture
def written(tmp_path, artifact):
    """Three items to be written, one in plain text."""
    rows = [Item(f"{n}", "say", "generate", "eng_Latn", [{"role": "user", "content": f"{n}?"}], [], "7") for n in "01"]
    rows.append(Item("2", "say", "generate", "eng_Latn", "2?", [], "7", meta={"stop": list("uvwxyz")}))
    (tmp_path / "written").mkdir()
    write_items(tmp_path / "written", rows)
    return {"items": [artifact(tmp_path / "written", "items")]}


def answer(body: dict, text: str = "7"):
    if "messages" in body:
        return text
    return 200, {"choices": [{"text": text, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}


QUICK = {"answer_models": ["m"], "retry_seconds": 0.001, "request_tries": 2, "concurrency": 1, "sample_prompts": 0}


def test_evals_served_goes_on_where_an_outage_ended_it(run_stage, written):
    """An answer that nobody gave is never a zero: the stage fails, and asks the next time for what is missing."""
    down = {"0?"}

    def script(body):
        text = body.get("prompt") or body["messages"][-1]["content"]
        return error(503, "come back later") if text in down else answer(body)

    with ScriptedServer(script) as server:
        how = {**QUICK, "answer_url": server.url}
        with pytest.raises(StageError, match="1 of 3 requests were not answered.*come back later"):
            run_stage(STAGE, written, **{**how, "concurrency": 3})
        server.seen.clear()
        down.clear()
        out, metrics = run_stage(STAGE, written, **how)
        assert 1 <= len(server.seen) <= 3
        assert metrics["spent"]["m"]["prompt_tokens"] == 23
    (score,) = read_scores(out)
    assert (score.model, score.value, score.n) == ("m", 1.0, 3)


def test_evals_served_refused_answers_are_counted(run_stage, written):
    """They count as empty; fields of the request can be changed, and OpenAI takes four stops at most."""

    def script(body):
        return error(400, "no", "content_filter") if "1?" in str(body) else answer(body)

    with ScriptedServer(script) as server:
        options = {"temperature": None, "max_completion_tokens": 9}
        out, metrics = run_stage(STAGE, written, answer_url=server.url, answer_options=options, **QUICK)
        chats = [body for _, body in server.seen if body["path"] == "/v1/chat/completions"]
        (plain,) = (body for _, body in server.seen if body["path"] == "/v1/completions")
    assert metrics["failed"] == {"m": {"refused": 1}}
    (score,) = read_scores(out)
    assert (score.value, score.empty) == (pytest.approx(2 / 3), 1)
    assert all(body.keys() == {"path", "model", "messages", "max_completion_tokens"} for body in chats)
    assert plain["stop"] == list("uvwx")


def test_evals_served_two_processes_ask_once(tmp_path, artifact, tiny, written, one_loads_at_a_time):
    """Threads stand for processes: one asks the endpoint, the other one has its answers too."""
    given = Inputs({**written, "models": [artifact(tiny, "checkpoint")]})

    def one(number: int, url: str) -> list:
        out = tmp_path / f"out-{number}"
        out.mkdir()
        runtime = Runtime(out=out, state=tmp_path / "state", spread=Spread(processes=2))
        STAGE.run(parse_params(Params, {**QUICK, "answer_url": url}, where="test"), given, runtime)
        return read_scores(out)

    with ScriptedServer(answer) as server, ThreadPoolExecutor(2) as pool:
        first, second = pool.map(one, (0, 1), (server.url, server.url))
        assert len(server.seen) == 3
    assert first == second
    assert {score.model for score in first} == {"tiny", "m"}


def test_evals_served_clear_errors(run_stage, written, artifact, tiny):
    with pytest.raises(RecipeError, match="nobody to examine.*answer_models"):
        STAGE.check_inputs({"items": ["items"]}, Params(), where="scores")
    with pytest.raises(InputError, match="nobody answers at the endpoint"):
        run_stage(STAGE, written, answer_models=["m"], answer_url=URL)
    given = {**written, "models": [artifact(tiny, "checkpoint")]}
    with pytest.raises(RecipeError, match="two models are called 'tiny'"):
        run_stage(STAGE, given, answer_models=["tiny"], answer_url=URL)
    nowhere = ScriptedServer(lambda body: error(404, "no such route"))
    with nowhere as server, pytest.raises(InputError, match="nothing to ask at this address"):
        run_stage(STAGE, written, answer_models=["m"], answer_url=server.url)


@pytest.mark.parametrize(
    "values",
    [
        {"answer_models": ["m"]},
        {"answer_models": ["m", "m"], "answer_url": URL},
        {"answer_models": ["m"], "answer_url": URL, "answer_options": {"messages": []}},
        {"concurrency": 0},
        {"timeout_seconds": 0},
        {"prompt_price": -1},
    ],
)
def test_evals_served_bad_params(values):
    with pytest.raises(RecipeError):
        parse_params(Params, values, where="test")
