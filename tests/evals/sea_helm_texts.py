"""Words and made-up sentences of the region's languages, for SEA-HELM's cases. Standard library only."""

from __future__ import annotations

import random

_LINES = {
    "id": "anak pasar pagi hujan turun di sawah dan ibu membeli 3 ikan segar Rp5.000 lalu pulang ke rumah besar",
    "vi": "sáng nay mẹ đi chợ mua 2 con cá tươi rồi về nhà nấu cơm cho các em 10.000₫ ngon lắm trời mưa",
    "tl": "ang bata ay pumunta sa palengke kaninang umaga upang bumili ng 4 na isda at bigas para sa pamilya",
    "ta": "இன்று காலை அம்மா சந்தைக்கு சென்று மீன் வாங்கினார் பிறகு வீட்டில் 5 பேருக்கு சோறு சமைத்தார் மழை",
    "th": "วันนี้ แม่ ไป ตลาด ซื้อ ปลา สด ๓ ตัว แล้ว กลับ บ้าน ทำ อาหาร ให้ ลูก ฝน ตก หนัก มาก",
    "my": "ဒီနေ့ မနက် အမေ ဈေးသွား၍ ငါး ၃ ကောင် ဝယ်ပြီး အိမ်မှာ ထမင်းချက် သည် မိုး ရွာ နေ တယ် ကျောင်းသား",
    "jv": "esuk iki ibu lunga menyang pasar tuku 3 iwak seger banjur mulih menyang omah amarga udan",
    "en": "this morning the mother went to the market and bought 3 fresh fish for her family in the rain",
}
WORDS = {language: line.split() for language, line in _LINES.items()}
"""Everyday words of which texts are put together; they need make no sense, only have the script's letters and signs."""
_UNSPACED = ("th", "my")


def text(language: str, rng: random.Random, least: int = 3, most: int = 14) -> str:
    """A made-up sentence."""
    chosen = rng.choices(WORDS[language], k=rng.randint(least, most))
    joint = "" if language in _UNSPACED else " "
    cut = rng.randint(1, len(chosen))
    return f"{joint.join(chosen[:cut])}{rng.choice((' ', ', ', ' – '))}{joint.join(chosen[cut:])}".strip(" ,–")
