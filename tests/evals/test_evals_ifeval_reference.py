"""Our verdicts beside the reference implementation's, run here, on the published prompts and answers made for them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from sampan.core.errors import InputError
from sampan.evals import instructions_reference
from sampan.evals.instructions import follows
from sampan.evals.instructions_reference import reference_checkers

BASE = json.loads((Path(__file__).parent / "ifeval_reference.json").read_text("utf-8"))["answers"]
NEAR = {
    # The identifier and the sentence splitter are ours; the rest must be equal.
    "change_case:english_capital",
    "change_case:english_lowercase",
    "language:response_language",
    "length_constraints:number_sentences",
}


def answer_to(kind: str, given: dict, draw: random.Random) -> str:
    """An answer that follows the instruction, or just fails to."""
    off = draw.choice([-1, 0, 0, 1])
    count = max(1, next((value for value in given.values() if isinstance(value, int)), 3) + off)
    word, group = kind.partition(":")[2], kind.partition(":")[0]
    if group == "keywords":
        said = given.get("keywords", []) + given.get("forbidden_words", [])[: off + 1]
        said += [given["keyword"]] * count if "keyword" in given else []
        return " and ".join(said) + " " + given.get("letter", "") * count
    if word == "number_paragraphs":
        return "\n***\n".join(f"Paragraph {n} is here." for n in range(count))
    if word == "nth_paragraph_first_word":
        starts = [given["first_word"] if n == given["nth_paragraph"] else "Some" for n in range(1, count + 1)]
        return "\n\n".join(f"{start}, so it goes." for start in starts)
    if word == "number_sentences":
        return " ".join(f"Sentence number {n} stands here." for n in range(count))
    if word == "number_words":
        return "word " * count
    if group == "detectable_format":
        parts = [f"* item {n}\n*part {n}*\n{given.get('section_spliter', 'Part')} {n}" for n in range(count)]
        return "\n".join(parts) + "\n<<T>> My answer is no."
    if group == "detectable_content":
        slots = " ".join(f"[slot {n}]" for n in range(count))
        return f"{slots}\n\n{given.get('postscript_marker', 'P.S.')} bye"
    if group == "combination":
        return f"{given.get('prompt_to_repeat', '')}\nAnswer one ******\nAnswer two"
    if group == "startend":
        return f'"Well then. {given.get("end_phrase", "")}' + ('"' if off >= 0 else "")
    if group == "change_case":
        return "HERE ARE SOME WORDS " * count + "that DON'T count-AS-ONE A.B.C U.S. X-RAY"
    return "no comma here" + (", but here" if off else "")


@pytest.fixture
def reference(monkeypatch):
    nltk = pytest.importorskip("nltk")
    pytest.importorskip("langdetect").DetectorFactory.seed = 0
    monkeypatch.setattr(nltk, "download", lambda *names, **options: False)  # no network in tests
    return pytest.importorskip("lm_eval.tasks.ifeval.utils")


@pytest.mark.shared
def test_evals_ifeval_verdicts_are_the_references(shared, reference):
    lines = (shared / "data/eval/ifeval/input_data.jsonl").read_text("utf-8").splitlines()
    ways = {False: "test_instruction_following_strict", True: "test_instruction_following_loose"}
    seen, different = Counter(), Counter()
    for number, row in enumerate(map(json.loads, lines)):
        kinds, given, draw = row["instruction_id_list"], row["kwargs"], random.Random(number)
        made = [answer_to(*pair, draw) for pair in zip(kinds, given, strict=True)]
        for answer in (*made, "\n".join(made), *(BASE[(number + 4 * n) % len(BASE)] for n in range(4))):
            for loose, way in ways.items():
                try:
                    theirs = getattr(reference, way)(reference.InputExample(**row), answer).follow_instruction_list
                except LookupError:  # NLTK's data are not installed
                    continue
                for kind, a, b in zip(
                    kinds, follows(kinds, given, answer, "eng_Latn", loose=loose), theirs, strict=True
                ):
                    seen[kind] += 1
                    different[kind] += a != b
    assert seen.total() > 3000
    for kind, count in different.items():
        # A tenth: the two identifiers and sentence splitters differ on one-word texts and on abbreviations.
        assert count <= (0.1 * seen[kind] if kind in NEAR else 0), (kind, count, seen[kind])


SAID = [
    "etchings",
    "EVERYTHING IS SHOUTED HERE AND NOBODY MINDS",
    "भोलि बिहान हामी काठमाडौं जान्छौं",
    "hoy llueve en la sierra",
    "42!",
]


@pytest.fixture
def without_punkt(monkeypatch):
    """The checkers with a splitter at full stops, where NLTK's model is not installed."""
    monkeypatch.setattr(instructions_reference, "_punkt", lambda: lambda text: text.split(". "))
    reference_checkers.cache_clear()
    yield reference_checkers()
    reference_checkers.cache_clear()


@pytest.mark.parametrize("said", SAID)
def test_evals_ifeval_languages_are_langdetects(reference, without_punkt, said):
    ways = {False: "test_instruction_following_strict", True: "test_instruction_following_loose"}
    kinds = ["change_case:english_capital", "change_case:english_lowercase"] + ["language:response_language"] * 3
    given = [{}, {}, {"language": "en"}, {"language": "ne"}, {"language": "es"}]
    for loose, way in ways.items():
        row = {"key": 1, "instruction_id_list": kinds, "prompt": "", "kwargs": given}
        theirs = getattr(reference, way)(reference.InputExample(**row), said).follow_instruction_list
        assert follows(kinds, given, said, "eng_Latn", loose=loose, checkers=without_punkt) == theirs


def test_evals_ifeval_sentences_are_what_punkt_says(without_punkt):
    kind, given = "length_constraints:number_sentences", {"relation": "at least", "num_sentences": 3}
    text = "one of Dr. Smith. two"  # three by the stand-in, two by anyone who knows abbreviations
    assert follows([kind], [given], text, "eng_Latn", checkers=without_punkt) == [True]
    assert follows([kind], [given], text, "eng_Latn") == [False]


def test_evals_ifeval_missing_tools_are_named_before_anything_is_asked(monkeypatch):
    from sampan.evals.metrics import check_tools

    monkeypatch.setitem(__import__("sys").modules, "langdetect", None)
    reference_checkers.cache_clear()
    check_tools(["ifeval"])
    with pytest.raises(InputError, match="langdetect"):
        check_tools(["ifeval_reference"])
