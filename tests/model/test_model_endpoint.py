"""The client of OpenAI-compatible servers: what is tried again, what is a failure, what ends the work."""

from __future__ import annotations

import time

import pytest

from sampan.core.errors import InputError, StageError
from sampan.model.endpoint import Client, Endpoint, Reply
from scripted_server import ScriptedServer, completion, error

ASK = {"messages": [{"role": "user", "content": "?"}]}


def endpoint(server: ScriptedServer, **given) -> Endpoint:
    return Endpoint(**{"base_url": server.url, "model": "m", "tries": 3, "retry_seconds": 0.001, **given})


def told(*answers, **given) -> tuple[Reply, int]:
    """The reply to one request when the server answers so in turn (the last one for ever), and its sendings."""
    left = list(answers)
    with ScriptedServer(lambda body: left.pop(0) if len(left) > 1 else left[0]) as server:
        reply = Client(endpoint(server, **given)).ask(ASK)
        return reply, len(server.seen)


def test_model_endpoint_sends_openai_s_body_and_counts_tokens():
    with ScriptedServer(lambda body: "twelve chars") as server:
        reply = Client(endpoint(server)).ask({**ASK, "temperature": 0})
    (headers, body) = server.seen[0]
    assert reply == Reply("twelve chars", "", 10, 3)
    assert body == {"path": "/v1/chat/completions", "model": "m", "temperature": 0, **ASK}
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "busy",
    [
        error(429, "slow down"),
        error(503, "full"),
        (200, b"not json"),
        (200, {"choices": []}),
        (500, b"<html>oops</html>"),
    ],
    ids=["429", "503", "no JSON", "no choice", "html"],
)
def test_model_endpoint_asks_again_and_counts_an_outage(busy):
    assert told(busy, busy, "fine") == (Reply("fine", "", 10, 1), 3)
    reply, sent = told(busy)
    assert (reply.failure, sent) == ("outage", 3)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (error(400, "This model's maximum context length is 8192 tokens"), "too_long"),
        (error(400, "no", "context_length_exceeded"), "too_long"),
        (error(400, "filtered", "content_filter"), "refused"),
        (error(422, "temperature must be 1"), "rejected"),
        ((200, completion(None, refusal="no")), "refused"),
        ((200, {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}), "refused"),
    ],
)
def test_model_endpoint_tells_failures_apart(answer, failure):
    reply, sent = told(answer)
    assert (reply.failure, sent) == (failure, 1)


def test_model_endpoint_reads_parts_and_half_characters():
    parts = completion("")
    parts["choices"][0]["message"]["content"] = [{"type": "text", "text": "a"}, {"type": "text", "text": "\ud800b"}]
    assert told((200, parts))[0].text == "a\ufffdb"  # half a surrogate pair fits in no file


def test_model_endpoint_waits_as_long_as_it_is_told():
    begun = time.monotonic()
    assert told(error(429, "wait", **{"Retry-After": "1"}), "fine")[0].text == "fine"
    assert time.monotonic() - begun >= 1.0


def test_model_endpoint_keeps_to_a_pace():
    """Five requests at 1,200 a minute are at least four times 50 ms apart, side by side as they are."""
    with ScriptedServer(lambda body: "x") as server:
        client = Client(endpoint(server, requests_per_minute=1200, concurrency=5))
        begun = time.monotonic()
        client.ask_all([ASK] * 5, lambda number, reply: None)
        assert time.monotonic() - begun >= 0.2
    assert client.requests == 5


def test_model_endpoint_answers_belong_to_their_requests():
    def slow_first(body):
        text = body["messages"][0]["content"]
        time.sleep(0.05 if text == "0" else 0)
        return f"re {text}"

    got = {}
    with ScriptedServer(slow_first) as server:
        asked = [{"messages": [{"role": "user", "content": str(n)}]} for n in range(8)]
        Client(endpoint(server, concurrency=4)).ask_all(asked, lambda n, reply: got.setdefault(n, reply.text))
    assert got == {n: f"re {n}" for n in range(8)}


def test_model_endpoint_follows_no_redirect_with_its_key(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    with ScriptedServer(lambda body: "stolen") as other:
        away = (307, {}, {"Location": f"{other.url}/chat/completions"})
        with pytest.raises(InputError, match="nothing to ask at this address"):
            told(away, key_variable="SOME_KEY")
        assert other.seen == []


def test_model_endpoint_ends_where_waiting_mends_nothing():
    with pytest.raises(InputError, match="does not let us in .HTTP 401.*set `key_variable`"):
        told(error(401, "who are you"))
    with pytest.raises(InputError, match="the model's name 'm'"):
        told(error(404, "no such model"))
    with pytest.raises(StageError, match="has nothing left"):
        told(error(429, "pay", "insufficient_quota"))
