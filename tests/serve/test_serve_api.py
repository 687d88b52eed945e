"""The HTTP API against OpenAI's own client and against rude ones."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import openai
import pytest

HELLO = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "สวัสดี hello"}]


def call(url, path, body=None, *, headers=None, raw=None):
    """(status, JSON) of a request made by hand."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url + path, data=data, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chat(url, **more):
    return call(url, "/v1/chat/completions", {"messages": HELLO, "max_tokens": 4, **more})


def test_models_and_health(client, url):
    assert [model.id for model in client.models.list()] == ["mini"]
    assert client.models.retrieve("mini").id == "mini"
    status, facts = call(url, "/health")
    assert (status, facts["status"], facts["token_required"]) == (200, "ok", False)


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_streamed_pieces_join_to_the_whole_answer(client, temperature):
    asked = {"model": "mini", "messages": HELLO, "max_tokens": 40, "temperature": temperature, "seed": 7}
    whole = client.chat.completions.create(**asked)
    events = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert whole.choices[0].message.content == text
    assert text
    assert events[0].choices[0].delta.role == "assistant"
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] == "length"
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 40
    assert events[-1].usage == whole.usage
    assert client.chat.completions.create(**{**asked, "max_tokens": 5}).choices[0].message.content in text


def test_the_answer_is_the_models_own(client, engine):
    from sampan.model.generate import Decoding, generate

    asked = {"model": "mini", "messages": HELLO, "max_tokens": 30, "temperature": 0}
    text = client.chat.completions.create(**asked).choices[0].message.content
    ids = generate(engine.model, [engine.chat_ids(HELLO)], Decoding(max_new_tokens=30), stop_ids=engine.stop_ids)[0]
    from sampan.serve.detokenise import Detokeniser

    detokeniser = Detokeniser(engine.token_bytes, at_start=True)
    assert text == "".join([*map(detokeniser.push, ids), detokeniser.flush()])


def test_stop_strings_end_the_answer_before_themselves(client):
    asked = {"model": "mini", "messages": HELLO, "max_tokens": 60, "temperature": 0}
    text = client.chat.completions.create(**asked).choices[0].message.content
    stop = text[10:14]  # spans pieces: the random model says one letter or byte at a time
    for stream in (False, True):
        answer = client.chat.completions.create(**asked, stop=[stop], stream=stream)
        if stream:
            events = list(answer)
            found = "".join(event.choices[0].delta.content or "" for event in events)
            finish = events[-1].choices[0].finish_reason
        else:
            found, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert found == text[: text.index(stop)]
        assert finish == "stop"


def test_seeds_repeat_and_differ(client):
    def answer(seed):
        asked = {"model": "mini", "messages": HELLO, "max_tokens": 20, "temperature": 1.5, "seed": seed}
        return client.chat.completions.create(**asked).choices[0].message.content

    assert answer(1) == answer(1)
    assert len({answer(seed) for seed in range(4)}) > 1


def test_completion_goes_on_from_the_prompt(client, engine):
    from sampan.model.generate import Decoding

    made = client.completions.create(model="mini", prompt="the", max_tokens=12, temperature=0, echo=True)
    assert made.choices[0].text == "the" + engine.complete("the", Decoding(max_new_tokens=12)).text()
    pieces = client.completions.create(model="mini", prompt="the", max_tokens=12, temperature=0, stream=True)
    assert "the" + "".join(piece.choices[0].text for piece in pieces) == made.choices[0].text


def test_logprobs_of_an_echoed_prompt_equal_the_scorer(client, engine):
    from sampan.model.scoring import continuations

    made = client.completions.create(model="mini", prompt="the thin a", max_tokens=0, echo=True, logprobs=2)
    scored, ids = made.choices[0].logprobs, engine.text_ids("the thin a")
    assert len(scored.tokens) == len(ids) == len(scored.top_logprobs)
    assert scored.token_logprobs[0] is None
    assert len(scored.top_logprobs[1]) == 2
    ours = continuations(engine.model, [(ids[:1], ids[1:])])[0].logprob
    # One float32 forward pass each; sums of a few log-probabilities agree to 1e-3.
    assert sum(scored.token_logprobs[1:]) == pytest.approx(ours, abs=1e-3)


def test_logprobs_of_the_answer_are_those_of_greedy_choice(client):
    made = client.completions.create(model="mini", prompt="the", max_tokens=6, temperature=0, logprobs=1)
    scored = made.choices[0].logprobs
    assert len(scored.tokens) == 6
    best = [next(iter(row.values())) for row in scored.top_logprobs]
    assert scored.token_logprobs == pytest.approx(best, abs=1e-6)  # the same numbers, through JSON


@pytest.mark.parametrize("logprobs", [None, 1])
def test_a_prompt_beyond_the_context_is_not_scored(url, logprobs):
    asked = {"prompt": [5] * 4097, "max_tokens": 0, "echo": True, "logprobs": logprobs}
    status, body = call(url, "/v1/completions", asked)
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")


def test_scoring_counts_as_waiting_and_a_full_queue_scores_nothing(engine, monkeypatch):
    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from sampan.serve import app

    api, seen = app.Api(engine, app.Settings(name="mini", max_waiting=1)), []

    def slow(*_, **__):
        time.sleep(0.05)  # whatever an earlier turn of this request still has to settle is settled by now
        seen.append(api.queue.waiting)

    monkeypatch.setattr(app, "token_logprobs", slow)
    handlers = {app.ApiError: lambda request, error: app.JSONResponse(error.body(), error.status)}
    routes = [Route("/v1/completions", api.completions, methods=["POST"])]
    client = TestClient(Starlette(routes=routes, exception_handlers=handlers))
    asked = {"prompt": "the", "max_tokens": 2, "logprobs": 1}
    assert client.post("/v1/completions", json=asked).status_code == 200
    assert seen == [1]
    api.queue.waiting = 1
    assert client.post("/v1/completions", json=asked).status_code == 503
    assert seen == [1]


def test_only_the_scored_tail_gets_logits(engine):
    import torch

    from sampan.serve.logprobs import token_logprobs

    ids, head, rows = engine.text_ids("the thin a"), engine.model.get_output_embeddings(), []
    whole = token_logprobs(engine, ids, start=0, top=0)["token_logprobs"]
    with torch.no_grad():
        hook = head.register_forward_hook(lambda module, given, made: rows.append(made.shape[1]))
        tail = token_logprobs(engine, ids, start=len(ids) - 2, top=0)["token_logprobs"]
        assert token_logprobs(engine, ids, start=len(ids), top=0)["token_logprobs"] == []
        hook.remove()
    assert rows == [3]
    # The same float32 products, of which a matrix of another height may round the last bits otherwise.
    assert tail == pytest.approx(whole[-2:], abs=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("n", 2, "n must be 1"),
        ("temperature", 3, "at most 2"),
        ("temperature", "hot", "a number"),
        ("top_p", 0, "above 0"),
        ("max_tokens", 0, "at least 1"),
        ("max_tokens", 10**6, "at most 4096"),
        ("max_tokens", True, "whole number"),
        ("stream", "yes", "true or false"),
        ("stop", ["a"] * 5, "at most 4"),
        ("stop", "", "non-empty"),
        ("seed", 1.5, "whole number"),
        ("messages", [], "at least one"),
        ("messages", "hi", "must be a list"),
        ("messages", [{"role": "wizard", "content": "x"}], r"messages\[0\].role"),
        ("messages", [{"role": "user", "content": [{"type": "image_url"}]}], "text only"),
        ("messages", [{"role": "user", "content": "\ud800"}], "surrogate"),
        ("tools", [{"type": "function"}], "not supported"),
        ("frequency_penalty", 0.5, "not supported"),
        ("temprature", 1, "Did you mean 'temperature'"),
    ],
)
def test_bad_fields_are_named(url, field, value, says):
    import re

    status, body = chat(url, **{field: value})
    assert status == 400
    assert re.search(says, body["error"]["message"])
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"].startswith(field.partition("[")[0])


def test_neutral_fields_are_accepted(url):
    status, _ = chat(
        url, frequency_penalty=0, n=1, user="me", tools=[], response_format={"type": "text"}, logprobs=False
    )
    assert status == 200


def test_parts_of_content_are_joined(url):
    parts = [{"type": "text", "text": "สวัสดี "}, {"type": "text", "text": "hello"}]
    joined = chat(url, messages=[HELLO[0], {"role": "user", "content": parts}], temperature=0)
    assert joined[1]["choices"] == chat(url, temperature=0)[1]["choices"]


@pytest.mark.parametrize("raw", [b"{", b"", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_bad_json_is_a_400(url, raw):
    status, body = call(url, "/v1/chat/completions", raw=raw)
    assert status == 400
    assert body["error"]["message"]


def test_other_errors_have_the_same_shape(url):
    assert chat(url, model="gpt-9")[0] == 404
    assert call(url, "/v1/nothing")[1]["error"]["type"] == "invalid_request_error"
    assert call(url, "/v1/chat/completions")[0] == 405
    assert call(url, "/v1/chat/completions", {}, headers={"Content-Type": "text/plain"})[0] == 415
    status, body = chat(url, messages=[{"role": "user", "content": "ก" * 5000}])
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")


def test_openai_client_raises_its_own_errors(client):
    with pytest.raises(openai.BadRequestError, match="n must be 1"):
        client.chat.completions.create(model="mini", messages=HELLO, n=2)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=HELLO)


def test_token_is_required_and_compared(guarded_url):
    assert chat(guarded_url)[0] == 401
    assert chat(guarded_url)[1]["error"]["code"] == "invalid_api_key"
    for wrong in ("Bearer s3cre", "Bearer s3crett", "Basic s3cret", "s3cret", "Bearer ségret"):
        headers = {"Authorization": wrong.encode("latin-1").decode("latin-1")}
        assert call(guarded_url, "/v1/models", headers=headers)[0] == 401
    client = openai.OpenAI(base_url=f"{guarded_url}/v1", api_key="s3cret", max_retries=0)
    assert client.chat.completions.create(model="mini", messages=HELLO, max_tokens=3).choices[0].message.content
    assert call(guarded_url, "/health")[1]["token_required"] is True


def test_limits_of_body_and_tokens(guarded_url):
    headers = {"Authorization": "Bearer s3cret"}
    long = {"messages": [{"role": "user", "content": "x" * 3000}]}
    assert call(guarded_url, "/v1/chat/completions", long, headers=headers)[0] == 413
    status, body = call(guarded_url, "/v1/chat/completions", {"messages": HELLO, "max_tokens": 51}, headers=headers)
    assert (status, body["error"]["param"]) == (400, "max_tokens")


@pytest.mark.parametrize(("host", "status"), [("evil.example", 403), ("localhost:1", 200), ("127.0.0.1", 200)])
@pytest.mark.parametrize("path", ["/", "/health", "/v1/models"])
def test_foreign_host_names_are_refused(url, host, status, path):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    assert response.status == status
    assert response.getheader("Access-Control-Allow-Origin") is None
    connection.close()


def test_requests_at_once_are_all_answered_alike_and_in_turn(client, url):
    asked = {"model": "mini", "messages": HELLO, "max_tokens": 25, "temperature": 0}
    alone = client.chat.completions.create(**asked).choices[0].message.content
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.chat.completions.create(**asked), range(6)))
    assert {answer.choices[0].message.content for answer in answers} == {alone}
    assert wait_for(lambda: call(url, "/health")[1]["waiting"] == 0)


def wait_for(true, seconds=5.0):
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("stream", [True, False])
def test_generation_ends_when_the_client_goes(url, stream):
    """4,000 tokens would take this model far longer than the wait allows."""
    body = json.dumps({"messages": HELLO, "max_tokens": 4000, "stream": stream, "temperature": 0})
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    if stream:
        assert connection.getresponse().read(50)
    assert wait_for(lambda: call(url, "/health")[1]["waiting"] == 1)
    connection.sock.close()
    connection.close()
    assert wait_for(lambda: call(url, "/health")[1]["waiting"] == 0, 2.0)


@pytest.mark.shared
def test_stories260k_tells_its_golden_story_over_http(shared, running, tmp_path):
    from sampan.model.llama2c import convert

    source = shared / "data/models/stories260K"
    convert(source / "stories260K.bin", source / "tok512.bin", tmp_path)
    golden = (source / "greedy_256.txt").read_text(encoding="utf-8").strip()
    with running(tmp_path) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        made = client.completions.create(model="mini", prompt="", max_tokens=256, temperature=0)
        pieces = client.completions.create(model="mini", prompt="", max_tokens=256, temperature=0, stream=True)
        assert "".join(piece.choices[0].text for piece in pieces) == made.choices[0].text
        assert made.choices[0].text.startswith(golden)
        status, body = call(url, "/v1/chat/completions", {"messages": HELLO})
        assert status == 400
        assert "no chat template" in body["error"]["message"]
