"""Pages whose text is about the site: cookies, log-in, rights, errors."""

from __future__ import annotations

import regex

from ..verdict import KEEP, Verdict, drop
from ..view import TextView

REVISION = 1
MAX_LINE_CHARACTERS, MAX_LABEL_CHARACTERS, MIN_LINES = 300, 24, 2
"""A longer line is prose that may well speak of copyright, a longer label prose that speaks of logging in; and one such
line is no pattern. Ours, set so that help pages of commands (`docker login`) stay."""

# English phrases appear on pages of every language; the others say the same in the region's languages.
_PHRASES = regex.compile(
    r"all rights reserved|copyright ©|© ?\d{4}|enable javascript|javascript (is )?(disabled|required)|"
    r"cookie (policy|settings)|use cookies|accept (all )?cookies|privacy policy|terms of (use|service)|"
    r"404 not found|page not found|powered by (wordpress|blogger|drupal)|"
    r"hak cipta (terpelihara|dilindungi)|kebijakan privasi|dasar privasi|halaman tidak ditemukan|"
    r"สงวนลิขสิทธิ์|นโยบายความเป็นส่วนตัว|រក្សាសិទ្ធិគ្រប់យ៉ាង|គោលការណ៍ឯកជនភាព|ສະຫງວນລິຂະສິດ|"
    r"မူပိုင်ခွင့်|ကိုယ်ရေးအချက်အလက်မူဝါဒ|bản quyền thuộc|chính sách bảo mật|版权所有|隐私政策|备案号|"
    r"அனைத்து உரிமைகளும்|தனியுரிமைக் கொள்கை",
    regex.IGNORECASE,
)
_LABELS = regex.compile(
    r"\b(log ?in|sign ?(in|up)|forgot(ten)? password|read more|share (on|this)|subscribe|newsletter|back to top|"
    r"skip to content|log masuk|daftar masuk|baca juga|đăng nhập|đăng ký|quên mật khẩu|xem thêm)\b|"
    r"เข้าสู่ระบบ|สมัครสมาชิก|ลืมรหัสผ่าน|อ่านต่อ|ចូលគណនី|អានបន្ត|ເຂົ້າສູ່ລະບົບ|အကောင့်ဝင်|登录|注册账号|忘记密码|上一篇|下一篇|உள்நுழைக",
    regex.IGNORECASE,
)


def boilerplate(view: TextView) -> Verdict:
    """Drops `boilerplate`: too many of the characters stand in lines with such a phrase or label."""
    total = sum(map(len, view.lines))
    about = [len(line) for line in view.lines if _about_the_site(line)]
    found = len(about) >= MIN_LINES and sum(about) / total > view.limits.max_boilerplate_share
    return drop("boilerplate") if found else KEEP


def _about_the_site(line: str) -> bool:
    if len(line) > MAX_LINE_CHARACTERS:
        return False
    return bool(_PHRASES.search(line) or (len(line) <= MAX_LABEL_CHARACTERS and _LABELS.search(line)))
