"""Pages whose text is about the site: cookies, log-in, rights, errors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import regex

from ...lang.units import codepoints
from ..literals import Literals
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 2
MAX_LINE_CHARACTERS, MAX_LABEL_CHARACTERS, MIN_LINES = 300, 24, 2
"""A longer line is prose that may well speak of copyright, a longer label prose that speaks of logging in; and one such
line is no pattern. Ours, set so that help pages of commands (`docker login`) stay."""

# English phrases appear on pages of every language; the others say the same in the region's languages.
_PHRASES = """
    all rights reserved|copyright ©|enable javascript|javascript is disabled|javascript disabled|javascript is required
    javascript required|cookie policy|cookie settings|use cookies|accept cookies|accept all cookies|privacy policy
    terms of use|terms of service|404 not found|page not found|powered by wordpress|powered by blogger|powered by drupal
    hak cipta terpelihara|hak cipta dilindungi|kebijakan privasi|dasar privasi|halaman tidak ditemukan
    สงวนลิขสิทธิ์|นโยบายความเป็นส่วนตัว|រក្សាសិទ្ធិគ្រប់យ៉ាង|គោលការណ៍ឯកជនភាព|ສະຫງວນລິຂະສິດ
    မူပိုင်ခွင့်|ကိုယ်ရေးအချက်အလက်မူဝါဒ|bản quyền thuộc|chính sách bảo mật|版权所有|隐私政策|备案号
    அனைத்து உரிமைகளும்|தனியுரிமைக் கொள்கை
"""
_LABELS = """
    login|log in|signin|sign in|signup|sign up|forgot password|forgotten password|read more|share on|share this
    subscribe|newsletter|back to top|skip to content|log masuk|daftar masuk|baca juga|đăng nhập|đăng ký|quên mật khẩu
    xem thêm
"""
_LABELS_WITHOUT_SPACES = """
    เข้าสู่ระบบ|สมัครสมาชิก|ลืมรหัสผ่าน|อ่านต่อ|ចូលគណនី|អានបន្ត|ເຂົ້າສູ່ລະບົບ|အကောင့်ဝင်|登录|注册账号|忘记密码|上一篇|下一篇|உள்நுழைக
"""


def _listed(block: str) -> list[str]:
    return [phrase for line in block.strip().splitlines() for phrase in line.strip().split("|")]


def _any_of(block: str) -> str:
    return "|".join(map(regex.escape, _listed(block)))


_PHRASE = regex.compile(rf"{_any_of(_PHRASES)}|© ?\d{{4}}", regex.IGNORECASE)
_LABEL = regex.compile(rf"\b(?:{_any_of(_LABELS)})\b|{_any_of(_LABELS_WITHOUT_SPACES)}", regex.IGNORECASE)
# Most texts have none, which looking for plain strings shows ten times as fast as a pattern.
_CUES = ("©", *_listed(_PHRASES), *_listed(_LABELS), *_listed(_LABELS_WITHOUT_SPACES))
_ALL_CUES = Literals(_CUES)
_OTHER_CASES = {"ſ": "s", "ı": "i"}
"""Letters that a pattern without case takes for others, though lower case leaves them as they are."""
_EMPTY_LINES = regex.compile(r"\n{3,}")


def boilerplate(view: TextView) -> Verdict:
    """Drops `boilerplate`: too many of the characters stand in lines with such a phrase or label."""
    return judge(view, RULES)


def _about_share(view: TextView) -> float:
    """Share of the lines' characters in lines about the site, 0 for a single such line."""
    places = _ALL_CUES.places(view.lower, view.folded.codepoints_C)
    if not places:
        return 0.0
    numbers = _lines_at(view, places)
    about = [length for start, length in _spans(view, numbers) if about_the_site(view.text[start : start + length])]
    return sum(about) / int(view.lines.lengths_L.sum()) if len(about) >= MIN_LINES else 0.0


def _lines_at(view: TextView, places: list[int]) -> np.ndarray:
    """Numbers of the lines that may speak of the site, in order, from the places of cues in the text in lower case: the
    patterns are dear, and asked of these only."""
    if len(view.lower) != len(view.text):
        return np.arange(len(view.lines))
    if any(letter in view.lower for letter in _OTHER_CASES):
        lower = view.lower.translate(str.maketrans(_OTHER_CASES))
        places = _ALL_CUES.places(lower, codepoints(lower))
    return np.unique(np.searchsorted(view.lines.starts_L, np.array(places, np.int64), "right") - 1)


def _spans(view: TextView, numbers: np.ndarray) -> Iterable[tuple[int, int]]:
    return zip(view.lines.starts_L[numbers].tolist(), view.lines.lengths_L[numbers].tolist(), strict=True)


def about_the_site(line: str) -> bool:
    """Whether a line speaks of the site it is on."""
    if len(line) > MAX_LINE_CHARACTERS:
        return False
    return bool(_PHRASE.search(line) or (len(line) <= MAX_LABEL_CHARACTERS and _LABEL.search(line)))


def without_notices(text: str) -> str:
    """`text` without the lines that speak of the site or ask for JavaScript, as C4 takes them out."""
    lower = text.lower()
    if "javascript" not in lower and not any(cue in lower for cue in _CUES):
        return text
    kept = [line for line in text.split("\n") if not (about_the_site(line) or _asks_for_javascript(line))]
    return _EMPTY_LINES.sub("\n\n", "\n".join(kept)).strip()


def _asks_for_javascript(line: str) -> bool:
    return len(line) <= MAX_LINE_CHARACTERS and "javascript" in line.lower()


RULES = (Rule("boilerplate", "max_boilerplate_share", _about_share),)
