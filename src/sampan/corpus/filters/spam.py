"""Search-engine spam: pages that sell gambling in the region's languages, and pages stuffed with one keyword.

The phrases are those of the sellers (bonus for new members, link if the site is blocked), so that news and research on
gambling pass; several different ones must occur.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...lang.profile import load_profile
from ...lang.units import ngram_hashes, units
from ..characters import LETTER
from ..kernels import loops
from ..phrases import Phrases, among
from ..rules import Rule, judge
from ..verdict import Verdict
from ..view import TextView

REVISION = 1
MIN_PHRASES, MIN_WORDS, KEYWORD_CLUSTERS = 4, 50, 3
"""Fewer different phrases are no pattern; fewer words have no frequent one. Ours."""

_SPAM = {
    "Latn": """
        slot gacor|slot online|slot88|slot deposit|situs slot|daftar slot|judi slot|judi online|agen judi|bandar judi
        situs judi|bandar togel|togel online|togel hari ini|rtp slot|rtp live|link alternatif|bonus new member
        deposit pulsa|deposit dana|tanpa potongan|gampang menang|maxwin|scatter hitam|pragmatic play|joker123|sbobet
        agen bola|poker online|dominoqq|bandarqq|situs gacor|server thailand|akun pro|freebet|casino online
        online casino|live casino|online betting|free spins|no deposit bonus|welcome bonus|sports betting
        kasino dalam talian|laman judi|nhà cái|cá cược|nổ hũ|tài xỉu|soi kèo|lô đề|đánh bài online|xóc đĩa
        casino trực tuyến|link vào|khuyến mãi nạp|rút tiền nhanh|online sabong|bonus sa unang deposit|legit na casino
        sugal online
        viagra|cialis|payday loan|escort service|buy followers|cheap jerseys|replica watches
    """,
    "Thai": """
        เว็บพนัน|พนันออนไลน์|สล็อตออนไลน์|สล็อตเว็บตรง|เว็บสล็อต|สล็อตแตกง่าย|บาคาร่า|แทงบอล|แทงบอลออนไลน์|คาสิโนออนไลน์
        เครดิตฟรี|สมัครสมาชิกใหม่|ฝากถอนไม่มีขั้นต่ำ|ไม่ผ่านเอเย่นต์|ฝากถอนออโต้|โบนัสสมาชิกใหม่|หวยออนไลน์|เว็บหวย|ทดลองเล่นสล็อต
        ยูฟ่าเบท|ทางเข้า|pg slot|ufabet|slot|เว็บตรง
    """,
    "Laoo": "ສະລັອດອອນລາຍ|ເວັບພະນັນ|ພະນັນອອນລາຍ|ຄາສິໂນອອນລາຍ|ບາຄາຣາ|ເຄຣດິດຟຣີ|ແທງບານ|ໂບນັດສະມາຊິກໃໝ່|ຝາກຖອນ|ຫວຍອອນລາຍ",
    "Khmr": "កាស៊ីណូអនឡាញ|ល្បែងអនឡាញ|ភ្នាល់បាល់|ហ្គេមស្លុត|ស្លុតអនឡាញ|ប្រាក់រង្វាន់សមាជិកថ្មី|បាការ៉ា|ភ្នាល់អនឡាញ|ដកប្រាក់រហ័ស|ឆ្នោតអនឡាញ",
    "Mymr": "အွန်လိုင်းကာစီနို|အွန်လိုင်းလောင်းကစား|စလော့ဂိမ်း|စလော့|ဘောလုံးလောင်း|ဘောနပ်စ်|ငွေသွင်းငွေထုတ်|ဘာကာရာ|အွန်လိုင်းစလော့|အဖွဲ့ဝင်သစ်ဘောနပ်စ်",
    "Taml": """
        ஆன்லைன் கேசினோ|ஆன்லைன் சூதாட்டம்|பந்தயம் கட்டு|ஸ்லாட் விளையாட்டு|ஸ்லாட் கேம்ஸ்|வரவேற்பு போனஸ்|இலவச சுழற்சிகள்
        டெபாசிட் போனஸ்|ரம்மி விளையாடி|போனஸ் பெறுங்கள்
    """,
    "Hans": """
        在线赌场|网上赌场|真人娱乐|百家乐|老虎机|博彩公司|网上博彩|时时彩|北京赛车|六合彩|彩票平台|注册送|送彩金|首存优惠|澳门新葡京
        娱乐城|体育投注|棋牌游戏|线上娱乐|博彩平台|开户送
    """,
}


def spam(view: TextView) -> Verdict:
    """Drops `spam` and `keyword_stuffing`."""
    return judge(view, RULES)


def _spam_share(view: TextView) -> float:
    """Share of units in sellers' phrases, 0 where fewer than MIN_PHRASES different ones occur."""
    different, inside = _phrases(view.profile.script, view.profile.spaced).find(view.folded)
    return inside / len(view.folded) if different >= MIN_PHRASES else 0.0


@cache
def _phrases(script: str, spaced: bool) -> Phrases:
    """Those of a script; Latin ones stand on pages of every script."""
    lines = f"{_SPAM['Latn']}\n{_SPAM.get(script, '')}".strip().splitlines()
    return Phrases([phrase.strip() for line in lines for phrase in line.split("|")], spaced)


def _keyword_share(view: TextView) -> float | None:
    """Share of units that are the most frequent word with letters that is no stop word (three clusters, without
    spaces)."""
    if len(view.folded) < MIN_WORDS * view.word_units:
        return None
    if not view.profile.spaced:
        grams = ngram_hashes(view.folded, KEYWORD_CLUSTERS)
        times = np.unique(grams, return_counts=True)[1].max()
        return float(times * KEYWORD_CLUSTERS / len(view.folded))
    if (compiled := loops("shares")) is not None:
        folded, others = view.folded, _stop_words(view.profile.code)
        times = compiled.most_frequent(folded.hashes_U, folded.starts_U, folded.ends_U, view.kinds_C, LETTER, others)
        return times / len(folded)
    hashes, times = view.folded.counted
    others = np.flatnonzero(~among(hashes, _stop_words(view.profile.code)))
    for place in others[np.argsort(-times[others], kind="stable")]:
        first = np.argmax(view.folded.hashes_U == hashes[place])
        if (view.kinds_C[view.folded.starts_U[first] : view.folded.ends_U[first]] & LETTER).any():
            return float(times[place] / len(view.folded))
    return 0.0


@cache
def _stop_words(code: str) -> np.ndarray:
    return np.unique(units(" ".join(load_profile(code).stop_words).lower(), spaced=True).hashes_U)


RULES = (
    Rule("spam", "max_spam_share", _spam_share),
    Rule("keyword_stuffing", "max_keyword_share", _keyword_share),
)
