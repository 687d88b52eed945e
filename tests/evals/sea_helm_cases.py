"""Made-up rows and answers for SEA-HELM's scoring.

Standard library only, as `tools/record_sea_helm.py` also reads this file in the official code's own process. All texts
are ours; labels and answer tags are the published ones, without which nothing would be read.
"""

from __future__ import annotations

import functools
import random

import sea_helm_instructions
from sea_helm_texts import text

V1, V12 = "1.0", "1.2"
ITEMS = 208
TAGS = {
    "id": "Jawaban:",
    "jv": "Jawaban:",
    "su": "Jawaban:",
    "ms": "Jawapan:",
    "vi": "Câu trả lời:",
    "th": "คำตอบ:",
    "ta": "பதில்:",
    "tl": "Sagot:",
    "my": "အဖြေ:",
    "km": "ចម្លើយ៖",
    "zh-s": "答案：",
}
SUMMARY_TAGS = {
    "id": "Rangkuman:",
    "vi": "Bản tóm tắt:",
    "th": "บทสรุป:",
    "ta": "சுருக்கம்:",
    "tl": "Buod:",
    "my": "အကျဉ်းချုပ်:",
}
TRANSLATION_TAGS = {"id": "Terjemahan:", "vi": "Bản dịch:", "th": "คำแปล:", "tl": "Salin:"}
_LETTERS = {"a": 0, "b": 1, "c": 2, "d": 3}
LABELS = {
    ("sentiment", "id"): {"positif": "positive", "negatif": "negative", "netral": "neutral"},
    ("sentiment", "su"): {"positip": "positive", "negatip": "negative", "netral": "neutral"},
    ("sentiment", "th"): {"แง่บวก": "positive", "แง่ลบ": "negative", "เฉยๆ": "neutral"},
    ("sentiment", "vi"): {"tích cực": "positive", "tiêu cực": "negative", "trung lập": "neutral"},
    ("sentiment", "ta"): {"நேர்மறை": "positive", "எதிர்மறை": "negative"},
    ("sentiment", "tl"): {"positibo": "positive", "negatibo": "negative", "neutral": "neutral"},
    ("toxicity", "id"): {"bersih": 0, "kasar": 1, "benci": 2},
    ("toxicity", "th"): {"y": 1, "n": 0},
    ("toxicity", "vi"): {"sạch": 0, "công kích": 1, "thù ghét": 2},
    ("nli", "vi"): {"a": "entailment", "b": "contradiction", "c": "neutral"},
    ("nli", "ta"): {"a": "entailment", "b": "contradiction", "c": "neutral"},
    ("causal", "th"): {"a": 0, "b": 1},
    ("causal", "tl"): {"a": 0, "b": 1},
    ("metaphor", "id"): {"a": 0, "b": 1},
    ("paraphrase", "tl"): {"a": "paraphrase", "b": "non-paraphrase"},
    ("belebele-qa-mc", "km"): _LETTERS,
    ("belebele-qa-mc", "my"): _LETTERS,
    ("belebele-qa-mc", "zh-s"): _LETTERS,
    ("qa-mc", "jv"): _LETTERS,
    ("kalahi-mc", "tl"): {"a": "A", "b": "B", "c": "C", "d": "D"},
    ("mp-r", "id"): {"a": 0, "b": 1},
    ("mp-r", "ta"): {"a": 0, "b": 1},
    ("pragmatic-pair", "id"): {"benar": 1, "salah": 0},
    ("pragmatic-pair", "ta"): {"உண்மை": 1, "பொய்": 0},
}
"""Gold label by written one, as version 1.0 has them."""
V12_LABELS = {
    **{key: [word.capitalize() for word in table] for key, table in LABELS.items() if "zh-s" not in key},
    ("sentiment", "ms"): ["Positif", "Negatif", "Neutral"],
    ("sentiment", "my"): ["အပြုသဘော", "အဆိုးသဘော", "ကြားနေ"],
    ("pragmatic-single", "id"): ["Benar", "Salah", "Ya", "Tidak"],
    ("pragmatic-single", "ta"): ["உண்மை", "பொய்"],
}
"""What 1.2 finds in its rows: the written labels themselves."""


def label_answers(word: str, other: str, tag: str, rng: random.Random) -> list[str | None]:
    """An answer of every kind that names `word`, well and badly."""
    bare = tag.rstrip(":：៖")
    long = text("id", rng, 30, 60)
    return [
        f"{tag} {word}",
        f"{tag}{word}",
        f"{tag}\n{word}",
        f"{tag} {word.upper()}",
        f"{tag} {word.capitalize()}.",
        word,
        word.upper(),
        f"  {word}\n",
        "",
        None,
        " \n\t",
        f"{tag} ${word}",
        f"${word}$",
        f"{tag} $OPTION",
        f"{tag} **{word}**",
        f"**{tag}** {word}",
        f"{tag} *{word.capitalize()}*",
        f"{tag} `{word}`",
        f"{tag} [{word}]",
        f"({word})",
        f"“{word}”",
        f'"{word}"',
        f"{tag.lower()} {word}",
        f"{tag.upper()} {word}",
        f"{bare} {word}",
        f"{bare} : {word}",
        f"{tag} {word} {other}",
        f"{tag} {word}, {other}",
        f"{tag} {word}{other}",
        f"{tag} {other}\n{tag} {word}",
        f"{other}\n{tag} {word}",
        f"{tag}\n\n{word}\n\n{long}",
        f"{long}\n{tag} {word}",
        f"{long} {word}",
        f"{tag} {word} {long}",
        f"{tag}\u00a0{word}",
        f"{tag}\u200b{word}",
        f"{tag}\t{word}\t",
        f"{tag} {'  '.join(word.split())}",
        f"{tag} {word}!!! 😀",
        f'{{"answer": "{word}"}}',
        f"# {tag}\n- {word}",
        f"{tag} ๑",
        "၂",
        "Answer: A",
        "答案：B",
        f"คำตอบ: {word}",
        "positif",
        f"{tag} netral",
        f"{tag} <b>{word}</b>",
        f"| {tag} {word} |",
        f"{tag}",
    ]


def text_answers(gold: str, tag: str, language: str, rng: random.Random) -> list[str | None]:
    """An answer of every kind around the text `gold`."""
    words = gold.split()
    part = " ".join(words[: max(1, len(words) // 2)])
    mixed = " ".join(rng.sample(words, len(words)))
    return [
        f"{tag} {gold}",
        gold,
        f"{tag} {part}",
        f"{tag} {mixed}",
        f"{tag} {text(language, rng)}",
        text(language, rng),
        f"{tag} {gold.upper()}",
        f"{tag}\n{gold}\n{text(language, rng)}",
        f"{tag} {part}\n{gold}",
        "",
        None,
        f"{tag}",
        f"{tag} ${gold}$",
        f"${gold}$",
        f"{tag[0].lower()}{tag[1:]} {gold}",
        f"{tag.upper()} {gold}",
        f"|{tag[1:]} {gold}",
        f"{tag} **{gold}**",
        f"{tag} `{part}`",
        f"“{gold}”",
        f"{tag} {gold}.",
        f"{tag} {gold} ({text('en', rng)})",
        text("en", rng, 5, 20),
        f"{text(language, rng, 20, 40)} {gold}",
        f"{tag} {gold.replace(' ', '  ')}",
        f"{tag} {gold.replace(' ', '-')}",
        f"{tag} ½ {part} 12,5% 5kg 日本 カ①",
        f"{tag} {part}\u200b{gold}",
        f"{tag} \u0301{part} 😀👍🏽",
        f"{tag} {gold} {gold}",
        "...",
        f"{tag} ៣ ၃ ໓ ๓ 3",
    ]


def _cycle(kinds: int, count: int) -> list[int]:
    return [number % kinds for number in range(count)]


def _label_task(name: str, language: str, words: list[str], gold: dict, rng: random.Random, extra=None) -> dict:
    rows, answers = [], []
    for number, kind in enumerate(_cycle(52, ITEMS)):
        word = rng.choice(words)
        said = word if rng.random() < 0.7 else rng.choice(words)
        other = rng.choice([w for w in words if w != said])
        row = {"id": number, "label": gold[word], "prompts": [{"text": f"{language} {number}"}], "metadata": {}}
        rows.append(row | (extra(number, word) if extra else {}))
        answers.append(label_answers(said, other, TAGS[language], rng)[kind])
    return {"task": name, "language": language, "tag": TAGS[language], "rows": rows, "answers": answers}


def _text_task(name: str, language: str, tag: str, rng: random.Random, several: bool = False) -> dict:
    rows, answers = [], []
    for number, kind in enumerate(_cycle(32, ITEMS)):
        gold = text(language if name != "translation-xx-en" else "en", rng)
        label = [text(language, rng), gold] if several and number % 3 == 0 else [gold] if several else gold
        rows.append({"id": number, "label": label, "prompts": [{"text": text("en", rng)}], "metadata": {}})
        answers.append(text_answers(gold, tag, language, rng)[kind])
    return {"task": name, "language": language, "tag": tag, "rows": rows, "answers": answers}


def _single(version: str, language: str, rng: random.Random) -> dict:
    """Pragmatics, single sentences: in Indonesian a row offers either of two pairs of words."""
    pairs = {
        "id": [("Benar atau Salah", "benar", "salah"), ("Ya atau Tidak", "ya", "tidak")],
        "ta": [("உண்மை அல்லது பொய்", "உண்மை", "பொய்")],
    }[language]
    rows, answers = [], []
    for number, kind in enumerate(_cycle(52, ITEMS)):
        offered, *words = pairs[number % len(pairs)]
        true = rng.random() < 0.5
        word, other = words if true else words[::-1]
        said, unsaid = (word, other) if rng.random() < 0.7 else (other, word)
        label = str(true) if version == V1 and language == "id" else true if version == V1 else word.capitalize()
        phenomenon = "scalar_implicatures" if number % 5 else "presuppositions"
        prompt = {"text": f"{number}", "question_translated": "", "choices_translated": offered}
        rows.append(
            {"id": number, "label": label, "prompts": [prompt], "metadata": {"linguistic_phenomenon": phenomenon}}
        )
        answers.append(label_answers(said, unsaid, TAGS[language], rng)[kind])
    return {"task": "pragmatic-single", "language": language, "tag": TAGS[language], "rows": rows, "answers": answers}


def _phenomenon(kinds: list[str]):
    def extra(number: int, word: str) -> dict:
        return {"metadata": {"linguistic_phenomenon": kinds[number * 7 % len(kinds)]}}

    return extra


_LINDSEA = {
    "mp-r": _phenomenon(["argument_structure", "argument_structure", "morphology", "filler-gap", "NPIs_and_negation"]),
    "pragmatic-pair": _phenomenon(["scalar_implicatures", "presuppositions", "presuppositions"]),
}


def judged_rows(language: str, rng: random.Random) -> dict:
    """SEA-MTBench: two judgements of each of two turns, some malformed."""
    texts = [
        "[[A]]",
        "so [[B]]",
        "[[C]] a tie",
        "[[A]] or [[B]]",
        "none",
        "",
        "[A]",
        "[[A]] [[A]]",
        "[[C]][[A]]",
        "[[b]]",
    ]
    weights = [30, 30, 10, 4, 4, 3, 3, 3, 3, 3]
    rows = []
    for number in range(60):
        category = ["writing", "math", "Reasoning", "stem"][number % 4 if number % 7 else 0]
        for turn in ("turn1", "turn2"):
            for order in ("baseline-before", "baseline-after"):
                said = rng.choices(texts, weights)[0]
                rows.append(
                    {"question_id": number, "category": category, "turn": turn, "order": order, "judgement": said}
                )
    return {"task": "mt-bench", "language": language, "tag": "", "rows": rows, "answers": []}


@functools.cache
def cases(version: str) -> list[dict]:
    """All of one version's tasks: {task, language, tag, rows, answers}, the same at every call."""
    out = []
    rng = random.Random(f"sea-helm {version}")
    if version == V1:
        for (name, language), table in LABELS.items():
            gold = table
            if name == "mp-r":
                gold = {word: word.upper() for word in table}
            elif name == "pragmatic-pair":
                gold = {word: bool(value) for word, value in table.items()}
            out.append(_label_task(name, language, list(table), gold, rng, _LINDSEA.get(name)))
    else:
        for (name, language), words in V12_LABELS.items():
            if name != "pragmatic-single":
                gold = {word.lower(): word for word in words}
                out.append(_label_task(name, language, list(gold), gold, rng, _LINDSEA.get(name)))
    out += [_single(version, language, rng) for language in ("id", "ta")]
    out += [
        _text_task("qa", language, TAGS[language], rng, version == V12 or language == "id")
        for language in ("id", "vi", "th", "ta")
    ]
    summaries = [language for language in SUMMARY_TAGS if version == V12 or language != "my"]
    out += [_text_task("abssum", language, SUMMARY_TAGS[language], rng) for language in summaries]
    for language in TRANSLATION_TAGS:
        for name in ("translation-en-xx", "translation-xx-en"):
            task = _text_task(name, language, TRANSLATION_TAGS[language], rng)
            out.append(task | {"metricx": [round(rng.uniform(-1, 27), 6) for _ in task["rows"]]})
    languages = ("id", "th", "vi", "tl", "jv") if version == V1 else ("id", "th", "vi", "tl", "ta", "my")
    out += [sea_helm_instructions.instruction_rows(language, rng, ITEMS) for language in languages]
    if version == V1:
        out += [judged_rows(language, rng) for language in ("id", "th")]
    return out
