"""`evals.judge` with tiny models: answers in turns, a local judge, conversations as questions, published files."""

from __future__ import annotations

import json
import threading

import pytest

from sampan.artifacts.conversations import Conversation, write_conversations
from sampan.artifacts.scores import read_scores
from sampan.core.errors import InputError, RecipeError
from sampan.core.identity import digest_value
from sampan.core.params import parse_params
from sampan.evals.judge import STAGE, Params
from sampan.evals.judging.benchmark import FOLDER, Wording, load_benchmark, load_templates
from sampan.evals.judging.questions import ChatQuestion, read_answers, read_questions, thinned
from scripted_server import ScriptedServer
from tiny_model import LETTERS

HOW = {"benchmark": "sea_bench", "judge_model": "scripted", "max_new_tokens": 6}


def seven(body):
    return "[[A]]" if "two assistants" in body["messages"][0]["content"] else "[[7]]"


@pytest.fixture
def questions(tmp_path, artifact):
    rows = [
        {"question_id": n, "category": "writing" if n % 2 else "math", "lang": "th", "turns": [f"the cab {n}", "abc?"]}
        for n in range(4)
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return artifact(path, "external")


def answers_of(out) -> dict:
    lines = (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {(row["model_id"], row["question_id"]): row["choices"][0]["turns"] for row in rows}


def test_evals_judge_second_turn_sees_the_first_answer(run_stage, artifact, tiny, other, questions, loaded):
    """Each answer is what greedy decoding gives to the model's own conversation in its own template."""
    from sampan.model.chat import prompt_ids, stop_ids
    from sampan.model.generate import Decoding, generate

    given = {"questions": [questions], "models": [artifact(tiny, "checkpoint"), artifact(other, "checkpoint")]}
    with ScriptedServer(seven) as server:
        out, metrics = run_stage(STAGE, given, base_url=server.url, **HOW)
    made = answers_of(out)
    assert len(made) == 8
    model, tokenizer = loaded
    for number in range(4):
        first, second = made["tiny", str(number)]
        talk = [{"role": "user", "content": f"the cab {number}"}]
        talk += [{"role": "assistant", "content": first}, {"role": "user", "content": "abc?"}]
        for upto, said in ((1, first), (3, second)):
            ids = generate(
                model, [prompt_ids(tokenizer, talk[:upto])], Decoding(max_new_tokens=6), stop_ids=stop_ids(tokenizer)
            )
            assert tokenizer.decode(ids[0], skip_special_tokens=True).strip() == said
    assert {s.value for s in read_scores(out) if s.metric == "score"} == {7.0}
    assert metrics["turns"] == 16


def test_evals_judge_models_are_compared_with_each_other(run_stage, artifact, tiny, other, questions):
    given = {"questions": [questions], "models": [artifact(tiny, "checkpoint"), artifact(other, "checkpoint")]}
    how = {**HOW, "grading": ["pairwise"], "opponent": "other"}
    with ScriptedServer(seven) as server:
        out, metrics = run_stage(STAGE, given, base_url=server.url, **how)
    assert {s.model for s in read_scores(out)} == {"tiny"}  # nobody is compared with itself
    assert metrics["flip_rate"] == 1.0
    with ScriptedServer(seven) as server, pytest.raises(RecipeError, match="no answers of the opponent 'chatgpt'"):
        run_stage(STAGE, given, base_url=server.url, **{**how, "opponent": ""})


def test_evals_judge_published_temperatures_are_sampled_by_question(run_stage, artifact, tiny, questions):
    """MT-Bench's `writing` is sampled, `math` is greedy, and neither depends on the batch or the other questions."""
    given = {"questions": [questions], "models": [artifact(tiny, "checkpoint")]}
    changes = ({}, {"batch_size": 1}, {"seed": 1}, {"temperatures": "greedy"})
    with ScriptedServer(seven) as server:
        runs = []
        for number, change in enumerate(changes):
            how = {**HOW, "benchmark": "mt_bench", "temperatures": "published", **change}
            runs.append(run_stage(STAGE, given, state=str(number), base_url=server.url, **how)[0])
    whole, small, seeded, greedy = map(answers_of, runs)
    assert whole == small
    for number in range(4):
        key = ("tiny", str(number))
        assert (whole[key] == greedy[key]) == (number % 2 == 0)
        assert (whole[key] == seeded[key]) == (number % 2 == 0)


def test_evals_judge_finished_answers_are_read_back(run_stage, artifact, tiny, questions, monkeypatch):
    from sampan.model import checkpoint

    given = {"questions": [questions], "models": [artifact(tiny, "checkpoint")]}
    with ScriptedServer(seven) as server:
        first, _ = run_stage(STAGE, given, base_url=server.url, **HOW)
        monkeypatch.setattr(checkpoint, "load_model", lambda *_, **__: pytest.fail("loaded again"))
        again, _ = run_stage(STAGE, given, base_url=server.url, **HOW)
        asked = len(server.seen)
    assert asked == len((first / "replies.jsonl").read_text().splitlines())
    for file in first.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name


def test_evals_judge_a_local_checkpoint_judges(run_stage, artifact, make_tiny, tiny, questions, tmp_path):
    """A judge that knows nothing gives no verdict: counted and told, not a zero; too long a prompt is never cut."""
    judge = make_tiny(tmp_path / "judge", context_len=1024)
    given = {
        "questions": [questions],
        "models": [artifact(tiny, "checkpoint")],
        "judge": [artifact(judge, "checkpoint")],
    }
    how = {**HOW, "judge_model": "", "judge_max_tokens": 8}
    with pytest.raises(Exception, match="no verdict that can be read"):
        run_stage(STAGE, given, **how)
    given["judge"] = [artifact(tiny, "checkpoint")]  # a window of 128 tokens
    with pytest.raises(Exception, match="tokens, and the window has room for 120"):
        run_stage(STAGE, given, state="short", **how)
    with pytest.raises(InputError, match="leaves no room for a prompt"):
        run_stage(STAGE, given, state="none", **{**how, "judge_max_tokens": 128})


def test_evals_judge_a_small_checkpoint_judges_by_what_it_would_likely_write(run_stage, artifact, make_tiny, tmp_path):
    """Every verdict can be read, and is the mark whose log-probability after the judge's prompt is highest."""
    from sampan.model.checkpoint import load_model
    from sampan.model.encoding import encode_choices
    from sampan.model.scoring import continuations
    from sampan.model.tokenizer import load_tokenizer

    folder = make_tiny(tmp_path / "judge", context_len=2048, seed=3)
    rows = [
        {"question_id": n, "category": "c", "lang": "th", "turns": [f"a {n}"], "chatgpt_response": "b"} for n in "ab"
    ]
    answers = [{"question_id": n, "model_id": "m", "choices": [{"turns": [f"the {n}"]}]} for n in "ab"]
    for name, values in (("rows", rows), ("answers", answers)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    given = {"questions": [artifact(tmp_path / "rows.jsonl", "external")]}
    given["answers"] = [artifact(tmp_path / "answers.jsonl", "external")]
    given["judge"] = [artifact(folder, "checkpoint")]
    how = {"benchmark": "sea_bench", "judge_reply": "likeliest"}
    out, metrics = run_stage(STAGE, given, **how)
    assert metrics["judged"] == metrics["turns"] == 4
    told = {}
    for row in map(json.loads, (out / "replies.jsonl").read_text(encoding="utf-8").splitlines()):
        told[row["asked"]] = row["reply"]["text"]
    assert len(told) == 6  # two grades, two pairs in both orders
    rules = load_benchmark("sea_bench")
    question = read_questions(given["questions"], language="", references=[])[0]
    messages = Wording(rules, load_templates(rules, None), "").single(question, 0, ["the a"])
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    marks = [f"[[{n}]]" for n in range(11)]
    scores = [one.logprob for one in continuations(model, encode_choices(tokenizer, messages, marks))]
    assert told[digest_value(messages)] == marks[scores.index(max(scores))]
    del given["judge"]
    with pytest.raises(RecipeError, match="only a local judge"):
        run_stage(STAGE, given, **how)


def test_evals_judge_a_base_model_is_refused_before_anything_is_asked(
    run_stage, artifact, make_tiny, questions, tmp_path
):
    base = make_tiny(tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    given = {"questions": [questions], "models": [artifact(base, "checkpoint", "base")]}
    with ScriptedServer(seven) as server, pytest.raises(InputError, match="base: this model has no chat template"):
        run_stage(STAGE, given, base_url=server.url, **HOW)
    assert server.seen == []


def test_evals_judge_served_and_local_checkpoints_answer_alike(run_stage, artifact, tiny, tmp_path):
    """The same checkpoint here and behind our own server: greedy answers are the same, turn by turn.

    Bytes that are no text are shown otherwise by a server that streams, so only texts without U+FFFD are compared.
    """
    from sampan.serve.server import open_server

    path = tmp_path / "many.jsonl"
    words = [f"{LETTERS[n]}{LETTERS[3 * n % 50]} {LETTERS[7 * n % 50]}?" for n in range(24)]
    asked = [{"question_id": n, "category": "math", "lang": "th", "turns": [words[n], "abc?"]} for n in range(24)]
    path.write_text("".join(json.dumps(row) + "\n" for row in asked))
    served = open_server(tiny, name="served", port=0, token="secret")
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    given = {"questions": [artifact(path, "external")], "models": [artifact(tiny, "checkpoint")]}
    how = {**HOW, "max_new_tokens": 2, "answer_models": ["served"], "answer_url": f"{served.url}/v1"}
    try:
        with ScriptedServer(seven) as server, pytest.MonkeyPatch.context() as patch:
            patch.setenv("SERVED_KEY", "secret")
            out, _ = run_stage(STAGE, given, base_url=server.url, answer_key_variable="SERVED_KEY", **how)
    finally:
        served.stop()
        thread.join(timeout=20)
    made = answers_of(out)
    texts = {n: made["tiny", str(n)] for n in range(24)}
    plain = [n for n, turns in texts.items() if "\ufffd" not in "".join(turns)]
    assert len({tuple(texts[n]) for n in plain}) >= 2  # not one answer to everything
    assert {n: made["served", str(n)] for n in plain} == {n: texts[n] for n in plain}


def test_evals_judge_asks_conversations(run_stage, artifact, tiny, tmp_path):
    """The user's turns are asked, the assistant's are references; a category comes from `meta`."""
    folder = tmp_path / "talks"
    folder.mkdir()
    said = ["a", "ab", "the cab", "bc"]
    roles = ["user", "assistant", "user", "assistant"]
    turns = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    write_conversations(folder, [Conversation("one", turns, "tha_Thai", meta={"category": "life"})])
    given = {"questions": [artifact(folder, "conversations")], "models": [artifact(tiny, "checkpoint")]}
    with ScriptedServer(seven) as server:
        out, _ = run_stage(STAGE, given, base_url=server.url, **HOW)
        read = [body["messages"][1]["content"] for _, body in server.seen]
    assert len(read) == 2
    assert all("=== Reference answer ===" in text for text in read)
    assert {(s.task, s.language) for s in read_scores(out)} == {
        ("sea_bench", "tha_Thai"),
        ("sea_bench_life", "tha_Thai"),
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "wording"))
def test_evals_judge_every_benchmark_can_ask(name):
    """Each benchmark's file is whole, is one that `benchmark` takes, and its words fit one, two and three turns."""
    rules = load_benchmark(name)
    parse_params(Params, {"benchmark": name}, where="test")
    wording = Wording(rules, load_templates(rules, None), "test")
    for turns, references in ((1, 0), (2, 0), (2, 2), (3, 3)):
        question = ChatQuestion(
            "q", "math", "tha_Thai", tuple(f"turn{n} {{braces}}" for n in range(turns)), ("ref {x}",) * references
        )
        for turn in range(turns):
            said = [f"mine{n}" for n in range(turns)], [f"theirs{n}" for n in range(turns)]
            system, user = wording.single(question, turn, said[0])
            assert f"mine{turn}" in user["content"]
            assert "turn0 {braces}" in user["content"]
            assert f"mine{turn + 1}" not in user["content"]
            assert "{criteria}" not in system["content"]
            assert ("ref {x}" in user["content"]) == (references > 0)
            both = wording.pair(question, turn, *said)[1]["content"]
            assert both.index(f"mine{turn}") < both.index(f"theirs{turn}")


@pytest.mark.shared
def test_evals_judge_reads_mt_bench_as_it_is_published(shared, artifact):
    folder = shared / "data" / "eval" / "mt_bench"
    files = {name: artifact(folder / f"{name}.jsonl", "external") for name in ("question", "reference_answer_gpt4")}
    rules = load_benchmark("mt_bench")
    asked = read_questions([files["question"]], language="eng_Latn", references=[files["reference_answer_gpt4"]])
    assert len(asked) == 45
    assert {len(question.turns) for question in asked} == {2}
    with_reference = [question for question in asked if rules.needs_reference(question)]
    assert {question.category for question in with_reference} == {"math", "reasoning", "coding"}
    assert len(with_reference) == 15
    assert all(len(question.references) == 2 for question in with_reference)
    wording = Wording(rules, load_templates(rules, artifact(folder / "judge_prompts.jsonl", "external")), "prompts")
    for question in asked:
        for turn in range(2):
            for messages in (
                wording.single(question, turn, ("one", "two")),
                wording.pair(question, turn, ("one", "two"), ("three", "four")),
            ):
                assert question.turns[turn] in messages[-1]["content"]
                assert ("reference" in messages[-1]["content"].lower()) >= (question in with_reference)
    some = thinned(asked, 2, seed=0)
    assert len(some) == 16  # two of each of eight categories
    assert read_answers([files["reference_answer_gpt4"]]).keys() == {"gpt-4"}
