"""Made-up rows and answers for SEA-HELM's scoring, and a small repository of its shape to hold them.

Standard library only, as `tools/record_sea_helm.py` also reads this file in the official code's own process. All texts
are ours; labels and answer tags are the published ones, without which nothing would be read.
"""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path

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
WORDS = {
    "id": "anak pasar pagi hujan turun di sawah dan ibu membeli 3 ikan segar Rp5.000 lalu pulang ke rumah besar".split(),
    "vi": "sáng nay mẹ đi chợ mua 2 con cá tươi rồi về nhà nấu cơm cho các em 10.000₫ ngon lắm trời mưa".split(),
    "tl": "ang bata ay pumunta sa palengke kaninang umaga upang bumili ng 4 na isda at bigas para sa pamilya".split(),
    "ta": "இன்று காலை அம்மா சந்தைக்கு சென்று மீன் வாங்கினார் பிறகு வீட்டில் 5 பேருக்கு சோறு சமைத்தார் மழை".split(),
    "th": "วันนี้ แม่ ไป ตลาด ซื้อ ปลา สด ๓ ตัว แล้ว กลับ บ้าน ทำ อาหาร ให้ ลูก ฝน ตก หนัก มาก".split(),
    "my": "ဒီနေ့ မနက် အမေ ဈေးသွား၍ ငါး ၃ ကောင် ဝယ်ပြီး အိမ်မှာ ထမင်းချက် သည် မိုး ရွာ နေ တယ် ကျောင်းသား".split(),
    "jv": "esuk iki ibu lunga menyang pasar tuku 3 iwak seger banjur mulih menyang omah amarga udan".split(),
    "en": "this morning the mother went to the market and bought 3 fresh fish for her family in the rain".split(),
}
"""Everyday words of which texts are put together; they need make no sense, only have the script's letters and signs."""
_UNSPACED = ("th", "my")


def text(language: str, rng: random.Random, least: int = 3, most: int = 14) -> str:
    """A made-up sentence."""
    chosen = rng.choices(WORDS[language], k=rng.randint(least, most))
    joint = "" if language in _UNSPACED else " "
    cut = rng.randint(1, len(chosen))
    return f"{joint.join(chosen[:cut])}{rng.choice((' ', ', ', ' – '))}{joint.join(chosen[cut:])}".strip(" ,–")


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


def instruction_rows(language: str, version: str, rng: random.Random) -> dict:
    """SEA-IFEval: every kind of instruction, answers that follow it and that do not, in and out of the language."""
    line = lambda: text(language, rng, 6, 12)  # noqa: E731
    word = WORDS[language][1]
    constrained = {
        "id": "Jawaban saya adalah ya.",
        "th": "คำตอบของฉันคือใช่",
        "vi": "Câu trả lời của tôi là có.",
        "tl": "Ang sagot ko ay oo.",
        "jv": "Jawabanku ya.",
        "ta": "என்னுடைய பதில் ஆம்.",
        "my": "ကျွန်ုပ်၏အဖြေသည် ဟုတ်ပါတယ်။",
    }[language]
    marker = {"th": "ป.ล.", "ta": "பி.கு."}.get(language, "P.S.")
    a, b, c = line(), line(), line()
    kinds: list[tuple[str, dict, list[str]]] = [
        ("length_constraints:number_words", {"relation": "at least", "num_words": 8}, [a, word, f"{a} {b}", ""]),
        ("length_constraints:number_words", {"relation": "less than", "num_words": "8"}, [a, word, f"{a}-{b}"]),
        (
            "length_constraints:number_sentences",
            {"relation": "exactly", "num_sentences": 2},
            [f"{a}***{b}", f"***{a}***{b}***", f"{a}\n***\n \n***\n{b}", f"{a}. {b}.", f"{a}*{b}"],
        ),
        (
            "length_constraints:number_sentences",
            {"relation": "less than", "num_sentences": 3},
            [f"{a}***{b}", f"{a}***{b}***{c}", f"**{a}** *** {b}"],
        ),
        (
            "length_constraints:number_paragraphs",
            {"num_paragraphs": 2},
            [f"{a}\n***\n{b}", f"{a}***{b}***", f"{a}\n\n***\n\n{b}", f"***{a}", f"{a} ****** {b}", a],
        ),
        ("detectable_content:postscript", {"postscript_marker": marker},
         [f"{a}\n{marker} {b}", f"{a} {marker.replace('.', '. ')}{b}", a, f"{a} {marker[:-1]} {b}", marker.lower()]),
        ("detectable_content:number_placeholders", {"num_placeholders": 2},
         [f"[{word}] {a} [x]", f"[] {a} [x]", f"[[{word}]] {a}", f"{a} [ ] [\n]", f"[a][b][c] {a}"]),
        ("detectable_format:title", {}, [f"<<{word}>>\n{a}", f"<<>> {a}", f"<< >>{a}", f"<{word}> {a}", f"{a}<<<{word}>>>"]),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2},
         [f"* {a}\n* {b}", f"- {a}\n* **{b}**", f"*{a}\n-{b}", f"{c}\n  - {a}\n\n  - {b}", f"* {a}\n* \n* {b}", f"• {a}\n• {b}"]),
        ("detectable_format:multiple_sections", {"section_title": word, "num_sections": 2},
         [f"{word} 1\n{a}\n{word} 2\n{b}", f"{word}1 {a} {word}2 {b}", f"{word} A {a}", f"{word}: {a}", f"{word}\n1 {a} {word} | {b}"]),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
         [f"*{a}* *{b}*", f"**{a}** {c} **{b}**", f"* * {a} *{b}*", f"*{a}\n{b}*", f"** ** {a}", f"*{a}*"]),
        ("detectable_format:json_format", {},
         [json.dumps({word: a}, ensure_ascii=False), f'```json\n{{"{word}": [1, "{a}"]}}\n```', f'```\n{{"x": "{a}"}}```',
          f"{a} {{}}", f'"{a}"', "{'x': 1}", "```json```json{}```", "12", f'```JSON {{"x": "{b}"}}']),
        ("detectable_format:constrained_response", {}, [constrained, f"{a} {constrained} {b}", a, constrained.upper(), "My answer is no."]),
        ("startend:first_word", {"first_word": word}, [f"{word} {a}", f" {word.upper()} {a}", f"{a} {word}x", f"“{word} {a}"]),
        ("startend:end_checker", {"end_phrase": word}, [f"{a} {word}", f"{a} {word.upper()}\n", f"{a} {word}.", word]),
        ("startend:quotation", {}, [f'"{a}"', f"“{a}”", '""', f' "{a}" ', '"', f'"{a}', f'"" {a} ""']),
        ("keywords:existence", {"keywords": [word, WORDS[language][2]]},
         [f"{word} {a} {WORDS[language][2]}", f"{word.upper()} {a} {WORDS[language][2]}", f"{word}x{a}", a, word]),
        ("keywords:forbidden_words", {"forbidden_words": [word, "x.z"]}, [a, f"{a} {word}", f"{a}{word}y", f"{a} xyz", f"{b} {word.upper()}"]),
        ("keywords:frequency", {"keyword": word, "relation": "at least", "frequency": 2},
         [f"{word} {a} {word}", f"{word}{word} {a}", f"{word.upper()} {a} {word}", f"{word} x", f"{word}, {word}. {a}"]),
        ("keywords:number_frequency", {"number": "3", "relation": "exactly", "frequency": "2"},
         [f"3 {a} 3".replace("3 3", "3"), f"33 {b}", f"{c} 3", "๓ ๓", f"3 3 3 {a}"]),
        ("combination:repeat_prompt", {"prompt_to_repeat": f"{a}?"}, [f"{a}? {b}", f"{a}?", f" {a.upper()}?\n\n{b}", b, f"{b} {a}?"]),
        ("combination:two_responses", {}, [f"{a}******{b}", f"{a}\n******\n{b}\n******", f"{a}******.", f"{a}***{b}", f"{a}************{b}"]),
        ("language:response_language", {"response_language": "vi"}, [text("vi", rng, 8, 12), a, text("id", rng, 8, 12), text("vi", rng, 5, 6).upper()]),
        ("language:response_language", {"response_language": "id"}, [text("id", rng, 8, 12), a, "Saya hendak pergi ke kedai membeli barang-barang dapur esok."]),
    ]  # fmt: skip
    rows, answers = [], []
    while len(rows) < ITEMS:
        for kind, arguments, said in kinds:
            answer = said[(len(rows) // len(kinds) + len(rows)) % len(said)]
            if rng.random() < 0.15:
                answer = answer.replace(a, text("en", rng, 8, 12))
            given = {**arguments, "unused": None}
            metadata = {"language": language, "category": kind.partition(":")[0], "subcategory": kind}
            rows.append({"id": len(rows), "prompts": [{"text": a}], "metadata": metadata, "kwargs": [given]})
            answers.append(answer)
    return {"task": "if-eval", "language": language, "tag": "", "rows": rows, "answers": answers}


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
    out += [instruction_rows(language, version, rng) for language in languages]
    if version == V1:
        out += [judged_rows(language, rng) for language in ("id", "th")]
    return out


METRICS = {
    "sentiment": ("SentimentAnalysisMetric", "nlu", "normalized_accuracy"),
    "toxicity": ("ToxicityDetectionMetric", "safety", "normalized_accuracy"),
    "nli": ("NLIMetric", "nlr", "normalized_accuracy"),
    "causal": ("CausalReasoningMetric", "nlr", "normalized_accuracy"),
    "metaphor": ("MetaphorUnderstandingMetric", "nlu", "normalized_accuracy"),
    "paraphrase": ("ParaphraseIdentificationMetric", "nlu", "normalized_accuracy"),
    "belebele-qa-mc": ("QuestionAnsweringMultipleChoiceMetric", "nlu", "normalized_accuracy"),
    "qa-mc": ("QuestionAnsweringMultipleChoiceMetric", "nlu", "normalized_accuracy"),
    "kalahi-mc": ("KalahiMCMetric", "cultural", "normalized_accuracy"),
    "mp-r": ("MinimalPairsMetric", "linguistic-diagnostics", "normalized_accuracy"),
    "pragmatic-single": ("PragmaticReasoningSingleSentenceMetric", "linguistic-diagnostics", "normalized_accuracy"),
    "pragmatic-pair": ("PragmaticReasoningSentencePairMetric", "linguistic-diagnostics", "normalized_accuracy"),
    "qa": ("QuestionAnsweringMetric", "nlu", "normalized_f1"),
    "abssum": ("SummarizationMetric", "nlg", "normalized_rougel_f1"),
    "translation-en-xx": ("TranslationMetric", "nlg", "normalized_metricx_wmt24_scores"),
    "translation-xx-en": ("TranslationMetric", "nlg", "normalized_metricx_wmt24_scores"),
    "if-eval": ("IFEvalMetric", "instruction-following", "overall_lang_normalized_acc"),
    "mt-bench": ("MTBenchMetric", "multi-turn", "weighted_win_rate"),
}
"""The official class, competency and score of each task at version 1.0."""
_V12_CLASSES = {
    "mp-r": "MinimalPairsMetric",
    "pragmatic-single": "PragmaticReasoningMetric",
    "pragmatic-pair": "PragmaticReasoningMetric",
    "qa": "QuestionAnsweringMetric",
    "abssum": "SummarizationMetric",
    "translation-en-xx": "TranslationMetric",
    "translation-xx-en": "TranslationMetric",
    "if-eval": "IFEvalMetric",
    "mt-bench": "PairwiseLLMJudgeMetric",
}


def metric_class(version: str, task: str) -> str:
    """The official class that marks a task."""
    return METRICS[task][0] if version == V1 else _V12_CLASSES.get(task, "F1AccMetric")


def _pattern_v1(task: str, language: str, tag: str) -> str:
    """1.0's pattern of what follows a tag: lower case for labels, either case of the first letter for texts."""
    if task in ("qa", "abssum") or task.startswith("translation"):
        first = f"[{tag[0]}|{tag[0].lower()}]" if tag[0].lower() != tag[0] else tag[0]
        return rf"(?<={first}{tag[1:]})[\s\r\n]*.*"
    ends = {"km": "[:|៖]", "zh-s": "[:|：]"}
    return rf"(?<={tag.lower()[:-1]}{ends.get(language, ':')})[\s\r\n]*.*"


def write_repository(folder: Path, version: str, every: int = 1) -> Path:
    """A repository of the official shape with the tasks of `cases` (every n-th row), for the readers to read."""
    import yaml

    suite: dict[str, list[str]] = {}
    configs: dict[str, dict] = {}
    tables: dict[str, dict[str, dict]] = {}
    for case in cases(version):
        task, language = case["task"], case["language"]
        suite.setdefault(language, []).append(task)
        rows = folder / f"seahelm_tasks/{task}/data/{language}.jsonl"
        rows.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(row, ensure_ascii=False) for row in case["rows"][::every]]
        rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
        examples = rows.with_name(f"{language}_examples.jsonl")
        solved = [{**row, "label": f"label {n}"} for n, row in enumerate(case["rows"][:6])]
        examples.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in solved) + "\n", encoding="utf-8")
        config = configs.setdefault(task, _config(version, task))
        config["languages"][language] = {
            "filepath": rows.relative_to(folder).as_posix(),
            "max_tokens": 16,
            "prompt_template": _template(version, task, case["tag"]),
        }
        if task not in ("if-eval", "mt-bench"):
            config["languages"][language]["example_filepath"] = examples.relative_to(folder).as_posix()
        table = tables.setdefault(task, {"label_map": {}, "regex_string": {}})
        table["label_map"][language] = LABELS.get((task, language), {})
        table["regex_string"][language] = _pattern_v1(task, language, case["tag"]) if case["tag"] else ""
    for task, config in configs.items():
        if task in suite.get("th", []) and version == V12 and task == "sentiment":
            config["competency"] = "${sentiment.own_competency}"
            config["own_competency"] = "nlu"
        home = folder / "seahelm_tasks" / task
        (home / "config.yaml").write_text(yaml.safe_dump({task: config}, allow_unicode=True), encoding="utf-8")
        if version == V1:
            (home / "metric.py").write_text(_source(METRICS[task][0], tables[task]), encoding="utf-8")
    file = folder / "seahelm_tasks" / "task_config.yaml"
    file.write_text(yaml.safe_dump({"seahelm": suite, "everything": dict.fromkeys(suite, "all")}), encoding="utf-8")
    return folder


def _config(version: str, task: str) -> dict:
    config = {
        "competency": METRICS[task][1],
        "metric": METRICS[task][2],
        "metric_class": metric_class(version, task),
        "metric_file": f"seahelm_tasks/{task}/metric.py" if version == V1 else "src/metrics/metric.py",
        "languages": {},
    }
    if task.startswith("translation"):
        config["aggregation_group"] = "translations"
    if version == V12:
        config["fewshot_num_examples"] = {"instruct": 0, "base": None if task in ("if-eval", "mt-bench") else 5}
    else:
        config["temperature"] = 0.3 if task == "abssum" else 0
    return config


def _template(version: str, task: str, tag: str) -> dict:
    if task in ("if-eval", "mt-bench"):
        own = {"preamble": "", "task_template": "{text}", "answer_template": "", "answer_tag": ""}
        return {"template": "{text}"} if version == V1 else own
    if version == V1:
        return {
            "template": f"Do {task}.\n{tag} $OPTION{{fewshot_examples}}\n\nText:\n```\n{{text}}\n```",
            "fewshot_example": f"\n\nText:\n```\n{{text}}\n```\n{tag} {{label}}",
            "fewshot_label": f"{tag} {{label}}",
        }
    return {
        "preamble": f'Do {task}.\n"{{answer_tag}} ANSWER"',
        "task_template": "Text:\n```\n{text}\n```",
        "answer_template": "{answer_tag} {label}",
        "answer_tag": tag,
    }


def _source(name: str, tables: dict[str, dict]) -> str:
    lines = [
        "raise RuntimeError('this file is read, never run')",
        "",
        "",
        f"class {name}:",
        "    def __init__(self, lang):",
    ]
    lines += [
        f"        self.{attribute} = {table!r}[lang]" for attribute, table in tables.items() if any(table.values())
    ]
    return "\n".join(lines) + "\n"
