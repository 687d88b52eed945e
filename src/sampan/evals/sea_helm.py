"""How SEA-HELM reads an answer: version 1.0 (used for the SEA-LION v3 paper) and version 1.2.

Both look for the answer tag of the task's language. 1.0 takes the rest of the line after the first tag and asks whether
it is a label; 1.2 takes the label that follows the tag. Either way an answer without the tag is read whole, and what is
no label is the task's null label. Facts: the official repository's metric classes at both versions.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence

ANSWER_TAGS = {
    "ind_Latn": "Jawaban:",
    "jav_Latn": "Jawaban:",
    "sun_Latn": "Jawaban:",
    "tam_Taml": "பதில்:",
    "tgl_Latn": "Sagot:",
    "tha_Thai": "คำตอบ:",
    "vie_Latn": "Câu trả lời:",
}
"""Tags of version 1.0's classification and question-answering tasks."""
TRANSLATION_TAGS = {
    "ind_Latn": "Terjemahan:",
    "jav_Latn": "Terjemahan:",
    "sun_Latn": "Tarjamahan:",
    "tam_Taml": "மொழிபெயர்ப்பு:",
    "tgl_Latn": "Salin:",
    "tha_Thai": "คำแปล:",
    "vie_Latn": "Bản dịch:",
}
SUMMARY_TAGS = {
    "ind_Latn": "Rangkuman:",
    "tam_Taml": "சுருக்கம்:",
    "tgl_Latn": "Buod:",
    "tha_Thai": "บทสรุป:",
    "vie_Latn": "Bản tóm tắt:",
}
NULL = ""
"""What we return for an answer that is no label; the official null labels differ by task and are always wrong."""
_EDGES = string.punctuation + " \n"


def normal_answer(text: str) -> str:
    """Lower case, ASCII punctuation, blanks and line ends taken off both ends, inner blanks made single."""
    return " ".join(text.lower().strip(_EDGES).split())


def label_v1(response: str | None, tag: str, labels: Mapping[str, str]) -> str:
    """Version 1.0: the label named on the first tag's line. `labels` maps written labels (lower case) to gold ones."""
    low = (response or "").lower()
    found = re.search(re.escape(tag.lower()) + r"\s*(.*)", low)
    taken = found[1] if found else low
    return labels.get(normal_answer(taken.strip("$").strip()), NULL)


def text_v1(response: str | None, tag: str) -> str:
    """Version 1.0: the rest of the line after the first tag, whose first letter may have either case."""
    response = response or ""
    first = re.escape(tag[0].lower()), re.escape(tag[0].upper())
    found = re.search(rf"(?:{first[0]}|{first[1]}){re.escape(tag[1:])}\s*(.*)", response)
    return (found[1] if found else response).strip("$").strip()


def label_v12(response: str | None, tag: str, labels: Sequence[str]) -> str:
    """Version 1.2: the label after the tag, blanks and asterisks between them allowed, in any case.

    Repeated labels count as the last one (`Answer: AB` is B), as the official pattern has it. The official code tries
    labels in the order of a set; we try longer ones first, which differs only where one label begins another.
    """
    response = response or ""
    options = "|".join(sorted(map(re.escape, labels), key=lambda label: (-len(label), label)))
    found = re.search(rf"{tag}[\s\*]*({options})+", response, re.IGNORECASE)
    by_name = {label.lower(): label for label in labels}
    return by_name.get(normal_answer(found[1] if found else response), NULL)


def text_v12(response: str | None, tag: str) -> str:
    """Version 1.2: the rest of the line after the tag, less blanks, back-ticks and asterisks before it."""
    response = response or ""
    found = re.search(rf"{tag}[\s`*]*(.*)", response)
    return (found[1] if found else response).strip()
