"""SEA-IFEval's checkers: SEA-HELM's 21 kinds of instruction in the region's languages, with its own rules.

They differ from IFEval's (`instructions`): sentences and paragraphs are parted by `***`, which the prompts ask for, so
that no sentence end has to be found; an empty bracket is no placeholder; a prompt that is only repeated is no answer.
An instruction counts as followed if the answer is also in the language it should be in. Facts: the official checkers at
version 1.2. Two deviations: keywords are literal (the official patterns are not escaped), and a language on neither of
the official lists (Chinese) is searched without word borders instead of always passing.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import InputError, did_you_mean
from ..lang.identifier import general_identifier
from .instructions import related

Arguments = Mapping[str, Any]

OPTIONS = {
    "eng_Latn": ("My answer is yes.", "My answer is no.", "My answer is maybe."),
    "ind_Latn": ("Jawaban saya adalah ya.", "Jawaban saya adalah tidak.", "Jawaban saya adalah mungkin."),
    "jav_Latn": ("Jawabanku ya.", "Jawabanku ora.", "Jawabanku mungkin."),
    "khm_Khmr": ("ខ្ញុំយល់ស្រប។", "ខ្ញុំមិនយល់ស្រប។", "ខ្ញុំមិនច្បាស់ដែរ។"),
    "lao_Laoo": ("ຄໍາຕອບຂອງຂ້ອຍແມ່ນຈິງ.", "ຄໍາຕອບຂອງຂ້ອຍແມ່ນບໍ່ຈິງ.", "ຄໍາຕອບຂອງຂ້ອຍແມ່ນອາດຈະຈິງ."),
    "msa_Latn": ("Jawapan saya ialah ya.", "Jawapan saya ialah tidak.", "Jawapan saya ialah mungkin."),
    "mya_Mymr": (
        "ကျွန်ုပ်၏အဖြေသည် ဟုတ်ပါတယ်။",
        "ကျွန်ုပ်၏အဖြေသည် မဟုတ်ပါ။",
        "ကျွန်ုပ်၏အဖြေသည် တစ်ချို့ဖြစ်နိုင်ပါတယ်။",
    ),
    "sun_Latn": ("Jawapan abdi enya.", "Jawapan abdi henteu.", "Jawapan abdi meureun."),
    "tam_Taml": ("என்னுடைய பதில் ஆம்.", "என்னுடைய பதில் இல்லை.", "என்னுடைய பதில் ஒருவேளை இருக்கலாம்."),
    "tgl_Latn": ("Ang sagot ko ay oo.", "Ang sagot ko ay hindi.", "Ang sagot ko ay siguro."),
    "tha_Thai": ("คำตอบของฉันคือใช่", "คำตอบของฉันคือไม่", "คำตอบของฉันคืออาจจะ"),
    "vie_Latn": ("Câu trả lời của tôi là có.", "Câu trả lời của tôi là không.", "Câu trả lời của tôi là có thể."),
}
"""The sentences that a constrained answer must hold one of."""
SKIPPED = {"number_words": frozenset({"tha_Thai", "lao_Laoo", "khm_Khmr", "mya_Mymr"})}
"""Kinds that are left out of the count in some languages: 105 items become 100."""
_BORDERED = frozenset({"eng_Latn", "ind_Latn", "jav_Latn", "msa_Latn", "sun_Latn", "vie_Latn"})
_ALIKE = ({"id", "ms"},)


def follows(kind: str, arguments: Arguments, output: str, language: str) -> bool | None:
    """Whether the answer follows one instruction; None where the kind is left out in this language.

    `kind` may carry its group (`length_constraints:number_words`). InputError for an unknown kind or
    a lacking argument.
    """
    name = kind.rpartition(":")[2]
    if name not in CHECKERS:
        raise InputError(f"there is no instruction '{name}'", how=did_you_mean(name, CHECKERS))
    if language in SKIPPED.get(name, ()):
        return None
    try:
        return CHECKERS[name](output, arguments, language)
    except KeyError as error:
        raise InputError(f"the instruction '{name}' lacks its argument {error}", where=language) from None


def is_written_in(output: str, alpha2: str) -> bool:
    """Whether lid.176 says that the answer is in the language; Indonesian and Malay pass for one another."""
    scores = general_identifier().probabilities(output.replace("\n", " "))
    found = max(scores, key=scores.get) if scores else ""
    return found == alpha2 or any({found, alpha2} <= same for same in _ALIKE)


def passes(kind: str, arguments: Arguments, output: str, language: str, alpha2: str) -> bool | None:
    """The item's point: followed, and in the task's language `alpha2` or in the one that was asked for."""
    done = follows(kind, arguments, output, language)
    wanted = arguments["response_language"] if kind.endswith("response_language") else alpha2
    return done if done is None else done and is_written_in(output, wanted)


def _found(word: str, text: str, language: str, *, fold: bool) -> int:
    pattern = rf"\b{re.escape(word)}\b" if language in _BORDERED else re.escape(word)
    return len(re.findall(pattern, text, re.IGNORECASE if fold or language in _BORDERED else 0))


def _words(text: str, given: Arguments, language: str) -> bool:
    return related(len(re.findall(r"\w+", text)), given["relation"], int(given["num_words"]))


def _sentences(text: str, given: Arguments, language: str) -> bool:
    count = sum(bool(part.strip()) for part in text.strip("*").split("***"))
    return related(count, given["relation"], int(given["num_sentences"]))


def _paragraphs(text: str, given: Arguments, language: str) -> bool:
    count = sum(bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", text))
    return count == int(given["num_paragraphs"])


def _placeholders(text: str, given: Arguments, language: str) -> bool:
    count = sum(bool(found.strip("[]").strip()) for found in re.findall(r"\[.*?\]", text))
    return count >= int(given["num_placeholders"])


def _postscript(text: str, given: Arguments, language: str) -> bool:
    parts = [re.escape(part + ".") for part in given["postscript_marker"].lower().split(".") if part]
    return re.search(r"\s?".join(parts), text.lower()) is not None


def _title(text: str, given: Arguments, language: str) -> bool:
    return any(found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", text))


def _bullets(text: str, given: Arguments, language: str) -> bool:
    found = re.findall(r"^\s*[*-] \*?\*?[^\*\n\s].*$", text, re.MULTILINE)
    return len(found) == int(given["num_bullets"])


def _sections(text: str, given: Arguments, language: str) -> bool:
    found = re.findall(rf"\b{re.escape(given['section_title'])}\s+[|\w]+\b", text)
    return len(found) == int(given["num_sections"])


def _highlights(text: str, given: Arguments, language: str) -> bool:
    found = re.findall(r"\*[^\n\*]*\*", text) + re.findall(r"\*\*[^\n\*]*\*\*", text)
    return sum(bool(part.strip("*").strip()) for part in found) >= int(given["num_highlights"])


def _json(text: str, given: Arguments, language: str) -> bool:
    bare = text.strip()
    fence = next((mark for mark in ("```json", "```Json", "```JSON", "```") if bare.startswith(mark)), "")
    if fence:
        bare = bare.removeprefix(fence).removesuffix("```").strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _constrained(text: str, given: Arguments, language: str) -> bool:
    if language not in OPTIONS:
        raise InputError(f"there are no constrained answers in {language}", how=did_you_mean(language, OPTIONS))
    return any(option in text for option in OPTIONS[language])


def _first(text: str, given: Arguments, language: str) -> bool:
    return text.strip().lower().startswith(given["first_word"].lower())


def _last(text: str, given: Arguments, language: str) -> bool:
    return text.strip().lower().endswith(given["end_phrase"].lower())


def _quotation(text: str, given: Arguments, language: str) -> bool:
    bare = text.strip()
    return bare.startswith('"') and bare.endswith('"') and bool(bare.strip('"').strip())


def _existence(text: str, given: Arguments, language: str) -> bool:
    return all(_found(word, text, language, fold=False) for word in given["keywords"])


def _absence(text: str, given: Arguments, language: str) -> bool:
    return not any(_found(word, text, language, fold=False) for word in given["forbidden_words"])


def _frequency(text: str, given: Arguments, language: str) -> bool:
    return related(_found(given["keyword"], text, language, fold=True), given["relation"], int(given["frequency"]))


def _number(text: str, given: Arguments, language: str) -> bool:
    return related(text.count(str(given["number"])), given["relation"], int(given["frequency"]))


def _repeat(text: str, given: Arguments, language: str) -> bool:
    said, prompt = text.strip().lower(), given["prompt_to_repeat"].strip().lower()
    return said.startswith(prompt) and bool(said.removeprefix(prompt).strip())


def _two(text: str, given: Arguments, language: str) -> bool:
    return sum(bool(part.strip().strip(string.punctuation)) for part in text.strip().split("******")) == 2


def _language(text: str, given: Arguments, language: str) -> bool:
    return is_written_in(text, given["response_language"])


CHECKERS: dict[str, Callable[[str, Arguments, str], bool]] = {
    "constrained_response": _constrained,
    "end_checker": _last,
    "existence": _existence,
    "first_word": _first,
    "forbidden_words": _absence,
    "frequency": _frequency,
    "json_format": _json,
    "multiple_sections": _sections,
    "number_bullet_lists": _bullets,
    "number_frequency": _number,
    "number_highlighted_sections": _highlights,
    "number_paragraphs": _paragraphs,
    "number_placeholders": _placeholders,
    "number_sentences": _sentences,
    "number_words": _words,
    "postscript": _postscript,
    "quotation": _quotation,
    "repeat_prompt": _repeat,
    "response_language": _language,
    "title": _title,
    "two_responses": _two,
}
"""Checker by the published name of its instruction, without its group."""
