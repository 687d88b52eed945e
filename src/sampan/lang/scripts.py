"""Which scripts a text is written in, counted from Unicode ranges.

Only letters and the marks that belong to one script count; digits, punctuation and shared marks do not.
"""

from __future__ import annotations

import bisect
import functools
from collections import Counter

from ..core.kept import kept
from .kernels import loops

# (first, last, script), sorted; the letters of the region's scripts and of those met in its web crawl.
_RANGES = (
    (0x0041, 0x005A, "Latn"),
    (0x0061, 0x007A, "Latn"),
    (0x00AA, 0x00AA, "Latn"),
    (0x00BA, 0x00BA, "Latn"),
    (0x00C0, 0x00D6, "Latn"),
    (0x00D8, 0x00F6, "Latn"),
    (0x00F8, 0x02B8, "Latn"),
    (0x0370, 0x03FF, "Grek"),
    (0x0400, 0x052F, "Cyrl"),
    (0x0531, 0x0588, "Armn"),
    (0x0591, 0x05F4, "Hebr"),
    (0x0620, 0x065F, "Arab"),
    (0x066E, 0x06EF, "Arab"),
    (0x06FA, 0x06FF, "Arab"),
    (0x0750, 0x077F, "Arab"),
    (0x08A0, 0x08FF, "Arab"),
    (0x0900, 0x0963, "Deva"),
    (0x0971, 0x097F, "Deva"),
    (0x0980, 0x09E3, "Beng"),
    (0x0B80, 0x0BE5, "Taml"),
    (0x0C00, 0x0C63, "Telu"),
    (0x0D00, 0x0D63, "Mlym"),
    (0x0D80, 0x0DF3, "Sinh"),
    (0x0E01, 0x0E3A, "Thai"),
    (0x0E40, 0x0E4E, "Thai"),
    (0x0E81, 0x0ECE, "Laoo"),
    (0x0EDC, 0x0EDF, "Laoo"),
    (0x0F40, 0x0FBC, "Tibt"),
    (0x1000, 0x103F, "Mymr"),
    (0x104C, 0x109D, "Mymr"),
    (0x10A0, 0x10FF, "Geor"),
    (0x1100, 0x11FF, "Hang"),
    (0x1200, 0x137F, "Ethi"),
    (0x1700, 0x1715, "Tglg"),
    (0x1780, 0x17D3, "Khmr"),
    (0x17D7, 0x17D7, "Khmr"),
    (0x17DC, 0x17DD, "Khmr"),
    (0x1950, 0x1974, "Tale"),
    (0x1980, 0x19C9, "Talu"),
    (0x1A00, 0x1A1B, "Bugi"),
    (0x1A20, 0x1A7C, "Lana"),
    (0x1B00, 0x1B4B, "Bali"),
    (0x1B80, 0x1BAF, "Sund"),
    (0x1C80, 0x1C8F, "Cyrl"),
    (0x1E00, 0x1EFF, "Latn"),
    (0x1F00, 0x1FFF, "Grek"),
    (0x2C60, 0x2C7F, "Latn"),
    (0x3005, 0x3007, "Hani"),
    (0x3041, 0x3096, "Kana"),
    (0x30A1, 0x30FA, "Kana"),
    (0x3105, 0x312F, "Bopo"),
    (0x3131, 0x318E, "Hang"),
    (0x3400, 0x4DBF, "Hani"),
    (0x4E00, 0x9FFF, "Hani"),
    (0xA720, 0xA7FF, "Latn"),
    (0xA980, 0xA9C0, "Java"),
    (0xA9E0, 0xA9FE, "Mymr"),
    (0xAA60, 0xAA7F, "Mymr"),
    (0xAC00, 0xD7A3, "Hang"),
    (0xF900, 0xFAFF, "Hani"),
    (0xFF21, 0xFF3A, "Latn"),
    (0xFF41, 0xFF5A, "Latn"),
    (0xFF66, 0xFF9D, "Kana"),
    (0x20000, 0x323AF, "Hani"),
)
_FIRSTS = [first for first, _, _ in _RANGES]
WRITTEN_IN = {"Hans": "Hani", "Hant": "Hani"}
"""Scripts that Unicode does not tell apart, to the range they share."""


@functools.lru_cache(maxsize=1 << 16)
def script_of(char: str) -> str:
    """ISO 15924 code of one character's script, '' for digits, punctuation, blanks and unknown letters."""
    point = ord(char)
    place = bisect.bisect_right(_FIRSTS, point) - 1
    if place >= 0 and point <= _RANGES[place][1]:
        return _RANGES[place][2]
    return "Zzzz" if char.isalpha() else ""


def script_ranges() -> tuple[tuple[int, int, str], ...]:
    """(first, last code point, script), sorted and apart: what `script_of` looks up."""
    return _RANGES


def script_counts(text: str) -> Counter[str]:
    """Letters (and a script's own marks) by script."""
    if len(text) >= _LONG:
        return _counts_of_long(text)
    counts: Counter[str] = Counter()
    for char, number in Counter(text).items():
        script = script_of(char)
        if script:
            counts[script] += number
    return counts


_LONG = 300
"""From this length on, array work is faster than a dictionary of characters."""


_POINTS = 0x40000
"""Letters stand below this code point; the last one below stands for those above (tags, private use)."""


@kept()
def _script_table():
    """uint8[_POINTS]: the number of each character's script in `_script_names`, 0 for none."""
    import numpy as np

    letters = np.fromiter(map(str.isalpha, map(chr, range(_POINTS))), bool, _POINTS)
    table = np.where(letters, np.uint8(_script_names().index("Zzzz")), np.uint8(0))
    for first, last, script in _RANGES:
        table[first : last + 1] = _script_names().index(script)
    return table


@functools.cache
def _script_names() -> tuple[str, ...]:
    return ("", *sorted({script for _, _, script in _RANGES}), "Zzzz")


def _counts_of_long(text: str) -> Counter[str]:
    import numpy as np

    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    if (compiled := loops("words")) is not None:
        found = compiled.tally(points, _script_table(), len(_script_names())).tolist()
    else:
        found = np.bincount(np.take(_script_table(), points, mode="clip"), minlength=len(_script_names())).tolist()
    return Counter({name: number for name, number in zip(_script_names(), found, strict=True) if name and number})


def script_shares(text: str) -> dict[str, float]:
    """Share of letters by script, largest first; {} for a text without letters. Shares add up to 1."""
    counts = script_counts(text)
    total = counts.total()
    return {script: number / total for script, number in counts.most_common()}


CHARACTER_WEIGHT = {"Hani": 3, "Kana": 2, "Hang": 2}
"""Letters of an alphabet that one character stands for, about."""


def weighted_script_shares(text: str) -> dict[str, float]:
    """As `script_shares`, with each Han, Kana and Hangul character worth CHARACTER_WEIGHT letters."""
    weights = {script: share * CHARACTER_WEIGHT.get(script, 1) for script, share in script_shares(text).items()}
    total = sum(weights.values())
    return {script: weight / total for script, weight in sorted(weights.items(), key=lambda item: -item[1])}


def own_script_share(text: str, script: str) -> float:
    """Weighted share of letters that belong to `script` (Hans and Hant count all Han characters), 0 without letters."""
    return weighted_script_shares(text).get(WRITTEN_IN.get(script, script), 0.0)


# Frequent characters whose two forms differ, simplified then traditional; the pairs are common knowledge of the
# 1956/1964 simplification, chosen by frequency.
_PAIRS = (
    "国國们們这這个個来來时時为為说說对對会會学學过過还還经經发發后後动動现現开開关關间間长長问問"
    "样樣无無门門见見车車马馬东東书書电電话話头頭实實应應体體战戰点點几幾气氣当當种種进進产產业業"
    "义義机機党黨军軍从從两兩区區华華报報导導边邊让讓认認论論议議设設证證许許语語请請谁誰调調"
    "万萬与與专專丽麗么麼乐樂习習买買卖賣亲親仅僅优優传傳伤傷儿兒兰蘭兴興养養写寫农農决決况況"
    "净淨减減则則刚剛创創别別办辦务務劳勞势勢单單卫衛历歷厂廠压壓县縣参參双雙变變号號听聽员員"
    "响響图圖团團园園围圍坏壞块塊场場处處备備够夠夹夾奖獎妇婦孙孫宁寧宝寶审審宪憲将將尔爾层層"
    "岁歲岛島师師带帶帮幫广廣库庫张張归歸录錄忆憶总總恋戀态態怀懷愿願择擇护護担擔据據换換损損"
    "断斷旧舊显顯术術权權条條极極构構标標树樹检檢楼樓欢歡欧歐毕畢汉漢没沒济濟测測满滿灭滅灵靈"
    "热熱爱愛独獨环環疗療监監盘盤确確离離称稱积積笔筆类類级級纪紀红紅约約纳納纸紙线線练練组組"
    "细細织織终終绍紹结結给給络絡统統绝絕继繼续續维維综綜网網罗羅罚罰职職联聯脑腦艺藝节節范範"
    "药藥营營规規视視觉覺计計训訓记記评評识識诉訴词詞试試该該详詳误誤读讀课課资資质質费費赛賽"
    "转轉轮輪软軟轻輕较較达達迁遷运運远遠连連选選递遞邮郵钱錢铁鐵银銀错錯队隊阳陽阶階际際陆陸"
    "险險难難预預领領题題额額风風飞飛食食馆館验驗鱼魚鸟鳥麦麥龙龍齐齊"
)
SIMPLIFIED = frozenset(a for a, b in zip(_PAIRS[::2], _PAIRS[1::2], strict=True) if a != b)
TRADITIONAL = frozenset(b for a, b in zip(_PAIRS[::2], _PAIRS[1::2], strict=True) if a != b)


def simplified_share(text: str) -> float:
    """Simplified forms among the characters of `text` whose form tells; 0.5 if none does."""
    simple, traditional = _forms(text)
    return simple / (simple + traditional) if simple + traditional else 0.5


def _forms(text: str) -> tuple[int, int]:
    """How many characters are simplified and how many are traditional forms."""
    counts = Counter(text)
    simple = sum(counts[char] for char in counts.keys() & SIMPLIFIED)
    return simple, sum(counts[char] for char in counts.keys() & TRADITIONAL)


def chinese_variant(text: str) -> str:
    """`Hans` or `Hant`, `mixed` if less than nine in ten telling characters agree, '' if none tells.

    Only characters whose two forms differ tell. Japanese uses some of either form, so ask for the script first.
    """
    simple, traditional = _forms(text)
    if not simple + traditional:
        return ""
    share = simple / (simple + traditional)
    return "Hans" if share >= 0.9 else "Hant" if share <= 0.1 else "mixed"
