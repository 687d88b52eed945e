"""The stage `synth.self_preference` on a tiny random chat model."""

from __future__ import annotations

import json

import pytest

from sampan.artifacts.conversations import Conversation, read_preferences, write_conversations
from sampan.core.errors import StageError
from sampan.synth import judging, preference_pairs
from sampan.synth.resume import in_pieces
from sampan.synth.self_preference import STAGE

SMALL = {"max_new_tokens": 40, "judge_template": "{question}\n{answer_a}\n{answer_b}\n", "require_script": False}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.fixture
def prompts(tmp_path, artifact):
    folder = tmp_path / "prompts"
    folder.mkdir()
    gold = {"role": "assistant", "content": "gold"}
    rows = [
        Conversation(str(n), [user(f"the {n}"), gold], ("eng_Latn", "th")[n % 2], license="CC0-1.0") for n in range(70)
    ]
    rows.append(Conversation("again", [user("the 3")], "tha_Thai"))
    rows.append(Conversation("no user", [{"role": "assistant", "content": "hello"}], "tha_Thai"))
    write_conversations(folder, rows)
    return artifact(folder, "conversations")


@pytest.fixture
def given(artifact, chatty, critic, prompts):
    roles = {"model": [artifact(chatty, "checkpoint")], "judge": [artifact(critic, "checkpoint")]}
    return {**roles, "prompts": [prompts]}


@pytest.fixture(scope="session")
def chatty(tmp_path_factory, make_tiny):
    """A tiny model that says letters almost evenly and ends its turn at about every tenth token, so answers end.

    Its hidden state stays near one direction, along which EOS is likelier and raw bytes are unlikely.
    """
    import torch

    from sampan.model.checkpoint import load_model, save_model

    folder = make_tiny(tmp_path_factory.mktemp("synth") / "chatty", context_len=256)
    model = load_model(folder)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight", "embed_tokens.weight")):
                weight *= 0.1
        model.get_input_embeddings().weight += 3.0
        head = model.get_output_embeddings().weight  # the final norm makes the state about 1 in every dimension
        head[2] += 2.0 / head.shape[1]
        head[[0, 1, *range(3, 259)]] -= 8.0 / head.shape[1]
    save_model(model, folder)
    return folder


@pytest.fixture(scope="session")
def critic(tmp_path_factory, make_tiny):
    """A random model whose verdicts follow the words it reads; the chatty one would only ever say one letter."""
    return make_tiny(tmp_path_factory.mktemp("synth") / "critic", context_len=256)


def test_synth_summary_accounts_for_every_prompt(run_stage, given):
    out, metrics = run_stage(STAGE, given, **SMALL)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    pairs = list(read_preferences(out))
    dropped = sum(sum(reasons.values()) for reasons in summary["dropped"].values())
    assert summary["prompts"] == 72
    assert summary["dropped"]["repeated_prompt"] == {"tha_Thai": 1}
    assert summary["dropped"]["no_user_turn"] == {"tha_Thai": 1}
    assert len(pairs) == summary["pairs"] == summary["rows"] == metrics["rows"]
    assert len(pairs) + dropped == 72
    kept = summary["judged"] - sum(sum(summary["dropped"].get(r, {}).values()) for r in ("inconsistent", "tie"))
    assert kept == len(pairs)
    assert pairs
    assert summary["licenses"] == metrics["licenses"] == ["CC0-1.0"]
    assert summary["dropped"]["not_ended"]


def test_synth_pairs_follow_the_judge(run_stage, given, monkeypatch):
    """With a judge that loves length, every chosen answer is the longer one and only the filters drop."""

    def by_length(*_, **__):
        def judge(asked):
            return [(float(len(a) - len(b)), 0.0) for a, b in (m[0]["content"].split("\x00")[1:3] for m in asked)]

        return judge

    monkeypatch.setattr(preference_pairs, "model_judge", by_length)
    values = {**SMALL, "judge_template": "{question}\x00{answer_a}\x00{answer_b}", "max_new_tokens": 60}
    out, _ = run_stage(STAGE, given, **values)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    pairs = list(read_preferences(out))
    assert pairs
    assert all(len(p.chosen) > len(p.rejected) for p in pairs)
    assert "inconsistent" not in summary["dropped"]
    assert summary["mean_length_gap"] == pytest.approx(
        sum(len(p.chosen) - len(p.rejected) for p in pairs) / len(pairs), abs=1e-6
    )
    ties = sum(summary["dropped"].get("tie", {}).values())
    assert summary["agreement_rate"] == pytest.approx(1 - ties / summary["judged"], abs=1e-6)
    assert all(p.prompt[-1]["role"] == "user" and "gold" not in json.dumps(p.prompt) for p in pairs)
    assert {p.language for p in pairs} <= {"tha_Thai", "eng_Latn"}  # `th` is normalised
    assert {p.license for p in pairs} == {"CC0-1.0"}


def test_synth_wrong_script_is_dropped(run_stage, given):
    values = {**SMALL, "require_script": True, "min_script_share": 1.0}
    out, _ = run_stage(STAGE, given, **values)
    dropped = json.loads((out / "summary.json").read_text("utf-8"))["dropped"]
    assert dropped["wrong_script"]["tha_Thai"] > 0


def test_synth_same_twice_and_other_prompts_do_not_matter(run_stage, given, artifact, tmp_path):
    first, _ = run_stage(STAGE, given, state="a", **SMALL)
    again, _ = run_stage(STAGE, given, state="b", **SMALL)
    for name in ("summary.json", "shard-00000.parquet"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    other, _ = run_stage(STAGE, given, state="c", seed=1, **SMALL)
    assert (first / "shard-00000.parquet").read_bytes() != (other / "shard-00000.parquet").read_bytes()
    fewer, _ = run_stage(STAGE, given, state="d", max_prompts=50, **SMALL)
    whole = {p.id: (p.chosen, p.rejected) for p in read_preferences(first)}
    some = list(read_preferences(fewer))
    assert some
    for pair in some:
        assert whole[pair.id] == (pair.chosen, pair.rejected)


@pytest.mark.parametrize("name", ["answers-00001", "verdicts-00000"])
def test_synth_resumes_after_a_kill(run_stage, given, tmp_path, monkeypatch, name):
    whole, _ = run_stage(STAGE, given, state="whole", **SMALL)
    finished = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert finished[:3] == ["answers-00000.json", "answers-00001.json", "answers-00002.json"]
    (tmp_path / "killed").mkdir()
    for path in (tmp_path / "whole").iterdir():  # the state at the moment when `name` was being written
        if path.stem < name:
            (tmp_path / "killed" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "killed" / f"{name}.tmp").write_text('[{"first": ', "utf-8")
    sampled = []
    sample = preference_pairs.sample_pairs
    monkeypatch.setattr(
        preference_pairs, "sample_pairs", lambda m, t, part, p: sampled.append(len(part)) or sample(m, t, part, p)
    )
    resumed, _ = run_stage(STAGE, given, state="killed", **SMALL)
    assert sampled == ([32, 6] if name.startswith("answers") else [])
    for file in ("summary.json", "shard-00000.parquet"):
        assert (resumed / file).read_bytes() == (whole / file).read_bytes()


def test_synth_judge_is_the_model_itself_or_another(run_stage, given, artifact, make_tiny, tmp_path, monkeypatch):
    seen = []
    build = judging.model_judge
    monkeypatch.setattr(
        preference_pairs,
        "model_judge",
        lambda model, *a, **k: seen.append(model.config.hidden_size) or build(model, *a, **k),
    )
    judge = make_tiny(tmp_path / "judge", hidden_size=16, context_len=256)
    run_stage(STAGE, {**given, "judge": [artifact(judge, "checkpoint")]}, state="a", max_prompts=4, **SMALL)
    run_stage(STAGE, {**given, "judge": []}, state="b", max_prompts=4, **SMALL)
    assert seen == [16, 32]


def test_synth_prompts_that_do_not_fit_are_dropped_not_cut(run_stage, given, artifact, tmp_path):
    """The window is 256 tokens and an answer may take 40: 250 letters of a script unknown to the model do not fit."""
    folder = tmp_path / "long"
    folder.mkdir()
    rows = [Conversation(str(n), [user(("the ", "ກ" * 250)[n % 2] + str(n))], "lao_Laoo") for n in range(8)]
    write_conversations(folder, rows)
    seen = []
    sample = preference_pairs.sample_pairs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            preference_pairs, "sample_pairs", lambda m, t, part, p: seen.extend(part) or sample(m, t, part, p)
        )
        out, _ = run_stage(STAGE, {**given, "prompts": [artifact(folder, "conversations")]}, **SMALL)
    assert json.loads((out / "summary.json").read_text("utf-8"))["dropped"]["prompt_too_long"] == {"lao_Laoo": 4}
    assert len(seen) == 4


def test_synth_no_prompt_is_an_error(run_stage, given, artifact, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    write_conversations(folder, [Conversation("1", [{"role": "assistant", "content": "x"}])])
    with pytest.raises(StageError, match="no prompt"):
        run_stage(STAGE, {**given, "prompts": [artifact(folder, "conversations")]}, **SMALL)


def test_two_processes_write_what_one_does(given, one_and_two_processes):
    from sampan.core.stage import Inputs

    alone, together = one_and_two_processes(STAGE, STAGE.params(**SMALL), Inputs(given))
    assert alone == together


def test_processes_share_the_pieces_and_all_get_all_rows(tmp_path):
    """Two walk over ten pieces at once; each does some, none is done twice."""
    import multiprocessing

    barrier = multiprocessing.get_context("fork").Barrier(2)

    def walk(name: str) -> None:
        def work(items):
            if not (tmp_path / f"began-{name}").exists():
                (tmp_path / f"began-{name}").touch()
                barrier.wait(10)
            return [{"item": item, "by": name} for item in items]

        rows = [row for rows in in_pieces(tmp_path, "x", range(20), 2, work, alone=False) for row in rows]
        (tmp_path / f"rows-{name}").write_text(json.dumps(rows))

    processes = [multiprocessing.get_context("fork").Process(target=walk, args=(name,)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    a, b = (json.loads((tmp_path / f"rows-{name}").read_text()) for name in "ab")
    assert a == b
    assert [row["item"] for row in a] == list(range(20))
    assert {row["by"] for row in a} == {"a", "b"}
