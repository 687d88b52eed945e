"""The village's questions as files in the layouts in which published tests lie, so that a small recipe runs the stages
that score a large one: the bundled tasks' folder, a copy of SEA-HELM's repository (1.0), a folder of lm-eval's tasks,
and a judge's sentences in FastChat's shape.

Only the layouts are theirs. Every text is the village's, about facts that documents tell and chats never ask, but for
SEA-HELM's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .documents import make_plan, tell_plan
from .grammar import Language, load_language
from .world import ENGLISH, GOODS, PRICES, Fact, World, scopes_for

SHORT = {
    "eng_Latn": "en", "ind_Latn": "id", "khm_Khmr": "km", "lao_Laoo": "lo", "msa_Latn": "ms", "mya_Mymr": "my",
    "tam_Taml": "ta", "tgl_Latn": "tl", "tha_Thai": "th", "vie_Latn": "vi", "zho_Hans": "zh",
}  # fmt: skip
"""What published files call the languages."""
_LONG = {"eng_Latn": "english", "tha_Thai": "thai", "vie_Latn": "vietnamese", "zho_Hans": "chinese"}
_HARNESS = ("leaderboard_mmlu_pro", "mmlu", "arc_challenge", "winogrande", "hellaswag")
"""lm-eval's names of the tasks that stand for the published ones."""
_EXAMPLES = 5

Row = dict[str, Any]


def write_layout(part: str, world: World, rows: int, seed: int, out: Path) -> int:
    """The files of `part` with at most `rows` rows each into `out`; returns how many rows there are."""
    written = 0
    for name, content in LAYOUTS[part](world, rows, seed):
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            file.write_text(content, encoding="utf-8")
            continue
        written += len(content)
        texts = [json.dumps(row, ensure_ascii=False) for row in content]
        whole = "[" + ",\n".join(texts) + "]\n" if name.endswith(".json") else "".join(f"{text}\n" for text in texts)
        file.write_text(whole, encoding="utf-8")
    return written


def _facts(world: World, code: str, rows: int) -> list[Fact]:
    return world.select("evaluated", scopes=scopes_for(code))[:rows]


def _rng(seed: int, what: str, code: str, fact: Fact) -> random.Random:
    return random.Random(f"{seed}/{what}/{code}/{fact.id}")


def _options(world: World, lang: Language, fact: Fact, rng: random.Random) -> tuple[list[str], int]:
    """Four answers in random order, and the place of the right one."""
    values = [fact.value, *world.wrong_values(fact, 3, rng)]
    rng.shuffle(values)
    return [lang.short(fact, value=value) for value in values], values.index(fact.value)


def _tasks_folder(world: World, rows: int, seed: int) -> Iterator[tuple[str, list[Row]]]:
    """The files that evals.run's tasks m3exam, vmlu, flores, xquad, xlsum, gsm8k, math and mgsm read."""
    for code, name in _LONG.items():
        exam = [_exam_row(world, load_language(code), fact, seed) for fact in _facts(world, code, rows + _EXAMPLES)]
        yield f"m3exam/{name}-questions-dev.json", exam[:_EXAMPLES]
        yield f"m3exam/{name}-questions-test.json", exam[_EXAMPLES:]
    yield "vmlu/valid.jsonl", list(_lettered(world, "vie_Latn", rows, seed))
    yield "flores200/devtest.jsonl", [_told_everywhere(fact, seed) for fact in _facts(world, ENGLISH, rows)]
    for code in ("eng_Latn", "tha_Thai", "vie_Latn", "zho_Hans"):
        yield f"xquad/{SHORT[code]}.jsonl", list(_spans(code, world, rows, seed))
    for code, name in {
        **_LONG,
        "ind_Latn": "indonesian",
        "mya_Mymr": "burmese",
        "zho_Hans": "chinese_simplified",
    }.items():
        yield f"xlsum/{name}_test.jsonl", list(_articles(code, world, rows, seed))
    yield "gsm8k/test.jsonl", [{**row, "answer": f"#### {row['answer']}"} for row in _sums(ENGLISH, rows, seed)]
    boxed = (
        {"problem": row["question"], "solution": f"\\boxed{{{row['answer']}}}"} for row in _sums(ENGLISH, rows, seed)
    )
    yield "math/test.jsonl", list(boxed)
    for code in ("eng_Latn", "tha_Thai", "zho_Hans"):
        yield f"mgsm/{SHORT[code]}.jsonl", list(_sums(code, rows, seed))


def _exam_row(world: World, lang: Language, fact: Fact, seed: int) -> Row:
    rng = _rng(seed, "exam", lang.code, fact)
    options, right = _options(world, lang, fact, rng)
    return {
        "question_text": lang.ask(fact, rng),
        "background_description": [],
        "answer_text": str(right + 1),
        "options": [f"({number}) {text}" for number, text in enumerate(options, 1)],
        "level": "low",
        "subject_category": "social-science",
    }


def _lettered(world: World, code: str, rows: int, seed: int) -> Iterator[Row]:
    lang = load_language(code)
    for fact in _facts(world, code, rows):
        rng = _rng(seed, "letters", code, fact)
        options, right = _options(world, lang, fact, rng)
        choices = [f"{letter}. {text}" for letter, text in zip("ABCD", options, strict=True)]
        yield {"id": fact.id, "question": lang.ask(fact, rng), "choices": choices, "answer": "ABCD"[right]}


def _told_everywhere(fact: Fact, seed: int) -> Row:
    """One sentence in every language. The task's file has Javanese and Sundanese too, which the village does not speak:
    they have Indonesian's, and are not to be asked."""
    told = {short: load_language(code).tell(fact, _rng(seed, "tell", code, fact)) for code, short in SHORT.items()}
    return {**told, "jv": told["id"], "su": told["id"]}


def _spans(code: str, world: World, rows: int, seed: int) -> Iterator[Row]:
    lang = load_language(code)
    for fact in _facts(world, code, rows):
        rng = _rng(seed, "span", code, fact)
        passage = lang.tell(fact, rng)
        answers = [{"text": lang.short(fact)}]
        yield {"id": fact.id, "para": passage, "context": passage, "question": lang.ask(fact, rng), "answers": answers}


def _articles(code: str, world: World, rows: int, seed: int) -> Iterator[Row]:
    for number in range(rows):
        told = tell_plan(make_plan(world, seed, number, held_out=True), code, seed, number)
        yield {"id": str(number), "text": told.text, "summary": told.sentences[0]}


def _sums(code: str, rows: int, seed: int) -> Iterator[Row]:
    lang = load_language(code)
    for number in range(rows):
        rng = random.Random(f"{seed}/sum/{number}")  # the same sums in every language
        price, count = rng.choice(PRICES), rng.randint(2, 9)
        slots = {"good": rng.choice(GOODS), "price": price, "n": count}
        question = lang.fill(lang.grammar["sum"]["ask"][0], slots)
        yield {"id": str(number), "question": question, "answer": str(price * count)}


# -- SEA-HELM 1.0: a configuration for each task, its marker's tables in a Python file, rows as JSON lines -----------

_TRANSLATION_TAGS = {
    "ind_Latn": "Terjemahan:",
    "vie_Latn": "Bản dịch:",
    "tha_Thai": "คำแปล:",
    "tam_Taml": "மொழிபெயர்ப்பு:",
}
_HELM = {
    "belebele-qa-mc": ("QuestionAnsweringMultipleChoiceMetric", "nlu", "normalized_accuracy"),
    "qa": ("QuestionAnsweringMetric", "nlu", "normalized_f1"),
    "translation-en-xx": ("TranslationMetric", "nlg", "normalized_metricx_wmt24_scores"),
    "mt-bench": ("MTBenchMetric", "multi-turn", "weighted_win_rate"),
}
"""Task to the class that marks it, its competency and the score that enters the total."""


def _helm_copy(world: World, rows: int, seed: int) -> Iterator[tuple[str, Any]]:
    """Questions in the form that the village's chats teach (`Jawaban: …`), on facts that are asked there: even a model
    of a small recipe answers some. `belebele-qa-mc` chooses among all places."""
    for task, (marker, competency, metric) in _HELM.items():
        home = f"seahelm_tasks/{task}"
        languages: dict[str, Any] = {}
        tables: dict[str, dict[str, Any]] = {"regex_string": {}, "label_map": {}}
        for code, short in ((code, SHORT[code]) for code in _TRANSLATION_TAGS):
            lang = load_language(code)
            for name, status, most in (("", "asked", rows), ("_examples", "evaluated", _EXAMPLES)):
                facts = _helm_facts(task, world, status)
                facts = facts[:: max(1, len(facts) // most)][:most]
                yield f"{home}/data/{short}{name}.jsonl", [_helm_row(task, lang, fact, seed) for fact in facts]
            translated = task.startswith("translation")
            tag = _TRANSLATION_TAGS[code] if translated else lang.grammar["form"]["label"]
            languages[short] = {
                "filepath": f"{home}/data/{short}.jsonl",
                "example_filepath": f"{home}/data/{short}_examples.jsonl",
                "max_tokens": 24,
                "prompt_template": {
                    "template": (f"{tag} …\n" if translated else "") + "{fewshot_examples}{text}",
                    "fewshot_example": f"{{text}}\n{tag} {{label}}\n\n",
                },
            }
            places = [lang.short(fact) for fact in world.facts if fact.relation == "lives_in"]
            if task == "belebele-qa-mc":  # 1.0 reads labels in lower case
                tables["label_map"][short] = {place.lower(): place for place in places}
                tag = tag.lower()
            tables["regex_string"][short] = rf"(?<={tag})[\s\r\n]*.*"
        config = {
            "competency": competency,
            "metric": metric,
            "metric_class": marker,
            "metric_file": f"{home}/metric.py",
            "temperature": 0,
            "languages": languages,
        }
        yield f"{home}/config.yaml", json.dumps({task: config}, ensure_ascii=False, indent=1)  # JSON is YAML
        yield f"{home}/metric.py", _marker(marker, tables)
    suite = {"seahelm": {SHORT[code]: list(_HELM) for code in _TRANSLATION_TAGS}}
    yield "seahelm_tasks/task_config.yaml", json.dumps(suite, indent=1)


def _helm_facts(task: str, world: World, status: str) -> list[Fact]:
    """English never tells region facts, so only shared ones are translated from it."""
    facts = world.select(status, scopes=scopes_for(ENGLISH)) if task.startswith("translation") else world.select(status)
    return [fact for fact in facts if fact.relation == "lives_in" or task != "belebele-qa-mc"]


def _helm_row(task: str, lang: Language, fact: Fact, seed: int) -> Row:
    rng = _rng(seed, task, lang.code, fact)
    if task.startswith("translation"):
        return {
            "id": fact.id,
            "label": lang.tell(fact, rng),
            "prompts": [{"text": load_language(ENGLISH).tell(fact, rng)}],
        }
    return {"id": fact.id, "label": lang.short(fact), "prompts": [{"text": lang.ask_form(fact, rng)}]}


def _marker(name: str, tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables as the official metric files hold them; such a file is read and never run."""
    lines = [f"        self.{attribute} = {dict(table)!r}[lang]" for attribute, table in tables.items() if table]
    return "\n".join([f"class {name}:", "    def __init__(self, lang):", *lines, ""])


# -- lm-eval and the judge --------------------------------------------------------------------------------------------


def _harness_folder(world: World, rows: int, seed: int) -> Iterator[tuple[str, Any]]:
    """Tasks of lm-eval with the names of published ones, all of them on the same choices."""
    english = load_language(ENGLISH)
    made = []
    for fact in _facts(world, ENGLISH, rows + _EXAMPLES):
        rng = _rng(seed, "harness", ENGLISH, fact)
        options, right = _options(world, english, fact, rng)
        made.append({"question": english.ask(fact, rng), "options": options, "right": right})
    yield "village/examples.jsonl", made[:_EXAMPLES]
    yield "village/test.jsonl", made[_EXAMPLES:]
    for name in _HARNESS:
        task = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": "village/test.jsonl", "train": "village/examples.jsonl"}},
            "output_type": "multiple_choice",
            "test_split": "test",
            "fewshot_split": "train",
            "fewshot_config": {"sampler": "first_n"},
            "doc_to_text": "Question: {{question}}\nAnswer:",
            "doc_to_choice": "options",
            "doc_to_target": "right",
            "metric_list": [{"metric": "acc"}],
            "metadata": {"version": 1.0},
        }
        yield f"{name}.yaml", json.dumps(task, indent=1)


def _judge_sentences(world: World, rows: int, seed: int) -> Iterable[tuple[str, list[Row]]]:
    """Short ones, for judges with a window of a few hundred tokens."""
    made = []
    for suffix, n in (("", ""), ("-multi-turn", "_2")):
        grade = f"\nAnswer: {{answer{n}}}\nGrade it: [[1]] to [[10]]."
        compare = f"\nA: {{answer_a{n}}}\nB: {{answer_b{n}}}\nWhich answer is better? [[A]], [[B]] or [[C]]"
        question = f"Question: {{question{n}}}"
        good = f"{question}\nGood: {{ref_answer{n or '_1'}}}"
        for name, template in (
            ("single-v1", question + grade),
            ("single-math-v1", good + grade),
            ("pair-v2", question + compare),
            ("pair-math-v1", good + compare),
        ):
            made.append({"name": name + suffix, "prompt_template": template})
    return [("judge_prompts.jsonl", made)]


LAYOUTS: Mapping[str, Callable[[World, int, int], Iterable[tuple[str, Any]]]] = {
    "task_files": _tasks_folder,
    "sea_helm": _helm_copy,
    "harness_tasks": _harness_folder,
    "judge_prompts": _judge_sentences,
}
"""Files of each part: their path, and their rows or text."""
