"""Personal data in text: email addresses, phone numbers, public IP addresses and national id numbers of the region.

Numbers may be written in the digits of any script. A number counts only where its form is telling (a country code, a
national format in that country's language, a word such as "tel" before it, a checksum), because a corpus has far more
prices, dates and serial numbers than ids.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import regex

from .national_ids import national_ids
from .number_runs import MIN_DIGITS, has_other_digits, matches_near, number_runs

KINDS = ("email", "ip", "national_id", "phone")
PLACEHOLDERS = {"email": "[EMAIL]", "ip": "[IP]", "national_id": "[ID]", "phone": "[PHONE]"}


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start` to `end` of a text are personal data of a kind."""

    start: int
    end: int
    kind: str


_EMAIL = regex.compile(
    r"(?<![A-Za-z0-9.+%-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
# Names of local networks, the account of code hosts, and pictures for sharp screens (`icon@2x.png`).
_NOBODYS = regex.compile(r"\.(?:invalid|local|localhost)$|^git@|@\dx\.(?:png|jpe?g|gif|webp|svg)$", regex.IGNORECASE)
_IPV4 = regex.compile(r"(?<![A-Za-z\d_.\-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![A-Za-z\d_\-]|\.\d)")
_DOTTED, _HEX_PIECE = re.compile(r"\.[0-9]{1,3}\."), re.compile(r":[0-9A-Fa-f]*+:")
_IPV6 = regex.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{6,39}(?![\w:])")
_NAME_SERVERS = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "1.2.3.4"}
_MIN_IPV4_DIGITS = 7
"""Ours: one public address in 700 has fewer, most versions and numbers of sections have."""
_VERSION = regex.compile(
    r"(?:\bv(?:er(?:sion|si)?)?\.?|phiên bản|เวอร์ชัน|版本|release|build|section) ?$", regex.IGNORECASE
)

_GAP = r"[ .\-‐‑–\u00A0]?"
# A country's code and number: + and 8 to 15 digits in groups.
_INTERNATIONAL = regex.compile(rf"(?<![A-Za-z\d+.])\+{_GAP}[1-9]\d{{0,2}}(?:[ .\-‐‑–()]{{0,2}}\d){{7,12}}(?!\d|[.,]\d)")
_LATIN_CUES = (
    r"tel|telp|telepon|telefon|telpon|hotline|fax|faks|faksimili|whatsapp|zalo|viber|sđt|đt|điện thoại|contact no"
)
_OTHER_CUES = (
    "โทรศัพท์|โทรสาร|โทร|เบอร์|มือถือ|ໂທລະສັບ|ໂທ|ເບີ|ទូរស័ព្ទ|លេខទូរសព្ទ|ទូរសព្ទ|ဖုန်းနံပါတ်|ဖုန်း|"
    "தொலைபேசி|அலைபேசி|கைபேசி|电话|手机|热线|传真|微信"
)
_WEAK_CUES = "phone|mobile|call|hp|wa|sms|line|di động|gọi|cp"
"""Words that stand before many other numbers too (`call 2020-2021`, `phone 11 256`)."""
_CUE = regex.compile(
    rf"(?:(?<!\p{{L}})(?:{_LATIN_CUES}|(?P<weak>{_WEAK_CUES}))|{_OTHER_CUES})(?:\s?(?:no|number|nomor|số)\b)?"
    r"[\s.:：：)၊-]{0,4}(?P<number>\(?\+?\d(?:[ .\-‐‑–()/]{0,2}\d){6,13})(?!\d|[.,]\d)",
    regex.IGNORECASE,
)
_BEFORE_NUMBER = 48
"""Characters that a cue and what may stand between it and its number take at most."""
_DIGITS = regex.compile(r"\d+")
_YEAR = regex.compile(r"(?:1[89]|2[05])\d\d")
_THOUSANDS = regex.compile(r"[1-9]\d{0,2}(?:([ .])\d{3})(?:\1\d{3})*")
_DECIMAL = regex.compile(r"\+\d{1,3}\.\d{1,9}")
# National forms, without the country's code, in the languages of the country; digits in groups as people write them.
_FORMS = {
    "tha_Thai": ("0[689]D_DDD_DDDD", "0[2-7]D?_DDD_DDDD?"),
    "lao_Laoo": ("0?20_[2579]DDD_DDDD", "(?:020_|20[ -])DD_DDD_DDD"),
    "khm_Khmr": ("0[1-9]D_DDD_DDDD?", "0[1-9]D_DD_DD_DDD?"),
    "mya_Mymr": ("09_(?:D_){6,8}D",),
    "vie_Latn": ("0[35789]DD?_DDD_DDDD?", "0[35789]D_DDD_DD_DD", "02DD?_DDDD?_DDDD"),
    "ind_Latn": ("08DD_DDDD?_DDDD?D?", r"\(0DDD?\) ?DDDD?_DDDD?", "0DDD?-DDDDDDD?D?"),
    "msa_Latn": ("01D_DDDD?_DDDD", "0[3-9]D?[- ]DDDD?_DDDD"),
    "tgl_Latn": ("09DD_DDD_DDDD", r"\(0DD?\) ?DDDD?_DDDD"),
    "tam_Taml": ("0?[6-9]DDDD[ -]?DDDDD", "07D_DDD_DDDD", "0DDD?D?[- ]DDDDDDD?D?"),
    "zho_Hans": ("1[3-9]D_DDDD_DDDD", "0DDD?-DDDDDDDD?"),
}
"""D is a digit, _ a gap that may be there."""
_FORMS |= {"jav_Latn": _FORMS["ind_Latn"], "sun_Latn": _FORMS["ind_Latn"]}
_NATIONAL = {
    code: regex.compile(
        rf"(?<![\d+/=&?\-]|[\d][.,])(?:{'|'.join(forms).replace('D', '[0-9]').replace('_', _GAP)})(?!\d|[.,\-/]\d)"
    )
    for code, forms in _FORMS.items()
}
# Book, account and parcel numbers look like phones.
_OTHER_NUMBER = regex.compile(r"(?:ISBN|ISSN|DOI|OCLC|A/C|rek\.|rekening|resi)[^\n]{0,20}$", regex.IGNORECASE)


def find_personal_data(text: str, language: str, *, kinds: Collection[str] = KINDS) -> list[Span]:
    """Spans of personal data in order, apart from each other; where two meet the earlier kind of KINDS stands."""
    found: list[Span] = []
    taken = bytearray(len(text))
    for kind in KINDS:
        if kind in kinds:
            for start, end in _FINDERS[kind](text, language):
                if not any(taken[start:end]):
                    taken[start:end] = b"\1" * (end - start)
                    found.append(Span(start, end, kind))
    return sorted(found)


def replace_spans(text: str, spans: Sequence[Span]) -> str:
    """`text` with the placeholder of each span's kind in its place."""
    pieces, place = [], 0
    for span in spans:
        pieces += [text[place : span.start], PLACEHOLDERS[span.kind]]
        place = span.end
    return "".join([*pieces, text[place:]])


def _emails(text: str, language: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text) if not _NOBODYS.search(match[0]))


def _addresses(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Public addresses only: those of private networks, examples and public name servers are nobody's."""
    for may_hold, pattern in ((may_hold_ipv4, _IPV4), (may_hold_ipv6, _IPV6)):
        if not may_hold(text):
            continue
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if _is_somebodys(address) and not _VERSION.search(text, max(0, match.start() - 24), match.start()):
                yield match.span()


def may_hold_ipv4(text: str) -> bool:
    """Whether one to three digits stand between two full stops, which is seen many times faster than an address."""
    return _DOTTED.search(text) is not None


def may_hold_ipv6(text: str) -> bool:
    """Whether nothing but hexadecimal digits stands between two colons."""
    return _HEX_PIECE.search(text) is not None


def _is_somebodys(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """A public address with enough digits to be one: 5.0.0.62 is a version, `abc::def` a name in a program."""
    if address.version == 6:
        return address.is_global and address.packed[0] >> 5 == 1  # 2000::/3, all that is given out (RFC 4291)
    enough = sum(char != "." for char in str(address)) >= _MIN_IPV4_DIGITS
    return enough and address.is_global and not address.is_multicast and str(address) not in _NAME_SERVERS


def _phones(text: str, language: str) -> Iterator[tuple[int, int]]:
    runs = number_runs(text)
    if not runs:
        return
    if "+" in text:
        yield from (match.span() for match in _INTERNATIONAL.finditer(text) if not _is_decimal(match[0]))
    for match in matches_near(_CUE, text, runs, _BEFORE_NUMBER):
        if _may_be_phone(ascii_digits(match["number"]), weak=bool(match["weak"])):
            yield match.span("number")
    if language in _NATIONAL:
        for match in _NATIONAL[language].finditer(ascii_digits(text)):
            if not _OTHER_NUMBER.search(text, max(0, match.start() - 24), match.start()):
                yield match.span()


def _is_decimal(number: str) -> bool:
    """Coordinates and changes such as +13.756331; a phone number with one full stop has eleven digits or more."""
    return bool(_DECIMAL.fullmatch(number)) and len(number) <= 11


def _may_be_phone(number: str, *, weak: bool) -> bool:
    """Whether digits after a cue are no years; after a weak cue also no amount, and no size or year in a list."""
    groups = _DIGITS.findall(number)
    years = [bool(_YEAR.fullmatch(group)) for group in groups]
    if len(groups) > 1 and all(years):
        return False
    if not weak or "+" in number:
        return True
    return not (any(years[:-1]) or _THOUSANDS.fullmatch(number) or groups[0] in "23456789")


def _ids(text: str, language: str) -> Iterator[tuple[int, int]]:
    if number_runs(text, MIN_DIGITS):
        yield from national_ids(ascii_digits(text), language, number_runs(text))


_OTHER_DIGIT = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)


def ascii_digits(text: str) -> str:
    """`text` with the decimal digits of every script as 0-9; no character moves. Digits that this Python does not know
    yet stay."""
    if not has_other_digits(text):
        return text
    return _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0], match[0])), text)


_FINDERS = {"email": _emails, "ip": _addresses, "national_id": _ids, "phone": _phones}
