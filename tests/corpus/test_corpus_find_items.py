"""Planted evaluation items are found in what a model was trained on, in every script; clean ones are not."""

from __future__ import annotations

import json

import pytest

from sampan.artifacts.conversations import Conversation, Preference, write_conversations, write_preferences
from sampan.artifacts.document_shards import document_jobs
from sampan.artifacts.documents import Document, write_documents
from sampan.artifacts.findings import read_findings
from sampan.artifacts.items import TEXTS, Item, write_items
from sampan.core.errors import InputError
from sampan.core.stage import Artifact

QUESTIONS = {
    "eng_Latn": "A farmer carries twelve baskets of mangoes to the market and sells five of them before noon today; "
    "how many baskets does she take home?",
    "tha_Thai": "ชาวนาคนหนึ่งแบกมะม่วงสิบสองตะกร้าไปตลาดและขายไปห้าตะกร้าก่อนเที่ยงวันนี้ นางนำตะกร้ากลับบ้านกี่ใบ",
    "khm_Khmr": "កសិករម្នាក់យកស្វាយដប់ពីរកន្ត្រកទៅផ្សារ ហើយលក់អស់ប្រាំកន្ត្រកមុនពេលថ្ងៃត្រង់ តើនាងយកកន្ត្រកប៉ុន្មានមកផ្ទះវិញ",
    "mya_Mymr": "လယ်သမားတစ်ဦးသည် သရက်သီး ဆယ့်နှစ်တောင်းကို ဈေးသို့ယူသွားပြီး နေ့လယ်မတိုင်မီ ငါးတောင်းရောင်းသည် အိမ်သို့ ဘယ်နှတောင်း ပြန်ယူသွားသနည်း",
    "lao_Laoo": "ຊາວນາຄົນໜຶ່ງເອົາໝາກມ່ວງສິບສອງກະຕ່າໄປຕະຫຼາດ ແລະຂາຍໄດ້ຫ້າກະຕ່າກ່ອນທ່ຽງວັນ ນາງເອົາກະຕ່າກັບບ້ານຈັກໃບ",
}
OTHER = {
    "eng_Latn": "The ferry to the island leaves at six every morning, and on Sundays it waits for the priest and his "
    "two dogs before it leaves the pier.",
    "tha_Thai": "เรือข้ามฟากไปเกาะออกทุกเช้าเวลาหกโมง และในวันอาทิตย์จะรอพระกับสุนัขสองตัวของท่านก่อนออกจากท่า",
    "khm_Khmr": "សាឡាងទៅកោះចេញដំណើររៀងរាល់ព្រឹកម៉ោងប្រាំមួយ ហើយនៅថ្ងៃអាទិត្យវារង់ចាំលោកសង្ឃនិងឆ្កែពីរក្បាលរបស់លោក",
    "mya_Mymr": "ကျွန်းသို့သွားသော ကူးတို့သင်္ဘောသည် နံနက်တိုင်း ခြောက်နာရီတွင် ထွက်ခွာပြီး တနင်္ဂနွေနေ့တွင် ဘုန်းကြီးနှင့် ခွေးနှစ်ကောင်ကို စောင့်သည်",
    "lao_Laoo": "ເຮືອຂ້າມຟາກໄປເກາະອອກທຸກເຊົ້າເວລາຫົກໂມງ ແລະໃນວັນອາທິດຈະລໍຖ້າຄູບາກັບໝາສອງໂຕກ່ອນອອກຈາກທ່າ",
}


def folder(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    return path


def quiz(tmp_path):
    """Per language two items with the same ids: `seen` is planted below, `clean` is not."""
    rows = []
    for code in QUESTIONS:
        for name, text in (("seen", QUESTIONS[code]), ("clean", OTHER[code])):
            prompt = f"Question: {text}\nAnswer:"
            rows.append(Item(name, "quiz", "generate", code, prompt, [], "7", meta={TEXTS: [text, "7"]}))
    path = folder(tmp_path, "items")
    write_items(path, rows)
    return Artifact(path=path, kind="items", digest="i" * 64, name="items")


def corpus(tmp_path, name, texts, kind="documents"):
    path = folder(tmp_path, name)
    if kind == "documents":
        write_documents(path, [Document(f"{name}{n}", text, "eng_Latn") for n, text in enumerate(texts)])
    elif kind == "conversations":
        turns = [[{"role": "user", "content": text}, {"role": "assistant", "content": "It is 7."}] for text in texts]
        write_conversations(path, [Conversation(f"{name}{n}", messages) for n, messages in enumerate(turns)])
    else:
        pairs = [([{"role": "user", "content": "Hello"}], text, "no") for text in texts]
        write_preferences(path, [Preference(f"{name}{n}", *pair) for n, pair in enumerate(pairs)])
    return Artifact(path=path, kind=kind, digest=name * 8, name=name)


@pytest.mark.parametrize("kind", ["documents", "conversations", "preferences"])
def test_planted_items_are_found_and_clean_ones_are_not(tmp_path, run_stage, kind):
    texts = [f"7. It rained all day.\n{text.upper()}\nNobody came." for text in QUESTIONS.values()]
    planted = corpus(tmp_path, "web", texts, kind)
    metrics, made = run_stage("corpus.find_items", {}, {"items": [quiz(tmp_path)], "documents": [planted]})
    found = read_findings(made)
    assert {(row.task, row.language, row.item) for row in found.found} == {("quiz", code, "seen") for code in QUESTIONS}
    assert all(row.exact and row.documents == 1 and row.corpus == "web" * 8 for row in found.found)
    assert [row.document for row in found.found if row.language == "tha_Thai"] == ["web1"]
    assert {(row.task, row.language): row.ids for row in found.searched} == {
        ("quiz", code): ["seen", "clean"] for code in QUESTIONS
    }
    assert metrics["by_task"]["quiz/khm_Khmr"] == {"items": 2, "exact": 1, "overlapping": 0}
    assert (metrics["items"], metrics["items_exact"], metrics["items_overlapping"]) == (10, 5, 0)


@pytest.mark.parametrize("code", list(QUESTIONS))
def test_a_part_of_an_item_overlaps_and_is_not_exact(tmp_path, run_stage, code):
    """Four fifths of the question and none of the rest; the other language's item is not touched."""
    text = QUESTIONS[code][: 4 * len(QUESTIONS[code]) // 5]
    planted = corpus(tmp_path, "web", [text])
    metrics, made = run_stage("corpus.find_items", {}, {"items": [quiz(tmp_path)], "documents": [planted]})
    (row,) = read_findings(made).found
    assert (row.language, row.item, row.exact) == (code, "seen", False)
    assert row.text
    assert metrics["items_overlapping"] == 1


def test_found_by_corpus_and_the_same_however_cut(tmp_path, run_stage, monkeypatch):
    thai, english = QUESTIONS["tha_Thai"], QUESTIONS["eng_Latn"]
    web = corpus(tmp_path, "web", [thai, "clean", thai])
    chats = corpus(tmp_path, "chats", [english], "conversations")
    inputs = {"items": [quiz(tmp_path)], "documents": [web, chats]}
    _, made = run_stage("corpus.find_items", {}, inputs)
    found = [(row.corpus, row.language, row.documents) for row in read_findings(made).found]
    assert found == [("web" * 8, "tha_Thai", 2), ("chats" * 8, "eng_Latn", 1)]
    monkeypatch.setattr("sampan.corpus.item_search.document_jobs", lambda sources: document_jobs(sources, job_bytes=1))
    _, again = run_stage("corpus.find_items", {}, inputs)
    assert again.digest == made.digest


def test_items_from_outside_go_by_the_names_that_evals_gives_them(tmp_path, run_stage):
    """A JSONL file that evals.run takes as items; an item without an id is called by its prompt's digest."""
    prompt = QUESTIONS["eng_Latn"]
    row = {"task": "mine", "type": "generate", "language": "en", "prompt": prompt, "answer": "7"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row), encoding="utf-8")
    web = corpus(tmp_path, "web", [prompt])
    _, made = run_stage("corpus.find_items", {}, {"items": [tmp_path / "mine.jsonl"], "documents": [web]})
    (found,) = read_findings(made).found
    key = Item("", "mine", "generate", "eng_Latn", prompt).key
    assert (found.task, found.language, found.item) == ("mine", "eng_Latn", key)


def test_nothing_to_look_for_is_an_error(tmp_path, run_stage):
    (tmp_path / "none.jsonl").write_text('{"question": " "}')
    with pytest.raises(InputError, match="no item with a text"):
        run_stage(
            "corpus.find_items", {}, {"items": [tmp_path / "none.jsonl"], "documents": [corpus(tmp_path, "web", ["a"])]}
        )


@pytest.mark.shared
def test_published_items_are_found_where_they_were_planted(tmp_path, shared, run_stage):
    """XCOPA, XQuAD and GSM8K, about every second item planted among other text, the others not.

    Measured: 10 of 1,128 missed, XCOPA items of fewer than seven words in all; 2 of 1,133 others found, one a GSM8K
    question that differs in a number from a planted one, one the answer "World War II" on a line of its own.
    """
    data = Artifact(path=shared / "data" / "eval", kind="external", digest="d" * 64, name="data")
    params = {"tasks": ["xcopa", "xquad", "gsm8k"], "languages": ["tha_Thai", "eng_Latn"]}  # XQuAD in both
    _, items = run_stage("evals.items", params, {"data": [data]})
    from sampan.artifacts.items import read_items

    rows = list(read_items(items))
    # Questions about one passage stand or fall together, so passages are chosen, not items.
    planted = [item for item in rows if int(item.meta.get("cluster", item.key).encode().hex(), 16) % 2]
    noise = "\n".join(OTHER.values())
    web = corpus(tmp_path, "web", [f"{noise}\n" + "\n".join(item.meta[TEXTS]) for item in planted])
    _, made = run_stage("corpus.find_items", {}, {"items": [items], "documents": [web]})
    found = {(row.task, row.language, row.item): row.exact for row in read_findings(made).found}
    wanted = {(item.task, item.language, item.key) for item in planted}
    others = {(item.task, item.language, item.key) for item in rows} - wanted
    missed, wrong = wanted - found.keys(), others & found.keys()
    print(len(wanted), "planted", len(missed), "missed", len(others), "others", len(wrong), "found")
    assert len(missed) <= 0.02 * len(wanted)
    assert len(wrong) <= 5
    assert all(found[key] for key in wanted & found.keys())
