r"""Answers of MATH (arXiv:2103.03874): the last `\boxed{…}`, compared after LaTeX that changes no value is removed."""

from __future__ import annotations

import re

from .numbers import answer_number, numbers

_DROPPED = re.compile(r"\\left|\\right|\\!|\\,|\\;|\\:|\\ |\\\$|\$|\\%|%|\^\\circ|\^\{\\circ\}|\\displaystyle|\s")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textbf)\{([^{}]*)\}")
_SHORT_FRACTION = re.compile(r"\\frac([0-9a-zA-Z])([0-9a-zA-Z])")
_FRACTION_HALF = re.compile(r"\\frac([0-9a-zA-Z])\{")
_SLASH = re.compile(r"^(-?\d+)/(\d+)$")
_ROOT = re.compile(r"\\sqrt([0-9a-zA-Z])")


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{…}` or `\fbox{…}` holds, with balanced braces; None without a closed one."""
    for match in reversed(list(re.finditer(r"\\f?boxed?\s*\{", text))):
        depth = 1
        for place in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                return text[match.end() : place]
    return None


def is_equal(output: str, answer: str, language: str) -> bool:
    r"""Whether a worked answer reaches `answer` (the bare LaTeX): by its box, or by its last number without one."""
    given = boxed(output)
    if given is None:
        value, wanted = answer_number(output, language), numbers(normal_form(answer), "eng_Latn")
        return value is not None and len(wanted) == 1 and _is_plain_number(answer) and value == wanted[0]
    if normal_form(given) == normal_form(answer):
        return True
    if _is_plain_number(given) and _is_plain_number(answer):
        return numbers(given, language)[:1] == numbers(answer, "eng_Latn")[:1]
    return False


def normal_form(latex: str) -> str:
    r"""LaTeX in one spelling: no blanks, units or `\left`; `\dfrac` and `a/b` as `\frac{a}{b}`; no final full stop."""
    text = _TEXT.sub(lambda match: match[1] if latex.strip() == match[0] else "", latex.strip().rstrip("."))
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _DROPPED.sub("", text)
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = _FRACTION_HALF.sub(r"\\frac{\1}{", text)
    text = _ROOT.sub(r"\\sqrt{\1}", text)
    text = _SLASH.sub(r"\\frac{\1}{\2}", text)
    return re.sub(r"^(-?)\.(\d)", r"\g<1>0.\2", text)


def _is_plain_number(text: str) -> bool:
    return re.fullmatch(r"-?[\d.,]*\d", normal_form(text)) is not None
