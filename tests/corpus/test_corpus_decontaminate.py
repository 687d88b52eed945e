"""Planted items are found in every script, whole or edited; unrelated text is left alone; metrics name the items."""

import json
import random

import pytest

from sampan.artifacts.documents import Document, read_documents, write_documents
from sampan.artifacts.items import Item, write_items
from sampan.core.errors import InputError
from sampan.core.stage import Artifact
from sampan.corpus.item_texts import item_texts

QUESTION = (
    "A farmer carries twelve baskets of mangoes to the market and sells five of them before noon, "
    "then gives two baskets to the temple; how many baskets does she take home?"
)
THAI = "ชาวนาคนหนึ่งแบกมะม่วงสิบสองตะกร้าไปตลาดและขายไปห้าตะกร้าก่อนเที่ยง จากนั้นถวายวัดสองตะกร้า นางนำตะกร้ากลับบ้านกี่ใบ"
FILLER = "The ferry leaves at six.\n{}\nIt rained all day and nobody came to the pier."


def documents(folder, texts, language="eng_Latn"):
    folder.mkdir()
    write_documents(
        folder, [Document(id=f"d{n}", text=text, language=language, source="web") for n, text in enumerate(texts)]
    )
    return folder


def table(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def items(tmp_path):
    return table(tmp_path / "quiz.jsonl", [{"id": "q1", "question": QUESTION}, {"id": "q2", "question": THAI}])


def kept(made):
    return [document.id for document in read_documents(made)]


def test_planted_item_is_dropped_and_named(items, tmp_path, run_stage):
    source = documents(tmp_path / "web", [FILLER.format("Nothing."), FILLER.format(QUESTION.upper()), THAI * 2])
    metrics, made = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [items]})
    assert kept(made) == ["d0"]
    assert metrics["by_task"] == {"quiz": {"items": 2, "items_found": 2, "documents": 2}}
    assert metrics["contaminated_documents"] == 2
    assert metrics["documents_in"] == 3
    example = metrics["examples"][0]
    assert (example["task"], example["item"], example["document"]) == ("quiz", "q1", "d1")
    assert example["text"].startswith("A FARMER CARRIES")
    assert "FERRY" not in example["text"]


def test_blanks_and_marks(items, tmp_path, run_stage):
    """Blanks do not count; a Thai text without its vowels and tones is another text."""
    bare = "".join(char for char in THAI if char not in "ะัาิีึืุูเแโใไ็่้๊๋์ำ")
    source = documents(tmp_path / "web", [THAI.replace(" ", ""), bare, QUESTION.replace(" ", "  \n")])
    _, made = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [items]})
    assert kept(made) == ["d1"]


def test_cut_removes_the_lines_and_flag_names_the_items(items, tmp_path, run_stage):
    source = documents(tmp_path / "web", [FILLER.format(QUESTION), THAI, "Clean."])
    metrics, made = run_stage("corpus.decontaminate", {"action": "cut"}, {"documents": [source], "items": [items]})
    first, last = read_documents(made)
    assert first.text == FILLER.replace("{}\n", "")
    assert last.id == "d2"
    assert metrics["lines_cut"] == 1, "of the second document nothing was left, so it was dropped"
    _, made = run_stage("corpus.decontaminate", {"action": "flag"}, {"documents": [source], "items": [items]})
    assert [d.meta.get("contamination") for d in read_documents(made)] == [["quiz/q1"], ["quiz/q2"], None]


def test_edited_items(items, tmp_path, run_stage):
    """Every seventh word replaced leaves no 13-gram; a text that shares less than half of the item is another one."""
    words = QUESTION.split()
    edited = " ".join("other" if n % 7 == 6 else word for n, word in enumerate(words))
    half = " ".join(words[:12]) + " and that was the end of it"
    source = documents(tmp_path / "web", [edited, half])
    _, made = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [items]})
    assert kept(made) == ["d1"]
    _, made = run_stage("corpus.decontaminate", {"edited_share": None}, {"documents": [source], "items": [items]})
    assert kept(made) == ["d0", "d1"]


def test_min_overlap(items, tmp_path, run_stage):
    half = " ".join(QUESTION.split()[:14])  # 2 of the item's 18 13-grams
    source = documents(tmp_path / "web", [half, "Clean."])
    for overlap, left in ((0.0, ["d1"]), (0.1, ["d1"]), (0.2, ["d0", "d1"])):
        _, made = run_stage("corpus.decontaminate", {"min_overlap": overlap}, {"documents": [source], "items": [items]})
        assert kept(made) == left


def test_tiny_texts_count_together_and_near_each_other(tmp_path, run_stage):
    rows = [
        {"premise": "She emptied her pocket.", "choice1": "A ticket stub came out.", "choice2": "She found a weapon."}
    ]
    items = table(tmp_path / "choices.jsonl", rows)
    premise, one, two = rows[0].values()
    far = " ".join(f"word{n}" for n in range(1000))
    source = documents(
        tmp_path / "web",
        [
            f"{premise} {one} {two}",
            f"{two}\n(a) {premise}\n(b) {one}",
            premise,
            f"{premise} {one}",
            f"{premise} {one} {far} {two}",
        ],
    )
    _, made = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [items]})
    assert kept(made) == ["d2", "d3", "d4"]


def test_a_tests_own_phrasing_is_no_contamination(tmp_path, run_stage):
    """Items of Sampan hold rendered prompts; what all of them say is not the question."""
    ask = "Read the question below with great care and answer it with one number and nothing else, please."
    draw = random.Random(0)
    sums = [" ".join(draw.sample(QUESTION.split(), 20)) for _ in range(20)]
    folder = tmp_path / "items"
    folder.mkdir()
    write_items(
        folder, [Item(f"i{n}", "sums", "generate", "eng_Latn", f"{ask}\n{text}") for n, text in enumerate(sums)]
    )
    made = Artifact(path=folder, kind="items", digest="0" * 64, name="items")
    source = documents(tmp_path / "web", [ask, sums[3], "Clean."])
    metrics, out = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [made]})
    assert kept(out) == ["d0", "d2"]
    assert metrics["examples"][0]["item"] == "i3"


def test_nothing_to_look_for_or_in_is_an_error(items, tmp_path, run_stage):
    """Items without a text would let everything pass as clean."""
    for name, line in {"documents": '{"text": "Sua perahu"}', "items": '{"question": " "}', "none": ""}.items():
        (tmp_path / f"{name}.jsonl").write_text(f"{line}\n" if line else "")
    with pytest.raises(InputError, match="no item with a text"):
        run_stage(
            "corpus.decontaminate",
            {},
            {"documents": [tmp_path / "documents.jsonl"], "items": [tmp_path / "items.jsonl"]},
        )
    with pytest.raises(InputError, match="no document to search"):
        run_stage("corpus.decontaminate", {}, {"documents": [tmp_path / "none.jsonl"], "items": [items]})


def test_fields(tmp_path):
    row = {"id": 7, "prompts": [{"text": "a passage", "choices": ["x", "y"]}], "metadata": {"source": "somewhere"}}
    path = table(tmp_path / "set" / "en.test.jsonl", [row])
    assert next(iter(item_texts(path, "external", []))).texts == ("a passage", "x", "y", "somewhere")
    assert next(iter(item_texts(path, "external", ["prompts.0.text", "prompts.*.choices"]))).texts == (
        "a passage",
        "x",
        "y",
    )
    [item] = item_texts(tmp_path / "set", "external", ["prompts"])
    assert (item.task, item.name) == ("en.test", "7")
    with pytest.raises(InputError, match="no row has a text at question"):
        list(item_texts(path, "external", ["question"]))


def test_same_result_however_cut(items, tmp_path, run_stage):
    texts = [FILLER.format(QUESTION if n % 3 == 0 else f"Line {n}.") for n in range(12)]
    whole = documents(tmp_path / "whole", texts)
    parts = [documents(tmp_path / f"part{n}", texts[n::3]) for n in range(3)]
    one, made = run_stage("corpus.decontaminate", {}, {"documents": [whole], "items": [items]})
    many, apart = run_stage("corpus.decontaminate", {}, {"documents": parts, "items": [items]})
    assert {d.text for d in read_documents(made)} == {d.text for d in read_documents(apart)}
    assert one["by_task"] == many["by_task"]
    assert made.digest == run_stage("corpus.decontaminate", {}, {"documents": [whole], "items": [items]})[1].digest


def rows(shared, name):
    from sampan.artifacts.tables import read_rows

    return [row for _, row in read_rows(shared / "data" / name)]


CODES = ["en", "th", "lo", "km", "my", "zh", "vi", "id", "ms", "tl", "ta", "jv", "su"]


def with_gaps(text, spaced, draw):
    """The text without every twentieth of its units, chosen at random."""
    from sampan.lang.units import units

    found = units(text, spaced)
    gone = draw.sample(range(len(found)), len(found) // 20)
    for start, end in sorted(((int(found.starts_U[u]), int(found.ends_U[u])) for u in gone), reverse=True):
        text = text[:start] + text[end:]
    return text


@pytest.mark.shared
def test_flores_is_found_in_all_languages_and_nothing_else(shared, tmp_path, run_stage):
    """FLORES sentences of 13 languages, planted below other text, and with a twentieth of their units left out;
    beside them TICO-19, NTREX and UDHR, which hold none. A word of Thai, Lao and Khmer is three clusters, so there an
    edit hits about 15 % of the words, and fewer are found."""
    draw = random.Random(0)
    sentences = rows(shared, "eval/flores200/devtest.jsonl.gz")[:60]
    texts = [
        ("clean", code, row["text"])
        for code in CODES
        for name in ("tico19", "ntrex128", "udhr")
        if (shared / "data" / "text" / code / f"{name}.jsonl.gz").is_file()
        for row in rows(shared, f"text/{code}/{name}.jsonl.gz")
    ]
    above = [text[:300] for _, _, text in texts]
    for code in CODES:
        for text in (row[code] for row in sentences if row.get(code)):
            texts.append(("planted", code, f"{draw.choice(above)}\n{text}\n"))
            texts.append(("edited", code, with_gaps(text, code not in ("th", "lo", "km", "my", "zh"), draw)))
    source = documents(tmp_path / "web", [text for _, _, text in texts])
    items = shared / "data" / "eval" / "flores200" / "devtest.jsonl.gz"
    _, made = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [items]})
    left = set(kept(made))
    found = {what: {code: [0, 0] for code in CODES} for what in ("clean", "planted", "edited")}
    for number, (what, code, _) in enumerate(texts):
        found[what][code][0] += f"d{number}" not in left
        found[what][code][1] += 1
    print(found)
    assert all(called == 0 for called, _ in found["clean"].values())
    assert all(called == number > 0 for called, number in found["planted"].values())
    called, number = (sum(column) for column in zip(*found["edited"].values(), strict=True))
    assert called >= 0.9 * number


@pytest.mark.shared
def test_belebele_is_made_of_flores(shared, tmp_path, run_stage):
    """Javanese Belebele passages are FLORES sentences, so hits there are right."""
    passages = [row["prompts"][0]["text"] for row in rows(shared, "eval/belebele/jv.jsonl")]
    source = documents(tmp_path / "belebele", [*dict.fromkeys(passages), "The end."])
    items = shared / "data" / "eval" / "flores200"
    metrics, _ = run_stage("corpus.decontaminate", {}, {"documents": [source], "items": [items]})
    print(metrics["contaminated_documents"], "of", metrics["documents_in"])
    assert metrics["contaminated_documents"] >= 20
