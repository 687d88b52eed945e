"""The stage `evals.judge` with judges that follow a script: tables by hand, bias, failures, replay, resumption."""

from __future__ import annotations

import json
import math

import pytest

from sampan.artifacts.item_values import read_item_values
from sampan.artifacts.scores import read_samples, read_scores
from sampan.core.errors import InputError, RecipeError, StageError
from sampan.evals.judge import STAGE
from sampan.evals.judging.questions import ChatQuestion
from sampan.evals.judging.tables import Judged, cells
from sampan.evals.statistics import clustered_error
from scripted_server import ScriptedServer, completion, error

OUTAGE = error(503, "come back later")
REFUSAL = (200, completion(None, refusal="I would rather not judge this."))
PLAN = {  # (question, turn): what the judge says with the model shown first, and with the model shown second
    ("th-1", 1): ("Better. [[A]]", "[[B]]"),  # win
    ("th-1", 2): ("[[A]]", "[[A]]"),  # the first place twice: a tie
    ("th-2", 1): ("[[B]]", "[[A]]"),  # loss
    ("th-2", 2): ("[[C]]", "[[A]]"),  # tie and loss differ: a tie
    ("vi-1", 1): ("Both are fine.", "<think>[[A]]?</think>[[B]]"),  # one cannot be read, one is a win
    ("vi-1", 2): (OUTAGE, OUTAGE),
    ("vi-2", 1): ("[[C]]", "[[C]]"),  # tie
    ("vi-2", 2): ("[[A]] or [[B]]", REFUSAL),  # neither can be read
}
CATEGORY = {"th-1": "writing", "th-2": "math", "vi-1": "writing", "vi-2": "math"}
QUICK = {"retry_seconds": 0.001, "request_tries": 2, "judge_model": "scripted", "max_outages": 1.0}


def rows(folder, name, values, artifact, kind="external"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")
    return artifact(path, kind, name)


@pytest.fixture
def given(tmp_path, artifact):
    """Four questions of SEA-HELM's shape with an opponent's stored answers, and one model's recorded answers."""
    questions, answers = [], []
    for id, category in CATEGORY.items():
        stored = [f"opp/{id}/1", f"opp/{id}/2"]
        meta = {"category": category, "language": id[:2]}
        turns = [{"text": f"first of {id}"}, {"text": f"second of {id}"}]
        row = {"question_id": id, "prompts": turns, "baselines": {"gpt-3.5-turbo-0125": stored}, "metadata": meta}
        questions.append({**row, "references": [f"ref {id} 1", f"ref {id} 2"] if category == "math" else None})
        answers.append({"question_id": id, "model_id": "m", "choices": [{"turns": [f"m/{id}/1", f"m/{id}/2"]}]})
    return {
        "questions": [rows(tmp_path / "in", "questions", questions, artifact)],
        "answers": [rows(tmp_path / "in", "answers", answers, artifact)],
    }


def by_plan(body):
    """Follow PLAN: the turn is the last one that the judge reads, the order is who is shown as A."""
    text = body["messages"][-1]["content"]
    id = next(id for id in CATEGORY if f"of {id}" in text)
    turn = 2 if f"m/{id}/2" in text else 1
    model_first = text.index(f"m/{id}/{turn}") < text.index(f"opp/{id}/{turn}")
    return PLAN[id, turn][0 if model_first else 1]


def judged(out) -> dict:
    return json.loads((out / "judged.json").read_text(encoding="utf-8"))


def value(out, task, language, metric) -> tuple:
    found = [s for s in read_scores(out) if (s.task, s.language, s.metric) == (task, language, metric)]
    assert len(found) <= 1
    return (found[0].value, found[0].stderr, found[0].n) if found else (None, None, 0)


def test_evals_judge_pairs_equal_a_table_made_by_hand(run_stage, given):
    """SEA-HELM's rules: verdicts that differ tie, two that cannot be read lose, categories weigh the same."""
    with ScriptedServer(by_plan) as server:
        out, metrics = run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, **QUICK)
        unread = [body for _, body in server.seen if by_plan(body) in ("Both are fine.", "[[A]] or [[B]]", REFUSAL)]
        assert len(unread) == 3 * 3  # each asked three times
        assert len(server.seen) == 16 - 3 - 2 + 3 * 3 + 2 * 2  # the two outages were sent twice each
    # tha: win 1, tie ½ | loss 0, tie ½; vie: tie ½, failed 0 | tie ½, failed 0
    assert value(out, "sea_mtbench", "tha_Thai", "weighted_win_rate") == (0.5, None, 4)  # one question a category
    assert value(out, "sea_mtbench", "vie_Latn", "weighted_win_rate")[0] == 0.25
    assert value(out, "sea_mtbench_overall", "mul", "weighted_win_rate")[0] == 0.375
    assert value(out, "sea_mtbench_writing", "tha_Thai", "weighted_win_rate")[0] == 0.75
    assert value(out, "sea_mtbench_math", "tha_Thai", "weighted_win_rate")[0] == 0.25
    assert value(out, "sea_mtbench", "tha_Thai", "win_rate") == (
        0.5,
        pytest.approx(0.25),
        4,
    )  # residuals ±½, 2 questions
    assert value(out, "sea_mtbench", "tha_Thai", "strict_win_rate")[0] == 0.25
    assert value(out, "sea_mtbench", "tha_Thai", "win_or_tie_rate")[0] == 0.75
    told = judged(out)
    assert [row["outcomes"] for row in told["coverage"]] == [
        {"win": 1, "tie": 2, "loss": 1, "failed": 0},
        {"win": 0, "tie": 2, "loss": 0, "failed": 2},
    ]
    assert told["coverage"][1]["failed_verdicts"] == {"malformed": 2, "outage": 2, "refused": 1}
    assert told["coverage"][1]["judged"] == 1  # with both verdicts
    assert metrics["failed_verdicts"] == {"malformed": 2, "outage": 2, "refused": 1}
    assert metrics["judged"] == 5


def test_evals_judge_reports_its_leaning_with_an_error_by_question(run_stage, given):
    with ScriptedServer(by_plan) as server:
        out, metrics = run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, **QUICK)
    told = judged(out)["leaning"]
    # read in both orders: th-1/1, th-1/2, th-2/1, th-2/2, vi-2/1; th-1/2 and th-2/2 say something else the second time
    assert (told["all"]["pairs"], told["all"]["flips"], told["all"]["flip_rate"]) == (5, 2, 0.4)
    # for the first place: th-1: 1 0 1 1, th-2: 0 1 1, vi-1: 0, so 5 of 8; residuals by question ½, ⅛, -⅝
    assert (told["all"]["verdicts"], told["all"]["first_rate"]) == (8, 0.625)
    error = math.sqrt(3 / 2 * (0.5**2 + 0.125**2 + 0.625**2)) / 8
    assert told["all"]["first_stderr"] == pytest.approx(error, rel=1e-12)
    assert metrics["first_stderr"] == told["all"]["first_stderr"]
    assert told["tha_Thai"]["verdicts"] == 7


def test_evals_judge_failed_pairs_can_be_left_out(run_stage, given):
    """FastChat's rule: a pair with a verdict that cannot be read counts nowhere but in the coverage."""
    with ScriptedServer(by_plan) as server:
        out, _ = run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, failures="left_out", **QUICK)
    assert value(out, "sea_mtbench", "vie_Latn", "weighted_win_rate") == (0.5, None, 1)
    assert value(out, "sea_mtbench_writing", "vie_Latn", "weighted_win_rate") == (None, None, 0)  # no verdict, no score
    table = next(t for t in judged(out)["tables"] if t["metric"] == "weighted_win_rate")
    empty = next(r for r in table["rows"] if (r["category"], r["language"]) == ("writing", "vie_Latn"))
    assert (empty["value"], empty["n"], empty["of"]) == (None, 0, 2)


@pytest.mark.parametrize("letter", ["A", "B"])
def test_evals_judge_that_only_sees_places_gives_half(run_stage, given, letter):
    with ScriptedServer(lambda body: f"[[{letter}]]") as server:
        out, metrics = run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, **QUICK)
    assert {s.value for s in read_scores(out) if s.metric in ("win_rate", "weighted_win_rate")} == {0.5}
    assert metrics["flip_rate"] == 1.0
    assert metrics["first_rate"] == (letter == "A")


def grades(body):
    """th-1: 8 then 6; th-2: 4 then none; vi-1: 10 and 11 (out of scale); vi-2: 1 in single brackets, 3."""
    text = body["messages"][-1]["content"]
    id = next(id for id in CATEGORY if f"of {id}" in text)
    turn = 2 if f"m/{id}/2" in text else 1
    said = {"th-1": ("Grade: [[8]]", "[[6]], not [[9]]"), "th-2": ("[[4.0]]", "four"), "vi-1": ("[[10]]", "[[11]]")}
    return said.get(id, ("[1]", "[[3]]"))[turn - 1]


def test_evals_judge_grades_equal_a_table_made_by_hand(run_stage, given):
    with ScriptedServer(grades) as server:
        out, metrics = run_stage(STAGE, given, benchmark="mt_bench", base_url=server.url, **QUICK)
    assert value(out, "mt_bench", "tha_Thai", "score")[::2] == (6.0, 3)
    assert value(out, "mt_bench", "vie_Latn", "score")[::2] == (pytest.approx(14 / 3), 3)
    assert value(out, "mt_bench_overall", "mul", "score")[::2] == (pytest.approx(32 / 6), 6)  # all verdicts the same
    assert value(out, "mt_bench", "tha_Thai", "score_turn_1")[0] == 6.0
    assert value(out, "mt_bench_writing", "tha_Thai", "score")[0] == 7.0
    # th-1: residuals 2 + 0, th-2: -2
    assert value(out, "mt_bench", "tha_Thai", "score")[1] == pytest.approx(math.sqrt(2 * 8) / 3)
    assert metrics["failed_verdicts"] == {"malformed": 2}
    asked, values = read_item_values(out)
    row = next(r for r in values if (r.task, r.language, r.metric) == ("mt_bench", "tha_Thai", "score"))
    ids = next(a for a in asked if (a.task, a.language, a.prompt_digest) == (row.task, row.language, row.prompt_digest))
    assert dict(zip(ids.ids, row.values, strict=True)) == {
        "tha_Thai/th-1/1": 8, "tha_Thai/th-1/2": 6, "tha_Thai/th-2/1": 4, "tha_Thai/th-2/2": None,
    }  # fmt: skip


def test_evals_judge_languages_weigh_the_same_in_seabench(run_stage, given, tmp_path, artifact):
    """SeaBench's leaderboard: the mean of the languages' means, here (8+6+4)/3 and 3/1; failed ones left out."""
    questions = [
        {"unit_id": id, "lang": id[:2], "type": "math", "user_1": f"first of {id}", "user_2": f"second of {id}",
         "reference_1": "r", "reference_2": "r"}
        for id in ("th-1", "th-2", "vi-2")
    ]  # fmt: skip
    given["questions"] = [rows(tmp_path / "in", "sea", questions, artifact)]
    with ScriptedServer(grades) as server:
        out, _ = run_stage(STAGE, given, benchmark="seabench", base_url=server.url, **QUICK)
        systems = {body["messages"][0]["content"] for _, body in server.seen}
        assert all("a correct result, well explained" in text for text in systems)  # what matters most in `math`
    assert value(out, "seabench_overall", "mul", "score")[0] == (6 + 3) / 2  # [1] in single brackets is no grade here


def test_evals_judge_replays_without_a_judge(run_stage, given, artifact):
    """The artifact holds every verdict: from it alone come the same bytes, outages and refusals included."""
    with ScriptedServer(by_plan) as server:
        first, _ = run_stage(STAGE, given, state="a", benchmark="sea_mtbench", base_url=server.url, **QUICK)
    given["verdicts"] = [artifact(first, "scores")]
    again, metrics = run_stage(STAGE, given, state="b", benchmark="sea_mtbench")
    assert sorted(p.name for p in first.iterdir()) == sorted(p.name for p in again.iterdir())
    for file in first.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name
    assert metrics["replies_known_before"] == metrics["replies"]


def test_evals_judge_counts_what_a_record_lacks(run_stage, given, tmp_path, artifact):
    with ScriptedServer(lambda body: "[[A]]") as server:
        first, _ = run_stage(STAGE, given, state="a", benchmark="sea_mtbench", base_url=server.url, **QUICK)
    kept = [json.loads(line) for line in (first / "replies.jsonl").read_text(encoding="utf-8").splitlines()][:-1]
    given["verdicts"] = [rows(tmp_path / "in", "replies", kept, artifact)]
    _, metrics = run_stage(STAGE, given, state="b", benchmark="sea_mtbench")
    assert metrics["failed_verdicts"] == {"not_recorded": 1}


def test_evals_judge_asks_only_for_what_is_new(run_stage, given, artifact):
    """Recorded verdicts beside an endpoint: what they hold is not paid for again, outages are asked again."""
    with ScriptedServer(by_plan) as server:
        first, _ = run_stage(STAGE, given, state="a", benchmark="sea_mtbench", base_url=server.url, **QUICK)
    given["verdicts"] = [artifact(first, "scores")]
    with ScriptedServer(lambda body: "[[A]]") as server:
        out, _ = run_stage(STAGE, given, state="b", benchmark="sea_mtbench", base_url=server.url, **QUICK)
        assert len(server.seen) == 2  # vi-1, second turn, both orders
    assert judged(out)["coverage"][1]["outcomes"] == {"win": 0, "tie": 3, "loss": 0, "failed": 1}


def test_evals_judge_goes_on_where_an_outage_ended_it(run_stage, given):
    answered = 0

    def tired(body):
        nonlocal answered
        answered += 1
        return "[[C]]" if answered <= 5 else OUTAGE

    how = {**QUICK, "max_outages": 0.0, "concurrency": 1}
    with ScriptedServer(tired) as server, pytest.raises(StageError, match="were not answered.*come back later"):
        run_stage(STAGE, given, state="killed", benchmark="sea_mtbench", base_url=server.url, **how)
    with ScriptedServer(lambda body: "[[C]]") as server:
        out, _ = run_stage(STAGE, given, state="killed", benchmark="sea_mtbench", base_url=server.url, **how)
        assert len(server.seen) == 16 - 5
    assert value(out, "sea_mtbench", "tha_Thai", "win_rate")[0] == 0.5


def test_evals_judge_half_a_line_of_a_killed_run_is_asked_again(run_stage, given, tmp_path):
    with ScriptedServer(lambda body: "[[C]]") as server:
        whole, _ = run_stage(STAGE, given, state="s", benchmark="sea_mtbench", base_url=server.url, **QUICK)
        file = tmp_path / "s" / "replies.jsonl"
        file.write_text(file.read_text(encoding="utf-8")[:-9], encoding="utf-8")
        again, _ = run_stage(STAGE, given, state="s", benchmark="sea_mtbench", base_url=server.url, **QUICK)
        assert len(server.seen) == 17
    assert (whole / "scores.jsonl").read_bytes() == (again / "scores.jsonl").read_bytes()


def test_evals_judge_replies_with_odd_line_ends_are_paid_once(run_stage, given):
    """U+2028 and its kin end lines for some readers; a resumed run must know such replies again."""
    with ScriptedServer(lambda body: "so\u2028and\u0085so [[C]]") as server:
        for _ in range(2):
            run_stage(STAGE, given, state="s", benchmark="sea_mtbench", base_url=server.url, **QUICK)
        assert len(server.seen) == 16


def test_evals_judge_keeps_the_key_out_of_everything(run_stage, given, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    with ScriptedServer(lambda body: "[[C]]") as server:
        out, metrics = run_stage(
            STAGE, given, benchmark="sea_mtbench", base_url=server.url, key_variable="JUDGE_KEY",
            prompt_price=10, completion_price=30, **QUICK,
        )  # fmt: skip
        assert server.seen[0][0]["Authorization"] == "Bearer sk-very-secret"
    assert metrics["prompt_tokens"] == 160
    assert metrics["cost"] == pytest.approx((160 * 10 + 16 * 30) / 1e6)
    for file in [*out.iterdir(), *(path for path in (tmp_path / "state").rglob("*") if path.is_file())]:
        assert b"sk-very-secret" not in file.read_bytes(), file.name


def test_evals_judge_reads_the_published_prompts(run_stage, given, tmp_path, artifact):
    """FastChat's shape and places; braces in questions and answers stay as they are."""
    names = {
        "pair-v2": "{question}|{answer_a}|{answer_b}",
        "pair-math-v1": "{question}|{ref_answer_1}|{answer_a}|{answer_b}",
    }
    names |= {
        f"{name}-multi-turn": "{question_1}|{answer_a_1}|{question_2}|{answer_a_2}|{answer_b_1}|{answer_b_2}"
        for name in names
    }
    table = [
        {"name": n, "system_prompt": "Judge {fairly}." if n == "x" else "Judge.", "prompt_template": t}
        for n, t in names.items()
    ]
    given["prompts"] = [rows(tmp_path / "in", "prompts", table, artifact)]
    with ScriptedServer(lambda body: "[[C]]") as server:
        run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, **QUICK)
        read = {body["messages"][1]["content"] for _, body in server.seen}
    assert "first of th-2|ref th-2 1|m/th-2/1|opp/th-2/1" in read
    assert "first of vi-1|opp/vi-1/1|second of vi-1|opp/vi-1/2|m/vi-1/1|m/vi-1/2" in read
    given["prompts"] = [rows(tmp_path / "in", "half", table[:1], artifact)]
    with (
        ScriptedServer(lambda body: "[[C]]") as server,
        pytest.raises(InputError, match="have no 'pair-v2-multi-turn'"),
    ):
        run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, **QUICK)


def test_evals_judge_samples_show_verdicts(run_stage, given):
    with ScriptedServer(by_plan) as server:
        out, _ = run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, sample_prompts=2, **QUICK)
    sample = next(s for s in read_samples(out) if "of th-1" in s["prompt"])
    assert sample["output"] == "1. m/th-1/1\n\n2. m/th-1/2"
    told = "Turn 1 against gpt-3.5-turbo-0125: win\nshown first: Better. [[A]]\nshown second: [[B]]"
    assert told in sample["judged"]
    lines = (out / "records.jsonl").read_text(encoding="utf-8").splitlines()
    record = next(row for row in map(json.loads, lines) if row["id"] == "th-1")
    assert record["verdict"] == {"win_rate_turn_1": 1.0, "win_rate_turn_2": 0.5}
    assert record["extracted"] == "turn 1: A, B; turn 2: A, A"
    picture = out / "weighted_win_rate_by_category.svg"
    assert not picture.exists()  # two categories make no shape


BAD = [
    ({"question_id": 1, "turns": ["a"]}, "has not a category"),
    ({"question_id": 1, "category": "c"}, "no question in this row, which has: category, id, question_id"),
    ({"question_id": 1, "category": "c", "lang": "th", "turns": []}, "has no turn"),
    ({"question_id": 1, "category": "c", "lang": "th", "turns": ["a", 3]}, "turns must be texts"),
    ({"question_id": 1, "category": "c", "lang": "tt", "turns": ["a"]}, "there is no language 'tt'"),
    ({"question_id": 1, "category": "c", "turns": ["a"]}, "does not name its language"),
    ({"category": "c", "type": "t", "user_1": "a", "lang": "vi"}, None),  # its place is its id
]


@pytest.mark.parametrize(("row", "said"), BAD)
def test_evals_judge_bad_questions_name_their_line(run_stage, given, tmp_path, artifact, row, said):
    given["questions"] = [rows(tmp_path / "in", "bad", [row], artifact)]
    with pytest.raises((InputError, RecipeError)) as caught:
        run_stage(STAGE, given, benchmark="sea_bench", opponent="m")
    if said:
        assert said in str(caught.value)
        assert "bad.jsonl:1" in str(caught.value)
    else:
        assert "there is no judge" in str(caught.value)


def test_evals_judge_bad_input_is_one_paragraph(run_stage, given, tmp_path, artifact, monkeypatch):
    def fails(said, how=(), error=(InputError, RecipeError, StageError), **inputs):
        with pytest.raises(error, match=said) as caught:
            run_stage(STAGE, {**given, **inputs}, **{**QUICK, "benchmark": "sea_mtbench", **dict(how)})
        assert "\n" not in str(caught.value)

    fails("there is no judge", {"judge_model": ""})
    fails("nobody answers at the endpoint", {"base_url": "http://127.0.0.1:9/v1"})
    fails("would be written down", {"base_url": "http://me:secret@127.0.0.1:9/v1"})
    fails("nobody answers at the endpoint .*not an http", {"base_url": "localhost:8000/v1"})
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    fails("the environment has no NO_SUCH_KEY", {"base_url": "http://127.0.0.1:9/v1", "key_variable": "NO_SUCH_KEY"})
    fails("an endpoint needs `judge_model`", {"base_url": "http://127.0.0.1:9/v1", "judge_model": ""}, RecipeError)
    with ScriptedServer(lambda body: error(401, "bad key")) as server:
        fails("does not let us in", {"base_url": server.url})
    with ScriptedServer(lambda body: error(404, "no such model")) as server:
        fails("nothing to ask at this address.*no such model", {"base_url": server.url})
    with ScriptedServer(lambda body: error(400, "temperature is not supported")) as server:
        fails("temperature is not supported", {"base_url": server.url, "max_outages": 0.1}, StageError)
    with ScriptedServer(lambda body: "I like them all") as server:
        fails("no verdict that can be read; it said: I like them all", {"base_url": server.url}, StageError)
        fails("no answers of the opponent 'gpt'", {"base_url": server.url, "opponent": "gpt"}, RecipeError)
        fails("no question is in the language 'lao_Laoo'", {"base_url": server.url, "languages": ["lo"]}, RecipeError)
        fails("there is nobody to judge", {"base_url": server.url}, RecipeError, answers=[])
        fails("there is no language 'xx'", {"base_url": server.url, "languages": ["xx"]}, RecipeError)


def test_evals_judge_unanswered_turns_are_counted(run_stage, given, tmp_path, artifact):
    answers = [{"question_id": "th-1", "model_id": "m", "choices": [{"turns": ["m/th-1/1"]}]}]
    given["answers"] = [rows(tmp_path / "in", "few", answers, artifact)]
    with ScriptedServer(lambda body: "[[C]]") as server:
        out, metrics = run_stage(STAGE, given, benchmark="sea_mtbench", base_url=server.url, **QUICK)
    assert metrics["failed_verdicts"] == {"no_answer": 7}
    assert value(out, "sea_mtbench", "tha_Thai", "win_rate") == (0.5, None, 1)
    assert value(out, "sea_mtbench", "vie_Latn", "win_rate") == (None, None, 0)


def test_evals_judge_empty_and_looping_answers_are_judged_and_counted(run_stage, given, tmp_path, artifact):
    """Answers that are no text get their verdicts like others; the report says how many there are."""
    looping = "the same words again and again, " * 30
    turns = {"th-1": ["", looping], "th-2": ["fine", "fine"], "vi-1": ["", ""], "vi-2": ["fine", "fine"]}
    answers = [{"question_id": id, "model_id": "m", "choices": [{"turns": said}]} for id, said in turns.items()]
    given["answers"] = [rows(tmp_path / "in", "odd", answers, artifact)]
    with ScriptedServer(lambda body: "[[2]]") as server:
        out, metrics = run_stage(STAGE, given, benchmark="mt_bench", base_url=server.url, **QUICK)
    assert judged(out)["answers"] == [
        {"model": "m", "turns": 8, "of": 8, "empty": 3, "loops": 1, "cut_prompts": 0, "failed": {}}
    ]  # fmt: skip
    assert metrics["degenerate_answers"] == 4
    assert value(out, "mt_bench", "vie_Latn", "score")[::2] == (2.0, 4)


def test_evals_judge_a_record_of_two_judges_is_not_mixed(run_stage, given, tmp_path, artifact):
    folders = []
    for name in ("strict", "mild"):
        with ScriptedServer(lambda body, name=name: "[[A]]" if name == "strict" else "[[C]]") as server:
            how = {**QUICK, "judge_model": name}
            out, _ = run_stage(STAGE, given, state=name, benchmark="sea_mtbench", base_url=server.url, **how)
            folders.append(artifact(out, "scores"))
    given["verdicts"] = folders
    with pytest.raises(InputError, match="of several judges.*mild.*strict.*judge_model"):
        run_stage(STAGE, given, state="both", benchmark="sea_mtbench")
    out, metrics = run_stage(STAGE, given, state="mild only", benchmark="sea_mtbench", judge_model="mild")
    assert metrics["flip_rate"] == 0.0  # all ties
    with ScriptedServer(lambda body: "[[C]]") as server:  # the same judge asked otherwise is another judge
        how = {**QUICK, "judge_model": "mild", "judge_temperature": 0.5}
        run_stage(STAGE, given, state="warm", benchmark="sea_mtbench", base_url=server.url, **how)
        assert len(server.seen) == 16


def test_evals_judge_models_behind_an_endpoint_answer_in_turns(run_stage, given):
    """A failed answer ends its question and is counted; nothing that was answered is asked again."""
    how = {**QUICK, "benchmark": "mt_bench", "answer_models": ["far"], "max_new_tokens": 7}

    def far(body):
        if body["model"] == "scripted":
            return "[[5]]"
        said = [message["content"] for message in body["messages"]]
        assert body["max_tokens"] == 7
        if said[0] == "first of vi-2":
            return error(400, "blocked", "content_filter")
        return f"answer {len(said)} to {said[-1]}"

    del given["answers"]
    with ScriptedServer(far) as server:
        out, metrics = run_stage(STAGE, given, base_url=server.url, answer_url=server.url, **how)
        first = len(server.seen)
        talks = [body["messages"] for _, body in server.seen if body["model"] == "far"]
        again, _ = run_stage(STAGE, given, base_url=server.url, answer_url=server.url, **how)
        assert len(server.seen) == first
    assert (out / "scores.jsonl").read_bytes() == (again / "scores.jsonl").read_bytes()
    assert len(talks) == 4 + 3
    second = next(talk for talk in talks if talk[-1]["content"] == "second of th-1")
    assert [m["content"] for m in second] == ["first of th-1", "answer 1 to first of th-1", "second of th-1"]
    assert metrics["failed_answers"] == {"refused": 1}
    assert metrics["failed_verdicts"] == {"no_answer": 2}
    with pytest.raises(RecipeError, match="go together"):
        run_stage(STAGE, given, **how)


def table_rows(language, values):
    """Two turns of each question `n`, with these grades."""
    return [
        Judged(model="m", opponent="", question=ChatQuestion(str(n), "c", language, ("a", "b")), turn=turn, value=value)
        for n, turns in values.items()
        for turn, value in enumerate(turns)
    ]


def overall(rows, average):
    return next(cell for cell in cells(rows, "score", average) if (cell.category, cell.language) == ("", ""))


def test_evals_judge_errors_over_languages_add_up_only_if_questions_differ():
    """Languages with questions of their own: the errors of two independent means. The same questions in translation,
    answered alike: two languages know no more than one."""
    thai = {1: (7.0, 5.0), 2: (3.0, 4.0), 3: (9.0, 9.0)}
    lao = {4: (1.0, 2.0), 5: (6.0, 2.0)}
    each = [
        clustered_error([v for turns in table.values() for v in turns], [str(n) for n in table for _ in range(2)])
        for table in (thai, lao)
    ]
    apart = overall(table_rows("tha_Thai", thai) + table_rows("lao_Laoo", lao), "languages")
    assert apart.stderr == pytest.approx(math.hypot(*each) / 2, rel=1e-12)
    assert apart.value == pytest.approx((37 / 6 + 11 / 4) / 2)
    together = overall(table_rows("tha_Thai", thai) + table_rows("lao_Laoo", thai), "languages")
    assert together.stderr == pytest.approx(each[0], rel=1e-12)
    # items' values are scaled, so that their plain mean is the weighted one
    assert sum(apart.values) / len(apart.values) == pytest.approx(apart.value)
