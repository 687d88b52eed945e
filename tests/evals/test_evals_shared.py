"""Bundled tasks on the published files: every row becomes an item, gold labels mean what the task file says."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from sampan.artifacts.scores import read_scores
from sampan.evals.groups import clusters_of, only_languages
from sampan.evals.metrics import measure
from sampan.evals.run import STAGE
from sampan.evals.task_file import task_names
from sampan.evals.task_items import task_groups

pytestmark = pytest.mark.shared
ITEMS = {
    "xcopa": {"ind_Latn": 249, "tam_Taml": 249, "tha_Thai": 249, "vie_Latn": 249, "zho_Hans": 249},
    "belebele": {"jav_Latn": 143},
    "mgsm": {"eng_Latn": 134, "tha_Thai": 134, "zho_Hans": 134},
    "gsm8k": {"eng_Latn": 688},
    "cmmlu": {"zho_Hans": 5433},
    "indonli": {"ind_Latn": 1094},
    "c3_dialogue": {"zho_Hans": 750},
    "iapp_wiki_qa": {"tha_Thai": 377},
    "ifeval": {"eng_Latn": 259},
    "indonli_expert": {"ind_Latn": 1440},
    "multijail": dict.fromkeys(("eng_Latn", "jav_Latn", "tha_Thai", "vie_Latn", "zho_Hans"), 141),
    "paraphrase": {"mya_Mymr": 197, "tgl_Latn": 199},
    "sea_safeguard_refusal": dict.fromkeys(("mya_Mymr", "tam_Taml", "tgl_Latn", "tha_Thai", "vie_Latn"), 232)
    | {"ind_Latn": 268, "msa_Latn": 238},
    "wisesight_sentiment": {"tha_Thai": 1366},
    "xquad": dict.fromkeys(("eng_Latn", "tha_Thai", "vie_Latn", "zho_Hans"), 662),
    "nusax_sentiment": dict.fromkeys(("eng_Latn", "ind_Latn", "jav_Latn"), 209),
}
LITE = ("eng_Latn", "ind_Latn", "msa_Latn", "mya_Mymr", "tgl_Latn", "vie_Latn", "zho_Hans")
ITEMS |= dict.fromkeys(("global_mmlu_lite", "global_mmlu_lite_cloze"), dict.fromkeys(LITE, 205))
LEFT_OUT = {("global_mmlu_lite", "mya_Mymr"): 1, ("global_mmlu_lite_cloze", "mya_Mymr"): 1}  # its question is null


NOT_THERE = {"m3exam", "math", "seaexam", "seaexam_mmlu", "vmlu", "xlsum"}
"""Sets that may not be passed on: tested on made-up rows in test_evals_exam_tasks.py."""


def test_evals_every_task_is_tested_on_rows():
    assert {*ITEMS, "flores", "lindsea_syntax", *NOT_THERE} == set(task_names())


def test_evals_lindsea_is_parted_by_phenomenon(shared):
    groups = {
        group.task.removeprefix("lindsea_syntax_"): group
        for group in task_groups(["lindsea_syntax"], shared / "data/eval")
    }
    sizes = {name: len(group.items) for name, group in groups.items()}
    assert sizes == {"morphology": 75, "argument_structure": 83, "filler_gap_dependencies": 35, "npis_and_negation": 12}
    for group in groups.values():
        assert {item.answer for item in group.items} == {"0", "1"}


@pytest.mark.parametrize("name", sorted(ITEMS))
def test_evals_every_published_row_becomes_an_item(shared, name):
    groups = {group.language: group for group in task_groups([name], shared / "data/eval")}
    assert {language: len(group.items) + group.left_out for language, group in groups.items()} == ITEMS[name]
    for group in groups.values():
        assert group.left_out == LEFT_OUT.get((name, group.language), 0)
        if group.type == "multiple_choice":
            answers = Counter(item.answer for item in group.items)
            assert len(answers) == len(group.items[0].choices)  # no choice is never right
            assert all(len({c.strip() for c in item.choices}) > 1 for item in group.items)


def test_evals_flores_asks_every_pair_once(shared):
    groups = task_groups(["flores"], shared / "data/eval")
    assert len({(group.task, group.language) for group in groups}) == len(groups) == 13 * 12
    assert all(len(group.items) == 506 for group in groups)
    by_pair = {(group.source, group.language): group.items for group in groups}
    there, back = by_pair["tha_Thai", "lao_Laoo"][7], by_pair["lao_Laoo", "tha_Thai"][7]
    assert there.prompt.startswith(f"ภาษาไทย: {back.answer}\n")
    assert back.prompt.startswith(f"ພາສາລາວ: {there.answer}\n")
    kept = only_languages(groups, ["tha_Thai", "lao_Laoo"], {group.language for group in groups})
    assert len(kept) == 2


def test_evals_gold_answers_mark_as_right(shared):
    """What the key says, written by a model, gets full marks: 1 (100 for chrF) whatever the script."""
    for name in ("xquad", "iapp_wiki_qa", "gsm8k", "mgsm"):
        for group in task_groups([name], shared / "data/eval"):
            items = group.items[:30]
            for mark in measure(group.metrics, items, [item.answer for item in items]):
                assert mark.value == 1, (name, group.language, mark)
    group = next(g for g in task_groups(["flores"], shared / "data/eval") if g.language == "khm_Khmr")
    plus, plain, wrong, loops = measure(group.metrics, group.items[:60], [item.answer for item in group.items[:60]])
    assert (plus.value, plain.value, loops.value) == (100, 100, 0)
    assert wrong.value <= 0.05  # sentences of names may be told wrong


def test_evals_clusters_are_passages(shared):
    (group,) = [g for g in task_groups(["xquad"], shared / "data/eval") if g.language == "vie_Latn"]
    assert len(set(clusters_of(group.items))) == 135  # of 662 questions


def test_evals_xcopa_reads_as_a_sentence(shared):
    groups = {group.language: group.items for group in task_groups(["xcopa"], shared / "data/eval")}
    first = groups["ind_Latn"][0]
    assert first.prompt + first.choices[int(first.answer)] == (
        "Saya kosongkan kantong saya maka saya ambil sebuah potongan tiket."
    )
    first = groups["tha_Thai"][0]
    assert first.prompt + first.choices[int(first.answer)] == "ฉันเอาของออกจากกระเป๋าดังนั้นฉันหาขั้วตั๋ว"
    labels = {language: [item.answer for item in items] for language, items in groups.items()}
    assert len({tuple(answers) for answers in labels.values()}) == 1  # parallel rows have one key


def test_evals_global_mmlu_keys_agree_across_languages(shared):
    """Burmese keys are written in Burmese letters; parallel rows must still have the same answer."""
    groups = task_groups(["global_mmlu_lite"], shared / "data/eval")
    keys = {group.language: {item.id: item.answer for item in group.items} for group in groups}
    assert len(keys["eng_Latn"]) == 205
    for key in keys.values():
        both = key.keys() & keys["eng_Latn"].keys()
        assert sum(key[i] == keys["eng_Latn"][i] for i in both) >= 0.99 * len(both)
        assert len(both) >= 200


def test_evals_mgsm_keys_agree_across_languages(shared):
    from sampan.evals.answers import last_number

    keys = {
        g.language: [last_number(item.answer) for item in g.items] for g in task_groups(["mgsm"], shared / "data/eval")
    }
    assert all(keys["eng_Latn"])
    assert keys["eng_Latn"] == keys["tha_Thai"] == keys["zho_Hans"]


def test_evals_random_model_is_at_chance(shared, run_stage, artifact, make_tiny, tmp_path):
    model = make_tiny(tmp_path / "model", context_len=512)
    given = {"models": [artifact(model, "checkpoint")], "data": [artifact(shared / "data/eval", "external")]}
    tasks = ["xcopa", "belebele", "global_mmlu_lite", "mgsm"]
    out, _ = run_stage(STAGE, given, tasks=tasks, max_items=60, max_new_tokens=8, sample_prompts=1)
    scores = read_scores(out)
    assert {s.task for s in scores} == set(tasks)
    chance = {"xcopa": 1 / 2, "belebele": 1 / 4, "global_mmlu_lite": 1 / 4}
    for task, expected in chance.items():
        rows = [s for s in scores if s.task == task and s.metric == "acc"]
        count = sum(s.n for s in rows)
        mean = sum(s.value * s.n for s in rows) / count
        # Parallel items are not independent, so the languages count as one: six standard errors of 60 items.
        assert abs(mean - expected) < 6 * math.sqrt(expected * (1 - expected) / 60) / 2
    assert all(s.value <= 0.1 for s in scores if s.task == "mgsm")


@pytest.mark.parametrize("folder", ["..", "/etc", "eval/../.."])
def test_evals_data_folder_stays_inside(folder):
    with pytest.raises(ValueError, match="leaves the input folder"):
        STAGE.params(data_folder=folder)
