"""Made-up answers to every kind of SEA-IFEval's instructions. Standard library only."""

from __future__ import annotations

import json
import random

from sea_helm_texts import WORDS, text


def instruction_rows(language: str, rng: random.Random, items: int) -> dict:
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
        (
            "detectable_content:postscript",
            {"postscript_marker": marker},
            [f"{a}\n{marker} {b}", f"{a} {marker.replace('.', '. ')}{b}", a, f"{a} {marker[:-1]} {b}", marker.lower()],
        ),
        (
            "detectable_content:number_placeholders",
            {"num_placeholders": 2},
            [f"[{word}] {a} [x]", f"[] {a} [x]", f"[[{word}]] {a}", f"{a} [ ] [\n]", f"[a][b][c] {a}"],
        ),
        (
            "detectable_format:title",
            {},
            [f"<<{word}>>\n{a}", f"<<>> {a}", f"<< >>{a}", f"<{word}> {a}", f"{a}<<<{word}>>>"],
        ),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 2},
            [
                f"* {a}\n* {b}",
                f"- {a}\n* **{b}**",
                f"*{a}\n-{b}",
                f"{c}\n  - {a}\n\n  - {b}",
                f"* {a}\n* \n* {b}",
                f"• {a}\n• {b}",
            ],
        ),
        (
            "detectable_format:multiple_sections",
            {"section_title": word, "num_sections": 2},
            [
                f"{word} 1\n{a}\n{word} 2\n{b}",
                f"{word}1 {a} {word}2 {b}",
                f"{word} A {a}",
                f"{word}: {a}",
                f"{word}\n1 {a} {word} | {b}",
            ],
        ),
        (
            "detectable_format:number_highlighted_sections",
            {"num_highlights": 2},
            [f"*{a}* *{b}*", f"**{a}** {c} **{b}**", f"* * {a} *{b}*", f"*{a}\n{b}*", f"** ** {a}", f"*{a}*"],
        ),
        (
            "detectable_format:json_format",
            {},
            [
                json.dumps({word: a}, ensure_ascii=False),
                f'```json\n{{"{word}": [1, "{a}"]}}\n```',
                f'```\n{{"x": "{a}"}}```',
                f"{a} {{}}",
                f'"{a}"',
                "{'x': 1}",
                "```json```json{}```",
                "12",
                f'```JSON {{"x": "{b}"}}',
            ],
        ),
        (
            "detectable_format:constrained_response",
            {},
            [constrained, f"{a} {constrained} {b}", a, constrained.upper(), "My answer is no."],
        ),
        (
            "startend:first_word",
            {"first_word": word},
            [f"{word} {a}", f" {word.upper()} {a}", f"{a} {word}x", f"“{word} {a}"],
        ),
        ("startend:end_checker", {"end_phrase": word}, [f"{a} {word}", f"{a} {word.upper()}\n", f"{a} {word}.", word]),
        ("startend:quotation", {}, [f'"{a}"', f"“{a}”", '""', f' "{a}" ', '"', f'"{a}', f'"" {a} ""']),
        (
            "keywords:existence",
            {"keywords": [word, WORDS[language][2]]},
            [f"{word} {a} {WORDS[language][2]}", f"{word.upper()} {a} {WORDS[language][2]}", f"{word}x{a}", a, word],
        ),
        (
            "keywords:forbidden_words",
            {"forbidden_words": [word, "x.z"]},
            [a, f"{a} {word}", f"{a}{word}y", f"{a} xyz", f"{b} {word.upper()}"],
        ),
        (
            "keywords:frequency",
            {"keyword": word, "relation": "at least", "frequency": 2},
            [
                f"{word} {a} {word}",
                f"{word}{word} {a}",
                f"{word.upper()} {a} {word}",
                f"{word} x",
                f"{word}, {word}. {a}",
            ],
        ),
        (
            "keywords:number_frequency",
            {"number": "3", "relation": "exactly", "frequency": "2"},
            [f"3 {a} 3".replace("3 3", "3"), f"33 {b}", f"{c} 3", "๓ ๓", f"3 3 3 {a}"],
        ),
        (
            "combination:repeat_prompt",
            {"prompt_to_repeat": f"{a}?"},
            [f"{a}? {b}", f"{a}?", f" {a.upper()}?\n\n{b}", b, f"{b} {a}?"],
        ),
        (
            "combination:two_responses",
            {},
            [f"{a}******{b}", f"{a}\n******\n{b}\n******", f"{a}******.", f"{a}***{b}", f"{a}************{b}"],
        ),
        (
            "language:response_language",
            {"response_language": "vi"},
            [text("vi", rng, 8, 12), a, text("id", rng, 8, 12), text("vi", rng, 5, 6).upper()],
        ),
        (
            "language:response_language",
            {"response_language": "id"},
            [text("id", rng, 8, 12), a, "Saya hendak pergi ke kedai membeli barang-barang dapur esok."],
        ),
    ]
    rows, answers = [], []
    while len(rows) < items:
        for kind, arguments, said in kinds:
            answer = said[(len(rows) // len(kinds) + len(rows)) % len(said)]
            if rng.random() < 0.15:
                answer = answer.replace(a, text("en", rng, 8, 12))
            given = {**arguments, "unused": None}
            metadata = {"language": language, "category": kind.partition(":")[0], "subcategory": kind}
            rows.append({"id": len(rows), "prompts": [{"text": a}], "metadata": metadata, "kwargs": [given]})
            answers.append(answer)
    return {"task": "if-eval", "language": language, "tag": "", "rows": rows, "answers": answers}
