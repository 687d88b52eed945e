"""Binding, the terminal chat, and what a folder's decoding defaults do."""

from __future__ import annotations

import json
import shutil
import socket

import pytest

from sampan.core.errors import InputError, SampanError
from sampan.model.generate import Decoding
from sampan.serve.engine import ContextError, Engine
from sampan.serve.guard import is_loopback
from sampan.serve.server import open_server, serve
from sampan.serve.terminal import chat_terminal


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
def test_outside_needs_a_token(host, tmp_path):
    with pytest.raises(SampanError, match=r"reached from other machines.*token"):
        serve(tmp_path, name="x", host=host, port=0)


@pytest.mark.parametrize("token", ["", "  ", "ก", "a\n"])
def test_useless_tokens_are_refused(token, tmp_path):
    with pytest.raises(SampanError, match="token is empty"):
        serve(tmp_path, name="x", token=token, port=0)


def test_a_taken_port_is_said_before_the_model_loads(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SampanError, match=r"port \d+ of 127.0.0.1 cannot be used.*another port"):
            serve(tmp_path / "no-model", name="x", port=taken.getsockname()[1])


def test_a_missing_model_frees_the_port(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(InputError):
        open_server(tmp_path, name="x", port=port)
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))


def test_insecure_binding_is_possible_when_said(running, model_folder):
    with running(model_folder, host="0.0.0.0", insecure=True) as url:
        assert url.startswith("http://localhost:")


def test_loopback_names():
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "localhost.example", "::", "10.0.0.1", ""]))


def test_decoding_defaults_come_from_the_folder(model_folder, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(model_folder, folder)
    defaults = {"do_sample": True, "temperature": 0.25, "top_p": 0.5, "max_new_tokens": 9, "eos_token_id": [2, 300]}
    (folder / "generation_config.json").write_text(json.dumps(defaults), encoding="utf-8")
    engine = Engine(folder)
    assert (engine.temperature, engine.top_p, engine.max_new_tokens) == (0.25, 0.5, 9)
    assert {2, 300} <= set(engine.stop_ids)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": False}), encoding="utf-8")
    assert Engine(folder).temperature == 0


def test_answers_fit_the_window_and_longer_prompts_are_refused(engine):
    ids = [300] * (engine.context_len - 3)
    reply = engine.complete(ids, Decoding(max_new_tokens=50))
    reply.text()
    assert (reply.completion_tokens, reply.finish) == (3, "length")
    with pytest.raises(ContextError, match="4096"):
        engine.complete([300] * engine.context_len, Decoding(max_new_tokens=1))


def talk(engine, lines, **more):
    said, waiting = [], iter(lines)

    def read(prompt):
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    conversation = chat_terminal(engine, decoding=Decoding(max_new_tokens=8), read=read, write=said.append, **more)
    return conversation, "".join(said)


def test_terminal_answers_with_the_conversation_so_far(engine):
    conversation, said = talk(engine, ["hello", "", "again"], system="be kind", seed=0)
    first = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]
    answer = engine.chat(first, Decoding(max_new_tokens=8)).text()
    assert [turn["role"] for turn in conversation.turns] == ["user", "assistant"] * 2
    assert conversation.turns[1]["content"] == answer
    assert answer in said
    more = [*first, {"role": "assistant", "content": answer}, {"role": "user", "content": "again"}]
    assert conversation.turns[3]["content"] == engine.chat(more, Decoding(max_new_tokens=8)).text()


def test_terminal_commands(engine):
    conversation, said = talk(engine, ["a", "b", "/undo", "/system be brief", "/what", "/quit", "never read"])
    assert [turn["content"] for turn in conversation.turns if turn["role"] == "user"] == ["a"]
    assert conversation.system == "be brief"
    assert "no command /what" in said
    conversation, said = talk(engine, ["a", "/reset", "/undo", "/system", "/help"], system="x")
    assert conversation.turns == []
    assert conversation.system == ""
    assert "nothing to take back" in said


def test_terminal_interrupt_ends_the_answer_and_keeps_what_came(engine):
    pieces = []

    def write(text):
        pieces.append(text)
        if len(pieces) == 3:
            raise KeyboardInterrupt

    lines = iter(["hello", "/quit"])
    conversation = chat_terminal(
        engine, decoding=Decoding(max_new_tokens=500), read=lambda prompt: next(lines), write=write
    )
    assert conversation.turns[1]["content"] == "".join(pieces[:3])


def test_terminal_says_errors_and_goes_on(engine):
    conversation, said = talk(engine, ["ก" * 5000, "/quit"])
    assert "4096" in said
    assert conversation.turns == []
