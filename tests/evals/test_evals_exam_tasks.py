"""M3Exam, SeaExam, VMLU, MATH, XL-Sum and LINDSEA from made-up rows in the published columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sampan.core.errors import InputError
from sampan.evals.metrics import measure
from sampan.evals.options import shuffled
from sampan.evals.task_file import task_names
from sampan.evals.task_items import task_groups
from sampan.evals.task_options import WrongKey, read_options


def write(data, name, rows):
    """Rows as a `.json` list or as `.jsonl`."""
    path = data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(json.dumps(rows, ensure_ascii=False) if name.endswith(".json") else lines, encoding="utf-8")


def m3(text, answer, options, level="mid", category="math", background=()):
    return {
        "question_text": text, "background_description": list(background), "answer_text": answer, "options": options,
        "need_image": "no", "language": "thai", "level": level, "subject": "x", "subject_category": category,
        "year": "2006",
    }  # fmt: skip


THAI = ["(1) หนึ่ง", "(2) สอง", "(3) สาม", "(4) สี่"]


def test_evals_m3exam_asks_as_its_repository_does(tmp_path):
    dev = [m3(f"ตัวอย่าง {n}", "1", THAI) for n in range(4)]
    dev += [m3("other level", "2", THAI, level="low"), m3("other subject", "2", THAI, category="language")]
    write(tmp_path, "m3exam/thai-questions-dev.json", dev)
    rows = [m3("ข้อใดถูก", "2", THAI, background=["อ่านเรื่อง", "แล้วตอบ"]), m3("ข้อใดผิด", 4, THAI, level="low")]
    write(tmp_path, "m3exam/thai-questions-test.json", rows)
    (group,) = task_groups(["m3exam"], tmp_path)
    first, second = group.items
    shown = "\n".join(THAI)
    assert first.prompt == (
        "ต่อไปนี้เป็นคำถามแบบปรนัย วิชาคณิตศาสตร์. โปรดระบุคำตอบเป็นตัวเลือกที่ถูกต้องโดยไม่ต้องให้รายละเอียดอื่นเพิ่มเติม.\n\n"
        + "".join(f"\nตัวอย่าง {n}\n{shown}\nคำตอบ:1\n\n" for n in range(3))
        + f"\nอ่านเรื่อง\nแล้วตอบ\nข้อใดถูก\n{shown}\nคำตอบ:"
    )
    assert (first.answer, second.answer, first.meta["marks"]) == ("2", "4", ["1", "2", "3", "4"])
    assert second.prompt.count("other level") == 1
    assert "other subject" not in second.prompt
    exact, ill = measure(["m3exam_option"], group.items, ["(2) สอง", "๔"])
    assert (exact.value, ill.value) == (0.5, 0.5)  # a Thai digit is not the mark that the exam prints


def test_evals_m3exam_javanese_changes_register_by_level(tmp_path):
    for part in ("dev", "test"):
        rows = [m3("Pitakon", "A", ["A. siji", "B. loro"], level, "language") for level in ("low", "high")]
        write(tmp_path, f"m3exam/javanese-questions-{part}.json", rows)
    (group,) = task_groups(["m3exam"], tmp_path)
    assert group.items[0].prompt.startswith("Ing ngisor iki")
    assert group.items[1].prompt.startswith("Menika soal pilihan ganda babagan Bahasa Jawa. Nyuwun")


def sea(number, answer=0):
    return {
        "question": f"Soal {number}?", "choices": ["satu", "dua", "tiga", "empat"], "answer": answer,
        "metadata": {"subject": "social-science"},
    }  # fmt: skip


def test_evals_seaexam_shuffles_with_the_key(tmp_path):
    write(tmp_path, "seaexam/m3exam/indonesian/dev.json", [sea(f"contoh {n}", 2) for n in range(5)])
    write(tmp_path, "seaexam/m3exam/indonesian/test.json", [sea(n, n % 4) for n in range(60)])
    (group,) = task_groups(["seaexam"], tmp_path)
    heads, orders = set(), set()
    for n, item in enumerate(group.items):
        head, *examples, question = item.prompt.split("\n\n")
        heads.add(head)
        assert len(examples) == 3
        for example in examples:  # the right option of every example is `tiga`, wherever it stands
            assert f"{example[-1]}. tiga\n" in example
        lines = question.split("\n")
        assert lines[0] == f"Soal {n}?"
        assert lines[-1] == "Answer:"
        assert [line[:3] for line in lines[1:-1]] == ["A. ", "B. ", "C. ", "D. "]
        orders.add(tuple(line[3:] for line in lines[1:-1]))
        assert f"{item.answer}. {('satu', 'dua', 'tiga', 'empat')[n % 4]}" in lines
        texts, place = shuffled(["satu", "dua", "tiga", "empat"], n % 4, seed=1, key=str(n))
        assert ("ABCD"[place], tuple(texts)) == (item.answer, tuple(line[3:] for line in lines[1:-1]))
    assert len(heads) == 5  # 60 draws miss one of five descriptions with a chance of 5·0.8⁶⁰ = 8e-6
    assert len(orders) > 15  # of 24; 60 draws give 22 on average
    again = task_groups(["seaexam"], tmp_path)[0]
    assert again.prompt_digest == group.prompt_digest


def test_evals_vmlu_keeps_its_letters(tmp_path):
    row = {"id": "51-0001", "question": "Câu nào đúng?", "choices": ["A. một", "B. hai", "C. ba"], "answer": "B"}
    write(tmp_path, "vmlu/valid.jsonl", [row, {**row, "id": "51-0002", "answer": "E"}, {**row, "answer": None}])
    (group,) = task_groups(["vmlu"], tmp_path)
    (item,) = group.items
    assert item.prompt.endswith("\nCâu nào đúng?\n\nA. một\nB. hai\nC. ba\nĐáp án: ")
    assert (item.id, item.answer, group.left_out) == ("51-0001", "B", 2)  # a key of none of the options is counted
    write(tmp_path, "vmlu/valid.jsonl", [{**row, "answer": "Z"}])
    with pytest.raises(InputError, match="1 have an empty field or a key that names no option"):
        task_groups(["vmlu"], tmp_path)


def test_evals_math_takes_the_box_of_the_solution(tmp_path):
    row = {"problem": "Half of 1?", "level": "Level 1", "type": "Algebra", "solution": r"So \boxed{\dfrac{1}{2}}."}
    write(tmp_path, "math/test.jsonl", [row])
    (item,) = task_groups(["math"], tmp_path)[0].items
    assert item.answer == r"\dfrac{1}{2}"
    assert "\\boxed{}" in item.prompt
    assert [measure(["latex"], [item], [text])[0].value for text in (r"\boxed{1/2}", r"\boxed{2}")] == [1, 0]
    write(tmp_path, "math/test.jsonl", [{**row, "solution": "1/2"}])
    with pytest.raises(InputError, match="no closed"):
        task_groups(["math"], tmp_path)


def test_evals_xlsum_cuts_words_by_script(tmp_path):
    for name, text in (("thai", "ฝนตกหนักในกรุงเทพ"), ("burmese", "မိုးသည်းထန်စွာရွာသည်"), ("english", "Heavy rain fell")):
        row = {"id": "1", "url": "u", "title": "t", "summary": text, "text": text * 3}
        write(tmp_path, f"xlsum/{name}_test.jsonl", [row])
    for group in task_groups(["xlsum"], tmp_path):
        (item,) = group.items
        half = item.answer[: len(item.answer) // 2]
        same, part = (measure(["rouge_l"], [item], [text])[0].value for text in (item.answer, half))
        assert same == 1
        assert 0.2 < part < 0.9, group.language  # one word to a phrase would give 0 in Thai and Burmese


def test_evals_lindsea_pairs_by_phenomenon(tmp_path):
    for kind in ("morphology", "NPIs_and_negation"):
        rows = [
            {"id": n, "linguistic_phenomenon": kind, "category": "c", "correct": f"benar {n}", "wrong": f"salah {n}"}
            for n in range(20)
        ]
        write(tmp_path, f"lindsea/id.syntax.{kind}.jsonl", rows)
    groups = task_groups(["lindsea_syntax"], tmp_path, chat=True)
    assert [group.task for group in groups] == ["lindsea_syntax_npis_and_negation", "lindsea_syntax_morphology"]
    for group in groups:
        assert {item.answer for item in group.items} == {"0", "1"}
        for item in group.items:
            assert item.prompt == ""  # whole sentences: there is nothing to put into a turn
            assert item.choices[int(item.answer)] == f"benar {item.id}"


@pytest.mark.parametrize(
    ("texts", "key", "letters", "lines", "answer"),
    [
        (["A. x", "B. y"], "B", "", ["A. x", "B. y"], "B"),
        (["A. x", "B. y"], "B", "กข", ["ก. x", "ข. y"], "ข"),
        (["ก. x", "ข. y", "ค. z"], "ค", "", ["ก. x", "ข. y", "ค. z"], "ค"),
        (["(๑) x", "(๒) y"], "๒", "", ["(๑) x", "(๒) y"], "๒"),
        (["1) x", "2) y"], "2", "ABCDE", ["A. x", "B. y"], "B"),
        (["x", "y"], "1", "ABCDE", ["A. x", "B. y"], "B"),
        (["x", "y"], "B", "ABCDE", ["A. x", "B. y"], "B"),
        (["x", "y"], "1", "កខ", ["ក. x", "ខ. y"], "ខ"),
        (["1.5", "2.5", "3.5"], "1", "ABC", ["A. 1.5", "B. 2.5", "C. 3.5"], "B"),
        (["B. x", "A. y"], "0", "CD", ["C. B. x", "D. A. y"], "C"),
        (["x", "y"], "whatever", "", ["x", "y"], "whatever"),
    ],
)
def test_evals_options_have_marks_and_letters(texts, key, letters, lines, answer):
    found = read_options(texts, key, letters=letters, name="q")
    assert (found.lines, found.answer) == (lines, answer)


def test_evals_options_shuffle_below_their_marks():
    found = read_options(["(1) w", "(2) x", "(3) y"], "3", seed=4, name="q3")
    assert [line[:4] for line in found.lines] == ["(1) ", "(2) ", "(3) "]
    assert f"({found.answer}) y" in found.lines
    assert found.lines != ["(1) w", "(2) x", "(3) y"]


@pytest.mark.parametrize(("texts", "key"), [(["A. x", "B. y"], "C"), (["x", "y"], "2"), (["x"], "0"), ([], "0")])
def test_evals_a_key_of_no_option_is_refused(texts, key):
    with pytest.raises(WrongKey):
        read_options(texts, key, letters="ABC", name="q")


def test_evals_native_letters_in_a_task_of_ones_own(tmp_path):
    """The task file that docs/how-to/evaluate.md shows."""
    page = (Path(__file__).parents[2] / "docs/how-to/evaluate.md").read_text("utf-8")
    (shown,) = [block for block in page.split("```yaml\n")[1:] if block.startswith("prompt:")]
    head = {"name": "exam", "revision": 1, "type": "generate", "id": "{n}"}
    head |= dict.fromkeys(("summary", "paper", "source", "license"), "x")
    (tmp_path / "exam.yaml").write_text(yaml.safe_dump(head) + shown.partition("```")[0], "utf-8")
    for language in ("th", "km"):
        for part in ("", ".dev"):
            row = {"n": 1, "question": "?", "choices": ["x", "y", "z"], "key": 2, "subject": "s"}
            write(tmp_path, f"exam/{language}{part}.jsonl", [row])
    khmer, thai = (group.items[0] for group in task_groups(["exam"], tmp_path, folder=tmp_path))
    assert thai.prompt == "?\nก. x\nข. y\nค. z\nคำตอบ: ค\n\n?\nก. x\nข. y\nค. z\nคำตอบ:"
    assert (thai.answer, khmer.answer, khmer.meta["marks"]) == ("ค", "គ", ["ក", "ខ", "គ"])
    exact, ill = measure(["m3exam_option"], [thai, khmer], ["ค. z", "(គ)"])
    assert (exact.value, ill.value) == (1, 0)


def test_evals_missing_examples_and_absent_languages_are_said(tmp_path):
    write(tmp_path, "m3exam/thai-questions-test.json", [m3("ข้อ", "1", THAI)])
    with pytest.raises(InputError, match=r"examples of task 'm3exam'.*thai-questions-dev.json"):
        task_groups(["m3exam"], tmp_path)
    write(tmp_path, "m3exam/thai-questions-dev.json", [m3("ข้อ", "1", THAI)])
    (group,) = task_groups(["m3exam"], tmp_path)
    assert group.absent == ["eng_Latn", "jav_Latn", "vie_Latn", "zho_Hans"]


def test_evals_a_renamed_column_names_its_neighbour(tmp_path):
    write(tmp_path, "vmlu/valid.jsonl", [{"id": "1", "question": "?", "choice": ["A. x", "B. y"], "answer": "A"}])
    with pytest.raises(InputError, match=r"no 'choices'.*Did you mean 'choice'"):
        task_groups(["vmlu"], tmp_path)


def test_evals_help_names_every_task():
    from sampan.core.params import field_docs
    from sampan.evals.run import Params

    told = field_docs(Params)["tasks"].replace(":", ",").replace(".", ",").replace("\n", " ").split(",")
    assert set(task_names()) <= {name.strip() for name in told}


def test_evals_texts_of_a_row_are_kept_whole_and_change_no_digest(tmp_path):
    row = {"id": "1", "question": "Câu nào đúng?", "choices": ["A. một", "B. hai"], "answer": "B"}
    write(tmp_path, "vmlu/valid.jsonl", [row])
    (plain,), (with_texts,) = task_groups(["vmlu"], tmp_path), task_groups(["vmlu"], tmp_path, texts=True)
    assert with_texts.items[0].meta["texts"] == ["một", "hai", "Câu nào đúng?"]
    assert plain.prompt_digest == with_texts.prompt_digest
    write(tmp_path, "gsm8k/test.jsonl", [{"question": "2+2?", "answer": "It is four. #### 4"}])
    (group,) = task_groups(["gsm8k"], tmp_path, texts=True)
    assert group.items[0].meta["texts"] == ["2+2?", "It is four. #### 4"]
